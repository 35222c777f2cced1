//===- SafeTensors.h - Reading and writing safetensors files -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SAFETENSORS_H
#define TRANSXSSM_RUNTIME_SAFETENSORS_H

#include "runtime/support/DType.h"
#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace transxssm {

class MappedFile;

/// A tensor in a mapped file. `Data` may be unaligned.
struct SafeTensor {
  std::string Name;
  DType Type = DType::F32;
  std::vector<int64_t> Shape;
  const uint8_t *Data = nullptr;
  uint64_t Bytes = 0;
  std::string File; ///< where it was found, for messages

  int64_t numElements() const { return int64_t(Bytes / sizeOf(Type)); }
};

/// Tensors of one file, or of all shards of an index. The files stay mapped as
/// long as this lives.
class SafeTensors {
public:
  /// Opens a `.safetensors` file, a `.safetensors.index.json`, or a directory
  /// that holds `model.safetensors` or `model.safetensors.index.json`.
  static Result<SafeTensors> open(const std::string &Path);

  /// The tensor of that name, or null.
  const SafeTensor *find(const std::string &Name) const;
  const std::map<std::string, SafeTensor> &tensors() const { return Tensors; }
  const std::map<std::string, std::string> &metadata() const {
    return Metadata;
  }
  const std::string &sourceName() const { return SourceName; }

private:
  Status addFile(const std::string &Path);
  Status addShards(const std::string &IndexPath);

  std::string SourceName;
  std::vector<std::shared_ptr<MappedFile>> Files;
  std::map<std::string, SafeTensor> Tensors;
  std::map<std::string, std::string> Metadata;
};

/// Converts elements between floating-point types (f32, bf16, f16, f64);
/// rounds to nearest even. Either side may be unaligned.
Status convertElements(DType From, const void *Source, DType To, void *Target,
                       int64_t Count);

/// The elements in their order, whatever their type; integers of more than 53
/// bits are rounded.
std::vector<double> float64Values(const SafeTensor &From);

/// A tensor to be written.
struct TensorToWrite {
  std::string Name;
  DType Type = DType::F32;
  std::vector<int64_t> Shape;
  const void *Data = nullptr;
};

/// Writes a file in one step (temporary file, fsync, rename). Tensors keep
/// their order and lie without gaps, as the format demands.
Status writeSafeTensors(const std::string &Path,
                        const std::vector<TensorToWrite> &Tensors,
                        const std::map<std::string, std::string> &Metadata);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SAFETENSORS_H
