//===- PlanDialect.cpp - The plan dialect ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace transxssm::plan;

#include "dialect/plan/PlanDialect.cpp.inc"
#include "dialect/plan/PlanEnums.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/plan/PlanTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/plan/PlanOps.cpp.inc"

void PlanDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/plan/PlanTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/plan/PlanOps.cpp.inc"
      >();
}

static LogicalResult verifyMap(Operation *Op, StringRef What, AffineMap Map,
                               StringRef Label) {
  if (Map.getNumDims() != 0 || Map.getNumSymbols() != SymbolCount)
    return Op->emitOpError("has a ")
           << What << " over " << Map.getNumDims() << " dimensions and "
           << Map.getNumSymbols() << " symbols, expected 0 and " << SymbolCount
           << " (" << Label << ")";
  return success();
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

LogicalResult ParameterOp::verify() {
  auto Tensor = dyn_cast<RankedTensorType>(getType());
  if (Tensor && Tensor.hasStaticShape())
    return success();
  return emitOpError("is of ")
         << getType()
         << ", expected a ranked tensor of static shape (parameter_c1)";
}

LogicalResult StateOp::verify() {
  return verifyMap(*this, "shape", getShape(), "state_c1");
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

LogicalResult EntryOp::verifyRegions() {
  Block &Body = getBody().front();
  if (Body.getNumArguments() != 0)
    return emitOpError("has a body with ")
           << Body.getNumArguments() << " arguments, expected none (entry_c1)";
  int64_t Number = 0;
  for (Operation &Op : Body) {
    if (isa<BufferOp>(Op))
      continue;
    auto Launch = dyn_cast<LaunchOp>(Op);
    if (!Launch)
      return Op.emitOpError("is in a plan.entry, expected a plan.buffer or "
                            "plan.launch (entry_c1)");
    for (Value Operand : Launch.getOperands()) {
      auto Buffer = Operand.getDefiningOp<BufferOp>();
      if (!Buffer) // Something else, after the launch: reported in its turn.
        continue;
      int64_t First = Buffer.getFirstUse(), Last = Buffer.getLastUse();
      if (Number < First || Number > Last)
        return Launch.emitOpError("is number ")
               << Number << " and uses " << Buffer.getNameAttr()
               << ", which is live from " << First << " to " << Last
               << " (entry_c2)";
    }
    ++Number;
  }
  return success();
}

/// What the optimizer keeps of a narrow parameter is float32.
static Type elementOf(BufferKind Kind, Type Parameter) {
  bool Narrow = Parameter.isBF16() || Parameter.isF16();
  return Kind != BufferKind::Parameter && Narrow
             ? Float32Type::get(Parameter.getContext())
             : Parameter;
}

/// A parameter, or what the optimizer keeps beside it.
static LogicalResult verifyParameterBuffer(BufferOp Op) {
  auto Parameter = SymbolTable::lookupNearestSymbolFrom<ParameterOp>(
      Op->getParentOp(), Op.getNameAttr());
  if (!Parameter)
    return Op.emitOpError("names ")
           << Op.getNameAttr() << ", expected a plan.parameter (buffer_c3)";
  auto Declared = dyn_cast<RankedTensorType>(Parameter.getType());
  if (!Declared) // Reported by the parameter itself.
    return success();
  SmallVector<int64_t> Extents;
  for (AffineExpr Extent : Op.getShape().getResults())
    if (auto Constant = dyn_cast<AffineConstantExpr>(Extent))
      Extents.push_back(Constant.getValue());
  Type Element = elementOf(Op.getKind(), Declared.getElementType());
  if (Extents.size() == Op.getShape().getNumResults() &&
      ArrayRef<int64_t>(Extents) == Declared.getShape() &&
      Op.getElementType() == Element)
    return success();
  InFlightDiagnostic Error =
      Op.emitOpError("names ")
      << Op.getNameAttr() << " with shape " << Op.getShapeAttr() << " of "
      << Op.getElementType() << ", expected that of " << Declared;
  if (Element != Declared.getElementType())
    Error << " in " << Element;
  return Error << " (buffer_c3)";
}

static LogicalResult verifyStateBuffer(BufferOp Op) {
  auto State = SymbolTable::lookupNearestSymbolFrom<StateOp>(Op->getParentOp(),
                                                             Op.getNameAttr());
  if (State && State.getShape() == Op.getShape() &&
      State.getElementType() == Op.getElementType())
    return success();
  return Op.emitOpError("names ") << Op.getNameAttr()
                                  << ", expected a plan.state of the same "
                                     "shape and type (buffer_c3)";
}

LogicalResult BufferOp::verify() {
  if (failed(verifyMap(*this, "shape", getShape(), "buffer_c1")))
    return failure();
  auto Launches = (*this)->getParentOfType<EntryOp>().getOps<LaunchOp>();
  int64_t LaunchCount = std::distance(Launches.begin(), Launches.end());
  int64_t First = getFirstUse(), Last = getLastUse();
  if (First < 0 || First > Last || Last >= std::max<int64_t>(LaunchCount, 1))
    return emitOpError("is live from ")
           << First << " to " << Last << ", expected a range of the "
           << LaunchCount << " launches (buffer_c2)";
  switch (getKind()) {
  case BufferKind::Parameter:
  case BufferKind::Gradient:
  case BufferKind::Moment1:
  case BufferKind::Moment2:
  case BufferKind::Master:
    return verifyParameterBuffer(*this);
  case BufferKind::State:
    return verifyStateBuffer(*this);
  case BufferKind::Input:
  case BufferKind::Output:
  case BufferKind::Temporary:
    return success();
  }
  llvm_unreachable("unknown kind of buffer");
}

LogicalResult LaunchOp::verify() {
  if (failed(verifyMap(*this, "grid", getGrid(), "launch_c1")) ||
      failed(verifyMap(*this, "sizes map", getSizes(), "launch_c1")))
    return failure();
  if (getWhen() && failed(verifyMap(*this, "guard", *getWhen(), "launch_c1")))
    return failure();
  unsigned GridRank = getGrid().getNumResults();
  if (GridRank < 1 || GridRank > 3)
    return emitOpError("has a grid of rank ")
           << GridRank << ", expected 1 to 3 (launch_c1)";

  auto Kernel = SymbolTable::lookupNearestSymbolFrom<transxssm::tile::KernelOp>(
      (*this)->getParentOp(), getKernelAttr());
  if (!Kernel)
    return emitOpError("launches ")
           << getKernelAttr() << ", expected a tile.kernel (launch_c2)";
  transxssm::tile::KernelOp::LaunchCounts Expected =
      Kernel.countLaunchArguments();
  if (Expected.Buffers != getOperands().size() ||
      Expected.Sizes != getSizes().getNumResults() ||
      GridRank != Kernel.getGridRank())
    return emitOpError("passes ")
           << getOperands().size() << " buffers, " << getSizes().getNumResults()
           << " sizes and a grid of rank " << GridRank << ", expected "
           << Expected.Buffers << ", " << Expected.Sizes << " and "
           << Kernel.getGridRank() << " (launch_c2)";
  SmallVector<MemRefType> Memories;
  for (BlockArgument Argument : Kernel.getLaunchArguments())
    if (auto Memory = dyn_cast<MemRefType>(Argument.getType()))
      Memories.push_back(Memory);
  for (auto [Operand, Memory] : llvm::zip_equal(getOperands(), Memories)) {
    auto Buffer = Operand.getDefiningOp<BufferOp>();
    if (Buffer && Buffer.getElementType() != Memory.getElementType())
      return emitOpError("passes ")
             << Buffer.getNameAttr() << " of " << Buffer.getElementType()
             << ", expected " << Memory.getElementType() << " (launch_c3)";
  }
  if (getHolds() && getHolds()->size() != getOperands().size())
    return emitOpError("names what ")
           << getHolds()->size() << " operands hold, expected "
           << getOperands().size() << " (launch_c4)";
  return success();
}
