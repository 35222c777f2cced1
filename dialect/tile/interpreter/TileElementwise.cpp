//===- TileElementwise.cpp - arith and math in the tile interpreter -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Operations that map elements to elements, as tables from name to function.
//
//===----------------------------------------------------------------------===//

#include "dialect/tile/interpreter/TileElementwise.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace transxssm::tile;

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

using FloatUnary = double (*)(double);
using FloatBinary = double (*)(double, double);

/// Half to even whatever the rounding mode of the process.
static double roundEven(double X) {
  double Low = std::floor(X), Part = X - Low;
  bool Up = Part > 0.5 || (Part == 0.5 && std::fmod(Low, 2.0) != 0.0);
  return std::copysign(Up ? Low + 1.0 : Low, X);
}

static const llvm::StringMap<FloatUnary> &floatUnary() {
  static const llvm::StringMap<FloatUnary> Table = {
      {"arith.negf", [](double X) { return -X; }},
      {"arith.extf", [](double X) { return X; }},
      {"arith.truncf", [](double X) { return X; }},
      {"math.absf", [](double X) { return std::fabs(X); }},
      {"math.exp", [](double X) { return std::exp(X); }},
      {"math.exp2", [](double X) { return std::exp2(X); }},
      {"math.expm1", [](double X) { return std::expm1(X); }},
      {"math.log", [](double X) { return std::log(X); }},
      {"math.log1p", [](double X) { return std::log1p(X); }},
      {"math.log2", [](double X) { return std::log2(X); }},
      {"math.log10", [](double X) { return std::log10(X); }},
      {"math.erf", [](double X) { return std::erf(X); }},
      {"math.sqrt", [](double X) { return std::sqrt(X); }},
      {"math.rsqrt", [](double X) { return 1.0 / std::sqrt(X); }},
      {"math.tanh", [](double X) { return std::tanh(X); }},
      {"math.sin", [](double X) { return std::sin(X); }},
      {"math.cos", [](double X) { return std::cos(X); }},
      {"math.floor", [](double X) { return std::floor(X); }},
      {"math.ceil", [](double X) { return std::ceil(X); }},
      {"math.trunc", [](double X) { return std::trunc(X); }},
      {"math.round", [](double X) { return std::round(X); }},
      {"math.roundeven", roundEven},
  };
  return Table;
}

/// maximumf and minimumf give NaN if either operand is; maxnumf and minnumf
/// the other operand.
static double pick(double X, double Y, bool First, bool KeepsNaN) {
  if (std::isnan(X) || std::isnan(Y))
    return KeepsNaN || (std::isnan(X) && std::isnan(Y)) ? std::nan("")
           : std::isnan(X)                              ? Y
                                                        : X;
  return First ? X : Y;
}

static const llvm::StringMap<FloatBinary> &floatBinary() {
  static const llvm::StringMap<FloatBinary> Table = {
      {"arith.addf", [](double X, double Y) { return X + Y; }},
      {"arith.subf", [](double X, double Y) { return X - Y; }},
      {"arith.mulf", [](double X, double Y) { return X * Y; }},
      {"arith.divf", [](double X, double Y) { return X / Y; }},
      {"arith.remf", [](double X, double Y) { return std::fmod(X, Y); }},
      {"arith.maximumf",
       [](double X, double Y) { return pick(X, Y, X > Y, true); }},
      {"arith.minimumf",
       [](double X, double Y) { return pick(X, Y, X < Y, true); }},
      {"arith.maxnumf",
       [](double X, double Y) { return pick(X, Y, X > Y, false); }},
      {"arith.minnumf",
       [](double X, double Y) { return pick(X, Y, X < Y, false); }},
      {"math.powf", [](double X, double Y) { return std::pow(X, Y); }},
      {"math.copysign", [](double X, double Y) { return std::copysign(X, Y); }},
      {"math.atan2", [](double X, double Y) { return std::atan2(X, Y); }},
  };
  return Table;
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

/// Operands of one integer operation: as signed numbers, and as bits.
struct IntegerPair {
  int64_t X, Y;
  uint64_t BitsX, BitsY;
  unsigned Width;
};

using IntegerBinary = int64_t (*)(const IntegerPair &);

static const llvm::StringMap<IntegerBinary> &integerBinary() {
  static const llvm::StringMap<IntegerBinary> Table = {
      // Unsigned arithmetic wraps; the caller narrows to the width.
      {"arith.addi",
       [](const IntegerPair &P) { return int64_t(P.BitsX + P.BitsY); }},
      {"arith.subi",
       [](const IntegerPair &P) { return int64_t(P.BitsX - P.BitsY); }},
      {"arith.muli",
       [](const IntegerPair &P) { return int64_t(P.BitsX * P.BitsY); }},
      {"arith.andi", [](const IntegerPair &P) { return P.X & P.Y; }},
      {"arith.ori", [](const IntegerPair &P) { return P.X | P.Y; }},
      {"arith.xori", [](const IntegerPair &P) { return P.X ^ P.Y; }},
      {"arith.maxsi", [](const IntegerPair &P) { return std::max(P.X, P.Y); }},
      {"arith.minsi", [](const IntegerPair &P) { return std::min(P.X, P.Y); }},
      {"arith.maxui",
       [](const IntegerPair &P) {
         return int64_t(std::max(P.BitsX, P.BitsY));
       }},
      {"arith.minui",
       [](const IntegerPair &P) {
         return int64_t(std::min(P.BitsX, P.BitsY));
       }},
      {"arith.shli",
       [](const IntegerPair &P) { return int64_t(P.BitsX << P.BitsY); }},
      {"arith.shrui",
       [](const IntegerPair &P) { return int64_t(P.BitsX >> P.BitsY); }},
      {"arith.shrsi", [](const IntegerPair &P) { return P.X >> P.BitsY; }},
  };
  return Table;
}

/// Division, whose divisor must not be zero.
static const llvm::StringMap<IntegerBinary> &integerDivision() {
  static const llvm::StringMap<IntegerBinary> Table = {
      {"arith.divsi", [](const IntegerPair &P) { return P.X / P.Y; }},
      {"arith.remsi", [](const IntegerPair &P) { return P.X % P.Y; }},
      {"arith.divui",
       [](const IntegerPair &P) { return int64_t(P.BitsX / P.BitsY); }},
      {"arith.remui",
       [](const IntegerPair &P) { return int64_t(P.BitsX % P.BitsY); }},
      {"arith.floordivsi",
       [](const IntegerPair &P) {
         return P.X / P.Y - (P.X % P.Y != 0 && (P.X < 0) != (P.Y < 0));
       }},
      {"arith.ceildivsi",
       [](const IntegerPair &P) {
         return P.X / P.Y + (P.X % P.Y != 0 && (P.X < 0) == (P.Y < 0));
       }},
      {"arith.ceildivui",
       [](const IntegerPair &P) {
         return int64_t(P.BitsX / P.BitsY + (P.BitsX % P.BitsY != 0));
       }},
  };
  return Table;
}

/// From one element type to another, bits unchanged or value kept.
static bool isCast(Operation *Op) {
  return isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp,
             arith::ExtUIOp, arith::TruncIOp, arith::SIToFPOp, arith::UIToFPOp,
             arith::FPToSIOp, arith::FPToUIOp, arith::BitcastOp>(Op);
}

/// The nearest integer towards zero; what does not fit is the nearest that
/// does (the operation leaves it open, and a mask may discard it later).
static int64_t truncate(double Value) {
  if (std::isnan(Value))
    return 0;
  if (Value >= 0x1p63)
    return INT64_MAX;
  if (Value < -0x1p63)
    return INT64_MIN;
  return static_cast<int64_t>(Value);
}

/// The bits of an element in memory.
static uint64_t bitsOf(const TileValue &From, size_t I) {
  if (!From.isFloat())
    return unsignedBits(From.Integers[I], From.Element);
  APFloat Value(From.Floats[I]);
  bool LosesInfo;
  Value.convert(cast<FloatType>(From.Element).getFloatSemantics(),
                APFloat::rmNearestTiesToEven, &LosesInfo);
  return Value.bitcastToAPInt().getZExtValue();
}

/// The inverse.
static void setBits(TileValue &To, size_t I, uint64_t Bits) {
  if (!To.isFloat()) {
    To.Integers[I] = wrapToType(static_cast<int64_t>(Bits), To.Element);
    return;
  }
  APFloat Value(cast<FloatType>(To.Element).getFloatSemantics(),
                APInt(To.Element.getIntOrFloatBitWidth(), Bits));
  bool LosesInfo;
  Value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                &LosesInfo);
  To.Floats[I] = Value.convertToDouble();
}

/// Element `I` of a cast of `From` into `To`.
static void castElement(Operation *Op, const TileValue &From, TileValue &To,
                        size_t I) {
  if (isa<arith::BitcastOp>(Op))
    return setBits(To, I, bitsOf(From, I));
  if (From.isFloat()) {
    To.Integers[I] = wrapToType(truncate(From.Floats[I]), To.Element);
    return;
  }
  bool Unsigned =
      isa<arith::ExtUIOp, arith::UIToFPOp, arith::IndexCastUIOp>(Op);
  uint64_t Bits = unsignedBits(From.Integers[I], From.Element);
  int64_t Value = From.Integers[I];
  if (!Unsigned && From.Element.isInteger(1))
    Value = -Value; // the one bit of i1 is its sign
  if (To.isFloat())
    To.Floats[I] = Unsigned ? double(Bits) : double(Value);
  else
    To.Integers[I] = wrapToType(Unsigned ? Bits : Value, To.Element);
}

//===----------------------------------------------------------------------===//
// Comparisons
//===----------------------------------------------------------------------===//

static bool compareFloats(arith::CmpFPredicate Predicate, double X, double Y) {
  using P = arith::CmpFPredicate;
  bool Unordered = std::isnan(X) || std::isnan(Y);
  switch (Predicate) {
  case P::AlwaysFalse:
    return false;
  case P::AlwaysTrue:
    return true;
  case P::ORD:
    return !Unordered;
  case P::UNO:
    return Unordered;
  case P::OEQ:
    return X == Y;
  case P::UEQ:
    return Unordered || X == Y;
  case P::ONE:
    return !Unordered && X != Y;
  case P::UNE:
    return Unordered || X != Y;
  case P::OLT:
    return X < Y;
  case P::ULT:
    return Unordered || X < Y;
  case P::OLE:
    return X <= Y;
  case P::ULE:
    return Unordered || X <= Y;
  case P::OGT:
    return X > Y;
  case P::UGT:
    return Unordered || X > Y;
  case P::OGE:
    return X >= Y;
  case P::UGE:
    return Unordered || X >= Y;
  }
  llvm_unreachable("all predicates handled");
}

static bool compareIntegers(arith::CmpIPredicate Predicate,
                            const IntegerPair &Pair) {
  using P = arith::CmpIPredicate;
  switch (Predicate) {
  case P::eq:
    return Pair.BitsX == Pair.BitsY;
  case P::ne:
    return Pair.BitsX != Pair.BitsY;
  case P::slt:
    return Pair.X < Pair.Y;
  case P::sle:
    return Pair.X <= Pair.Y;
  case P::sgt:
    return Pair.X > Pair.Y;
  case P::sge:
    return Pair.X >= Pair.Y;
  case P::ult:
    return Pair.BitsX < Pair.BitsY;
  case P::ule:
    return Pair.BitsX <= Pair.BitsY;
  case P::ugt:
    return Pair.BitsX > Pair.BitsY;
  case P::uge:
    return Pair.BitsX >= Pair.BitsY;
  }
  llvm_unreachable("all predicates handled");
}

//===----------------------------------------------------------------------===//
// One operation
//===----------------------------------------------------------------------===//

bool transxssm::tile::isKnownElementwise(Operation *Op) {
  StringRef Name = Op->getName().getStringRef();
  return floatUnary().contains(Name) || floatBinary().contains(Name) ||
         integerBinary().contains(Name) || integerDivision().contains(Name) ||
         isCast(Op) || Name == "math.fma" || Name == "math.absi" ||
         isa<arith::SelectOp, arith::CmpFOp, arith::CmpIOp,
             arith::MulUIExtendedOp, arith::MulSIExtendedOp>(Op);
}

static IntegerPair integerPair(const TileValue &X, const TileValue &Y,
                               size_t I) {
  int64_t A = X.Integers[I], B = Y.Integers[I];
  if (X.Element.isInteger(1)) { // the one bit of i1 is its sign
    A = -A;
    B = -B;
  }
  return {A, B, unsignedBits(A, X.Element), unsignedBits(B, Y.Element),
          integerWidth(X.Element)};
}

/// A choice between two values by an i1 scalar or tile.
static void select(const TileValue &Condition, const TileValue &True,
                   const TileValue &False, TileValue &Result) {
  for (size_t I = 0; I < Result.size(); ++I) {
    bool Chosen = Condition.Integers[Condition.size() == 1 ? 0 : I] != 0;
    const TileValue &From = Chosen ? True : False;
    if (Result.isFloat())
      Result.Floats[I] = From.Floats[I];
    else
      Result.Integers[I] = From.Integers[I];
  }
}

static LogicalResult runIntegerBinary(Operation *Op, const TileValue &X,
                                      const TileValue &Y, TileValue &Result) {
  StringRef Name = Op->getName().getStringRef();
  IntegerBinary Division = integerDivision().lookup(Name);
  IntegerBinary Function = Division ? Division : integerBinary().lookup(Name);
  bool Shift = isa<arith::ShLIOp, arith::ShRUIOp, arith::ShRSIOp>(Op);
  for (size_t I = 0; I < Result.size(); ++I) {
    IntegerPair Pair = integerPair(X, Y, I);
    if (Division && Pair.BitsY == 0)
      return Op->emitOpError("divides ") << Pair.X << " by zero";
    if (Shift && Pair.BitsY >= Pair.Width)
      return Op->emitOpError("shifts by ")
             << Pair.BitsY << ", expected below " << Pair.Width;
    if (Division && Pair.X == INT64_MIN && Pair.Y == -1)
      return Op->emitOpError("divides ") << Pair.X << " by -1, which overflows";
    Result.Integers[I] = wrapToType(Function(Pair), Result.Element);
  }
  return success();
}

/// The low and high halves of a product twice as wide.
static void multiplyExtended(bool Unsigned, const TileValue &X,
                             const TileValue &Y, TileValue &Low,
                             TileValue &High) {
  for (size_t I = 0; I < Low.size(); ++I) {
    IntegerPair P = integerPair(X, Y, I);
    unsigned __int128 Product =
        Unsigned
            ? static_cast<unsigned __int128>(P.BitsX) * P.BitsY
            : static_cast<unsigned __int128>(static_cast<__int128>(P.X) * P.Y);
    Low.Integers[I] = wrapToType(static_cast<int64_t>(Product), Low.Element);
    High.Integers[I] =
        wrapToType(static_cast<int64_t>(Product >> P.Width), High.Element);
  }
}

LogicalResult
transxssm::tile::runElementwise(Operation *Op,
                                ArrayRef<const TileValue *> Operands,
                                SmallVectorImpl<TileValue> &Results) {
  for (Type T : Op->getResultTypes())
    Results.emplace_back(T);
  TileValue &Result = Results[0];
  StringRef Name = Op->getName().getStringRef();
  const TileValue &X = *Operands[0];
  const TileValue &Y = *Operands[Operands.size() > 1 ? 1 : 0];

  if (FloatUnary Function = floatUnary().lookup(Name)) {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Floats[I] = Function(X.Floats[I]);
  } else if (FloatBinary Function = floatBinary().lookup(Name)) {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Floats[I] = Function(X.Floats[I], Y.Floats[I]);
  } else if (Name == "math.fma") {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Floats[I] =
          std::fma(X.Floats[I], Y.Floats[I], Operands[2]->Floats[I]);
  } else if (Name == "math.absi") {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Integers[I] = wrapToType(
          X.Integers[I] < 0 ? 0 - uint64_t(X.Integers[I]) : X.Integers[I],
          Result.Element);
  } else if (isCast(Op)) {
    for (size_t I = 0; I < Result.size(); ++I)
      castElement(Op, X, Result, I);
  } else if (isa<arith::SelectOp>(Op)) {
    select(X, Y, *Operands[2], Result);
  } else if (auto Compare = dyn_cast<arith::CmpFOp>(Op)) {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Integers[I] =
          compareFloats(Compare.getPredicate(), X.Floats[I], Y.Floats[I]);
  } else if (auto Compare = dyn_cast<arith::CmpIOp>(Op)) {
    for (size_t I = 0; I < Result.size(); ++I)
      Result.Integers[I] =
          compareIntegers(Compare.getPredicate(), integerPair(X, Y, I));
  } else if (isa<arith::MulUIExtendedOp, arith::MulSIExtendedOp>(Op)) {
    multiplyExtended(isa<arith::MulUIExtendedOp>(Op), X, Y, Results[0],
                     Results[1]);
  } else {
    return runIntegerBinary(Op, X, Y, Result);
  }
  return success();
}
