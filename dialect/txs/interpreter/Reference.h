//===- Reference.h - What every txs operation computes, in float64 --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// One function per operation of TxsOps.td, named after it, straight from its
// formula: to be read, and to compare everything faster with. The symbols
// (B, T, H, P, ...) are those of the dialect's documentation. Operands have
// the shapes that the operation's constraints ask for; the interpreter checks
// that before it calls.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_DIALECT_TXS_INTERPRETER_REFERENCE_H
#define TRANSXSSM_DIALECT_TXS_INTERPRETER_REFERENCE_H

#include "dialect/txs/TxsDialect.h"
#include "dialect/txs/interpreter/Tensor.h"

#include <array>
#include <optional>

namespace transxssm {
namespace txs {
namespace reference {

using Shape = llvm::ArrayRef<int64_t>;

/// Philox 4x32-10: four random words of a counter under a key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> Counter,
                               std::array<uint32_t, 2> Key);

/// Random choice of what dropout keeps.
struct DropoutMask {
  double Probability = 0;
  std::array<uint32_t, 2> Seed = {0, 0};
  uint32_t Site = 0;

  /// 0 where this counter is dropped, else 1 / (1 - probability).
  double factor(uint32_t Word0, uint32_t Word1, uint32_t Word2) const;
};

/// The mask of an operation from its seed operand ([2]) and attributes.
DropoutMask makeDropoutMask(const Tensor &Seed, double Probability,
                            int64_t Site);

//===----------------------------------------------------------------------===//
// Dense and elementwise layers
//===----------------------------------------------------------------------===//

Tensor embedding(const Tensor &Ids, const Tensor &Weight);
Tensor rmsNorm(const Tensor &Input, const Tensor &Weight, double Eps);
/// `Result` is the shape of the result; `Bias` may be null.
Tensor linear(const Tensor &Input, const Tensor &Weight, const Tensor *Bias,
              Shape Result);
Tensor activation(ActivationKind Kind, const Tensor &Input);
Tensor mul(const Tensor &Lhs, const Tensor &Rhs);
Tensor add(const Tensor &Lhs, const Tensor &Rhs);
Tensor scale(const Tensor &Input, const Tensor &Weight);
Tensor residual(const Tensor &Input, const Tensor &Update,
                const Tensor &Weight);
Tensor mask(const Tensor &Input, const Tensor &Mask);
Tensor dropout(const Tensor &Input, const DropoutMask &Mask);
Tensor rope(const Tensor &Input, const Tensor &Cos, const Tensor &Sin,
            bool Inverse);

//===----------------------------------------------------------------------===//
// Mixers
//===----------------------------------------------------------------------===//

struct ScanResult {
  Tensor Y, Final;
};
/// `Initial` may be null: zero.
ScanResult ssmScan(const Tensor &C, const Tensor &B, const Tensor &X,
                   const Tensor &Dt, const Tensor &A, const Tensor *Initial);

struct AttentionResult {
  Tensor Result, LogSumExp;
};
/// `KeyMask` may be null. The log-sum-exp of a row that sees no key is 0.
AttentionResult attention(const Tensor &Query, const Tensor &Key,
                          const Tensor &Val, const Tensor *KeyMask,
                          int64_t Past, const DropoutMask &Dropout);

Tensor cacheAppend(const Tensor &Cache, const Tensor &Tokens, int64_t Past);

//===----------------------------------------------------------------------===//
// Outputs and losses
//===----------------------------------------------------------------------===//

/// `Mask` may be null.
Tensor lastToken(const Tensor &Input, const Tensor *Mask);
Tensor sample(const Tensor &Logits, const Tensor &Settings, const Tensor &Draw);

struct CrossEntropyResult {
  Tensor Loss, LogSumExp;
};
CrossEntropyResult linearCrossEntropy(const Tensor &Hidden,
                                      const Tensor &Weight,
                                      const Tensor &Labels, bool Shift);

//===----------------------------------------------------------------------===//
// Gradients
//===----------------------------------------------------------------------===//

Tensor embeddingGrad(const Tensor &Dresult, const Tensor &Ids,
                     std::optional<int64_t> PadToken, Shape Weight);

struct RmsNormGradResult {
  Tensor Dinput, Dweight;
};
RmsNormGradResult rmsNormGrad(const Tensor &Dresult, const Tensor &Input,
                              const Tensor &Weight, double Eps);

Tensor linearGradInput(const Tensor &Dresult, const Tensor &Weight,
                       Shape Input);
Tensor linearGradWeight(const Tensor &Dresult, const Tensor &Input,
                        Shape Weight);
/// `Rhs` may be null: one everywhere.
Tensor sumTokens(const Tensor &Lhs, const Tensor *Rhs, int64_t Width);
Tensor activationGrad(ActivationKind Kind, const Tensor &Dresult,
                      const Tensor &Input);

struct ScanGradResult {
  Tensor Dc, Db, Dx, Ddt, Da, Dinitial;
};
/// `Initial` and `Dfinal` may be null: zero.
ScanGradResult ssmScanGrad(const Tensor &Dy, const Tensor &C, const Tensor &B,
                           const Tensor &X, const Tensor &Dt, const Tensor &A,
                           const Tensor *Initial, const Tensor *Dfinal);

struct AttentionGradResult {
  Tensor Dquery, Dkey, Dvalue;
};
AttentionGradResult attentionGrad(const Tensor &Dresult, const Tensor &Query,
                                  const Tensor &Key, const Tensor &Val,
                                  const Tensor &Result, const Tensor &LogSumExp,
                                  const Tensor *KeyMask,
                                  const DropoutMask &Dropout);

Tensor lastTokenGrad(const Tensor &Dresult, const Tensor *Mask, Shape Input);

struct CrossEntropyGradResult {
  Tensor Dhidden, Dweight;
};
CrossEntropyGradResult linearCrossEntropyGrad(const Tensor &Hidden,
                                              const Tensor &Weight,
                                              const Tensor &Labels,
                                              const Tensor &LogSumExp,
                                              bool Shift);

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

double globalNorm(llvm::ArrayRef<const Tensor *> Gradients);

/// Updates the parameter and both moments. `Hyperparameters` is [8]: lr, beta1,
/// beta2, eps, weight_decay, max_norm, 1 - beta1^step, 1 - beta2^step.
void adamw(Tensor &Parameter, Tensor &First, Tensor &Second,
           const Tensor &Gradient, double Norm, const Tensor &Hyperparameters,
           bool Decays);

/// The label that row `Row` of [B, T] (or [B]) is scored against; -100 where
/// it does not count.
int64_t targetOf(const Tensor &Labels, int64_t Row, bool Shift);

/// The position that `last_token` takes from sequence `Index` of `Length`.
int64_t lastPosition(const Tensor *Mask, int64_t Index, int64_t Length);

} // namespace reference
} // namespace txs
} // namespace transxssm

#endif // TRANSXSSM_DIALECT_TXS_INTERPRETER_REFERENCE_H
