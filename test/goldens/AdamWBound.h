//===- AdamWBound.h - How exact a float32 AdamW step is -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// An update of one element is
//
//   p' = p - lr (D + wd p),   D = (m' / c1) / (sqrt(v' / c2) + eps)
//   m' = beta1 m + (1 - beta1) g,   v' = beta2 v + (1 - beta2) g^2
//
// with the clipped gradient g = s G, s = min(1, limit / (norm + 1e-6)). There
// are two questions, with a bound each: what float32 makes of the update when
// everything that goes in is the same (roundingBound), and what a gradient that
// is itself only known to some accuracy makes of it (gradientBound).
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_GOLDENS_ADAMWBOUND_H
#define TRANSXSSM_TEST_GOLDENS_ADAMWBOUND_H

#include "test/goldens/GoldenData.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace transxssm {

/// Half a unit in the last place of 1: what one float32 operation is off by,
/// relative to its result.
constexpr double UnitRoundoff = 0x1p-24;

struct AdamWElement {
  double Old = 0, New = 0;         ///< the parameter
  double Moment1 = 0, Moment2 = 0; ///< before the step
  double Gradient = 0;             ///< clipped
};

struct AdamWSettings {
  double Rate = 1e-3, Beta1 = 0.9, Beta2 = 0.95, Eps = 1e-8;
  double WeightDecay = 0; ///< 0 where the parameter does not decay
  int64_t Step = 1;

  double correction1() const { return 1 - std::pow(Beta1, double(Step)); }
  double correction2() const { return 1 - std::pow(Beta2, double(Step)); }
};

/// How far a float32 update may be from the exact one on the same parameter,
/// moments, gradient, norm and settings. Counted in u = 2^-24, first order:
///
///   s                        3 u   sum, quotient, the constant 1e-6
///   g = s G                  4 u
///   m'                       6 u   of |beta1 m| + |(1 - beta1) g|, which may
///                                  cancel: 4 + product + sum (1 - beta is
///                                  exact, Sterbenz: beta is over a half)
///   v'                      11 u   g^2: 2 * 4 + 1, product, sum
///   m' / c1                  7 u
///   sqrt(v' / c2) + eps      8 u   (11 + 1) / 2, root, sum
///   D                       16 u   7 + 8 + quotient
///   wd p, D + wd p           1 u of |wd p|, then 1 u of both
///   lr (D + wd p)            1 u of both
///   p'                       1 u of |p'|
///
/// where "D" means what m' is bounded by, so 18 u in all, and 3 u of wd |p|.
/// Products that lose their last bits below 2^-126 move sqrt(v') by at most
/// 2^-63, nothing beside eps. Hundredths more cover the second order.
inline double roundingBound(const AdamWElement &E, const AdamWSettings &S) {
  double First =
      std::abs(S.Beta1 * E.Moment1) + std::abs((1 - S.Beta1) * E.Gradient);
  double Second = S.Beta2 * E.Moment2 + (1 - S.Beta2) * E.Gradient * E.Gradient;
  double Direction =
      First / S.correction1() / (std::sqrt(Second / S.correction2()) + S.Eps);
  double Terms =
      S.Rate * (18 * Direction + 3 * S.WeightDecay * std::abs(E.Old));
  return 1.01 * UnitRoundoff * (Terms + std::abs(E.New));
}

/// The same for the moments, from the lines above.
inline double firstMomentBound(const AdamWElement &E, const AdamWSettings &S) {
  return 1.01 * UnitRoundoff * 6 *
         (std::abs(S.Beta1 * E.Moment1) + std::abs((1 - S.Beta1) * E.Gradient));
}
inline double secondMomentBound(const AdamWElement &E, const AdamWSettings &S) {
  double Second = S.Beta2 * E.Moment2 + (1 - S.Beta2) * E.Gradient * E.Gradient;
  return 1.01 * UnitRoundoff * 11 * Second + 0x1p-126;
}

/// The first step's direction, D(g) = g / (|g| + eps).
inline double firstDirection(double Gradient, double Eps) {
  return Gradient / (std::abs(Gradient) + Eps);
}

/// How far the first update may be from that on `Gradient` (clipped) when the
/// gradient used is within `Off` of it: lr times the largest |D(x) - D(g)| for
/// |x - g| <= off. D is odd, grows, and is concave for positive numbers, so
/// that the largest difference is at x = |g| - off: the gradient loses its
/// size, or even its sign. Where |g| is well above off and eps this is
/// eps off / |g|^2 and vanishes; where it is not, the step itself, 2 lr.
inline double gradientBound(double Gradient, double Off,
                            const AdamWSettings &S) {
  double Size = std::abs(Gradient);
  return S.Rate *
         (firstDirection(Size, S.Eps) - firstDirection(Size - Off, S.Eps));
}

/// The first update against a reference whose settings are exact and whose
/// gradient, clipped by its own norm, is `E.Gradient`: `Off` is how far the
/// gradient used is from it. Beyond the two bounds above float32 rounds
///
///   1 - beta1, 1 - beta2    beta is off by u/2, that is 5 u and 10 u of these;
///                           D sees 5 u + 10 u / 2
///   c1, c2                  1 u, 1 u / 2
///   lr, wd                  1 u, 1 u
///   the reference, stored   1 u of |p'|
inline double firstStepBound(const AdamWElement &E, double Off,
                             const AdamWSettings &S) {
  double Settings = UnitRoundoff * S.Rate *
                    (12.5 * std::abs(firstDirection(E.Gradient, S.Eps)) +
                     2 * S.WeightDecay * std::abs(E.Old));
  AdamWElement Farthest = E;
  Farthest.Gradient = std::abs(E.Gradient) + Off;
  return gradientBound(E.Gradient, Off, S) + 1.01 * Settings +
         roundingBound(Farthest, S) + UnitRoundoff * std::abs(E.New);
}

/// Expects a parameter after the first AdamW step to be the golden's, each
/// element as near as its float32 gradient and the rounding of the update
/// allow. `Norm` is that of all gradients. The caller bounds the gradient.
template <typename Number>
void expectFirstStep(const GoldenModel &Golden, const std::string &Name,
                     const std::vector<Number> &Updated,
                     const std::vector<Number> &Gradient, double Norm) {
  const txs::Tensor &Old = Golden.Weights.at(Name);
  const txs::Tensor &New = Golden.expected("adamw1." + Name);
  const txs::Tensor &Exact = Golden.expected("grad." + Name);
  ASSERT_EQ(int64_t(Updated.size()), New.size());
  ASSERT_EQ(int64_t(Gradient.size()), New.size());
  auto Clip = [](double Of) { return std::min(1.0, 1 / (Of + 1e-6)); };
  double Used = Clip(Norm), Wanted = Clip(Golden.expected("grad_norm")[0]);
  AdamWSettings Settings;
  Settings.WeightDecay = Old.rank() >= 2 ? 0.1 : 0;
  for (int64_t I = 0; I < New.size(); ++I) {
    AdamWElement E{Old[I], New[I], 0, 0, Wanted * Exact[I]};
    // The golden's gradient is stored in float32.
    double Off = std::abs(Used * Gradient[I] - E.Gradient) +
                 UnitRoundoff * std::abs(E.Gradient);
    ASSERT_LE(std::abs(Updated[I] - New[I]), firstStepBound(E, Off, Settings))
        << Name << ", element " << I << ": expected " << New[I] << ", got "
        << Updated[I] << " from gradient " << Gradient[I] << " for "
        << Exact[I];
  }
}

} // namespace transxssm

#endif // TRANSXSSM_TEST_GOLDENS_ADAMWBOUND_H
