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
    // Backward and optimizer.
    registerSumTokens, registerRmsNormGrad, registerLinearGrad,
    registerActivationGrad, registerEmbeddingGrad, registerLastTokenGrad,
    registerSsmScanGrad, registerAttentionGrad, registerLinearCrossEntropyGrad,
    registerOptimizer};

/// Whether an entry can be made of the function: one block, every argument and
/// result a tensor with one name (or the index `past`), whose dynamic extents
/// are at most two and come first: [batch, tokens, ...].
static LogicalResult verifyInterface(func::FuncOp Function) {
  auto Fail = [&]() {
    return Function.emitError("function @") << Function.getName() << " ";
  };
  if (!Function.getBody().hasOneBlock())
    return Fail() << "has " << Function.getBody().getBlocks().size()
                  << " blocks, expected one";
  auto Check = [&](const Twine &What, Type T, DictionaryAttr Attributes,
                   StringRef Own, bool MayBeIndex) -> LogicalResult {
    auto Name = Attributes ? Attributes.getAs<StringAttr>(Own) : StringAttr();
    auto State = Attributes ? Attributes.getAs<StringAttr>(txs::StateAttribute)
                            : StringAttr();
    if (!Name == !State)
      return Fail() << "has " << What << " with "
                    << (Name ? "two names" : "no name") << ", expected " << Own
                    << " or " << txs::StateAttribute;
    if (MayBeIndex && T.isIndex())
      return success();
    auto Tensor = dyn_cast<RankedTensorType>(T);
    int64_t Dynamic = Tensor ? Tensor.getNumDynamicDims() : 0;
    if (!Tensor || Dynamic > 2 ||
        !llvm::all_of(Tensor.getShape().take_front(Dynamic),
                      ShapedType::isDynamic))
      return Fail() << "has " << What << " of type " << T
                    << ", expected a tensor with at most two dynamic extents, "
                       "the first ones";
    return success();
  };
  for (unsigned I = 0; I < Function.getNumArguments(); ++I)
    if (failed(Check("argument " + Twine(I), Function.getArgumentTypes()[I],
                     Function.getArgAttrDict(I), txs::InputAttribute,
                     /*MayBeIndex=*/true)))
      return failure();
  for (unsigned I = 0; I < Function.getNumResults(); ++I)
    if (failed(Check("result " + Twine(I), Function.getResultTypes()[I],
                     Function.getResultAttrDict(I), txs::OutputAttribute,
                     /*MayBeIndex=*/false)))
      return failure();
  return success();
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
  EntryBuilder Entry(Function->getParentOfType<ModuleOp>(), Function, &Fusion);
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

  void runOnOperation() override {
    ModuleOp Module = getOperation();
    if (gpu)
      Module->setAttr(GpuAttribute, UnitAttr::get(&getContext()));
    LoweringTable Table;
    for (auto Register : Lowerings)
      Register(Table);

    // Entries come after everything else, in the functions' order.
    OpBuilder Builder(Module.getContext());
    Builder.setInsertionPointToEnd(Module.getBody());
    SmallVector<func::FuncOp> Functions(Module.getOps<func::FuncOp>());
    for (func::FuncOp Function : Functions)
      if (failed(verifyInterface(Function)))
        return signalPassFailure();
    declareStates(Module, Builder);
    for (func::FuncOp Function : Functions)
      if (failed(lowerFunction(Function, Table, fuse, Builder)))
        return signalPassFailure();
    Module->removeAttr(GpuAttribute);
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
