//===- HalfFloats.h - Sixteen bits to float32 and back --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_HALFFLOATS_H
#define TRANSXSSM_RUNTIME_SUPPORT_HALFFLOATS_H

#include <cstdint>
#include <cstring>

namespace transxssm {

/// IEEE binary16; exact.
inline float halfToFloat(uint16_t Half) {
  uint32_t Sign = uint32_t(Half & 0x8000) << 16;
  uint32_t Exponent = (Half >> 10) & 31, Fraction = Half & 1023;
  uint32_t Bits;
  float Value;
  if (Exponent == 0) {
    Value = float(Fraction) * 0x1p-24f;
    std::memcpy(&Bits, &Value, 4);
    Bits |= Sign;
  } else {
    Bits = Sign | (Exponent == 31 ? 0x7f800000 : (Exponent + 112) << 23) |
           Fraction << 13;
  }
  std::memcpy(&Value, &Bits, 4);
  return Value;
}

/// Rounds to nearest even.
inline uint16_t floatToHalf(float Value) {
  uint32_t Bits;
  std::memcpy(&Bits, &Value, 4);
  uint16_t Sign = uint16_t(Bits >> 16 & 0x8000);
  Bits &= 0x7fffffff;
  if (Bits > 0x7f800000)
    return Sign | 0x7e00;
  if (Bits >= 0x477ff000) // 65520 and more round to infinity
    return Sign | 0x7c00;
  if (Bits < 0x38800000) { // below 2^-14: count units of 2^-24, nearest even
    float Magnitude;
    std::memcpy(&Magnitude, &Bits, 4);
    float Shifted = Magnitude + 0.5f; // its lowest bit is worth 2^-24
    uint32_t Rounded;
    std::memcpy(&Rounded, &Shifted, 4);
    return Sign | uint16_t(Rounded - 0x3f000000);
  }
  uint32_t Rounded = Bits + 0xfff + ((Bits >> 13) & 1);
  return Sign | uint16_t((Rounded - (uint32_t(112) << 23)) >> 13);
}

/// bfloat16; exact.
inline float bfloatToFloat(uint16_t Short) {
  uint32_t Bits = uint32_t(Short) << 16;
  float Value;
  std::memcpy(&Value, &Bits, 4);
  return Value;
}

/// Rounds to nearest even; a NaN stays one.
inline uint16_t floatToBFloat(float Value) {
  uint32_t Bits;
  std::memcpy(&Bits, &Value, 4);
  if ((Bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(Bits >> 16) | 0x40;
  return uint16_t((Bits + 0x7fff + ((Bits >> 16) & 1)) >> 16);
}

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_HALFFLOATS_H
