//===- SplitProducts.cpp - Long products as loops over slices -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A tile program multiplies tiles as long as suits a CPU's caches; here
// operands pass through shared memory, which is smaller:
//
//   mma(load A[r, k] : M x 256, load B[c, k] : N x 256, sum)
//     -> for i = 0 to 256 step 64: mma(load A[r, k + i], load B[c, k + i], sum)
//
// Operands may be expressions over loads. A large operand of several products
// is read once for each of them. The additions stay in the order of k.
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "codegen/nvptx/TileLayouts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace transxssm::nvptx {
namespace {

/// The inner extent of a slice: 128 bytes of an operand's row.
static int64_t sliceExtent(tile::MmaOp Mma) {
  return 1024 / tileType(Mma.getLhs()).getElementTypeBitWidth();
}
/// A tile of more elements does not stay whole for the sake of another user.
constexpr int64_t LargestWhole = 16384;

/// Makes `Extent` rows (columns) of a tile, from a first one that may depend on
/// a loop.
class Slicer {
public:
  explicit Slicer(Block *Home) : Home(Home) {}

  /// Whether a slice costs a part of what the whole costs: nothing else uses
  /// the value (or it is too large to be kept), and it is made in this block.
  bool canSlice(Value V, int64_t Dimension) const;
  Value slice(ImplicitLocOpBuilder &B, Value V, int64_t Dimension, Value First,
              int64_t Extent) const;

private:
  bool canSlice(Operation *Op, int64_t Dimension) const;
  static RankedTensorType sliced(Value V, int64_t Dimension, int64_t Extent) {
    SmallVector<int64_t> Shape(tileType(V).getShape());
    Shape[Dimension] = Extent;
    return tileType(V).clone(Shape);
  }

  Block *Home;
};

bool Slicer::canSlice(Value V, int64_t Dimension) const {
  if (!isTile(V) || isUniform(V))
    return true;
  Operation *Op = V.getDefiningOp();
  bool Cheap = isa_and_nonnull<tile::IotaOp>(Op) ||
               (Op && tileType(V).getRank() == 1) ||
               tileType(V).getNumElements() > LargestWhole;
  if (!Op || Op->getBlock() != Home || (!V.hasOneUse() && !Cheap))
    return false;
  return canSlice(Op, Dimension);
}

bool Slicer::canSlice(Operation *Op, int64_t Dimension) const {
  if (auto Load = dyn_cast<tile::LoadOp>(Op)) {
    // Moved behind what comes between: only where nothing writes.
    return llvm::none_of(Load.getMemory().getUsers(), [](Operation *User) {
      return isa<tile::StoreOp>(User);
    });
  }
  if (isa<tile::IotaOp>(Op))
    return true;
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op)) {
    if (tileType(Broadcast.getResult()).getRank() == 1)
      return false;
    return Broadcast.getDimensions().front() != Dimension ||
           canSlice(Broadcast.getValue(), 0);
  }
  return isElementwise(Op) && llvm::all_of(Op->getOperands(), [&](Value V) {
           return canSlice(V, Dimension);
         });
}

Value Slicer::slice(ImplicitLocOpBuilder &B, Value V, int64_t Dimension,
                    Value First, int64_t Extent) const {
  if (!isTile(V))
    return V;
  RankedTensorType Type = sliced(V, Dimension, Extent);
  Operation *Op = V.getDefiningOp();
  if (auto Constant = dyn_cast<arith::ConstantOp>(Op))
    return arith::ConstantOp::create(
        B, cast<DenseElementsAttr>(Constant.getValue()).resizeSplat(Type));
  if (auto Load = dyn_cast<tile::LoadOp>(Op)) {
    SmallVector<Value> Indices(Load.getIndices());
    Value &Moved = Indices[Load.getDimensions()[Dimension]];
    Moved = arith::AddIOp::create(B, Moved, First);
    return tile::LoadOp::create(B, Type, Load.getMemory(), Indices,
                                Load.getDimensions());
  }
  if (auto Broadcast = dyn_cast<tile::BroadcastOp>(Op)) {
    Value Source = Broadcast.getValue();
    if (isTile(Source) && Broadcast.getDimensions().front() == Dimension)
      Source = slice(B, Source, 0, First, Extent);
    return tile::BroadcastOp::create(B, Type, Source,
                                     Broadcast.getDimensions());
  }
  if (auto Iota = dyn_cast<tile::IotaOp>(Op)) {
    Value Numbers = tile::IotaOp::create(B, Type, Iota.getDimension());
    if (int64_t(Iota.getDimension()) != Dimension)
      return Numbers;
    Value Start = arith::IndexCastOp::create(B, Type.getElementType(), First);
    return arith::AddIOp::create(
        B, Numbers,
        tile::BroadcastOp::create(B, Type, Start, ArrayRef<int64_t>()));
  }
  SmallVector<Value> Operands;
  for (Value Operand : Op->getOperands())
    Operands.push_back(slice(B, Operand, Dimension, First, Extent));
  OperationState State(B.getLoc(), Op->getName());
  State.addOperands(Operands);
  State.addTypes(sliced(Op->getResult(0), Dimension, Extent));
  State.addAttributes(Op->getAttrs());
  return B.create(State)->getResult(0);
}

void splitProduct(tile::MmaOp Mma) {
  int64_t LeftInner = Mma.getTransposeLhs() ? 0 : 1;
  int64_t RightInner = Mma.getTransposeRhs() ? 1 : 0;
  int64_t Inner = tileType(Mma.getLhs()).getDimSize(LeftInner);
  int64_t SliceExtent = sliceExtent(Mma);
  Slicer Slices(Mma->getBlock());
  if (Inner <= SliceExtent || Inner % SliceExtent != 0 ||
      !Slices.canSlice(Mma.getLhs(), LeftInner) ||
      !Slices.canSlice(Mma.getRhs(), RightInner))
    return;
  ImplicitLocOpBuilder B(Mma.getLoc(), Mma);
  auto Index = [&](int64_t Number) -> Value {
    return arith::ConstantIndexOp::create(B, Number);
  };
  auto For = scf::ForOp::create(B, Index(0), Index(Inner), Index(SliceExtent),
                                ValueRange(Mma.getAccumulator()));
  B.setInsertionPointToStart(For.getBody());
  Value First = For.getInductionVar();
  Value Left = Slices.slice(B, Mma.getLhs(), LeftInner, First, SliceExtent);
  Value Right = Slices.slice(B, Mma.getRhs(), RightInner, First, SliceExtent);
  Value Sum = tile::MmaOp::create(B, Mma.getType(), Left, Right,
                                  For.getRegionIterArg(0),
                                  Mma.getTransposeLhs(), Mma.getTransposeRhs());
  scf::YieldOp::create(B, Sum);
  Mma.getResult().replaceAllUsesWith(For.getResult(0));
  Mma.erase();
}

/// mma(transpose(X), ...) reads X with the other flag.
void foldTransposes(tile::MmaOp Mma) {
  if (auto Left = Mma.getLhs().getDefiningOp<tile::TransposeOp>()) {
    Mma.getLhsMutable().assign(Left.getValue());
    Mma.setTransposeLhs(!Mma.getTransposeLhs());
  }
  if (auto Right = Mma.getRhs().getDefiningOp<tile::TransposeOp>()) {
    Mma.getRhsMutable().assign(Right.getValue());
    Mma.setTransposeRhs(!Mma.getTransposeRhs());
  }
}

struct SplitProductsPass
    : PassWrapper<SplitProductsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SplitProductsPass)

  StringRef getArgument() const override { return "tile-split-products"; }
  StringRef getDescription() const override {
    return "turn long products into loops over slices of their operands";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<arith::ArithDialect, scf::SCFDialect, tile::TileDialect>();
  }
  void runOnOperation() override {
    for (auto Kernel : getOperation().getOps<tile::KernelOp>()) {
      SmallVector<tile::MmaOp> Products;
      Kernel.walk([&](tile::MmaOp Mma) { Products.push_back(Mma); });
      for (tile::MmaOp Mma : Products) {
        foldTransposes(Mma);
        splitProduct(Mma);
      }
    }
  }
};
} // namespace

std::unique_ptr<Pass> createSplitProductsPass() {
  return std::make_unique<SplitProductsPass>();
}

} // namespace transxssm::nvptx
