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

/// float32 and its bits.
inline float floatOfBits(uint32_t Bits) {
  float Value;
  std::memcpy(&Value, &Bits, 4);
  return Value;
}
inline uint32_t bitsOfFloat(float Value) {
  uint32_t Bits;
  std::memcpy(&Bits, &Value, 4);
  return Bits;
}

/// IEEE binary16; exact.
inline float halfToFloat(uint16_t Half) {
  uint32_t Sign = uint32_t(Half & 0x8000) << 16;
  uint32_t Exponent = (Half >> 10) & 31, Fraction = Half & 1023;
  if (Exponent == 0)
    return floatOfBits(bitsOfFloat(float(Fraction) * 0x1p-24f) | Sign);
  return floatOfBits(Sign |
                     (Exponent == 31 ? 0x7f800000 : (Exponent + 112) << 23) |
                     Fraction << 13);
}

/// Rounds to nearest even.
inline uint16_t floatToHalf(float Value) {
  uint32_t Bits = bitsOfFloat(Value);
  uint16_t Sign = uint16_t(Bits >> 16 & 0x8000);
  Bits &= 0x7fffffff;
  if (Bits > 0x7f800000)
    return Sign | 0x7e00;
  if (Bits >= 0x477ff000) // 65520 and more round to infinity
    return Sign | 0x7c00;
  if (Bits < 0x38800000) { // below 2^-14: count units of 2^-24, nearest even
    // The lowest bit of 0.5 and a little is worth 2^-24.
    uint32_t Rounded = bitsOfFloat(floatOfBits(Bits) + 0.5f);
    return Sign | uint16_t(Rounded - 0x3f000000);
  }
  uint32_t Rounded = Bits + 0xfff + ((Bits >> 13) & 1);
  return Sign | uint16_t((Rounded - (uint32_t(112) << 23)) >> 13);
}

/// bfloat16; exact.
inline float bfloatToFloat(uint16_t Short) {
  return floatOfBits(uint32_t(Short) << 16);
}

/// Rounds to nearest even; a NaN stays one.
inline uint16_t floatToBFloat(float Value) {
  uint32_t Bits = bitsOfFloat(Value);
  if ((Bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(Bits >> 16) | 0x40;
  return uint16_t((Bits + 0x7fff + ((Bits >> 16) & 1)) >> 16);
}

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_HALFFLOATS_H
