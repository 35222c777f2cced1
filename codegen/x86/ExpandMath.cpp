//===- ExpandMath.cpp - Transcendental functions as inline polynomials ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A kernel calls no library: a call per element costs a hundred times what the
// arithmetic does. Reduced ranges and minimax polynomials for float32 are those
// of S. Moshier's Cephes library; results are within two to four units in the
// last place (ExpandMathTest has the bound of each). Every function passes NaN
// on. Arithmetic on bf16 is done in float32.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <limits>

using namespace mlir;

namespace transxssm::x86 {
namespace {

/// The type with another element type.
Type withElement(Type T, Type Element) {
  if (auto Vector = dyn_cast<VectorType>(T))
    return VectorType::get(Vector.getShape(), Element);
  return Element;
}

/// Formulas over scalars or vectors of one float32 shape.
class Formula {
public:
  Formula(Operation *Op)
      : B(Op->getLoc(), Op), Float(Op->getResult(0).getType()),
        Int(withElement(Float, B.getI32Type())) {}

  Value exp(Value X);
  Value exp2(Value X);
  Value expm1(Value X);
  Value log(Value X);
  Value log2(Value X) { return mul(log(X), 1.44269504088896341); }
  Value log1p(Value X);
  Value tanh(Value X);
  Value erf(Value X);
  Value rsqrt(Value X) {
    return div(constant(1.0), math::SqrtOp::create(B, X));
  }

private:
  Value constant(double V) { return splat(Float, B.getF32FloatAttr(V)); }
  Value integer(int32_t V) { return splat(Int, B.getI32IntegerAttr(V)); }
  Value splat(Type T, TypedAttr V) {
    if (auto Vector = dyn_cast<VectorType>(T))
      return arith::ConstantOp::create(B, DenseElementsAttr::get(Vector, V));
    return arith::ConstantOp::create(B, V);
  }
  Value add(Value X, Value Y) { return arith::AddFOp::create(B, X, Y); }
  Value add(Value X, double Y) { return add(X, constant(Y)); }
  Value sub(Value X, Value Y) { return arith::SubFOp::create(B, X, Y); }
  Value mul(Value X, Value Y) { return arith::MulFOp::create(B, X, Y); }
  Value mul(Value X, double Y) { return mul(X, constant(Y)); }
  Value div(Value X, Value Y) { return arith::DivFOp::create(B, X, Y); }
  Value fma(Value X, Value Y, Value Z) {
    return math::FmaOp::create(B, X, Y, Z);
  }
  Value less(Value X, Value Y) {
    return arith::CmpFOp::create(B, arith::CmpFPredicate::OLT, X, Y);
  }
  Value equal(Value X, Value Y) {
    return arith::CmpFOp::create(B, arith::CmpFPredicate::OEQ, X, Y);
  }
  Value select(Value C, Value X, Value Y) {
    return arith::SelectOp::create(B, C, X, Y);
  }
  Value toBits(Value X) { return arith::BitcastOp::create(B, Int, X); }
  Value toFloat(Value X) { return arith::BitcastOp::create(B, Float, X); }

  /// Horner's rule, highest power first.
  Value polynomial(Value X, ArrayRef<double> Coefficients) {
    Value Result = constant(Coefficients[0]);
    for (double C : Coefficients.drop_front())
      Result = fma(Result, X, constant(C));
    return Result;
  }
  /// `X` held between two numbers; comparisons with NaN fail, so NaN stays.
  Value clamp(Value X, double Low, double High) {
    X = select(less(X, constant(Low)), constant(Low), X);
    return select(less(constant(High), X), constant(High), X);
  }
  Value expOfReduced(Value R);
  Value scale(Value X, Value ShiftedPower);

  ImplicitLocOpBuilder B;
  Type Float, Int;
};

// Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
constexpr double RoundingShift = 12582912.0;
constexpr int32_t RoundingShiftBits = 0x4B400000;
constexpr double Ln2High = 0.693359375, Ln2Low = -2.12194440e-4;
constexpr double Infinity = std::numeric_limits<double>::infinity();

/// exp(R) for |R| <= ln(2) / 2.
Value Formula::expOfReduced(Value R) {
  Value P = polynomial(R, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                           4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  return add(fma(P, mul(R, R), R), 1.0);
}

/// X * 2^n where `Shifted` holds n + RoundingShift. In two steps, so that
/// neither leaves the range of normal numbers.
Value Formula::scale(Value X, Value Shifted) {
  Value N =
      arith::SubIOp::create(B, toBits(Shifted), integer(RoundingShiftBits));
  Value Half = arith::ShRSIOp::create(B, N, integer(1));
  Value Rest = arith::SubIOp::create(B, N, Half);
  for (Value Part : {Half, Rest}) {
    Value Biased = arith::AddIOp::create(B, Part, integer(127));
    X = mul(X, toFloat(arith::ShLIOp::create(B, Biased, integer(23))));
  }
  return X;
}

/// exp(x) = 2^n exp(r) with r = x - n ln 2, ln 2 in two parts.
Value Formula::exp(Value X) {
  X = clamp(X, -104.0, 89.0);
  Value Shifted =
      fma(X, constant(1.44269504088896341), constant(RoundingShift));
  Value N = sub(Shifted, constant(RoundingShift));
  Value R = fma(N, constant(-Ln2High), X);
  R = fma(N, constant(-Ln2Low), R);
  return scale(expOfReduced(R), Shifted);
}

Value Formula::exp2(Value X) {
  X = clamp(X, -151.0, 129.0);
  Value Shifted = add(X, RoundingShift);
  Value R = sub(X, sub(Shifted, constant(RoundingShift)));
  return scale(expOfReduced(mul(R, 0.693147180559945309)), Shifted);
}

/// Near zero by the series, where exp(x) - 1 would cancel.
Value Formula::expm1(Value X) {
  Value Size = math::AbsFOp::create(B, X);
  Value P = polynomial(X, {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
                           4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1});
  Value Near = fma(P, mul(X, X), X);
  return select(less(Size, constant(0.34)), Near, add(exp(X), -1.0));
}

/// log(m 2^e) = log(m) + e ln 2 with m between sqrt(1/2) and sqrt(2).
Value Formula::log(Value X) {
  Value Tiny = less(X, constant(1.17549435e-38));
  Value Normal = select(Tiny, mul(X, 33554432.0), X); // 2^25
  Value Bits = toBits(Normal);
  Value Exponent = arith::ShRSIOp::create(
      B, arith::SubIOp::create(B, Bits, integer(0x3f3504f3)), integer(23));
  Value Mantissa = toFloat(arith::SubIOp::create(
      B, Bits, arith::ShLIOp::create(B, Exponent, integer(23))));
  Value E = arith::SIToFPOp::create(B, Float, Exponent);
  E = select(Tiny, add(E, -25.0), E);
  Value Z = add(Mantissa, -1.0), Square = mul(Z, Z);
  Value P = polynomial(Z, {7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1,
                           -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
                           2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1});
  Value Y = fma(E, constant(Ln2Low), mul(mul(P, Z), Square));
  Y = fma(Square, constant(-0.5), Y);
  Value Result = fma(E, constant(Ln2High), add(Z, Y));
  // NaN and infinity, zero, negative numbers.
  Value IsFinite = less(X, constant(Infinity));
  Result = select(IsFinite, Result, X);
  Result = select(equal(X, constant(0.0)), constant(-Infinity), Result);
  return select(less(X, constant(0.0)),
                constant(std::numeric_limits<double>::quiet_NaN()), Result);
}

/// log(u) x / (u - 1) with u = 1 + x, which makes up for the rounding of u
/// (W. Kahan's formula).
Value Formula::log1p(Value X) {
  Value U = add(X, 1.0), D = add(U, -1.0);
  Value Result = mul(log(U), div(X, D));
  Result = select(equal(D, constant(0.0)), X, Result);
  return select(equal(U, constant(Infinity)), X, Result);
}

Value Formula::tanh(Value X) {
  Value Size = math::AbsFOp::create(B, X), Square = mul(X, X);
  Value P = polynomial(Square,
                       {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
                        1.33314422036e-1, -3.33332819422e-1});
  Value Near = fma(mul(P, Square), X, X);
  Value Far =
      sub(constant(1.0), div(constant(2.0), add(exp(add(Size, Size)), 1.0)));
  Far = math::CopySignOp::create(B, Far, X);
  return select(less(Size, constant(0.625)), Near, Far);
}

/// x P(x^2) near zero, else 1 - exp(-x^2) Q(1 / x^2) / x.
Value Formula::erf(Value X) {
  Value Size = math::AbsFOp::create(B, X), Square = mul(X, X);
  Value Near =
      mul(X, polynomial(Square, {7.853861353153693e-5, -8.010193625184903e-4,
                                 5.188327685732524e-3, -2.685381193529856e-2,
                                 1.128358514861418e-1, -3.761262582423300e-1,
                                 1.128379165726710e+0}));
  // Beyond 10 the result is 1; the bound keeps the reciprocal finite.
  Value Bounded = clamp(Size, 0.5, 10.0);
  Value Q = div(constant(1.0), Bounded), Y = mul(Q, Q);
  Value Middle = polynomial(
      Y, {2.326819970068386e-2, -1.387039388740657e-1, 3.687424674597105e-1,
          -5.824733027278666e-1, 6.210004621745983e-1, -4.944515323274145e-1,
          3.404879937665872e-1, -2.741127028184656e-1, 5.638259427386472e-1});
  Value Outer = polynomial(Y, {-1.047766399936249e+1, 1.297719955372516e+1,
                               -7.495518717768503e+0, 2.921019019210786e+0,
                               -1.015265279202700e+0, 4.218463358204948e-1,
                               -2.820767439740514e-1, 5.641895067754075e-1});
  Value P = select(less(Bounded, constant(2.0)), Middle, Outer);
  Value Tail = exp(math::FmaOp::create(
      B, Bounded, arith::NegFOp::create(B, Bounded), constant(0.0)));
  Value Far = sub(constant(1.0), mul(mul(Tail, Q), P));
  Far = math::CopySignOp::create(B, Far, X);
  return select(less(Size, constant(1.0)), Near, Far);
}

//===----------------------------------------------------------------------===//
// bf16
//===----------------------------------------------------------------------===//

bool isShortFloat(Type T) {
  Type Element = getElementTypeOrSelf(T);
  return Element.isBF16() || Element.isF16();
}

/// Float arithmetic whose type is bf16 or f16 and that has to be widened.
bool needsWidening(Operation *Op) {
  bool IsArithmetic =
      isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
          arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp, arith::CmpFOp, arith::SIToFPOp, arith::UIToFPOp,
          arith::FPToSIOp, arith::FPToUIOp>(Op) ||
      isa_and_nonnull<math::MathDialect>(Op->getDialect());
  return IsArithmetic && (llvm::any_of(Op->getOperandTypes(), isShortFloat) ||
                          llvm::any_of(Op->getResultTypes(), isShortFloat));
}

void widen(Operation *Op) {
  ImplicitLocOpBuilder B(Op->getLoc(), Op);
  for (OpOperand &Operand : Op->getOpOperands())
    if (isShortFloat(Operand.get().getType()))
      Operand.set(arith::ExtFOp::create(
          B, withElement(Operand.get().getType(), B.getF32Type()),
          Operand.get()));
  Value Result = Op->getResult(0);
  Type Short = Result.getType();
  if (!isShortFloat(Short))
    return;
  Result.setType(withElement(Short, B.getF32Type()));
  B.setInsertionPointAfter(Op);
  auto Narrow = arith::TruncFOp::create(B, Short, Result);
  Result.replaceAllUsesExcept(Narrow, Narrow);
}

/// A bf16 is the upper half of a float32.
Value extendBf16(arith::ExtFOp Op) {
  ImplicitLocOpBuilder B(Op.getLoc(), Op);
  Type From = Op.getIn().getType();
  Value Bits = arith::BitcastOp::create(B, withElement(From, B.getI16Type()),
                                        Op.getIn());
  Type Int = withElement(From, B.getI32Type());
  Bits = arith::ExtUIOp::create(B, Int, Bits);
  Value Sixteen = arith::ConstantOp::create(
      B, isa<VectorType>(Int)
             ? TypedAttr(DenseElementsAttr::get(cast<VectorType>(Int),
                                                B.getI32IntegerAttr(16)))
             : TypedAttr(B.getI32IntegerAttr(16)));
  Bits = arith::ShLIOp::create(B, Bits, Sixteen);
  Value Result =
      arith::BitcastOp::create(B, withElement(From, B.getF32Type()), Bits);
  if (Result.getType() != Op.getType())
    Result = arith::ExtFOp::create(B, Op.getType(), Result);
  return Result;
}

/// Rounds to nearest even; a NaN stays one.
Value truncateToBf16(arith::TruncFOp Op) {
  ImplicitLocOpBuilder B(Op.getLoc(), Op);
  Value X = Op.getIn();
  Type Float = withElement(X.getType(), B.getF32Type());
  if (X.getType() != Float)
    X = arith::TruncFOp::create(B, Float, X);
  Type Int = withElement(Float, B.getI32Type());
  auto Constant = [&](int32_t V) -> Value {
    if (auto Vector = dyn_cast<VectorType>(Int))
      return arith::ConstantOp::create(
          B, DenseElementsAttr::get(Vector, B.getI32IntegerAttr(V)));
    return arith::ConstantOp::create(B, B.getI32IntegerAttr(V));
  };
  Value Bits = arith::BitcastOp::create(B, Int, X);
  Value Odd = arith::AndIOp::create(
      B, arith::ShRUIOp::create(B, Bits, Constant(16)), Constant(1));
  Value Rounded = arith::AddIOp::create(
      B, arith::AddIOp::create(B, Bits, Constant(0x7fff)), Odd);
  Value Quiet = arith::OrIOp::create(B, Bits, Constant(0x400000));
  Value IsNan = arith::CmpFOp::create(B, arith::CmpFPredicate::UNO, X, X);
  Bits = arith::SelectOp::create(B, IsNan, Quiet, Rounded);
  Bits = arith::ShRUIOp::create(B, Bits, Constant(16));
  Bits = arith::TruncIOp::create(B, withElement(Float, B.getI16Type()), Bits);
  return arith::BitcastOp::create(B, Op.getType(), Bits);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// What the processor has as an instruction.
bool isNative(Operation *Op) {
  return isa<math::AbsFOp, math::AbsIOp, math::FloorOp, math::CeilOp,
             math::TruncOp, math::RoundEvenOp, math::CopySignOp, math::FmaOp,
             math::SqrtOp, math::CountLeadingZerosOp, math::CtPopOp,
             math::CountTrailingZerosOp>(Op);
}

Value expand(Operation *Op) {
  Value X = Op->getOperand(0);
  if (isa<math::RsqrtOp>(Op)) {
    // Also in double precision: division and root are instructions.
    ImplicitLocOpBuilder B(Op->getLoc(), Op);
    Value One = arith::ConstantOp::create(B, B.getOneAttr(X.getType()));
    return arith::DivFOp::create(B, One, math::SqrtOp::create(B, X));
  }
  if (!getElementTypeOrSelf(X.getType()).isF32())
    return {};
  Formula F(Op);
  if (isa<math::ExpOp>(Op))
    return F.exp(X);
  if (isa<math::Exp2Op>(Op))
    return F.exp2(X);
  if (isa<math::ExpM1Op>(Op))
    return F.expm1(X);
  if (isa<math::LogOp>(Op))
    return F.log(X);
  if (isa<math::Log2Op>(Op))
    return F.log2(X);
  if (isa<math::Log1pOp>(Op))
    return F.log1p(X);
  if (isa<math::TanhOp>(Op))
    return F.tanh(X);
  if (isa<math::ErfOp>(Op))
    return F.erf(X);
  return {};
}

struct ExpandMathPass
    : PassWrapper<ExpandMathPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandMathPass)

  ExpandMathPass() = default;
  ExpandMathPass(const ExpandMathPass &Other) : PassWrapper(Other) {}
  explicit ExpandMathPass(bool Rounds) { RoundsToBf16 = Rounds; }

  Option<bool> RoundsToBf16{
      *this, "rounds-to-bf16",
      llvm::cl::desc("the processor has an instruction that rounds to bf16"),
      llvm::cl::init(false)};

  StringRef getArgument() const override { return "expand-math"; }
  StringRef getDescription() const override {
    return "write transcendental functions and bf16 arithmetic inline";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry.insert<arith::ArithDialect, math::MathDialect>();
  }

  void runOnOperation() override {
    SmallVector<Operation *> Work;
    getOperation().walk([&](Operation *Op) {
      if (needsWidening(Op))
        Work.push_back(Op);
    });
    for (Operation *Op : Work)
      widen(Op);
    if (failed(expandFunctions()))
      return signalPassFailure();
    bool Rounds = RoundsToBf16 && !getOperation()->hasAttr(IntegerRoundingAttr);
    getOperation().walk([&](Operation *Op) {
      auto Extend = dyn_cast<arith::ExtFOp>(Op);
      auto Truncate = dyn_cast<arith::TruncFOp>(Op);
      Value New;
      if (Extend && getElementTypeOrSelf(Extend.getIn().getType()).isBF16())
        New = extendBf16(Extend);
      if (Truncate && getElementTypeOrSelf(Truncate.getType()).isBF16() &&
          !(Rounds && getElementTypeOrSelf(Truncate.getIn()).isF32()))
        New = truncateToBf16(Truncate);
      if (New) {
        Op->replaceAllUsesWith(ValueRange(New));
        Op->erase();
      }
    });
  }

  LogicalResult expandFunctions() {
    WalkResult Result = getOperation().walk([](Operation *Op) {
      if (isa<arith::RemFOp>(Op)) {
        Op->emitError("operation '") << Op->getName() << "' has no inline form";
        return WalkResult::interrupt();
      }
      if (!isa_and_nonnull<math::MathDialect>(Op->getDialect()) || isNative(Op))
        return WalkResult::advance();
      Value New = expand(Op);
      if (!New) {
        Op->emitError("operation '")
            << Op->getName() << "' on " << Op->getOperand(0).getType()
            << " has no inline form";
        return WalkResult::interrupt();
      }
      Op->replaceAllUsesWith(ValueRange(New));
      Op->erase();
      return WalkResult::advance();
    });
    return failure(Result.wasInterrupted());
  }
};
} // namespace

std::unique_ptr<Pass> createExpandMathPass(bool RoundsToBf16) {
  return std::make_unique<ExpandMathPass>(RoundsToBf16);
}

} // namespace transxssm::x86
