//===- TileDialect.cpp - The tile dialect ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/TileDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace transxssm::tile;

#include "dialect/tile/TileDialect.cpp.inc"
#include "dialect/tile/TileEnums.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/tile/TileOps.cpp.inc"

void TileDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialect/tile/TileOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

void KernelOp::build(OpBuilder &Builder, OperationState &State, StringRef Name,
                     ArrayRef<Type> Arguments, int64_t GridRank) {
  SmallVector<Type> Types(Arguments);
  Types.append(GridRank, Builder.getIndexType());
  State.addAttribute(SymbolTable::getSymbolAttrName(),
                     Builder.getStringAttr(Name));
  State.addAttribute(getFunctionTypeAttrName(State.name),
                     TypeAttr::get(Builder.getFunctionType(Types, {})));
  State.addAttribute(getGridRankAttrName(State.name),
                     Builder.getI64IntegerAttr(GridRank));
  Block &Body = State.addRegion()->emplaceBlock();
  Body.addArguments(Types, SmallVector<Location>(Types.size(), State.location));
  ensureTerminator(*State.regions.front(), Builder, State.location);
}

Block::BlockArgListType KernelOp::getLaunchArguments() {
  return getBody().getArguments().drop_back(getGridRank());
}

Block::BlockArgListType KernelOp::getGridArguments() {
  return getBody().getArguments().take_back(getGridRank());
}

ParseResult KernelOp::parse(OpAsmParser &Parser, OperationState &Result) {
  StringAttr Name;
  SmallVector<OpAsmParser::Argument> Arguments, Grid;
  if (Parser.parseSymbolName(Name, SymbolTable::getSymbolAttrName(),
                             Result.attributes) ||
      Parser.parseArgumentList(Arguments, OpAsmParser::Delimiter::Paren,
                               /*allowType=*/true, /*allowAttrs=*/true) ||
      Parser.parseKeyword("grid") ||
      Parser.parseArgumentList(Grid, OpAsmParser::Delimiter::Paren) ||
      Parser.parseOptionalAttrDictWithKeyword(Result.attributes))
    return failure();

  Builder &B = Parser.getBuilder();
  int64_t GridRank = Grid.size();
  for (OpAsmParser::Argument &Coordinate : Grid) {
    Coordinate.type = B.getIndexType();
    Arguments.push_back(Coordinate);
  }
  SmallVector<Type> Types;
  for (const OpAsmParser::Argument &Argument : Arguments)
    Types.push_back(Argument.type);
  Result.addAttribute(getFunctionTypeAttrName(Result.name),
                      TypeAttr::get(B.getFunctionType(Types, {})));
  Result.addAttribute(getGridRankAttrName(Result.name),
                      B.getI64IntegerAttr(GridRank));
  call_interface_impl::addArgAndResultAttrs(B, Result, Arguments, {},
                                            getArgAttrsAttrName(Result.name),
                                            getResAttrsAttrName(Result.name));

  Region *Body = Result.addRegion();
  if (Parser.parseRegion(*Body, Arguments))
    return failure();
  ensureTerminator(*Body, B, Result.location);
  return success();
}

void KernelOp::print(OpAsmPrinter &Printer) {
  Printer << ' ';
  Printer.printSymbolName(getSymName());
  Printer << '(';
  llvm::interleaveComma(getLaunchArguments(), Printer, [&](BlockArgument A) {
    ArrayAttr Attributes = getArgAttrsAttr();
    Printer.printRegionArgument(
        A, Attributes
               ? cast<DictionaryAttr>(Attributes[A.getArgNumber()]).getValue()
               : ArrayRef<NamedAttribute>());
  });
  Printer << ") grid(";
  llvm::interleaveComma(getGridArguments(), Printer,
                        [&](BlockArgument A) { Printer << A; });
  Printer << ')';
  Printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {SymbolTable::getSymbolAttrName(), getFunctionTypeAttrName(),
       getGridRankAttrName(), getArgAttrsAttrName(), getResAttrsAttrName()});
  Printer << ' ';
  Printer.printRegion(getBody(), /*printEntryBlockArgs=*/false,
                      /*printBlockTerminators=*/false);
}

KernelOp::LaunchCounts KernelOp::countLaunchArguments() {
  LaunchCounts Counts;
  for (BlockArgument Argument : getLaunchArguments()) {
    if (auto Memory = dyn_cast<MemRefType>(Argument.getType())) {
      ++Counts.Buffers;
      Counts.Sizes += Memory.getNumDynamicDims();
    } else {
      ++Counts.Sizes;
    }
  }
  return Counts;
}

LogicalResult KernelOp::verify() {
  if (getGridRank() < 1 || getGridRank() > 3)
    return emitOpError("has a grid of rank ")
           << getGridRank() << ", expected 1 to 3 (kernel_c2)";
  if (!getResultTypes().empty())
    return emitOpError("has results, expected none (kernel_c3)");
  if (getArgumentTypes().size() < getGridRank())
    return emitOpError("has ")
           << getArgumentTypes().size() << " arguments, expected at least the "
           << getGridRank() << " grid coordinates (kernel_c2)";
  for (BlockArgument Argument : getLaunchArguments()) {
    Type T = Argument.getType();
    auto Memory = dyn_cast<MemRefType>(T);
    if (Memory ? !Memory.getLayout().isIdentity() : !T.isIndex())
      return emitOpError("has argument ")
             << Argument.getArgNumber() << " of type " << T
             << ", expected a memref with identity layout or index (kernel_c1)";
  }
  for (BlockArgument Coordinate : getGridArguments())
    if (!Coordinate.getType().isIndex())
      return emitOpError("has a grid coordinate of type ")
             << Coordinate.getType() << ", expected index (kernel_c2)";
  return success();
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Checks the indices and dimensions of a load or store of `Value` (a tile or
/// scalar type) against the memref; `Name` labels the constraints.
static LogicalResult verifyAccess(Operation *Op, StringRef Name,
                                  MemRefType Memory, size_t IndexCount,
                                  ArrayRef<int64_t> Dimensions, Type Value) {
  if (IndexCount != static_cast<size_t>(Memory.getRank()))
    return Op->emitOpError("has ")
           << IndexCount << " indices, expected " << Memory.getRank() << " ("
           << Name << "_c1)";
  auto Tile = dyn_cast<RankedTensorType>(Value);
  size_t Rank = Tile ? Tile.getRank() : 0;
  if (Dimensions.size() != Rank)
    return Op->emitOpError("runs over ")
           << Dimensions.size() << " dimensions, expected " << Rank << " ("
           << Name << "_c2)";
  int64_t Previous = -1;
  for (int64_t Dimension : Dimensions) {
    if (Dimension <= Previous || Dimension >= Memory.getRank())
      return Op->emitOpError("runs over dimensions [")
             << Dimensions << "], expected strictly increasing below "
             << Memory.getRank() << " (" << Name << "_c2)";
    Previous = Dimension;
  }
  Type Element = getElementTypeOrSelf(Value);
  if (Element != Memory.getElementType())
    return Op->emitOpError("has element type ")
           << Element << ", expected " << Memory.getElementType() << " ("
           << Name << "_c3)";
  return success();
}

static ParseResult
parseAccess(OpAsmParser &Parser, OpAsmParser::UnresolvedOperand &Memory,
            SmallVectorImpl<OpAsmParser::UnresolvedOperand> &Indices,
            DenseI64ArrayAttr &Dimensions) {
  SmallVector<int64_t> Values;
  if (Parser.parseOperand(Memory) ||
      Parser.parseOperandList(Indices, OpAsmParser::Delimiter::Square))
    return failure();
  if (succeeded(Parser.parseOptionalKeyword("over")) &&
      Parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Square, [&]() {
        return Parser.parseInteger(Values.emplace_back());
      }))
    return failure();
  Dimensions = Parser.getBuilder().getDenseI64ArrayAttr(Values);
  return success();
}

static void printAccess(OpAsmPrinter &Printer, Value Memory, ValueRange Indices,
                        ArrayRef<int64_t> Dimensions) {
  Printer << ' ' << Memory << '[' << Indices << ']';
  if (!Dimensions.empty()) {
    Printer << " over [";
    llvm::interleaveComma(Dimensions, Printer);
    Printer << ']';
  }
}

ParseResult LoadOp::parse(OpAsmParser &Parser, OperationState &Result) {
  OpAsmParser::UnresolvedOperand Memory;
  SmallVector<OpAsmParser::UnresolvedOperand> Indices;
  DenseI64ArrayAttr Dimensions;
  Type MemoryType, ResultType;
  if (parseAccess(Parser, Memory, Indices, Dimensions) ||
      Parser.parseOptionalAttrDict(Result.attributes) ||
      Parser.parseColonType(MemoryType) || Parser.parseArrow() ||
      Parser.parseType(ResultType) ||
      Parser.resolveOperand(Memory, MemoryType, Result.operands) ||
      Parser.resolveOperands(Indices, Parser.getBuilder().getIndexType(),
                             Result.operands))
    return failure();
  Result.addAttribute(getDimensionsAttrName(Result.name), Dimensions);
  Result.addTypes(ResultType);
  return success();
}

void LoadOp::print(OpAsmPrinter &Printer) {
  printAccess(Printer, getMemory(), getIndices(), getDimensions());
  Printer.printOptionalAttrDict((*this)->getAttrs(), {getDimensionsAttrName()});
  Printer << " : " << getMemory().getType() << " -> " << getType();
}

LogicalResult LoadOp::verify() {
  return verifyAccess(*this, "load", cast<MemRefType>(getMemory().getType()),
                      getIndices().size(), getDimensions(), getType());
}

ParseResult StoreOp::parse(OpAsmParser &Parser, OperationState &Result) {
  OpAsmParser::UnresolvedOperand Stored, Memory;
  SmallVector<OpAsmParser::UnresolvedOperand> Indices;
  DenseI64ArrayAttr Dimensions;
  Type MemoryType, StoredType;
  if (Parser.parseOperand(Stored) || Parser.parseComma() ||
      parseAccess(Parser, Memory, Indices, Dimensions) ||
      Parser.parseOptionalAttrDict(Result.attributes) ||
      Parser.parseColonType(StoredType) || Parser.parseComma() ||
      Parser.parseType(MemoryType) ||
      Parser.resolveOperand(Stored, StoredType, Result.operands) ||
      Parser.resolveOperand(Memory, MemoryType, Result.operands) ||
      Parser.resolveOperands(Indices, Parser.getBuilder().getIndexType(),
                             Result.operands))
    return failure();
  Result.addAttribute(getDimensionsAttrName(Result.name), Dimensions);
  return success();
}

void StoreOp::print(OpAsmPrinter &Printer) {
  Printer << ' ' << getValue() << ',';
  printAccess(Printer, getMemory(), getIndices(), getDimensions());
  Printer.printOptionalAttrDict((*this)->getAttrs(), {getDimensionsAttrName()});
  Printer << " : " << getValue().getType() << ", " << getMemory().getType();
}

LogicalResult StoreOp::verify() {
  return verifyAccess(*this, "store", cast<MemRefType>(getMemory().getType()),
                      getIndices().size(), getDimensions(),
                      getValue().getType());
}

LogicalResult GatherOp::verify() {
  auto Memory = cast<MemRefType>(getMemory().getType());
  auto Rows = cast<RankedTensorType>(getRows().getType());
  auto Result = cast<RankedTensorType>(getType());
  if (Memory.getRank() != 2 || Rows.getRank() != 1 || Result.getRank() != 2)
    return emitOpError("has memory, rows and result of ranks ")
           << Memory.getRank() << ", " << Rows.getRank() << ", "
           << Result.getRank() << ", expected 2, 1, 2 (gather_c1)";
  if (Result.getDimSize(0) != Rows.getDimSize(0))
    return emitOpError("has ") << Result.getDimSize(0) << " rows, expected "
                               << Rows.getDimSize(0) << " (gather_c2)";
  if (Result.getElementType() != Memory.getElementType())
    return emitOpError("has element type ")
           << Result.getElementType() << ", expected "
           << Memory.getElementType() << " (gather_c3)";
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

LogicalResult MmaOp::verify() {
  auto Lhs = cast<RankedTensorType>(getLhs().getType());
  auto Rhs = cast<RankedTensorType>(getRhs().getType());
  auto Accumulator = cast<RankedTensorType>(getAccumulator().getType());
  if (Lhs.getRank() != 2 || Rhs.getRank() != 2 || Accumulator.getRank() != 2)
    return emitOpError("has operands of ranks ")
           << Lhs.getRank() << ", " << Rhs.getRank() << ", "
           << Accumulator.getRank() << ", expected 2 (mma_c1)";
  int64_t M = Lhs.getDimSize(getTransposeLhs() ? 1 : 0);
  int64_t K = Lhs.getDimSize(getTransposeLhs() ? 0 : 1);
  int64_t N = Rhs.getDimSize(getTransposeRhs() ? 0 : 1);
  int64_t RhsK = Rhs.getDimSize(getTransposeRhs() ? 1 : 0);
  if (K != RhsK || Accumulator.getDimSize(0) != M ||
      Accumulator.getDimSize(1) != N)
    return emitOpError("multiplies ")
           << M << "x" << K << " by " << RhsK << "x" << N << " into "
           << Accumulator.getDimSize(0) << "x" << Accumulator.getDimSize(1)
           << ", expected shapes M x K, K x N and M x N (mma_c1)";
  Type Element = Lhs.getElementType();
  if (Element != Rhs.getElementType() || !(Element.isF32() || Element.isBF16()))
    return emitOpError("has operands of element types ")
           << Element << " and " << Rhs.getElementType()
           << ", expected both f32 or both bf16 (mma_c2)";
  if (!Accumulator.getElementType().isF32())
    return emitOpError("accumulates in ")
           << Accumulator.getElementType() << ", expected f32 (mma_c3)";
  return success();
}

//===----------------------------------------------------------------------===//
// Shape changes
//===----------------------------------------------------------------------===//

LogicalResult BroadcastOp::verify() {
  auto Result = cast<RankedTensorType>(getType());
  auto Tile = dyn_cast<RankedTensorType>(getValue().getType());
  Type Element = getElementTypeOrSelf(getValue().getType());
  if (Element != Result.getElementType())
    return emitOpError("has element type ")
           << Result.getElementType() << ", expected " << Element
           << " (broadcast_c1)";
  size_t Rank = Tile ? Tile.getRank() : 0;
  bool Matches = getDimensions().size() == Rank;
  int64_t Previous = -1;
  for (size_t I = 0; Matches && I < Rank; ++I) {
    int64_t Dimension = getDimensions()[I];
    Matches = Dimension > Previous && Dimension < Result.getRank() &&
              Result.getDimSize(Dimension) == Tile.getDimSize(I);
    Previous = Dimension;
  }
  if (!Matches)
    return emitOpError("maps ")
           << getValue().getType() << " along [" << getDimensions()
           << "], expected strictly increasing dimensions of " << Result
           << " with equal extents (broadcast_c2)";
  return success();
}

LogicalResult TransposeOp::verify() {
  auto From = cast<RankedTensorType>(getValue().getType());
  auto To = cast<RankedTensorType>(getType());
  if (From.getRank() != 2 || To.getRank() != 2 ||
      From.getDimSize(0) != To.getDimSize(1) ||
      From.getDimSize(1) != To.getDimSize(0) ||
      From.getElementType() != To.getElementType())
    return emitOpError("turns ")
           << From << " into " << To
           << ", expected the swapped shape of rank 2 (transpose_c1)";
  return success();
}

LogicalResult IotaOp::verify() {
  int64_t Rank = cast<RankedTensorType>(getType()).getRank();
  if (static_cast<int64_t>(getDimension()) < 0 ||
      static_cast<int64_t>(getDimension()) >= Rank)
    return emitOpError("counts along dimension ")
           << getDimension() << ", expected below " << Rank << " (iota_c1)";
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions and scans
//===----------------------------------------------------------------------===//

LogicalResult ReduceOp::verify() {
  auto From = cast<RankedTensorType>(getValue().getType());
  int64_t Dimension = getDimension();
  if (Dimension < 0 || Dimension >= From.getRank())
    return emitOpError("reduces along dimension ")
           << Dimension << ", expected below " << From.getRank()
           << " (reduce_c1)";
  Type Element = From.getElementType();
  if (!Element.isF32() && !Element.isF64())
    return emitOpError("reduces ")
           << Element << ", expected f32 or f64 (reduce_c2)";
  SmallVector<int64_t> Shape(From.getShape());
  Shape.erase(Shape.begin() + Dimension);
  Type Expected =
      Shape.empty() ? Element : Type(RankedTensorType::get(Shape, Element));
  if (getType() != Expected)
    return emitOpError("has result ")
           << getType() << ", expected " << Expected << " (reduce_c1)";
  return success();
}

LogicalResult CumulativeSumOp::verify() {
  auto Tile = cast<RankedTensorType>(getType());
  if (Tile.getRank() != 1 ||
      !(Tile.getElementType().isF32() || Tile.getElementType().isF64()))
    return emitOpError("sums ")
           << Tile << ", expected rank 1 of f32 or f64 (cumulative_sum_c1)";
  return success();
}

LogicalResult ExtractOp::verify() {
  auto Tile = cast<RankedTensorType>(getValue().getType());
  if (Tile.getRank() != 1 || Tile.getElementType() != getType())
    return emitOpError("extracts ")
           << getType() << " from " << Tile
           << ", expected the element type of rank 1 (extract_c1)";
  return success();
}

//===----------------------------------------------------------------------===//
// Rotary position embedding
//===----------------------------------------------------------------------===//

LogicalResult RopeOp::verify() {
  auto Tile = cast<RankedTensorType>(getType());
  auto Table = cast<RankedTensorType>(getCos().getType());
  if (Tile.getRank() != 2 || Table.getRank() != 2 ||
      Tile.getDimSize(0) != Table.getDimSize(0) ||
      Tile.getElementType() != Table.getElementType())
    return emitOpError("rotates ")
           << Tile << " by " << Table
           << ", expected rank 2, equal rows and one element type (rope_c1)";
  if (Tile.getDimSize(1) % (2 * Table.getDimSize(1)) != 0)
    return emitOpError("rotates ")
           << Tile.getDimSize(1) << " columns, expected a multiple of "
           << 2 * Table.getDimSize(1) << " (rope_c2)";
  return success();
}
