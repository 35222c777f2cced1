//===- PackageMemory.cpp - How much memory an entry needs ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/ArenaPlan.h"
#include "runtime/Package.h"

using namespace transxssm;

Result<uint64_t> transxssm::byteSize(DType Type,
                                     const std::vector<Expression> &Shape,
                                     const Symbols &Sizes) {
  // 2^46 bytes exceed any machine and keep sums of many buffers in 62 bits.
  constexpr int64_t MaxBytes = int64_t(1) << 46;
  int64_t Bytes = int64_t(sizeOf(Type));
  for (const Expression &Extent : Shape) {
    int64_t Value = 0;
    if (!Extent.evaluate(Sizes, Value) || Value < 0)
      return makeError("extent ", Extent.str(), " is negative or undefined");
    if (Value != 0 && Bytes > MaxBytes / Value)
      return makeError("more than ", MaxBytes, " bytes");
    Bytes *= Value;
  }
  return uint64_t(Bytes);
}

Result<EntryMemory> transxssm::entryMemory(const Package &From,
                                           const PackageEntry &Entry,
                                           const Symbols &Sizes) {
  EntryMemory Memory;
  std::vector<ArenaRequest> Temporaries;
  for (const PackageBuffer &Buffer : Entry.Buffers) {
    Result<uint64_t> Bytes = byteSize(Buffer.Type, Buffer.Shape, Sizes);
    if (!Bytes)
      return makeError(From.sourceName(), ": entry '", Entry.Name,
                       "', buffer '", Buffer.Name, "': ", Bytes.message());
    if (Buffer.Kind == BufferKind::Input)
      Memory.Inputs += *Bytes;
    if (Buffer.Kind == BufferKind::Output)
      Memory.Outputs += *Bytes;
    if (Buffer.Kind == BufferKind::Temporary) {
      Memory.TemporariesTotal += *Bytes;
      Temporaries.push_back({*Bytes, Buffer.FirstUse, Buffer.LastUse});
    }
  }
  for (const PackageState &State : From.states()) {
    Result<uint64_t> Bytes = byteSize(State.Type, State.Shape, Sizes);
    if (!Bytes)
      return makeError(From.sourceName(), ": state '", State.Name,
                       "': ", Bytes.message());
    Memory.States += *Bytes;
  }
  Memory.Temporaries = planArena(Temporaries).PeakBytes;
  return Memory;
}
