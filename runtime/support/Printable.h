//===- Printable.h - Text that a terminal can show ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Errors quote what they found: file names, keys, bytes of damaged files. The
// tools print them as one line whatever they hold.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_PRINTABLE_H
#define TRANSXSSM_RUNTIME_SUPPORT_PRINTABLE_H

#include <string>
#include <string_view>

namespace transxssm {

/// How many bytes the character at the start of `Text` (not empty) has if it is
/// well-formed UTF-8 and no control character, else 0.
inline size_t printableBytes(std::string_view Text) {
  auto Byte = [&](size_t I) { return static_cast<unsigned char>(Text[I]); };
  if (Byte(0) < 0x80)
    return Byte(0) >= 0x20 && Byte(0) != 0x7f;
  size_t Size = Byte(0) >= 0xf0 ? 4 : Byte(0) >= 0xe0 ? 3 : 2;
  if (Byte(0) < 0xc2 || Byte(0) > 0xf4 || Text.size() < Size)
    return 0;
  for (size_t I = 1; I < Size; ++I)
    if ((Byte(I) & 0xc0) != 0x80)
      return 0;
  // U+0080 to U+009F are control characters, too.
  return Byte(0) == 0xc2 && Byte(1) < 0xa0 ? 0 : Size;
}

/// The text with everything else written as \xNN.
inline std::string printable(std::string_view Text) {
  static const char Digits[] = "0123456789abcdef";
  std::string Made;
  while (!Text.empty()) {
    size_t Size = printableBytes(Text);
    if (Size > 0) {
      Made += Text.substr(0, Size);
    } else {
      auto Byte = static_cast<unsigned char>(Text[0]);
      Made += {'\\', 'x', Digits[Byte >> 4], Digits[Byte & 15]};
      Size = 1;
    }
    Text.remove_prefix(Size);
  }
  return Made;
}

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_PRINTABLE_H
