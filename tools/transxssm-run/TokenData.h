//===- TokenData.h - Token files, mapped and checked ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_RUN_TOKENDATA_H
#define TRANSXSSM_TOOLS_RUN_TOKENDATA_H

#include "Commands.h"
#include "runtime/support/File.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace transxssm::run {

/// The tokens of several files one after the other. Files stay mapped and are
/// widened on access, so a corpus may exceed the memory.
class TokenData {
public:
  /// Opens the files. Format "auto" takes `.npy` by its header, refuses `.bin`
  /// (its width is not written anywhere) and everything else as bytes. Tokens
  /// outside [0, VocabSize) are errors naming file, position and value.
  static Result<TokenData> open(const DataOptions &Options, const Package &For);

  int64_t size() const { return Total; }
  /// Whether one token is one byte of text.
  bool isBytes() const { return Bytes; }

  /// Copies tokens First .. First + Count - 1.
  void copy(int64_t First, int64_t Count, int32_t *Out) const;

  /// Differs when size or content at either end of a file differ.
  uint64_t fingerprint() const;

private:
  enum class Width : uint8_t { U8, U16, U32, I32, I64 };
  struct Segment {
    std::shared_ptr<MappedFile> File;
    std::string Path;
    const uint8_t *Data = nullptr;
    Width Stored = Width::U8;
    int64_t First = 0, Count = 0;
  };

  static int64_t read(const Segment &From, int64_t Index);
  static Status readNpyHeader(Segment &Into);
  static Status setRaw(Segment &Into, Width Stored);
  Status add(const std::string &Path, const std::string &Format,
             const Package &For);
  static Status checkRange(const Segment &Of, int64_t VocabSize);

  std::vector<Segment> Segments;
  int64_t Total = 0;
  bool Bytes = true;
};

/// A half-open range of tokens.
struct TokenRange {
  const TokenData *Tokens = nullptr;
  int64_t First = 0, Last = 0;
  int64_t size() const { return Last - First; }
};

} // namespace transxssm::run

#endif // TRANSXSSM_TOOLS_RUN_TOKENDATA_H
