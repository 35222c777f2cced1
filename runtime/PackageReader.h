//===- PackageReader.h - From a FlatBuffer to a package ---------*- C++ -*-===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Turns the verified FlatBuffer into Package::Content. What the FlatBuffers
// verifier cannot know is checked here: each step fails with the path of the
// offending element.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_PACKAGEREADER_H
#define TRANSXSSM_RUNTIME_PACKAGEREADER_H

#include "runtime/Package.h"

#include "package_generated.h"

#include <cstring>
#include <set>

namespace transxssm {

// A damaged FlatBuffer may refer to one large vector many times; bounds keep
// what is copied out of it near the size of the file.
inline constexpr uint32_t MaxOperands = 4096;
inline constexpr size_t MaxRank = 16;
inline constexpr int64_t MaxElements = int64_t(1) << 48;

/// Element of a vector of scalars or structs. The FlatBuffers verifier leaves
/// their alignment unchecked, so that Get() could read a misaligned address.
template <typename T, typename Vector>
T elementOf(const Vector &Elements, size_t Index) {
  T Value;
  std::memcpy(static_cast<void *>(&Value), Elements.Data() + Index * sizeof(T),
              sizeof(T));
  return Value;
}

template <typename Vector> size_t sizeOrZero(const Vector *Elements) {
  return Elements ? Elements->size() : 0;
}

/// Reads one package, whose FlatBuffer has to live as long.
class PackageReader {
public:
  PackageReader(const package::Package &Root, std::string SourceName)
      : Root(Root) {
    Made.SourceName = std::move(SourceName);
  }

  Result<Package::Content> read();

private:
  template <typename... Parts> Error fail(const Parts &...Pieces) const {
    return makeError(Made.SourceName, ": ", Pieces...);
  }

  Status readName(const flatbuffers::String *Text, const std::string &Where,
                  std::string &Into) const;
  /// Reads the name of a table's element, which no other element may have, and
  /// adds it to Where: "state 1" becomes "state 1 'key_mask'".
  Status readNewName(const flatbuffers::String *Text,
                     std::set<std::string> &Known, std::string &Where,
                     std::string &Into) const;
  Status readType(package::DType Type, const std::string &Where,
                  DType &Into) const;
  using Expressions =
      flatbuffers::Vector<flatbuffers::Offset<package::Expression>>;
  Status readExpressions(const Expressions *Elements, size_t MaxCount,
                         const std::string &Where,
                         std::vector<Expression> &Into) const;

  Status readGeneral();
  Status readParameters();
  Status readStates();
  Status readKernels();
  Status readCode();
  Status readTensorMaps(const package::KernelCode &From,
                        const PackageKernel &Kernel, const std::string &Where,
                        PackageKernelCode &Into) const;
  Status readEntries();
  Status checkOutputs(const PackageEntry &Entry) const;
  Status readBuffer(const package::Buffer &From, const std::string &Where,
                    PackageEntry &Entry) const;
  Status checkBuffer(const PackageBuffer &Buffer,
                     const std::string &Where) const;
  Status checkInput(const PackageBuffer &Buffer,
                    const std::string &Where) const;
  Status checkParameterBuffer(const PackageBuffer &Buffer,
                              const std::string &Where) const;
  Status readLaunch(const package::Launch &From, const std::string &Where,
                    PackageEntry &Entry) const;

  const package::Package &Root;
  Package::Content Made;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_PACKAGEREADER_H
