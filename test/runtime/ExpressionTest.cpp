//===- ExpressionTest.cpp - Tests of size expressions ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Expression.h"

#include <gtest/gtest.h>

#include <cstdint>

using namespace transxssm;
using Opcode = Expression::Opcode;

namespace {

Expression make(std::vector<Expression::Instruction> Code) {
  Result<Expression> Made = Expression::create(std::move(Code));
  EXPECT_TRUE(bool(Made)) << Made.message();
  return Made ? *Made : Expression();
}

std::string failure(std::vector<Expression::Instruction> Code) {
  Result<Expression> Made = Expression::create(std::move(Code));
  return Made ? "" : Made.message();
}

TEST(Expression, EvaluatesEveryOperation) {
  Symbols Sizes{3, 100, 7, 50};
  struct {
    Opcode Code;
    int64_t Left, Right, Expected;
  } Cases[] = {{Opcode::Add, 5, -7, -2},    {Opcode::Mul, 5, -7, -35},
               {Opcode::FloorDiv, 7, 2, 3}, {Opcode::FloorDiv, -7, 2, -4},
               {Opcode::CeilDiv, 7, 2, 4},  {Opcode::CeilDiv, -7, 2, -3},
               {Opcode::CeilDiv, 8, 2, 4},  {Opcode::Mod, 7, 4, 3},
               {Opcode::Mod, -7, 4, 1}};
  for (const auto &Case : Cases) {
    Expression Made = make({{Opcode::Constant, Case.Left},
                            {Opcode::Constant, Case.Right},
                            {Case.Code, 0}});
    int64_t Value = 0;
    EXPECT_TRUE(Made.isConstant());
    ASSERT_TRUE(Made.evaluate(Sizes, Value));
    EXPECT_EQ(Value, Case.Expected) << int(Case.Code);
  }
}

TEST(Expression, ReadsSymbols) {
  // ceildiv(past + seq, 64) * batch
  Expression Made = make({{Opcode::Symbol, 2},
                          {Opcode::Symbol, 1},
                          {Opcode::Add, 0},
                          {Opcode::Constant, 64},
                          {Opcode::CeilDiv, 0},
                          {Opcode::Symbol, 0},
                          {Opcode::Mul, 0}});
  int64_t Value = 0;
  ASSERT_TRUE(Made.evaluate({3, 100, 29, 0}, Value));
  EXPECT_EQ(Value, 9);
  EXPECT_TRUE(Made.usesPast());
  EXPECT_EQ(Made.str(), "ceildiv((past + seq), 64) * batch");
  ASSERT_TRUE(make({{Opcode::Symbol, 3}}).evaluate({0, 0, 0, 50}, Value));
  EXPECT_EQ(Value, 50);
}

TEST(Expression, RefusesMalformedCode) {
  EXPECT_EQ(failure({}), "expected 1 to 256 instructions in an expression, got "
                         "0");
  EXPECT_EQ(failure({{Opcode::Add, 0}}),
            "an operation of an expression lacks an operand");
  EXPECT_EQ(failure({{Opcode::Constant, 1}, {Opcode::Constant, 1}}),
            "expected one value from an expression, got 2");
  EXPECT_EQ(failure({{Opcode::Symbol, 4}}), "expected a symbol 0 to 3, got 4");
  EXPECT_EQ(failure({{Opcode(9), 4}}), "expected an opcode 0 to 6, got 9");
  EXPECT_NE(
      failure(std::vector<Expression::Instruction>(33, {Opcode::Constant, 1})),
      "");
  EXPECT_NE(failure({{Opcode::Constant, INT64_MAX},
                     {Opcode::Constant, 2},
                     {Opcode::Mul, 0}}),
            "");
}

TEST(Expression, ReportsOverflowAndBadDivisors) {
  int64_t Value = 0;
  Expression Product =
      make({{Opcode::Symbol, 0}, {Opcode::Symbol, 1}, {Opcode::Mul, 0}});
  EXPECT_FALSE(Product.evaluate({INT64_MAX, 2, 0, 0}, Value));
  for (Opcode Code : {Opcode::FloorDiv, Opcode::CeilDiv, Opcode::Mod}) {
    Expression Quotient =
        make({{Opcode::Symbol, 0}, {Opcode::Symbol, 1}, {Code, 0}});
    EXPECT_FALSE(Quotient.evaluate({5, 0, 0, 0}, Value));
    EXPECT_FALSE(Quotient.evaluate({INT64_MIN, -1, 0, 0}, Value));
    EXPECT_TRUE(Quotient.evaluate({INT64_MIN, 1, 0, 0}, Value));
  }
}

} // namespace
