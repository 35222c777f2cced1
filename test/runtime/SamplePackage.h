//===- SamplePackage.h - A package that tests build by hand ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_RUNTIME_SAMPLEPACKAGE_H
#define TRANSXSSM_TEST_RUNTIME_SAMPLEPACKAGE_H

#include "package_generated.h"

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm::test {

/// Sizes of the sample model.
inline constexpr int64_t SampleVocab = 11;
inline constexpr int64_t SampleWidth = 8; // D, one head
inline constexpr int64_t SampleMaxBatch = 4;
inline constexpr int64_t SampleMaxSeq = 16;

/// The kernels of SampleKernels.c as an object, or empty without a C compiler.
const std::vector<uint8_t> &sampleObject();
/// An object with an undefined symbol that the loader must refuse.
const std::vector<uint8_t> &unknownSymbolObject();

/// The sample package with the entries forward, decode, gradients, train and
/// maybe prefill. Without an object its code is one byte, which suffices for
/// loader tests.
package::PackageT samplePackage(bool Prefill = false);

/// Payload and frame.
std::vector<uint8_t> serialize(const package::PackageT &From);

/// A fresh folder that goes away with this object.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  std::string path(const std::string &Name) const { return Root + "/" + Name; }
  const std::string &root() const { return Root; }

private:
  std::string Root;
};

} // namespace transxssm::test

/// Leaves a test that needs generated code, saying why.
#define SKIP_WITHOUT_OBJECT()                                                  \
  if (::transxssm::test::sampleObject().empty())                               \
  GTEST_SKIP() << "no sample object: this build has no C compiler for it"

#endif // TRANSXSSM_TEST_RUNTIME_SAMPLEPACKAGE_H
