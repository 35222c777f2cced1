//===- Expression.h - Integer expressions over the sizes of a call -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_EXPRESSION_H
#define TRANSXSSM_RUNTIME_EXPRESSION_H

#include "runtime/support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace transxssm {

/// The run-time quantities that sizes and grids depend on.
struct Symbols {
  int64_t Batch = 0;
  int64_t Seq = 0;
  int64_t Past = 0;
  int64_t Capacity = 0;
};

/// An expression in postfix order, numbered as in package.fbs.
class Expression {
public:
  enum class Opcode : uint8_t {
    Constant,
    Symbol,
    Add,
    Mul,
    FloorDiv,
    CeilDiv,
    Mod
  };
  struct Instruction {
    Opcode Code;
    int64_t Value; ///< the constant, or 0..3 for batch, seq, past, capacity
  };

  /// Longest accepted expression and deepest accepted stack.
  static constexpr size_t MaxInstructions = 256;
  static constexpr size_t MaxDepth = 32;

  Expression() = default;

  /// Accepts well-formed postfix code; folds it where no symbol occurs.
  static Result<Expression> create(std::vector<Instruction> Code);

  /// The value for these sizes. False on overflow and on a divisor < 1.
  bool evaluate(const Symbols &Sizes, int64_t &Value) const;

  bool isConstant() const { return !UsesSymbols; }
  bool usesPast() const { return UsesPast; }
  bool usesSeq() const { return UsesSeq; }
  const std::vector<Instruction> &code() const { return Code; }

  /// In infix notation: "ceildiv(seq, 64) * 8".
  std::string str() const;

private:
  std::vector<Instruction> Code{{Opcode::Constant, 0}};
  bool UsesSymbols = false;
  bool UsesPast = false;
  bool UsesSeq = false;
};

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_EXPRESSION_H
