//===- File.h - Reading, mapping and replacing files ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_FILE_H
#define TRANSXSSM_RUNTIME_SUPPORT_FILE_H

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace transxssm {

/// The whole content of a file.
Result<std::string> readFile(const std::string &Path);

bool isDirectory(const std::string &Path);
bool isFile(const std::string &Path);

/// Creates a directory and its parents.
Status makeDirectories(const std::string &Path);

/// A file mapped for reading.
class MappedFile {
public:
  static Result<std::shared_ptr<MappedFile>> open(const std::string &Path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const uint8_t *data() const { return Data; }
  size_t size() const { return Bytes; }

private:
  MappedFile() = default;
  const uint8_t *Data = nullptr;
  size_t Bytes = 0;
};

/// One piece of a file to be written.
struct FilePiece {
  const void *Data;
  size_t Bytes;
};

/// Whether a file can be made or replaced at `Path`, as far as can be told
/// before the work that makes its content. Devices are not replaced.
Status checkOutputPath(const std::string &Path);

/// Replaces `Path` in one step: writes a temporary file beside it, syncs it
/// and renames it. Whoever opens the path sees the old or the new content.
Status writeFileAtomically(const std::string &Path,
                           const std::vector<FilePiece> &Pieces);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_FILE_H
