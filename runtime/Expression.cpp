//===- Expression.cpp - Integer expressions over the sizes of a call -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Expression.h"

using namespace transxssm;

namespace {

int64_t symbolValue(const Symbols &Sizes, int64_t Which) {
  switch (Which) {
  case 0:
    return Sizes.Batch;
  case 1:
    return Sizes.Seq;
  case 2:
    return Sizes.Past;
  default:
    return Sizes.Capacity;
  }
}

/// False on overflow and on a divisor below one, for which the remainder and
/// the rounding would need a convention that no plan needs.
bool apply(Expression::Opcode Code, int64_t A, int64_t B, int64_t &Value) {
  using Opcode = Expression::Opcode;
  if (Code == Opcode::Add)
    return !__builtin_add_overflow(A, B, &Value);
  if (Code == Opcode::Mul)
    return !__builtin_mul_overflow(A, B, &Value);
  if (B < 1)
    return false;
  int64_t Quotient = A / B, Remainder = A % B;
  if (Remainder < 0) {
    Remainder += B;
    --Quotient;
  }
  Value = Code == Opcode::Mod                          ? Remainder
          : Code == Opcode::FloorDiv || Remainder == 0 ? Quotient
                                                       : Quotient + 1;
  return true;
}

} // namespace

Result<Expression> Expression::create(std::vector<Instruction> Code) {
  if (Code.empty() || Code.size() > MaxInstructions)
    return makeError("expected 1 to ", MaxInstructions,
                     " instructions in an expression, got ", Code.size());
  Expression Made;
  size_t Depth = 0;
  for (const Instruction &Step : Code) {
    if (Step.Code == Opcode::Constant || Step.Code == Opcode::Symbol) {
      if (Step.Code == Opcode::Symbol) {
        if (Step.Value < 0 || Step.Value > 3)
          return makeError("expected a symbol 0 to 3, got ", Step.Value);
        Made.UsesSymbols = true;
        Made.UsesSeq |= Step.Value == 1;
        Made.UsesPast |= Step.Value == 2;
      }
      if (++Depth > MaxDepth)
        return makeError("expected at most ", MaxDepth,
                         " pending operands in an expression");
      continue;
    }
    if (Step.Code > Opcode::Mod)
      return makeError("expected an opcode 0 to 6, got ", int(Step.Code));
    if (Depth < 2)
      return makeError("an operation of an expression lacks an operand");
    --Depth;
  }
  if (Depth != 1)
    return makeError("expected one value from an expression, got ", Depth);

  Made.Code = std::move(Code);
  if (!Made.UsesSymbols) {
    int64_t Value;
    if (!Made.evaluate({}, Value))
      return makeError("constant expression overflows or divides by less than "
                       "one");
    Made.Code = {{Opcode::Constant, Value}};
  }
  return Made;
}

bool Expression::evaluate(const Symbols &Sizes, int64_t &Value) const {
  int64_t Stack[MaxDepth];
  size_t Depth = 0;
  for (const Instruction &Step : Code) {
    if (Step.Code == Opcode::Constant) {
      Stack[Depth++] = Step.Value;
    } else if (Step.Code == Opcode::Symbol) {
      Stack[Depth++] = symbolValue(Sizes, Step.Value);
    } else {
      --Depth;
      if (!apply(Step.Code, Stack[Depth - 1], Stack[Depth], Stack[Depth - 1]))
        return false;
    }
  }
  Value = Stack[0];
  return true;
}

std::string Expression::str() const {
  static const char *const Names[] = {"batch", "seq", "past", "capacity"};
  std::vector<std::string> Stack;
  for (const Instruction &Step : Code) {
    if (Step.Code == Opcode::Constant) {
      Stack.push_back(std::to_string(Step.Value));
      continue;
    }
    if (Step.Code == Opcode::Symbol) {
      Stack.push_back(Names[Step.Value]);
      continue;
    }
    std::string Right = std::move(Stack.back());
    Stack.pop_back();
    std::string Left = std::move(Stack.back());
    switch (Step.Code) {
    case Opcode::Add:
      Stack.back() = "(" + Left + " + " + Right + ")";
      break;
    case Opcode::Mul:
      Stack.back() = Left + " * " + Right;
      break;
    case Opcode::FloorDiv:
      Stack.back() = "floordiv(" + Left + ", " + Right + ")";
      break;
    case Opcode::CeilDiv:
      Stack.back() = "ceildiv(" + Left + ", " + Right + ")";
      break;
    default:
      Stack.back() = "mod(" + Left + ", " + Right + ")";
      break;
    }
  }
  return Stack.back();
}
