//===- Case.h - One kernel with its inputs and answers --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// What a GPU must compute to be what the simulator takes it for: small kernels,
// each for one instruction or layout, with their inputs and what they leave
// behind. Inputs are small integers wherever sums are formed, so that every
// order of additions gives the same bits.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_CASE_H
#define TRANSXSSM_BENCH_CONFORMANCE_CASE_H

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace transxssm::conformance {

/// Memory as the tensor memory accelerator is told of it, dimensions innermost
/// first.
struct TensorShape {
  uint32_t ElementBytes = 2; ///< 2: bf16, 4: float32
  std::vector<uint64_t> Extent;
  std::vector<uint64_t> Stride; ///< bytes, of dimensions 1, 2, …
  std::vector<uint32_t> Box;
  uint32_t Swizzle = 0; ///< 0, 32, 64 or 128 bytes
};

struct Argument {
  enum class Role { Input, Output, Size };

  std::string Name;
  Role Kind = Role::Input;
  /// What an input holds, or what an output holds afterwards. Before, each of
  /// its bytes is Untouched.
  std::vector<uint8_t> Bytes;
  int64_t Value = 0; ///< of a size
  /// The kernel gets a tensor map of the memory in place of its address.
  std::optional<TensorShape> Map;
  /// Of an output of float32: the largest relative error; 0 for equal bits.
  double Bound = 0;
};

constexpr uint8_t Untouched = 0xcd;

struct Case {
  std::string Name;
  std::string Symbol;
  std::string Text; ///< LLVM IR
  /// Uses what sm_90a alone has.
  bool NeedsHopper = false;
  uint32_t Grid[3] = {1, 1, 1};
  uint32_t Threads = 32;
  uint64_t SharedBytes = 0; ///< dynamic
  std::vector<Argument> Arguments;
};

template <typename T> std::vector<uint8_t> bytesOf(const std::vector<T> &From) {
  std::vector<uint8_t> Made(From.size() * sizeof(T));
  std::memcpy(Made.data(), From.data(), Made.size());
  return Made;
}

template <typename T>
Argument input(std::string Name, const std::vector<T> &Values) {
  Argument Made;
  Made.Name = std::move(Name);
  Made.Bytes = bytesOf(Values);
  return Made;
}

template <typename T>
Argument output(std::string Name, const std::vector<T> &Values) {
  Argument Made = input(std::move(Name), Values);
  Made.Kind = Argument::Role::Output;
  return Made;
}

inline Argument size(std::string Name, int64_t Value) {
  Argument Made;
  Made.Name = std::move(Name);
  Made.Kind = Argument::Role::Size;
  Made.Value = Value;
  return Made;
}

/// What all arguments hold after a run; nothing for sizes.
using Contents = std::vector<std::vector<uint8_t>>;

/// How what a run left behind differs from the answers; empty where it does
/// not.
std::string difference(const Case &Of, const Contents &Actual);

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_CASE_H
