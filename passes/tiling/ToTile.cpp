//===- ToTile.cpp - From the model to kernels and launches ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The pass `txs-to-tile`; see Passes.td. The work is done by the lowerings in
// kernels/, one for each operation, on top of EntryBuilder.
//
//===----------------------------------------------------------------------===//

#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/FunctionBody.h"
#include "passes/InlineBlocks.h"
#include "passes/Passes.h"
#include "passes/tiling/EntryBuilder.h"
#include "passes/tiling/SharedInput.h"
#include "passes/tiling/TileSizes.h"
#include "passes/tiling/kernels/GradientKernels.h"
#include "passes/tiling/kernels/Kernels.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace transxssm {
#define GEN_PASS_DEF_TXSTOTILE
#include "passes/Passes.h.inc"
} // namespace transxssm

/// One for each file of kernels/.
static void (*const Lowerings[])(LoweringTable &) = {
    // Forward.
    registerTokens, registerRmsNorm, registerLinear, registerElementwise,
    registerRope, registerSsmScan, registerAttention, registerCrossEntropy,
    registerSample,
    // Backward and optimizer.
    registerSumTokens, registerRmsNormGrad, registerLinearGrad,
    registerActivationGrad, registerEmbeddingGrad, registerLastTokenGrad,
    registerSsmScanGrad, registerAttentionGrad, registerLinearCrossEntropyGrad,
    registerOptimizer};

/// What kernels know: bf16 and float32, and int32 for ids.
static bool hasKernels(Type Element) {
  return Element.isF32() || Element.isBF16() || Element.isInteger(32);
}

namespace {
/// Checks whether an entry can be made of a function: arguments and results are
/// tensors with one name each (or the index "past"), whose dynamic extents are
/// at most two and come first, [batch, tokens, ...].
class InterfaceVerifier {
public:
  explicit InterfaceVerifier(func::FuncOp Function) : Function(Function) {}

  LogicalResult run();

private:
  InFlightDiagnostic fail(const Twine &What) {
    return Function.emitError("function @")
           << Function.getName() << " has " << What << " ";
  }
  /// `Own` is the attribute of what is no state.
  LogicalResult verify(const Twine &What, Type T, DictionaryAttr Attributes,
                       StringRef Own, llvm::StringSet<> &Names);
  LogicalResult verifyType(const Twine &What, Type T, StringRef Name,
                           bool IsInput);

  func::FuncOp Function;
};
} // namespace

LogicalResult InterfaceVerifier::verifyType(const Twine &What, Type T,
                                            StringRef Name, bool IsInput) {
  if (IsInput && T.isIndex()) {
    if (Name == "past")
      return success();
    return fail(What) << "of type index named \"" << Name
                      << "\", expected \"past\", the only index of a model";
  }
  auto Tensor = dyn_cast<RankedTensorType>(T);
  // Tables of angles are the same for all sequences: [tokens, ...].
  int64_t Most = IsInput && Name.starts_with("rope_") ? 1 : 2;
  int64_t Dynamic = Tensor ? Tensor.getNumDynamicDims() : 0;
  if (!Tensor || Dynamic > Most ||
      !llvm::all_of(Tensor.getShape().take_front(Dynamic),
                    ShapedType::isDynamic))
    return fail(What) << "of type " << T << ", expected a tensor with at most "
                      << (Most == 1 ? "one dynamic extent, the first one"
                                    : "two dynamic extents, the first ones");
  if (hasKernels(Tensor.getElementType()))
    return success();
  return fail(What) << "of type " << T
                    << ", expected elements of f32, bf16 or i32";
}

LogicalResult InterfaceVerifier::verify(const Twine &What, Type T,
                                        DictionaryAttr Attributes,
                                        StringRef Own,
                                        llvm::StringSet<> &Names) {
  auto Name = Attributes ? Attributes.getAs<StringAttr>(Own) : StringAttr();
  auto State = Attributes ? Attributes.getAs<StringAttr>(txs::StateAttribute)
                          : StringAttr();
  if (!Name == !State)
    return fail(What) << "with " << (Name ? "two names" : "no name")
                      << ", expected " << Own << " or " << txs::StateAttribute;
  StringAttr Given = Name ? Name : State;
  // A state and an input of one name are different memories.
  StringRef Kind = Name ? Own : StringRef(txs::StateAttribute);
  if (!Names.insert((Kind + "=" + Given.getValue()).str()).second)
    return fail(What) << "named " << Given
                      << ", expected a name of its own, but an earlier one "
                         "has it";
  return verifyType(What, T, Given,
                    Name && Own == StringRef(txs::InputAttribute));
}

LogicalResult InterfaceVerifier::run() {
  if (!returnOf(Function, "to tile"))
    return failure();
  llvm::StringSet<> Arguments, Results;
  for (unsigned I = 0; I < Function.getNumArguments(); ++I)
    if (failed(verify("argument " + Twine(I), Function.getArgumentTypes()[I],
                      Function.getArgAttrDict(I), txs::InputAttribute,
                      Arguments)))
      return failure();
  for (unsigned I = 0; I < Function.getNumResults(); ++I)
    if (failed(verify("result " + Twine(I), Function.getResultTypes()[I],
                      Function.getResultAttrDict(I), txs::OutputAttribute,
                      Results)))
      return failure();
  return success();
}

/// Whether there can be kernels for everything in the function.
static LogicalResult verifyElements(func::FuncOp Function) {
  WalkResult Walked = Function.walk([](Operation *Op) {
    for (Type T : Op->getResultTypes())
      if (isa<RankedTensorType>(T) && !hasKernels(getElementTypeOrSelf(T))) {
        Op->emitOpError("makes a value of type ")
            << T << ", expected elements of f32, bf16 or i32";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return failure(Walked.wasInterrupted());
}

/// Removes what no result depends on, so that kernels may leave out results.
static void eraseDeadOperations(func::FuncOp Function) {
  Block &Body = Function.getBody().front();
  for (Operation &Op : llvm::make_early_inc_range(llvm::reverse(Body)))
    if (isOpTriviallyDead(&Op))
      Op.erase();
}

static LogicalResult lowerFunction(func::FuncOp Function,
                                   const LoweringTable &Table, bool Fuse,
                                   OpBuilder &Builder) {
  for (auto Block : llvm::make_early_inc_range(Function.getOps<txs::BlockOp>()))
    inlineBlock(Block);
  eraseDeadOperations(Function);
  mlir::Block &Body = Function.getBody().front();
  FusionPlan Fusion(
      Body, [&](const FusedGroup &Group) { return Fuse && hasKernel(Group); });
  shareInputs(Fusion);
  EntryBuilder Entry(Function->getParentOfType<ModuleOp>(), Function, &Fusion,
                     /*Joins=*/Fuse);
  for (Operation *Op : Fusion.schedule()) {
    Entry.setOperation(Op);
    if (!isa<txs::ReadOp>(Op) && failed(Table.lower(Op, Entry)))
      return failure();
  }
  Entry.finish(Builder);
  return success();
}

/// Declares what the functions' caches carry, once for all of them.
static void declareStates(ModuleOp Module, OpBuilder &Builder) {
  llvm::StringSet<> Known;
  for (auto Function : Module.getOps<func::FuncOp>()) {
    EntryBuilder Entry(Module, Function);
    for (BlockArgument Argument : Function.getArguments()) {
      auto Name = Function.getArgAttrOfType<StringAttr>(Argument.getArgNumber(),
                                                        txs::StateAttribute);
      if (!Name || !Known.insert(Name).second)
        continue;
      auto Shape = AffineMap::get(0, plan::SymbolCount, Entry.shape(Argument),
                                  Module.getContext());
      plan::StateOp::create(Builder, Argument.getLoc(), Name, Shape,
                            getElementTypeOrSelf(Argument.getType()));
    }
  }
}

namespace {
struct TxsToTile : transxssm::impl::TxsToTileBase<TxsToTile> {
  using TxsToTileBase::TxsToTileBase;

  LogicalResult setProductTiles(ModuleOp Module) {
    if (productTiles == "by-size")
      return success();
    if (productTiles != "large" && productTiles != "small")
      return Module->emitError("product-tiles: expected by-size, large or "
                               "small, got '")
             << productTiles << "'";
    Module->setAttr(ProductTilesAttribute,
                    StringAttr::get(&getContext(), productTiles));
    return success();
  }

  void runOnOperation() override {
    ModuleOp Module = getOperation();
    if (gpu)
      Module->setAttr(GpuAttribute, UnitAttr::get(&getContext()));
    if (failed(setProductTiles(Module)))
      return signalPassFailure();
    LoweringTable Table;
    for (auto Register : Lowerings)
      Register(Table);

    // Entries come after everything else, in the functions' order.
    OpBuilder Builder(Module.getContext());
    Builder.setInsertionPointToEnd(Module.getBody());
    SmallVector<func::FuncOp> Functions(Module.getOps<func::FuncOp>());
    for (func::FuncOp Function : Functions)
      if (failed(InterfaceVerifier(Function).run()) ||
          failed(verifyElements(Function)))
        return signalPassFailure();
    declareStates(Module, Builder);
    for (func::FuncOp Function : Functions)
      if (failed(lowerFunction(Function, Table, fuse, Builder)))
        return signalPassFailure();
    Module->removeAttr(GpuAttribute);
    Module->removeAttr(ProductTilesAttribute);
    for (func::FuncOp Function : Functions)
      Function.erase();
    for (auto Parameter :
         llvm::make_early_inc_range(Module.getOps<txs::ParameterOp>())) {
      Builder.setInsertionPoint(Parameter);
      plan::ParameterOp::create(Builder, Parameter.getLoc(),
                                Parameter.getSymName(), Parameter.getType(),
                                Parameter.getInitializer());
      Parameter.erase();
    }
  }
};
} // namespace
