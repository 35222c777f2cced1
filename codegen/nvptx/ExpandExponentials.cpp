//===- ExpandExponentials.cpp - exp by the device's power of two ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// ex2.approx computes 2^y as one instruction, off by up to 2^-22 of the result
// (PTX ISA, "ex2"). That is as much as a polynomial loses; what is left
// to lose lies in y = x log2(e), whose rounding is half a unit in the last
// place of y, for |y| near 100 already 2^-18. Where a kernel computes in
// float32 throughout, the part that rounding drops is kept:
//
//   h = x L,  l = (x L - h) + x (log2(e) - L),  L = log2(e) as float32
//   exp(x) = 2^h 2^l = 2^h (1 + l ln 2)         |l| < 2^-17
//
// in eight instructions, where the polynomial takes about thirty; the first two
// hold x between -104 and 89, beyond which results are zero and infinite, since
// l would be no number for an infinite x. Where some of a kernel's memory is
// bf16, 2^h is enough: its error of (1.2 |x| + 2) 2^-23 is far below a rounding
// to bf16, 2^-9, for any x whose exponential a sum would notice.
//
// Results below 2^-126 become zero (.ftz).
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace transxssm::nvptx {
namespace {

/// log2(e) as float32, and what it lacks.
constexpr double Log2E = 1.44269502162933349609375;
constexpr double Log2ERest = 1.92596299112661746e-8;
constexpr double Ln2 = 0.693147180559945309;
/// Results beyond are zero, infinite.
constexpr double Lowest = -104.0, Highest = 89.0;

class Exponential {
public:
  explicit Exponential(math::ExpOp Op)
      : B(Op.getLoc(), Op), X(Op.getOperand()) {}

  Value shortForm() { return powerOfTwo(multiply(X, Log2E)); }

  Value fullForm() {
    X = arith::MaximumFOp::create(B, X, constant(Lowest));
    X = arith::MinimumFOp::create(B, X, constant(Highest));
    Value High = multiply(X, Log2E);
    Value Low =
        fma(X, constant(Log2E), arith::NegFOp::create(B, High).getResult());
    Low = fma(X, constant(Log2ERest), Low);
    return arith::MulFOp::create(B, powerOfTwo(High),
                                 fma(Low, constant(Ln2), constant(1.0)));
  }

private:
  Value constant(double V) {
    return arith::ConstantOp::create(B, B.getF32FloatAttr(V));
  }
  Value multiply(Value L, double R) {
    return arith::MulFOp::create(B, L, constant(R));
  }
  Value fma(Value L, Value R, Value Sum) {
    return math::FmaOp::create(B, L, R, Sum);
  }
  Value powerOfTwo(Value Exponent) {
    return LLVM::CallIntrinsicOp::create(
               B, B.getF32Type(),
               B.getStringAttr("llvm.nvvm.ex2.approx.ftz.f32"),
               ValueRange(Exponent))
        .getResult(0);
  }

  ImplicitLocOpBuilder B;
  Value X;
};

struct ExpandExponentialsPass
    : PassWrapper<ExpandExponentialsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExpandExponentialsPass)

  StringRef getArgument() const override { return "expand-exponentials"; }
  StringRef getDescription() const override {
    return "compute exp by the device's power of two";
  }
  void getDependentDialects(DialectRegistry &Registry) const override {
    Registry
        .insert<arith::ArithDialect, LLVM::LLVMDialect, math::MathDialect>();
  }

  void runOnOperation() override {
    bool IsShort = getOperation()->hasAttr(HalfMemoryAttr);
    getOperation().walk([&](math::ExpOp Op) {
      if (!Op.getType().isF32())
        return;
      Exponential Of(Op);
      Op.replaceAllUsesWith(IsShort ? Of.shortForm() : Of.fullForm());
      Op.erase();
    });
  }
};
} // namespace

std::unique_ptr<Pass> createExpandExponentialsPass() {
  return std::make_unique<ExpandExponentialsPass>();
}

} // namespace transxssm::nvptx
