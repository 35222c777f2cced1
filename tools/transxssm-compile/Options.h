//===- Options.h - The command line of transxssm-compile ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TOOLS_COMPILE_OPTIONS_H
#define TRANSXSSM_TOOLS_COMPILE_OPTIONS_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace transxssm {

/// What the user asked for.
struct Options {
  std::string Config; ///< a file or a directory
  std::string Output; ///< empty: standard output
  std::string Target = "cpu";
  std::string GpuArch;
  std::string ProductTiles = "by-size";
  std::string DType = "f32";
  std::string Emit = "package";
  std::vector<std::string> Entries;
  int64_t MaxBatch = 8;
  int64_t MaxSeqLen = 0; ///< 0: max_position_embeddings
  std::optional<uint64_t> ActivationMemory;
  bool PrintMemory = false;
  bool PrintKernels = false;
  bool DebugNames = false;
  bool TimePasses = false;
  bool Quiet = false;
};

/// Fills `Into`; an exit code when there is nothing left to do (help was
/// printed, or an error).
std::optional<int> parseOptions(int Argc, char **Argv,
                                const std::string &Version, Options &Into);

/// Bytes from "512MiB", "1.5GiB", "64KiB" or "1048576"; nothing where the text
/// is no size.
std::optional<uint64_t> parseSize(const std::string &Text);

/// "12.3 MiB", "640 B".
std::string formatSize(uint64_t Bytes);

} // namespace transxssm

#endif // TRANSXSSM_TOOLS_COMPILE_OPTIONS_H
