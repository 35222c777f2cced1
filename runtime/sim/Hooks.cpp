//===- Hooks.cpp - What simulated kernels call ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/Traffic.h"

#include <cmath>
#include <cstring>

using namespace transxssm;
using namespace transxssm::sim;

namespace {

/// Clang's check of function types reads the bytes before a function, which
/// generated code does not have.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
const TransXSSMSimModule *callEntry(TransXSSMSimEntry Entry) {
  return Entry();
}

} // namespace

const TransXSSMSimModule *sim::enterModule(uint64_t Address) {
  return callEntry(reinterpret_cast<TransXSSMSimEntry>(Address));
}

const HostSymbols &sim::hookSymbols() {
  static const HostSymbols Symbols = [] {
    HostSymbols Made;
    Made["sim_access"] = reinterpret_cast<const void *>(&sim_access);
#define ADD(NAME) Made[#NAME] = reinterpret_cast<const void *>(&NAME);
    TRANSXSSM_SIM_HOOKS(ADD)
#undef ADD
    using Unary = float (*)(float);
    using Binary = float (*)(float, float);
    using Ternary = float (*)(float, float, float);
    auto AddUnary = [&](const char *Name, Unary F) {
      Made[Name] = reinterpret_cast<const void *>(F);
    };
    AddUnary("expf", &::expf);
    AddUnary("exp2f", &::exp2f);
    AddUnary("logf", &::logf);
    AddUnary("log2f", &::log2f);
    AddUnary("log1pf", &::log1pf);
    AddUnary("sinf", &::sinf);
    AddUnary("cosf", &::cosf);
    AddUnary("tanhf", &::tanhf);
    AddUnary("sqrtf", &::sqrtf);
    AddUnary("roundf", &::roundf);
    Binary Minimum = &::fminf, Maximum = &::fmaxf;
    Ternary Fused = &::fmaf;
    Made["fminf"] = reinterpret_cast<const void *>(Minimum);
    Made["fmaxf"] = reinterpret_cast<const void *>(Maximum);
    Made["fmaf"] = reinterpret_cast<const void *>(Fused);
    return Made;
  }();
  return Symbols;
}

/// The place of an access that is as it should be; null after a report.
static void *checkedPlace(Thread &Self, uint64_t Address, uint32_t What,
                          uint32_t Site) {
  Machine &Owner = *Self.Owner;
  uint32_t Bytes = What & 0xfff;
  uint32_t Kind = What & (3u << 12), Space = What & (7u << 16);
  uint64_t Alignment = uint64_t(1) << (What >> TRANSXSSM_SIM_LOG2_ALIGN_SHIFT);
  bool IsWrite = Kind != TRANSXSSM_SIM_LOAD;
  if (Address % Alignment) {
    Owner.report(&Self, ReportKind::Misaligned, Site,
                 "expected an address aligned to " + std::to_string(Alignment) +
                     " bytes, got one " + std::to_string(Address % Alignment) +
                     " behind");
    return nullptr;
  }
  SharedMemory &Shared = Owner.shared();
  bool InWindow = Space == TRANSXSSM_SIM_GENERIC && Shared.contains(Address);
  if (InWindow)
    Address -= Shared.window();
  if (InWindow || Space == TRANSXSSM_SIM_SHARED ||
      Space == TRANSXSSM_SIM_SHARED_CLUSTER) {
    if (Owner.options().CountTraffic)
      logAccess(Self, Address, Bytes, Alignment, true, IsWrite, Site);
    return Shared.access(Self, Address, Bytes,
                         IsWrite ? SharedAccess::Write : SharedAccess::Read,
                         Site);
  }
  if (Space == TRANSXSSM_SIM_GENERIC && Owner.onOwnStack(Self, Address))
    return reinterpret_cast<void *>(Address);
  const GlobalBuffer *Expected = Owner.operandBuffer(Owner.site(Site).Operand);
  if (!Owner.global().access(Owner, Self, Address, Bytes, IsWrite,
                             Kind == TRANSXSSM_SIM_ATOMIC, Site, Expected))
    return nullptr;
  if (Owner.options().CountTraffic)
    logAccess(Self, Address, Bytes, Alignment, false, IsWrite, Site);
  return reinterpret_cast<void *>(Address);
}

void *sim::sim_access(TransXSSMSimThread *self, uint64_t address, uint32_t what,
                      uint32_t site, uint32_t active) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  if (!active)
    return Owner.substitute();
  Owner.checkProgress(Self, site);
  void *Place = checkedPlace(Self, address, what, site);
  return Place ? Place : Owner.substitute();
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// 2^X as a device may compute it: off by up to 2^-22 of the result, by what
/// looks like chance but follows from the fraction of X alone, as in a table
/// with interpolation; powers of whole numbers are exact (PTX ISA, "ex2", says
/// so of zero, and exponents are added).
static float approximatePower(float X) {
  constexpr double MostError = 0x1p-22 - 0x1p-24; // then it is rounded
  float Fraction = X - std::floor(X);
  if (!(Fraction > 0) || !std::isfinite(X))
    return std::exp2(X);
  uint32_t Bits;
  std::memcpy(&Bits, &Fraction, sizeof(Bits));
  // The golden ratio as a fraction of 2^32 scatters what differs little.
  auto Chance = static_cast<int32_t>(Bits * 2654435769u);
  return static_cast<float>(std::exp2(double(X)) *
                            (1 + MostError * Chance * 0x1p-31));
}

void sim::sim_approx(TransXSSMSimThread *, const uint64_t *in, uint64_t *out,
                     uint32_t, uint32_t variant) {
  float Value = asFloat(in[0]);
  auto Flush = [&](float X) {
    return (variant & 8) && std::fpclassify(X) == FP_SUBNORMAL
               ? std::copysign(0.0f, X)
               : X;
  };
  Value = Flush(Value);
  switch (variant & 7) {
  case 0:
    Value = approximatePower(Value);
    break;
  case 1:
    Value = std::log2(Value);
    break;
  case 2:
    Value = 1.0f / Value;
    break;
  case 3:
    Value = float(1.0 / std::sqrt(double(Value)));
    break;
  case 4:
    Value = std::sqrt(Value);
    break;
  case 5:
    Value = std::sin(Value);
    break;
  case 6:
    Value = std::cos(Value);
    break;
  case 7:
    Value = std::tanh(Value);
    break;
  }
  out[0] = asSlot(Flush(Value));
}
