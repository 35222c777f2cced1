//===- Package.h - A loaded and verified package -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// load() copies the FlatBuffer into these plain structures and checks all of
// it, so that whoever holds a Package may trust every index and every count.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_PACKAGE_H
#define TRANSXSSM_RUNTIME_PACKAGE_H

#include "runtime/Expression.h"
#include "runtime/model/ModelConfig.h"
#include "runtime/support/DType.h"
#include "runtime/support/Error.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace transxssm {

/// Where the bytes of a buffer come from, numbered as in package.fbs.
enum class BufferKind : uint8_t {
  Input,
  Output,
  Parameter,
  Gradient,
  Moment1,
  Moment2,
  State,
  Temporary,
  Master
};

struct PackageBuffer {
  std::string Name;
  BufferKind Kind = BufferKind::Temporary;
  DType Type = DType::F32;
  std::vector<Expression> Shape;
  uint32_t Index = 0; ///< of the parameter or state
  uint32_t FirstUse = 0;
  uint32_t LastUse = 0;
};

/// What an operand of a launch holds after it.
struct PackageHeldValue {
  uint32_t Operand = 0;
  std::string Name;
};

struct PackageLaunch {
  uint32_t Kernel = 0;
  std::vector<Expression> Grid; ///< one to three extents
  std::vector<uint32_t> Operands;
  std::vector<Expression> Sizes;
  std::vector<Expression> Guards;
  std::vector<PackageHeldValue> Holds; ///< empty without --debug-names
  std::vector<Expression> Flops; ///< of products; none where it is not known
};

struct PackageEntry {
  std::string Name;
  std::vector<PackageBuffer> Buffers;
  std::vector<PackageLaunch> Launches;

  /// The buffer of that kind and name, or null.
  const PackageBuffer *find(BufferKind Kind, const std::string &Name) const;
};

struct PackageParameter {
  std::string Name;
  DType Type = DType::F32;
  std::vector<int64_t> Shape;
  Initializer Init = Initializer::Normal;
  int64_t NumElements = 0;
};

struct PackageState {
  std::string Name;
  DType Type = DType::F32;
  std::vector<Expression> Shape;
};

struct PackageKernel {
  std::string Name;
  uint32_t MemrefCount = 0;
  uint32_t SizeCount = 0;
};

/// See TensorMap.h.
struct PackageTensorMap {
  uint32_t Operand = 0;
  std::vector<int64_t> Shape; ///< outermost first; -1: a size of the launch
  uint32_t FirstSize = 0;     ///< number of the first of these sizes
  std::vector<uint32_t> Box;  ///< outermost first
};

struct PackageKernelCode {
  std::string Symbol;
  uint64_t ScratchBytes = 0;
  uint32_t Threads = 0;     ///< of a block; 0 on a processor
  uint64_t SharedBytes = 0; ///< dynamic shared memory of a block
  std::vector<PackageTensorMap> TensorMaps;
  uint32_t ResidentBlocks = 0; ///< 0: a block for each cell
};

struct PackageCode {
  std::string Target;
  std::vector<std::string> Features;
  std::vector<PackageKernelCode> Kernels; ///< as Package::kernels
  std::vector<uint8_t> Object;
};

/// A verified package. Cheap to copy: copies share their content.
class Package {
public:
  /// Reads and verifies a file.
  static Result<Package> load(const std::string &Path);

  /// Verifies a whole file held in memory. `SourceName` starts every error.
  static Result<Package> fromBytes(const uint8_t *File, size_t Bytes,
                                   const std::string &SourceName);

  const std::string &sourceName() const { return Held->SourceName; }
  const std::string &producer() const { return Held->Producer; }
  /// The text of config.json as the compiler got it.
  const std::string &configText() const { return Held->ConfigText; }
  const ModelConfig &config() const { return Held->Config; }
  int64_t maxBatch() const { return Held->MaxBatch; }
  int64_t maxSeqLen() const { return Held->MaxSeqLen; }
  const std::vector<PackageParameter> &parameters() const {
    return Held->Parameters;
  }
  const std::vector<PackageState> &states() const { return Held->States; }
  const std::vector<PackageKernel> &kernels() const { return Held->Kernels; }
  const std::vector<PackageCode> &code() const { return Held->Code; }
  const std::vector<PackageEntry> &entries() const { return Held->Entries; }

  /// The entry of that name, or null.
  const PackageEntry *findEntry(const std::string &Name) const;

  /// What a parsed package holds.
  struct Content {
    std::string SourceName, Producer, ConfigText;
    ModelConfig Config;
    int64_t MaxBatch = 0, MaxSeqLen = 0;
    std::vector<PackageParameter> Parameters;
    std::vector<PackageState> States;
    std::vector<PackageKernel> Kernels;
    std::vector<PackageCode> Code;
    std::vector<PackageEntry> Entries;
  };

private:
  Package() = default;
  static Result<Package> verify(const uint8_t *File, size_t Bytes,
                                const std::string &SourceName);

  std::shared_ptr<const Content> Held;
};

/// Bytes of a dense tensor for these sizes; an error where an extent is
/// negative or the product too large for any machine.
Result<uint64_t> byteSize(DType Type, const std::vector<Expression> &Shape,
                          const Symbols &Sizes);

/// How many bytes one call of an entry needs, by origin.
struct EntryMemory {
  uint64_t Inputs = 0;
  uint64_t Outputs = 0;
  uint64_t Temporaries = 0;      ///< peak of the arena
  uint64_t TemporariesTotal = 0; ///< without sharing memory over time
  uint64_t States = 0;
};

/// Memory of one call of `Entry` with these sizes.
Result<EntryMemory> entryMemory(const Package &From, const PackageEntry &Entry,
                                const Symbols &Sizes);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_PACKAGE_H
