//===- PackageFile.h - The frame around a package's payload --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_PACKAGEFILE_H
#define TRANSXSSM_RUNTIME_PACKAGEFILE_H

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace transxssm {

inline constexpr char PackageMagic[9] = "TXSSMPKG";
inline constexpr size_t PackageHeaderBytes = 32;

/// Header (magic, version, size, XXH3-64) and payload, as they lie on disk.
/// The payload is a finished FlatBuffer of package.fbs with its identifier.
std::vector<uint8_t> framePackage(const uint8_t *Payload, size_t Bytes);

/// Frames the payload and writes it to `Path` in one step: a reader sees the
/// old file or the whole new one.
Status writePackage(const std::string &Path, const uint8_t *Payload,
                    size_t Bytes);

/// Checks magic, version, size and checksum of a whole file held in memory.
/// `SourceName` starts every error.
Status checkPackageFrame(const uint8_t *File, size_t Bytes,
                         const std::string &SourceName);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_PACKAGEFILE_H
