//===- ObjectLoader.h - Loading an x86-64 object into memory -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Packages carry relocatable ELF objects, so that they hold no dynamic-linker
// format and load without touching the disk. This loader accepts the small
// part of ELF that position-independent code from LLVM uses and names whatever
// else it meets. Every offset in the object is checked before it is used.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_CPU_OBJECTLOADER_H
#define TRANSXSSM_RUNTIME_CPU_OBJECTLOADER_H

#include "runtime/support/Error.h"
#include "transxssm/kernel_abi.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

namespace transxssm {

/// Names that an object may take from outside beside the loader's own, and
/// where they are.
using HostSymbols = std::unordered_map<std::string, const void *>;

/// An object mapped into executable memory; unmapped with its owner. Memory is
/// writable while relocations are applied and read-only or executable after.
class LoadedObject {
public:
  /// Maps and relocates the object. `SourceName` starts every error.
  static Result<std::unique_ptr<LoadedObject>>
  load(const uint8_t *Object, size_t Bytes, const std::string &SourceName,
       const HostSymbols &Extra = {});

  ~LoadedObject();
  LoadedObject(const LoadedObject &) = delete;
  LoadedObject &operator=(const LoadedObject &) = delete;

  /// The global function of that name, or null.
  TransXSSMCpuKernel findKernel(const std::string &Symbol) const;

  /// Its address, for functions of another type; 0 where there is none.
  uint64_t findFunction(const std::string &Symbol) const;

private:
  LoadedObject() = default;
  friend class ObjectLinker;

  uint8_t *Base = nullptr;
  size_t MappedBytes = 0;
  std::unordered_map<std::string, uint64_t> Functions;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_CPU_OBJECTLOADER_H
