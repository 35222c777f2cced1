//===- ReferenceLayers.cpp - Dense and elementwise operations -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/Reference.h"

#include <cmath>

using namespace transxssm::txs;
using namespace transxssm::txs::reference;

std::array<uint32_t, 4> reference::philox(std::array<uint32_t, 4> Counter,
                                          std::array<uint32_t, 2> Key) {
  // Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3".
  for (int Round = 0; Round < 10; ++Round) {
    uint64_t Even = uint64_t(0xD2511F53) * Counter[0];
    uint64_t Odd = uint64_t(0xCD9E8D57) * Counter[2];
    Counter = {uint32_t(Odd >> 32) ^ Counter[1] ^ Key[0], uint32_t(Odd),
               uint32_t(Even >> 32) ^ Counter[3] ^ Key[1], uint32_t(Even)};
    Key[0] += 0x9E3779B9;
    Key[1] += 0xBB67AE85;
  }
  return Counter;
}

double DropoutMask::factor(uint32_t Word0, uint32_t Word1,
                           uint32_t Word2) const {
  if (Probability == 0)
    return 1;
  uint32_t Drawn = philox({Word0, Word1, Word2, Site}, Seed)[0];
  bool Keep = Drawn >= uint32_t(std::floor(Probability * 0x1p32));
  return Keep ? 1 / (1 - Probability) : 0;
}

DropoutMask reference::makeDropoutMask(const Tensor &Seed, double Probability,
                                       int64_t Site) {
  return {Probability,
          {uint32_t(int32_t(Seed[0])), uint32_t(int32_t(Seed[1]))},
          uint32_t(Site)};
}

Tensor reference::embedding(const Tensor &Ids, const Tensor &Weight) {
  int64_t Width = Weight.dim(1);
  Tensor Result({Ids.dim(0), Ids.dim(1), Width});
  for (int64_t Token = 0; Token < Ids.size(); ++Token)
    for (int64_t D = 0; D < Width; ++D)
      Result.row(Token, Width)[D] = Weight.at(int64_t(Ids[Token]), D);
  return Result;
}

Tensor reference::rmsNorm(const Tensor &Input, const Tensor &Weight,
                          double Eps) {
  int64_t Width = Weight.size();
  Tensor Result(Input.shape());
  for (int64_t Token = 0; Token < Input.size() / Width; ++Token) {
    const double *X = Input.row(Token, Width);
    double Squares = 0;
    for (int64_t D = 0; D < Width; ++D)
      Squares += X[D] * X[D];
    double Root = std::sqrt(Squares / Width + Eps);
    for (int64_t D = 0; D < Width; ++D)
      Result.row(Token, Width)[D] = Weight[D] * X[D] / Root;
  }
  return Result;
}

Tensor reference::linear(const Tensor &Input, const Tensor &Weight,
                         const Tensor *Bias, Shape ResultShape) {
  int64_t Out = Weight.dim(0), In = Weight.dim(1);
  Tensor Result(ResultShape);
  for (int64_t Token = 0; Token < Input.size() / In; ++Token)
    for (int64_t O = 0; O < Out; ++O) {
      const double *X = Input.row(Token, In), *W = Weight.row(O, In);
      double Sum = Bias ? (*Bias)[O] : 0;
      for (int64_t I = 0; I < In; ++I)
        Sum += X[I] * W[I];
      Result.row(Token, Out)[O] = Sum;
    }
  return Result;
}

static double activate(ActivationKind Kind, double X) {
  switch (Kind) {
  case ActivationKind::Silu:
    return X / (1 + std::exp(-X));
  case ActivationKind::Gelu:
    return X / 2 * (1 + std::erf(X / std::sqrt(2.0)));
  case ActivationKind::Relu:
    return std::max(X, 0.0);
  case ActivationKind::Softplus:
    return std::max(X, 0.0) + std::log1p(std::exp(-std::abs(X)));
  }
  llvm_unreachable("unknown activation");
}

Tensor reference::activation(ActivationKind Kind, const Tensor &Input) {
  Tensor Result(Input.shape());
  for (int64_t I = 0; I < Input.size(); ++I)
    Result[I] = activate(Kind, Input[I]);
  return Result;
}

Tensor reference::mul(const Tensor &Lhs, const Tensor &Rhs) {
  Tensor Result(Lhs.shape());
  for (int64_t I = 0; I < Lhs.size(); ++I)
    Result[I] = Lhs[I] * Rhs[I];
  return Result;
}

Tensor reference::add(const Tensor &Lhs, const Tensor &Rhs) {
  Tensor Result(Lhs.shape());
  for (int64_t I = 0; I < Lhs.size(); ++I)
    Result[I] = Lhs[I] + Rhs[I];
  return Result;
}

Tensor reference::scale(const Tensor &Input, const Tensor &Weight) {
  Tensor Result(Input.shape());
  for (int64_t I = 0; I < Input.size(); ++I)
    Result[I] = Weight[I % Weight.size()] * Input[I];
  return Result;
}

Tensor reference::residual(const Tensor &Input, const Tensor &Update,
                           const Tensor &Weight) {
  return add(scale(Input, Weight), Update);
}

Tensor reference::mask(const Tensor &Input, const Tensor &Mask) {
  int64_t Width = Mask.size() ? Input.size() / Mask.size() : 1;
  Tensor Result(Input.shape());
  for (int64_t I = 0; I < Input.size(); ++I)
    Result[I] = Mask[I / Width] * Input[I];
  return Result;
}

Tensor reference::dropout(const Tensor &Input, const DropoutMask &Mask) {
  Tensor Result(Input.shape());
  for (int64_t I = 0; I < Input.size(); ++I)
    Result[I] = Input[I] * Mask.factor(uint32_t(I), uint32_t(I >> 32), 0);
  return Result;
}

Tensor reference::rope(const Tensor &Input, const Tensor &Cos,
                       const Tensor &Sin, bool Inverse) {
  Tensor Result(Input.shape());
  int64_t Half = Cos.dim(1);
  for (int64_t B = 0; B < Input.dim(0); ++B)
    for (int64_t T = 0; T < Input.dim(1); ++T)
      for (int64_t H = 0; H < Input.dim(2); ++H)
        for (int64_t J = 0; J < Half; ++J) {
          double C = Cos.at(T, J), S = Inverse ? -Sin.at(T, J) : Sin.at(T, J);
          double U1 = Input.at(B, T, H, J), U2 = Input.at(B, T, H, J + Half);
          Result.at(B, T, H, J) = U1 * C - U2 * S;
          Result.at(B, T, H, J + Half) = U2 * C + U1 * S;
        }
  return Result;
}

int64_t reference::lastPosition(const Tensor *Mask, int64_t Index,
                                int64_t Length) {
  for (int64_t T = Length; Mask && T-- > 0;)
    if (Mask->at(Index, T) != 0)
      return T;
  return Length - 1;
}

Tensor reference::lastToken(const Tensor &Input, const Tensor *Mask) {
  Tensor Result({Input.dim(0), Input.dim(2)});
  for (int64_t B = 0; B < Input.dim(0); ++B)
    for (int64_t D = 0; D < Input.dim(2); ++D)
      Result.at(B, D) = Input.at(B, lastPosition(Mask, B, Input.dim(1)), D);
  return Result;
}

int64_t reference::targetOf(const Tensor &Labels, int64_t Row, bool Shift) {
  if (!Shift)
    return int64_t(Labels[Row]);
  bool Last = Row % Labels.dim(1) == Labels.dim(1) - 1;
  return Last ? -100 : int64_t(Labels[Row + 1]);
}

CrossEntropyResult reference::linearCrossEntropy(const Tensor &Hidden,
                                                 const Tensor &Weight,
                                                 const Tensor &Labels,
                                                 bool Shift) {
  int64_t Width = Weight.dim(1);
  Tensor Logits =
      linear(Hidden, Weight, nullptr, {Labels.size(), Weight.dim(0)});
  CrossEntropyResult Made{Tensor::scalar(0), Tensor(Labels.shape())};
  int64_t Count = 0;
  for (int64_t Row = 0; Row < Hidden.size() / Width; ++Row) {
    int64_t Target = targetOf(Labels, Row, Shift);
    if (Target == -100)
      continue;
    double Largest = -INFINITY, Sum = 0;
    for (int64_t V = 0; V < Weight.dim(0); ++V)
      Largest = std::max(Largest, Logits.at(Row, V));
    for (int64_t V = 0; V < Weight.dim(0); ++V)
      Sum += std::exp(Logits.at(Row, V) - Largest);
    Made.LogSumExp[Row] = Largest + std::log(Sum);
    Made.Loss[0] += Made.LogSumExp[Row] - Logits.at(Row, Target);
    ++Count;
  }
  if (Count)
    Made.Loss[0] /= Count;
  return Made;
}
