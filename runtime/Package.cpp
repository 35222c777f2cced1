//===- Package.cpp - A loaded and verified package ------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Package.h"

#include "runtime/PackageFile.h"
#include "runtime/PackageReader.h"
#include "runtime/support/File.h"

#include <algorithm>
#include <new>

using namespace transxssm;

const PackageBuffer *PackageEntry::find(BufferKind Kind,
                                        const std::string &Name) const {
  for (const PackageBuffer &Buffer : Buffers)
    if (Buffer.Kind == Kind && Buffer.Name == Name)
      return &Buffer;
  return nullptr;
}

Result<Package> Package::load(const std::string &Path) {
  Result<std::shared_ptr<MappedFile>> File = MappedFile::open(Path);
  if (!File)
    return File.error();
  return fromBytes((*File)->data(), (*File)->size(), Path);
}

Result<Package> Package::fromBytes(const uint8_t *File, size_t Bytes,
                                   const std::string &SourceName) {
  try {
    return verify(File, Bytes, SourceName);
  } catch (const std::bad_alloc &) {
    return makeError(SourceName, ": out of memory while reading the package");
  }
}

Result<Package> Package::verify(const uint8_t *File, size_t Bytes,
                                const std::string &SourceName) {
  if (Status Framed = checkPackageFrame(File, Bytes, SourceName); !Framed)
    return Framed.error();
  size_t PayloadBytes = Bytes - PackageHeaderBytes;
  if (PayloadBytes >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return makeError(SourceName, ": expected a payload of less than ",
                     FLATBUFFERS_MAX_BUFFER_SIZE, " bytes, got ", PayloadBytes);
  // FlatBuffers reads scalars in place, so the payload must be aligned.
  const uint8_t *Payload = File + PackageHeaderBytes;
  std::vector<uint64_t> Aligned;
  if (reinterpret_cast<uintptr_t>(Payload) % alignof(uint64_t) != 0) {
    Aligned.resize(PayloadBytes / 8 + 1);
    std::copy_n(Payload, PayloadBytes,
                reinterpret_cast<uint8_t *>(Aligned.data()));
    Payload = reinterpret_cast<const uint8_t *>(Aligned.data());
  }
  // Every table is reached through an offset of four bytes, so an honest
  // package has no more tables than this, however many layers its model has.
  // One that shares its parts to appear larger than it is has more.
  flatbuffers::Verifier::Options Limits;
  Limits.max_tables =
      flatbuffers::uoffset_t(PayloadBytes / sizeof(flatbuffers::uoffset_t));
  flatbuffers::Verifier Verifier(Payload, PayloadBytes, Limits);
  if (!package::VerifyPackageBuffer(Verifier))
    return makeError(SourceName, ": malformed package (FlatBuffers "
                                 "verification failed)");
  Result<Content> Read =
      PackageReader(*package::GetPackage(Payload), SourceName).read();
  if (!Read)
    return Read.error();
  Package Loaded;
  Loaded.Held = std::make_shared<const Content>(std::move(*Read));
  return Loaded;
}

const PackageEntry *Package::findEntry(const std::string &Name) const {
  for (const PackageEntry &Entry : entries())
    if (Entry.Name == Name)
      return &Entry;
  return nullptr;
}
