//===- GradientTest.cpp - Gradient operations vs finite differences -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// A table of modules, each with an operation (@f) and the operations that are
// its gradient (@g). For outputs y of @f and random weights dy, every output
// "dx" of @g must be the derivative of sum(dy y) with respect to the input "x",
// which central differences give element by element. @g may also take the
// outputs of @f. Sequences are longer than a chunk and heads more than one.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/TxsDialect.h"
#include "dialect/txs/interpreter/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

struct GradientCase {
  std::string Name;
  /// Random inputs by name.
  std::map<std::string, std::vector<int64_t>> Shapes;
  /// Ids, labels, masks, seeds.
  TensorMap Fixed;
  std::string Text;
};

void PrintTo(const GradientCase &Case, std::ostream *Stream) {
  *Stream << Case.Name;
}

// clang-format off
const GradientCase Cases[] = {
{"embedding", {{"w", {5, 3}}}, {{"ids", Tensor({2, 3}, {0, 4, 1, 4, 4, 3})}}, R"(
func.func @f(%ids: tensor<?x?xi32> {txs.input = "ids"}, %w: tensor<5x3xf32> {txs.input = "w"})
    -> (tensor<?x?x3xf32> {txs.output = "y"}) {
  %y = txs.embedding %ids, %w : tensor<?x?xi32>, tensor<5x3xf32> -> tensor<?x?x3xf32>
  return %y : tensor<?x?x3xf32>
}
func.func @g(%ids: tensor<?x?xi32> {txs.input = "ids"}, %dy: tensor<?x?x3xf32> {txs.input = "dy"})
    -> (tensor<5x3xf32> {txs.output = "dw"}) {
  %dw = txs.embedding_grad %dy, %ids : tensor<?x?x3xf32>, tensor<?x?xi32> -> tensor<5x3xf32>
  return %dw : tensor<5x3xf32>
})"},
{"rms_norm", {{"x", {2, 3, 4}}, {"w", {4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<4xf32> {txs.input = "w"})
    -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.rms_norm %x, %w {eps = 0.01 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<4xf32> {txs.input = "w"},
             %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}, tensor<4xf32> {txs.output = "dw"}) {
  %dx, %dw = txs.rms_norm_grad %dy, %x, %w {eps = 0.01 : f64} : tensor<?x?x4xf32>, tensor<4xf32>
  return %dx, %dw : tensor<?x?x4xf32>, tensor<4xf32>
})"},
{"linear", {{"x", {2, 3, 4}}, {"w", {6, 4}}, {"b", {6}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<6x4xf32> {txs.input = "w"},
             %b: tensor<6xf32> {txs.input = "b"}) -> (tensor<?x?x2x3xf32> {txs.output = "y"}) {
  %y = txs.linear %x, %w bias %b : tensor<?x?x4xf32>, tensor<6x4xf32>, tensor<6xf32> -> tensor<?x?x2x3xf32>
  return %y : tensor<?x?x2x3xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<6x4xf32> {txs.input = "w"},
             %dy: tensor<?x?x2x3xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}, tensor<6x4xf32> {txs.output = "dw"},
        tensor<6xf32> {txs.output = "db"}) {
  %dx = txs.linear_grad_input %dy, %w : tensor<?x?x2x3xf32>, tensor<6x4xf32> -> tensor<?x?x4xf32>
  %dw = txs.linear_grad_weight %dy, %x : tensor<?x?x2x3xf32>, tensor<?x?x4xf32> -> tensor<6x4xf32>
  %db = txs.sum_tokens %dy : tensor<?x?x2x3xf32> -> tensor<6xf32>
  return %dx, %dw, %db : tensor<?x?x4xf32>, tensor<6x4xf32>, tensor<6xf32>
})"},
{"linear_of_heads", {{"x", {2, 3, 2, 2}}, {"w", {5, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x2x2xf32> {txs.input = "x"}, %w: tensor<5x4xf32> {txs.input = "w"})
    -> (tensor<?x?x5xf32> {txs.output = "y"}) {
  %y = txs.linear %x, %w : tensor<?x?x2x2xf32>, tensor<5x4xf32> -> tensor<?x?x5xf32>
  return %y : tensor<?x?x5xf32>
}
func.func @g(%x: tensor<?x?x2x2xf32> {txs.input = "x"}, %w: tensor<5x4xf32> {txs.input = "w"},
             %dy: tensor<?x?x5xf32> {txs.input = "dy"})
    -> (tensor<?x?x2x2xf32> {txs.output = "dx"}, tensor<5x4xf32> {txs.output = "dw"}) {
  %dx = txs.linear_grad_input %dy, %w : tensor<?x?x5xf32>, tensor<5x4xf32> -> tensor<?x?x2x2xf32>
  %dw = txs.linear_grad_weight %dy, %x : tensor<?x?x5xf32>, tensor<?x?x2x2xf32> -> tensor<5x4xf32>
  return %dx, %dw : tensor<?x?x2x2xf32>, tensor<5x4xf32>
})"},
{"silu", {{"x", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.activation silu %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.activation_grad silu %dy, %x : tensor<?x?x4xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"gelu", {{"x", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.activation gelu %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.activation_grad gelu %dy, %x : tensor<?x?x4xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"relu", {{"x", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.activation relu %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.activation_grad relu %dy, %x : tensor<?x?x4xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"softplus", {{"x", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.activation softplus %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.activation_grad softplus %dy, %x : tensor<?x?x4xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"mul", {{"x", {2, 3, 4}}, {"z", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %z: tensor<?x?x4xf32> {txs.input = "z"})
    -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.mul %x, %z : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %z: tensor<?x?x4xf32> {txs.input = "z"},
             %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}, tensor<?x?x4xf32> {txs.output = "dz"}) {
  %dx = txs.mul %dy, %z : tensor<?x?x4xf32>
  %dz = txs.mul %dy, %x : tensor<?x?x4xf32>
  return %dx, %dz : tensor<?x?x4xf32>, tensor<?x?x4xf32>
})"},
{"add_of_one_value", {{"x", {2, 3, 4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.add %x, %x : tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%dy: tensor<?x?x4xf32> {txs.input = "dy"}) -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %z = txs.zeros like %dy : tensor<?x?x4xf32>
  %s = txs.add %dy, %z : tensor<?x?x4xf32>
  %t = txs.recompute_barrier %s : tensor<?x?x4xf32>
  %dx = txs.add %t, %dy : tensor<?x?x4xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"scale", {{"x", {2, 3, 4}}, {"w", {4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<4xf32> {txs.input = "w"})
    -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.scale %x, %w : tensor<?x?x4xf32>, tensor<4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<4xf32> {txs.input = "w"},
             %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}, tensor<4xf32> {txs.output = "dw"}) {
  %dx = txs.scale %dy, %w : tensor<?x?x4xf32>, tensor<4xf32>
  %dw = txs.sum_tokens %dy times %x : tensor<?x?x4xf32>, tensor<?x?x4xf32> -> tensor<4xf32>
  return %dx, %dw : tensor<?x?x4xf32>, tensor<4xf32>
})"},
{"residual", {{"x", {2, 3, 4}}, {"u", {2, 3, 4}}, {"w", {4}}}, {}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %u: tensor<?x?x4xf32> {txs.input = "u"},
             %w: tensor<4xf32> {txs.input = "w"}) -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.residual %x, %u, %w : tensor<?x?x4xf32>, tensor<4xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%x: tensor<?x?x4xf32> {txs.input = "x"}, %w: tensor<4xf32> {txs.input = "w"},
             %dy: tensor<?x?x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}, tensor<?x?x4xf32> {txs.output = "du"},
        tensor<4xf32> {txs.output = "dw"}) {
  %dx = txs.scale %dy, %w : tensor<?x?x4xf32>, tensor<4xf32>
  %dw = txs.sum_tokens %dy times %x : tensor<?x?x4xf32>, tensor<?x?x4xf32> -> tensor<4xf32>
  return %dx, %dy, %dw : tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<4xf32>
})"},
{"mask", {{"x", {2, 3, 4}}}, {{"m", Tensor({2, 3}, {0, 1, 1, 1, 1, 0})}}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %m: tensor<?x?xf32> {txs.input = "m"})
    -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.mask %x, %m : tensor<?x?x4xf32>, tensor<?x?xf32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%dy: tensor<?x?x4xf32> {txs.input = "dy"}, %m: tensor<?x?xf32> {txs.input = "m"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.mask %dy, %m : tensor<?x?x4xf32>, tensor<?x?xf32>
  return %dx : tensor<?x?x4xf32>
})"},
{"dropout", {{"x", {2, 3, 4}}}, {{"seed", Tensor({2}, {17, -3})}}, R"(
func.func @f(%x: tensor<?x?x4xf32> {txs.input = "x"}, %s: tensor<2xi32> {txs.input = "seed"})
    -> (tensor<?x?x4xf32> {txs.output = "y"}) {
  %y = txs.dropout %x, %s {probability = 0.4 : f64, site = 3 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  return %y : tensor<?x?x4xf32>
}
func.func @g(%dy: tensor<?x?x4xf32> {txs.input = "dy"}, %s: tensor<2xi32> {txs.input = "seed"})
    -> (tensor<?x?x4xf32> {txs.output = "dx"}) {
  %dx = txs.dropout %dy, %s {probability = 0.4 : f64, site = 3 : i64} : tensor<?x?x4xf32>, tensor<2xi32>
  return %dx : tensor<?x?x4xf32>
})"},
{"rope", {{"x", {2, 3, 2, 4}}, {"c", {3, 2}}, {"s", {3, 2}}}, {}, R"(
func.func @f(%x: tensor<?x?x2x4xf32> {txs.input = "x"}, %c: tensor<?x2xf32> {txs.input = "c"},
             %s: tensor<?x2xf32> {txs.input = "s"}) -> (tensor<?x?x2x4xf32> {txs.output = "y"}) {
  %y = txs.rope %x, %c, %s : tensor<?x?x2x4xf32>, tensor<?x2xf32>
  return %y : tensor<?x?x2x4xf32>
}
func.func @g(%dy: tensor<?x?x2x4xf32> {txs.input = "dy"}, %c: tensor<?x2xf32> {txs.input = "c"},
             %s: tensor<?x2xf32> {txs.input = "s"}) -> (tensor<?x?x2x4xf32> {txs.output = "dx"}) {
  %dx = txs.rope %dy, %c, %s {inverse} : tensor<?x?x2x4xf32>, tensor<?x2xf32>
  return %dx : tensor<?x?x2x4xf32>
})"},
{"ssm_scan", {{"c", {2, 5, 2, 3}}, {"b", {2, 5, 2, 3}}, {"x", {2, 5, 2, 4}}, {"dt", {2, 5, 2}}, {"a", {2}}}, {}, R"(
func.func @f(%c: tensor<?x?x2x3xf32> {txs.input = "c"}, %b: tensor<?x?x2x3xf32> {txs.input = "b"},
             %x: tensor<?x?x2x4xf32> {txs.input = "x"}, %dt: tensor<?x?x2xf32> {txs.input = "dt"},
             %a: tensor<2xf32> {txs.input = "a"}) -> (tensor<?x?x2x4xf32> {txs.output = "y"}) {
  %y, %s = txs.ssm_scan %c, %b, %x, %dt, %a {chunk = 2 : i64}
    : (tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x3xf32>)
  return %y : tensor<?x?x2x4xf32>
}
func.func @g(%c: tensor<?x?x2x3xf32> {txs.input = "c"}, %b: tensor<?x?x2x3xf32> {txs.input = "b"},
             %x: tensor<?x?x2x4xf32> {txs.input = "x"}, %dt: tensor<?x?x2xf32> {txs.input = "dt"},
             %a: tensor<2xf32> {txs.input = "a"}, %dy: tensor<?x?x2x4xf32> {txs.input = "dy"})
    -> (tensor<?x?x2x3xf32> {txs.output = "dc"}, tensor<?x?x2x3xf32> {txs.output = "db"},
        tensor<?x?x2x4xf32> {txs.output = "dx"}, tensor<?x?x2xf32> {txs.output = "ddt"},
        tensor<2xf32> {txs.output = "da"}) {
  %dc, %db, %dx, %ddt, %da = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a {chunk = 2 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
    -> (tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>)
  return %dc, %db, %dx, %ddt, %da : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>
})"},
{"ssm_scan_from_state", {{"c", {2, 5, 2, 3}}, {"b", {2, 5, 2, 3}}, {"x", {2, 5, 2, 4}}, {"dt", {2, 5, 2}}, {"a", {2}}, {"initial", {2, 2, 4, 3}}}, {}, R"(
func.func @f(%c: tensor<?x?x2x3xf32> {txs.input = "c"}, %b: tensor<?x?x2x3xf32> {txs.input = "b"},
             %x: tensor<?x?x2x4xf32> {txs.input = "x"}, %dt: tensor<?x?x2xf32> {txs.input = "dt"},
             %a: tensor<2xf32> {txs.input = "a"}, %s: tensor<?x2x4x3xf32> {txs.input = "initial"})
    -> (tensor<?x?x2x4xf32> {txs.output = "y"}, tensor<?x2x4x3xf32> {txs.output = "final"}) {
  %y, %t = txs.ssm_scan %c, %b, %x, %dt, %a from %s {chunk = 2 : i64}
    : (tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>)
    -> (tensor<?x?x2x4xf32>, tensor<?x2x4x3xf32>)
  return %y, %t : tensor<?x?x2x4xf32>, tensor<?x2x4x3xf32>
}
func.func @g(%c: tensor<?x?x2x3xf32> {txs.input = "c"}, %b: tensor<?x?x2x3xf32> {txs.input = "b"},
             %x: tensor<?x?x2x4xf32> {txs.input = "x"}, %dt: tensor<?x?x2xf32> {txs.input = "dt"},
             %a: tensor<2xf32> {txs.input = "a"}, %s: tensor<?x2x4x3xf32> {txs.input = "initial"},
             %dy: tensor<?x?x2x4xf32> {txs.input = "dy"}, %dt1: tensor<?x2x4x3xf32> {txs.input = "dfinal"})
    -> (tensor<?x?x2x3xf32> {txs.output = "dc"}, tensor<?x?x2x3xf32> {txs.output = "db"},
        tensor<?x?x2x4xf32> {txs.output = "dx"}, tensor<?x?x2xf32> {txs.output = "ddt"},
        tensor<2xf32> {txs.output = "da"}, tensor<?x2x4x3xf32> {txs.output = "dinitial"}) {
  %dc, %db, %dx, %ddt, %da, %ds = txs.ssm_scan_grad %dy, %c, %b, %x, %dt, %a from %s dfinal %dt1 {chunk = 2 : i64}
    : (tensor<?x?x2x4xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>, tensor<?x2x4x3xf32>)
    -> (tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>)
  return %dc, %db, %dx, %ddt, %da, %ds : tensor<?x?x2x3xf32>, tensor<?x?x2x3xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2xf32>, tensor<2xf32>, tensor<?x2x4x3xf32>
})"},
{"attention", {{"q", {2, 5, 4, 2}}, {"k", {2, 5, 2, 2}}, {"v", {2, 5, 2, 2}}}, {}, R"(
func.func @f(%q: tensor<?x?x4x2xf32> {txs.input = "q"}, %k: tensor<?x?x2x2xf32> {txs.input = "k"},
             %v: tensor<?x?x2x2xf32> {txs.input = "v"})
    -> (tensor<?x?x4x2xf32> {txs.output = "y"}, tensor<?x?x4xf32> {txs.output = "saved.l"}) {
  %y, %l = txs.attention %q, %k, %v : (tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>)
    -> (tensor<?x?x4x2xf32>, tensor<?x?x4xf32>)
  return %y, %l : tensor<?x?x4x2xf32>, tensor<?x?x4xf32>
}
func.func @g(%q: tensor<?x?x4x2xf32> {txs.input = "q"}, %k: tensor<?x?x2x2xf32> {txs.input = "k"},
             %v: tensor<?x?x2x2xf32> {txs.input = "v"}, %y: tensor<?x?x4x2xf32> {txs.input = "y"},
             %l: tensor<?x?x4xf32> {txs.input = "saved.l"}, %dy: tensor<?x?x4x2xf32> {txs.input = "dy"})
    -> (tensor<?x?x4x2xf32> {txs.output = "dq"}, tensor<?x?x2x2xf32> {txs.output = "dk"}, tensor<?x?x2x2xf32> {txs.output = "dv"}) {
  %dq, %dk, %dv = txs.attention_grad %dy, %q, %k, %v, %y, %l
    : (tensor<?x?x4x2xf32>, tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x4x2xf32>, tensor<?x?x4xf32>)
    -> (tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>)
  return %dq, %dk, %dv : tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>
})"},
// One sequence padded on the left (rows that see nothing), one on the right.
{"attention_mask_dropout", {{"q", {2, 5, 4, 2}}, {"k", {2, 5, 2, 2}}, {"v", {2, 5, 2, 2}}},
 {{"m", Tensor({2, 5}, {0, 0, 1, 1, 1, 1, 1, 1, 0, 0})}, {"seed", Tensor({2}, {5, 9})}}, R"(
func.func @f(%q: tensor<?x?x4x2xf32> {txs.input = "q"}, %k: tensor<?x?x2x2xf32> {txs.input = "k"},
             %v: tensor<?x?x2x2xf32> {txs.input = "v"}, %m: tensor<?x?xf32> {txs.input = "m"},
             %s: tensor<2xi32> {txs.input = "seed"})
    -> (tensor<?x?x4x2xf32> {txs.output = "y"}, tensor<?x?x4xf32> {txs.output = "saved.l"}) {
  %y, %l = txs.attention %q, %k, %v mask %m seed %s {dropout = 0.3 : f64, site = 5 : i64}
    : (tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?xf32>, tensor<2xi32>)
    -> (tensor<?x?x4x2xf32>, tensor<?x?x4xf32>)
  return %y, %l : tensor<?x?x4x2xf32>, tensor<?x?x4xf32>
}
func.func @g(%q: tensor<?x?x4x2xf32> {txs.input = "q"}, %k: tensor<?x?x2x2xf32> {txs.input = "k"},
             %v: tensor<?x?x2x2xf32> {txs.input = "v"}, %m: tensor<?x?xf32> {txs.input = "m"},
             %s: tensor<2xi32> {txs.input = "seed"}, %y: tensor<?x?x4x2xf32> {txs.input = "y"},
             %l: tensor<?x?x4xf32> {txs.input = "saved.l"}, %dy: tensor<?x?x4x2xf32> {txs.input = "dy"})
    -> (tensor<?x?x4x2xf32> {txs.output = "dq"}, tensor<?x?x2x2xf32> {txs.output = "dk"}, tensor<?x?x2x2xf32> {txs.output = "dv"}) {
  %dq, %dk, %dv = txs.attention_grad %dy, %q, %k, %v, %y, %l mask %m seed %s {dropout = 0.3 : f64, site = 5 : i64}
    : (tensor<?x?x4x2xf32>, tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x4x2xf32>, tensor<?x?x4xf32>, tensor<?x?xf32>, tensor<2xi32>)
    -> (tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>)
  return %dq, %dk, %dv : tensor<?x?x4x2xf32>, tensor<?x?x2x2xf32>, tensor<?x?x2x2xf32>
})"},
{"last_token", {{"x", {3, 4, 2}}}, {{"m", Tensor({3, 4}, {1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0})}}, R"(
func.func @f(%x: tensor<?x?x2xf32> {txs.input = "x"}, %m: tensor<?x?xf32> {txs.input = "m"})
    -> (tensor<?x2xf32> {txs.output = "y"}) {
  %y = txs.last_token %x mask %m : tensor<?x?x2xf32>, tensor<?x?xf32> -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
func.func @g(%x: tensor<?x?x2xf32> {txs.input = "x"}, %m: tensor<?x?xf32> {txs.input = "m"},
             %dy: tensor<?x2xf32> {txs.input = "dy"}) -> (tensor<?x?x2xf32> {txs.output = "dx"}) {
  %dx = txs.last_token_grad %dy like %x mask %m : tensor<?x2xf32>, tensor<?x?x2xf32>, tensor<?x?xf32> -> tensor<?x?x2xf32>
  return %dx : tensor<?x?x2xf32>
})"},
{"linear_cross_entropy_shift", {{"x", {2, 4, 3}}, {"w", {5, 3}}},
 {{"labels", Tensor({2, 4}, {1, 4, -100, 0, 3, 3, 2, -100})}}, R"(
func.func @f(%x: tensor<?x?x3xf32> {txs.input = "x"}, %w: tensor<5x3xf32> {txs.input = "w"},
             %t: tensor<?x?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}, tensor<?x?xf32> {txs.output = "saved.l"}) {
  %y, %l = txs.linear_cross_entropy %x, %w, %t shift
    : tensor<?x?x3xf32>, tensor<5x3xf32>, tensor<?x?xi32> -> tensor<f32>, tensor<?x?xf32>
  return %y, %l : tensor<f32>, tensor<?x?xf32>
}
func.func @g(%x: tensor<?x?x3xf32> {txs.input = "x"}, %w: tensor<5x3xf32> {txs.input = "w"},
             %t: tensor<?x?xi32> {txs.input = "labels"}, %l: tensor<?x?xf32> {txs.input = "saved.l"})
    -> (tensor<?x?x3xf32> {txs.output = "dx"}, tensor<5x3xf32> {txs.output = "dw"}) {
  %dx, %dw = txs.linear_cross_entropy_grad %x, %w, %t, %l shift
    : tensor<?x?x3xf32>, tensor<5x3xf32>, tensor<?x?xi32>, tensor<?x?xf32>
  return %dx, %dw : tensor<?x?x3xf32>, tensor<5x3xf32>
})"},
{"linear_cross_entropy_classes", {{"x", {4, 3}}, {"w", {5, 3}}}, {{"labels", Tensor({4}, {1, 4, -100, 0})}}, R"(
func.func @f(%x: tensor<?x3xf32> {txs.input = "x"}, %w: tensor<5x3xf32> {txs.input = "w"},
             %t: tensor<?xi32> {txs.input = "labels"})
    -> (tensor<f32> {txs.output = "loss"}, tensor<?xf32> {txs.output = "saved.l"}) {
  %y, %l = txs.linear_cross_entropy %x, %w, %t
    : tensor<?x3xf32>, tensor<5x3xf32>, tensor<?xi32> -> tensor<f32>, tensor<?xf32>
  return %y, %l : tensor<f32>, tensor<?xf32>
}
func.func @g(%x: tensor<?x3xf32> {txs.input = "x"}, %w: tensor<5x3xf32> {txs.input = "w"},
             %t: tensor<?xi32> {txs.input = "labels"}, %l: tensor<?xf32> {txs.input = "saved.l"})
    -> (tensor<?x3xf32> {txs.output = "dx"}, tensor<5x3xf32> {txs.output = "dw"}) {
  %dx, %dw = txs.linear_cross_entropy_grad %x, %w, %t, %l
    : tensor<?x3xf32>, tensor<5x3xf32>, tensor<?xi32>, tensor<?xf32>
  return %dx, %dw : tensor<?x3xf32>, tensor<5x3xf32>
})"},
};
// clang-format on

class Gradient : public testing::TestWithParam<GradientCase> {
protected:
  void SetUp() override {
    Context.loadDialect<TxsDialect, func::FuncDialect>();
    Module = parseSourceString<ModuleOp>(GetParam().Text, &Context);
    ASSERT_TRUE(Module);
    Inputs = GetParam().Fixed;
    for (const auto &[Name, Shape] : GetParam().Shapes)
      Inputs[Name] = random(Shape);
  }

  Tensor random(ArrayRef<int64_t> Shape) {
    std::normal_distribution<double> Normal;
    Tensor Made(Shape);
    for (double &Value : Made.values())
      Value = Normal(Generator);
    return Made;
  }

  TensorMap run(const std::string &Entry, const TensorMap &Given) {
    Result<RunResult> Made = Interpreter(*Module).run(Entry, Given);
    EXPECT_TRUE(Made) << Made.message();
    return Made ? Made->Outputs : TensorMap();
  }

  /// sum(dy y) over the outputs that have a weight; the loss has weight 1.
  double objective(const TensorMap &Given) {
    TensorMap Outputs = run("f", Given);
    double Sum = 0;
    for (const auto &[Name, Output] : Outputs) {
      auto Weight = Weights.find(Name);
      for (int64_t I = 0; I < Output.size(); ++I)
        Sum += Output[I] * (Weight != Weights.end() ? Weight->second[I]
                            : Name == "loss"        ? 1
                                                    : 0);
    }
    return Sum;
  }

  MLIRContext Context;
  OwningOpRef<ModuleOp> Module;
  std::mt19937_64 Generator{20240607};
  TensorMap Inputs, Weights;
};

TEST_P(Gradient, IsTheDerivative) {
  TensorMap Outputs = run("f", Inputs);
  TensorMap Given = Inputs;
  for (const auto &[Name, Output] : Outputs) {
    Given[Name] = Output;
    // "saved.l" is kept for the backward pass and has no gradient of its own.
    if (Name == "loss" || Name.rfind("saved.", 0) == 0)
      continue;
    Weights[Name] = random(Output.shape());
    Given["d" + Name] = Weights[Name];
  }
  TensorMap Gradients = run("g", Given);
  ASSERT_FALSE(Gradients.empty());
  constexpr double H = 1e-5;
  for (const auto &[Name, Actual] : Gradients) {
    Tensor &Varied = Inputs.at(Name.substr(1));
    ASSERT_EQ(Actual.shape(), Varied.shape()) << Name;
    for (int64_t I = 0; I < Varied.size(); ++I) {
      double Kept = Varied[I];
      Varied[I] = Kept + H;
      double Above = objective(Inputs);
      Varied[I] = Kept - H;
      double Below = objective(Inputs);
      Varied[I] = Kept;
      double Expected = (Above - Below) / (2 * H);
      EXPECT_NEAR(Actual[I], Expected, 2e-8 * (1 + std::abs(Expected)))
          << Name << "[" << I << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, Gradient, testing::ValuesIn(Cases),
                         [](auto Info) { return Info.param.Name; });

} // namespace
