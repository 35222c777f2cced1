//===- ReferenceGradients.cpp - Gradients and the optimizer ---------------===//
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

Tensor reference::embeddingGrad(const Tensor &Dresult, const Tensor &Ids,
                                std::optional<int64_t> PadToken, Shape Weight) {
  Tensor Dweight(Weight);
  for (int64_t Token = 0; Token < Ids.size(); ++Token) {
    int64_t Id = int64_t(Ids[Token]);
    if (PadToken && Id == *PadToken)
      continue;
    for (int64_t D = 0; D < Weight[1]; ++D)
      Dweight.at(Id, D) += Dresult.row(Token, Weight[1])[D];
  }
  return Dweight;
}

RmsNormGradResult reference::rmsNormGrad(const Tensor &Dresult,
                                         const Tensor &Input,
                                         const Tensor &Weight, double Eps) {
  int64_t Width = Weight.size();
  RmsNormGradResult Made{Tensor(Input.shape()), Tensor(Weight.shape())};
  for (int64_t Token = 0; Token < Input.size() / Width; ++Token) {
    const double *X = Input.row(Token, Width);
    const double *Dy = Dresult.row(Token, Width);
    double Squares = 0, Mean = 0;
    for (int64_t D = 0; D < Width; ++D)
      Squares += X[D] * X[D];
    double R = 1 / std::sqrt(Squares / Width + Eps);
    for (int64_t D = 0; D < Width; ++D)
      Mean += Weight[D] * Dy[D] * X[D] * R / Width;
    for (int64_t D = 0; D < Width; ++D) {
      double Normal = X[D] * R;
      Made.Dinput.row(Token, Width)[D] =
          R * (Weight[D] * Dy[D] - Normal * Mean);
      Made.Dweight[D] += Dy[D] * Normal;
    }
  }
  return Made;
}

Tensor reference::linearGradInput(const Tensor &Dresult, const Tensor &Weight,
                                  Shape Input) {
  int64_t Out = Weight.dim(0), In = Weight.dim(1);
  Tensor Dinput(Input);
  for (int64_t Token = 0; Token < Dinput.size() / In; ++Token)
    for (int64_t O = 0; O < Out; ++O)
      for (int64_t I = 0; I < In; ++I)
        Dinput.row(Token, In)[I] +=
            Dresult.row(Token, Out)[O] * Weight.row(O, In)[I];
  return Dinput;
}

Tensor reference::linearGradWeight(const Tensor &Dresult, const Tensor &Input,
                                   Shape Weight) {
  int64_t Out = Weight[0], In = Weight[1];
  Tensor Dweight(Weight);
  for (int64_t Token = 0; Token < Input.size() / In; ++Token)
    for (int64_t O = 0; O < Out; ++O)
      for (int64_t I = 0; I < In; ++I)
        Dweight.row(O, In)[I] +=
            Dresult.row(Token, Out)[O] * Input.row(Token, In)[I];
  return Dweight;
}

Tensor reference::sumTokens(const Tensor &Lhs, const Tensor *Rhs,
                            int64_t Width) {
  Tensor Result({Width});
  for (int64_t I = 0; I < Lhs.size(); ++I)
    Result[I % Width] += Lhs[I] * (Rhs ? (*Rhs)[I] : 1);
  return Result;
}

static double derivative(ActivationKind Kind, double X) {
  double Sigmoid = 1 / (1 + std::exp(-X));
  switch (Kind) {
  case ActivationKind::Silu:
    return Sigmoid * (1 + X * (1 - Sigmoid));
  case ActivationKind::Gelu: {
    double Cumulative = 0.5 * (1 + std::erf(X / std::sqrt(2.0)));
    double Density = std::exp(-X * X / 2) / std::sqrt(2 * M_PI);
    return Cumulative + X * Density;
  }
  case ActivationKind::Relu:
    return X > 0 ? 1 : 0;
  case ActivationKind::Softplus:
    return Sigmoid;
  }
  llvm_unreachable("unknown activation");
}

Tensor reference::activationGrad(ActivationKind Kind, const Tensor &Dresult,
                                 const Tensor &Input) {
  Tensor Dinput(Input.shape());
  for (int64_t I = 0; I < Input.size(); ++I)
    Dinput[I] = Dresult[I] * derivative(Kind, Input[I]);
  return Dinput;
}

Tensor reference::lastTokenGrad(const Tensor &Dresult, const Tensor *Mask,
                                Shape Input) {
  Tensor Dinput(Input);
  for (int64_t B = 0; B < Input[0]; ++B)
    for (int64_t D = 0; D < Input[2]; ++D)
      Dinput.at(B, lastPosition(Mask, B, Input[1]), D) = Dresult.at(B, D);
  return Dinput;
}

CrossEntropyGradResult
reference::linearCrossEntropyGrad(const Tensor &Hidden, const Tensor &Weight,
                                  const Tensor &Labels, const Tensor &LogSumExp,
                                  bool Shift) {
  int64_t Rows = Labels.size(), Vocabulary = Weight.dim(0);
  Tensor Dlogits = linear(Hidden, Weight, nullptr, {Rows, Vocabulary});
  int64_t Count = 0;
  for (int64_t Row = 0; Row < Rows; ++Row)
    Count += targetOf(Labels, Row, Shift) != -100;
  for (int64_t Row = 0; Row < Rows; ++Row) {
    int64_t Target = targetOf(Labels, Row, Shift);
    for (int64_t V = 0; V < Vocabulary; ++V) {
      double &Z = Dlogits.at(Row, V);
      Z = Target == -100
              ? 0
              : (std::exp(Z - LogSumExp[Row]) - (V == Target)) / Count;
    }
  }
  return {linearGradInput(Dlogits, Weight, Hidden.shape()),
          linearGradWeight(Dlogits, Hidden, Weight.shape())};
}

double reference::globalNorm(llvm::ArrayRef<const Tensor *> Gradients) {
  double Squares = 0;
  for (const Tensor *Gradient : Gradients)
    for (double Value : Gradient->values())
      Squares += Value * Value;
  return std::sqrt(Squares);
}

void reference::adamw(Tensor &Parameter, Tensor &First, Tensor &Second,
                      const Tensor &Gradient, double Norm,
                      const Tensor &Hyperparameters, bool Decays) {
  const Tensor &Given = Hyperparameters;
  double Rate = Given[0], Beta1 = Given[1], Beta2 = Given[2], Eps = Given[3];
  double WeightDecay = Decays ? Given[4] : 0, MaxNorm = Given[5];
  double Clip = MaxNorm == 0 ? 1 : std::min(1.0, MaxNorm / (Norm + 1e-6));
  for (int64_t I = 0; I < Parameter.size(); ++I) {
    double G = Gradient[I] * Clip;
    First[I] = Beta1 * First[I] + (1 - Beta1) * G;
    Second[I] = Beta2 * Second[I] + (1 - Beta2) * G * G;
    double Direction =
        First[I] / Given[6] / (std::sqrt(Second[I] / Given[7]) + Eps);
    Parameter[I] -= Rate * (Direction + WeightDecay * Parameter[I]);
  }
}
