//===- RopeTable.cpp - Rotary frequencies and the cos/sin table ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The formulas are those of the public papers as `modeling_rope_utils` of HF
// transformers reads them: position interpolation (arXiv 2306.15595), dynamic
// NTK scaling, YaRN (arXiv 2309.00071), Llama 3.1, LongRoPE (arXiv 2402.13753).
//
//===----------------------------------------------------------------------===//

#include "runtime/model/RopeTable.h"

#include <algorithm>
#include <cmath>

using namespace transxssm;

namespace {

constexpr double Pi = 3.14159265358979323846;

/// base^(-2j/P) for j < P/2.
std::vector<double> plainFrequencies(double Base, int64_t HeadSize) {
  std::vector<double> Frequencies(HeadSize / 2);
  for (int64_t J = 0; J < HeadSize / 2; ++J)
    Frequencies[J] = std::pow(Base, -double(2 * J) / double(HeadSize));
  return Frequencies;
}

/// Dynamic NTK: the base grows with the call, so that the lowest frequency is
/// interpolated by the excess and the highest stays as trained.
double dynamicBase(const ModelConfig &Config, int64_t CallLength) {
  double P = double(Config.headSize());
  double Trained = double(Config.MaxPositionEmbeddings);
  double Length = std::max(double(CallLength), Trained);
  double Factor = Config.Rope.Factor;
  return Config.RopeTheta *
         std::pow(Factor * Length / Trained - (Factor - 1), P / (P - 2));
}

/// YaRN: frequencies that turn more than BetaFast times over the trained
/// length stay, those that turn less than BetaSlow times are interpolated, and
/// a linear ramp joins them.
void applyYarn(const ModelConfig &Config, RopeFrequencies &Made) {
  const RopeScaling &Scaling = Config.Rope;
  double P = double(Config.headSize());
  auto DimensionOf = [&](double Turns) {
    return P *
           std::log(double(Config.MaxPositionEmbeddings) / (Turns * 2 * Pi)) /
           (2 * std::log(Config.RopeTheta));
  };
  double Low = std::max(std::floor(DimensionOf(Scaling.BetaFast)), 0.0);
  double High = std::min(std::ceil(DimensionOf(Scaling.BetaSlow)), P - 1);
  double Width = High == Low ? 0.001 : High - Low;
  for (size_t J = 0; J < Made.Inverse.size(); ++J) {
    double Ramp = std::clamp((double(J) - Low) / Width, 0.0, 1.0);
    Made.Inverse[J] =
        Made.Inverse[J] / Scaling.Factor * Ramp + Made.Inverse[J] * (1 - Ramp);
  }
  Made.AttentionFactor = Scaling.AttentionFactor.value_or(
      Scaling.Factor <= 1 ? 1.0 : 0.1 * std::log(Scaling.Factor) + 1);
}

/// Llama 3.1: long wavelengths are interpolated, short ones stay, those in
/// between are mixed.
void applyLlama3(const ModelConfig &Config, RopeFrequencies &Made) {
  const RopeScaling &Scaling = Config.Rope;
  double Trained = double(Scaling.OriginalMaxPositionEmbeddings.value_or(
      Config.MaxPositionEmbeddings));
  double Low = Scaling.LowFreqFactor, High = Scaling.HighFreqFactor;
  for (double &Frequency : Made.Inverse) {
    double Wavelength = 2 * Pi / Frequency;
    if (Wavelength < Trained / High)
      continue;
    if (Wavelength > Trained / Low) {
      Frequency /= Scaling.Factor;
      continue;
    }
    double Smooth = (Trained / Wavelength - Low) / (High - Low);
    Frequency = (1 - Smooth) * Frequency / Scaling.Factor + Smooth * Frequency;
  }
}

int64_t longRopeTrainedLength(const ModelConfig &Config) {
  return Config.Rope.OriginalMaxPositionEmbeddings.value_or(
      Config.MaxPositionEmbeddings);
}

/// LongRoPE: searched factors, one set up to the trained length and one beyond.
void applyLongRope(const ModelConfig &Config, int64_t CallLength,
                   RopeFrequencies &Made) {
  const RopeScaling &Scaling = Config.Rope;
  int64_t Trained = longRopeTrainedLength(Config);
  const std::vector<double> &Factors =
      CallLength > Trained ? Scaling.LongFactor : Scaling.ShortFactor;
  for (size_t J = 0; J < Made.Inverse.size(); ++J)
    Made.Inverse[J] /= Factors[J];
  double Computed =
      Scaling.Factor <= 1
          ? 1.0
          : std::sqrt(1 + std::log(Scaling.Factor) / std::log(double(Trained)));
  Made.AttentionFactor = Scaling.AttentionFactor.value_or(Computed);
}

} // namespace

RopeFrequencies transxssm::ropeFrequencies(const ModelConfig &Config,
                                           int64_t CallLength) {
  RopeType Type = Config.Rope.Type;
  double Base = Type == RopeType::Dynamic ? dynamicBase(Config, CallLength)
                                          : Config.RopeTheta;
  RopeFrequencies Made;
  Made.Inverse = plainFrequencies(Base, Config.headSize());
  switch (Type) {
  case RopeType::Default:
  case RopeType::Dynamic:
    break;
  case RopeType::Linear:
    for (double &Frequency : Made.Inverse)
      Frequency /= Config.Rope.Factor;
    break;
  case RopeType::Yarn:
    applyYarn(Config, Made);
    break;
  case RopeType::Llama3:
    applyLlama3(Config, Made);
    break;
  case RopeType::LongRope:
    applyLongRope(Config, CallLength, Made);
    break;
  }
  return Made;
}

int64_t transxssm::ropeFrequencyKey(const ModelConfig &Config,
                                    int64_t CallLength) {
  if (Config.Rope.Type == RopeType::Dynamic)
    return std::max(CallLength, Config.MaxPositionEmbeddings);
  if (Config.Rope.Type == RopeType::LongRope)
    return CallLength > longRopeTrainedLength(Config) ? 1 : 0;
  return 0;
}

void transxssm::fillRopeTable(const RopeFrequencies &Frequencies,
                              int64_t FirstPosition, int64_t Count, float *Cos,
                              float *Sin) {
  size_t Width = Frequencies.Inverse.size();
  for (int64_t T = 0; T < Count; ++T)
    for (size_t J = 0; J < Width; ++J) {
      double Angle = double(FirstPosition + T) * Frequencies.Inverse[J];
      Cos[T * Width + J] = float(std::cos(Angle) * Frequencies.AttentionFactor);
      Sin[T * Width + J] = float(std::sin(Angle) * Frequencies.AttentionFactor);
    }
}
