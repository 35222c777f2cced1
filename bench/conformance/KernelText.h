//===- KernelText.h - Kernels written as LLVM IR --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// One straight kernel, instruction by instruction:
//
//   KernelText K("double", 32);
//   Value X = K.pointer("x"), Y = K.pointer("y"), Thread = K.thread();
//   Value Word = K.load("i32", K.at(X, "i32", Thread), 4);
//   K.store(K.binary("add", Word, Word), K.at(Y, "i32", Thread), 4);
//   … K.str()
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_BENCH_CONFORMANCE_KERNELTEXT_H
#define TRANSXSSM_BENCH_CONFORMANCE_KERNELTEXT_H

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace transxssm::conformance {

struct Value {
  std::string Type, Name; ///< "i32", "%v7" or a constant

  std::string str() const { return Type + " " + Name; }
};

inline Value word(int64_t Number) { return {"i32", std::to_string(Number)}; }
inline Value quad(int64_t Number) { return {"i64", std::to_string(Number)}; }

class KernelText {
public:
  KernelText(std::string Symbol, uint32_t Threads)
      : Symbol(std::move(Symbol)), Threads(Threads) {}

  // Parameters, in the order of the calls.
  Value pointer(const std::string &Name);
  Value tensorMap(const std::string &Name);

  Value thread();
  /// That many bytes behind the start of dynamic shared memory.
  Value shared(int64_t Offset = 0);

  Value make(const std::string &Type, const std::string &Text);
  void emit(const std::string &Text) { Body += "  " + Text + "\n"; }
  Value binary(const std::string &Op, const Value &A, const Value &B);
  Value compare(const std::string &Predicate, const Value &A, const Value &B);
  Value convert(const std::string &Op, const Value &From,
                const std::string &Type);
  Value at(const Value &Pointer, const std::string &Element,
           const Value &Index);
  Value load(const std::string &Type, const Value &Pointer, uint32_t Align);
  void store(const Value &Held, const Value &Pointer, uint32_t Align);
  /// A member of a structure; of anything else, it as a whole.
  Value field(const Value &Whole, size_t Number, const std::string &Type);
  /// An intrinsic, declared on the way; Type "void" gives no value.
  Value call(const std::string &Type, const std::string &Name,
             const std::vector<Value> &Operands);
  /// Inline PTX with side effects.
  Value assembly(const std::string &Type, const std::string &Text,
                 const std::string &Constraints,
                 const std::vector<Value> &Operands);

  /// What comes up to end() happens where the condition holds.
  void when(const Value &Condition);
  void end();

  /// A barrier of the block, of the warp.
  void meet();
  void meetWarp();

  // Words that lie at [number, thread], for all threads.
  std::vector<Value> loadWords(const Value &From, size_t Count,
                               const std::string &Type = "i32");
  void storeWords(const std::vector<Value> &Words, const Value &To);
  /// All threads copy bytes, a multiple of 16 of them, between global and
  /// shared memory.
  void copyIn(const Value &From, int64_t Offset, int64_t Bytes);
  void copyOut(const Value &To, int64_t Offset, int64_t Bytes);

  std::string str() const;

private:
  void copy(const Value &From, const Value &To, int64_t Bytes);

  std::string Symbol, Parameters, Body;
  uint32_t Threads;
  std::set<std::string> Declarations;
  size_t Values = 0, Labels = 0;
  std::vector<std::string> Open;
  Value Thread;
};

/// "{ i32, i32 }".
std::string structureOf(const std::string &Type, size_t Count);

} // namespace transxssm::conformance

#endif // TRANSXSSM_BENCH_CONFORMANCE_KERNELTEXT_H
