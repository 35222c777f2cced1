//===- PackageFile.cpp - The frame around a package's payload ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/PackageFile.h"

#include "runtime/support/File.h"
#include "transxssm/kernel_abi.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

using namespace transxssm;

namespace {

void storeLittle(uint8_t *To, uint64_t Value, unsigned Bytes) {
  for (unsigned I = 0; I < Bytes; ++I)
    To[I] = uint8_t(Value >> (8 * I));
}

uint64_t loadLittle(const uint8_t *From, unsigned Bytes) {
  uint64_t Value = 0;
  for (unsigned I = 0; I < Bytes; ++I)
    Value |= uint64_t(From[I]) << (8 * I);
  return Value;
}

void fillHeader(uint8_t *Header, const uint8_t *Payload, size_t Bytes) {
  std::memcpy(Header, PackageMagic, 8);
  storeLittle(Header + 8, TRANSXSSM_PACKAGE_VERSION, 4);
  storeLittle(Header + 12, 0, 4);
  storeLittle(Header + 16, Bytes, 8);
  storeLittle(Header + 24, XXH3_64bits(Payload, Bytes), 8);
}

} // namespace

std::vector<uint8_t> transxssm::framePackage(const uint8_t *Payload,
                                             size_t Bytes) {
  std::vector<uint8_t> File(PackageHeaderBytes + Bytes);
  fillHeader(File.data(), Payload, Bytes);
  if (Bytes)
    std::memcpy(File.data() + PackageHeaderBytes, Payload, Bytes);
  return File;
}

Status transxssm::writePackage(const std::string &Path, const uint8_t *Payload,
                               size_t Bytes) {
  uint8_t Header[PackageHeaderBytes];
  fillHeader(Header, Payload, Bytes);
  return writeFileAtomically(Path,
                             {{Header, PackageHeaderBytes}, {Payload, Bytes}});
}

Status transxssm::checkPackageFrame(const uint8_t *File, size_t Bytes,
                                    const std::string &SourceName) {
  if (Bytes < PackageHeaderBytes)
    return makeError(SourceName, ": not a package: expected at least ",
                     PackageHeaderBytes, " bytes, got ", Bytes);
  if (std::memcmp(File, PackageMagic, 8) != 0)
    return makeError(SourceName, ": not a package: expected it to start with ",
                     PackageMagic);
  uint64_t Version = loadLittle(File + 8, 4);
  if (Version != TRANSXSSM_PACKAGE_VERSION)
    return makeError(SourceName, ": expected package version ",
                     TRANSXSSM_PACKAGE_VERSION, ", got ", Version,
                     "; compile the model again");
  if (loadLittle(File + 12, 4) != 0)
    return makeError(SourceName, ": expected zero in bytes 12 to 15, got ",
                     loadLittle(File + 12, 4));
  uint64_t Size = loadLittle(File + 16, 8);
  if (Size != Bytes - PackageHeaderBytes)
    return makeError(SourceName, ": expected a payload of ", Size,
                     " bytes, got ", Bytes - PackageHeaderBytes,
                     "; the file is truncated or damaged");
  uint64_t Expected = loadLittle(File + 24, 8);
  uint64_t Actual = XXH3_64bits(File + PackageHeaderBytes, Size);
  if (Expected != Actual)
    return makeError(SourceName, ": expected checksum ", std::hex, Expected,
                     ", got ", Actual, "; the file is damaged");
  return {};
}
