//===- OperationOrderTest.cpp - Kernels are the same from any C++ compiler ===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// C++ compilers evaluate the operands of an expression in orders of their own.
// Here one binary builds the same expressions in both orders, and every kernel
// of two models is shuffled as no compiler would: the text stays the same.
//
//===----------------------------------------------------------------------===//

#include "test/passes/RandomModel.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/tiling/OperationOrder.h"
#include "passes/tiling/TileBuilder.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace {

std::string textOf(Operation *Op) {
  std::string Text;
  llvm::raw_string_ostream(Text) << *Op;
  return Text;
}

/// The values of two expressions, of which the right one is evaluated first
/// where asked.
std::pair<Tile, Tile> both(bool RightFirst, function_ref<Tile()> Left,
                           function_ref<Tile()> Right) {
  Tile L, R;
  if (RightFirst)
    R = Right();
  L = Left();
  if (!RightFirst)
    R = Right();
  return {L, R};
}

/// exp(x) w + (y - 2) x, a loop that captures both terms, and a value that
/// nobody needs.
tile::KernelOp buildExample(ModuleOp Module, bool RightFirst) {
  return defineKernel(Module, "example", 1, [&](TileBuilder &B) {
    Tile X = B.memory({Dynamic}), Y = B.memory({Dynamic});
    Tile W = B.memory({Dynamic}), Result = B.memory({Dynamic});
    Tile First = B.grid(0) * 16;
    auto Load = [&](Tile Memory) { return B.load(Memory, {First}, {16}); };
    Tile Input = Load(X);
    auto [L, R] = both(
        RightFirst, [&] { return exp(Input) * Load(W); },
        [&] { return (Load(Y) - 2) * Input; });
    Tile Left = L, Right = R;
    if (RightFirst)
      log(Right);
    Tile Sum =
        B.forLoop(0, 4, 1, {Left + Right}, [&](Tile, ArrayRef<Tile> Carried) {
          auto [A, C] = both(
              RightFirst, [&] { return Carried[0] * Left; },
              [&] { return sqrt(Right); });
          return SmallVector<Tile>{A + C};
        })[0];
    B.store(Sum, Result, {First});
  });
}

class OperationOrder : public RandomModel {
protected:
  OperationOrder() : RandomModel(/*Seed=*/5) {}

  /// Every kernel of a model's entries.
  OwningOpRef<ModuleOp> kernels(const std::string &Keys) {
    Result<ModelConfig> Config = smallConfig(Keys);
    EXPECT_TRUE(Config) << Config.message();
    OwningOpRef<ModuleOp> Module = importConfig(
        *Config, ImportOptions{supportedEntries(*Config)}, Context);
    return transformed(*Module, "txs-autodiff,txs-add-optimizer,txs-to-tile");
  }

  /// Moves the operations of [Begin, End) into some order in which definitions
  /// come before their uses.
  void shuffle(Block::iterator Begin, Block::iterator End) {
    SmallVector<Operation *> Left;
    for (Operation &Op : llvm::make_range(Begin, End))
      Left.push_back(&Op);
    llvm::DenseSet<Operation *> Waiting(Left.begin(), Left.end());
    auto Ready = [&](Operation *Op) {
      return llvm::none_of(Op->getOperands(), [&](Value V) {
        return Waiting.contains(V.getDefiningOp());
      });
    };
    while (!Left.empty()) {
      // The next one at or after a random place that waits for none.
      size_t At = Generator() % Left.size();
      while (!Ready(Left[At]))
        At = (At + 1) % Left.size();
      Left[At]->moveBefore(Left[At]->getBlock(), End);
      Waiting.erase(Left[At]);
      Left.erase(Left.begin() + At);
    }
  }

  /// Shuffles what lies between two operations that are not pure or loads.
  void shuffleGaps(Block &Body) {
    Block::iterator Begin = Body.begin();
    for (Block::iterator At = Body.begin(); At != Body.end(); ++At) {
      bool Moves = isa<tile::LoadOp, tile::GatherOp>(*At) ||
                   (isPure(&*At) && At->getNumRegions() == 0);
      if (Moves && !At->hasTrait<OpTrait::IsTerminator>())
        continue;
      shuffle(Begin, At);
      Begin = std::next(At);
      for (Region &R : At->getRegions())
        for (Block &Inner : R)
          shuffleGaps(Inner);
    }
  }
};

TEST_F(OperationOrder, EitherOperandFirst) {
  Context.loadDialect<tile::TileDialect, arith::ArithDialect, math::MathDialect,
                      scf::SCFDialect>();
  OwningOpRef<ModuleOp> LeftFirst = ModuleOp::create(UnknownLoc::get(&Context));
  OwningOpRef<ModuleOp> RightFirst = LeftFirst->clone();
  buildExample(*LeftFirst, false);
  buildExample(*RightFirst, true);
  EXPECT_EQ(textOf(*LeftFirst), textOf(*RightFirst));
  // Nothing is lost but the logarithm that nobody needs.
  EXPECT_NE(textOf(*RightFirst).find("math.sqrt"), std::string::npos);
  EXPECT_EQ(textOf(*RightFirst).find("math.log"), std::string::npos);
}

TEST_F(OperationOrder, ShuffledKernels) {
  int Moved = 0;
  for (const char *Keys :
       {"\"attn_layer_period\": 2, \"attn_layer_offset\": 1,"
        "\"hidden_dropout\": 0.2, \"attention_dropout\": 0.3",
        "\"attn_layer_period\": 2, \"attn_layer_offset\": 1, \"num_labels\": 3,"
        "\"architectures\": [\"TransXSSMForSequenceClassification\"]"}) {
    OwningOpRef<ModuleOp> Module = kernels(Keys);
    for (auto Kernel : Module->getOps<tile::KernelOp>()) {
      std::string Expected = textOf(Kernel);
      for (int Times = 0; Times < 3; ++Times) {
        shuffleGaps(Kernel.getBody().front());
        Moved += textOf(Kernel) != Expected;
        orderOperations(Kernel.getBody().front());
        ASSERT_EQ(textOf(Kernel), Expected);
      }
    }
  }
  EXPECT_GT(Moved, 100);
}

/// What is in order stays as it is, and reads stay behind the store before
/// them.
TEST_F(OperationOrder, StoresStay) {
  Context.loadDialect<tile::TileDialect, arith::ArithDialect>();
  OwningOpRef<ModuleOp> Module = ModuleOp::create(UnknownLoc::get(&Context));
  auto Kernel = defineKernel(*Module, "twice", 1, [&](TileBuilder &B) {
    Tile X = B.memory({Dynamic});
    for (int Times = 0; Times < 2; ++Times) {
      Tile Value = B.load(X, {B.grid(0) * 16}, {16});
      B.store(Value + Value, X, {B.grid(0) * 16});
    }
  });
  std::vector<StringRef> Accesses;
  for (Operation &Op : Kernel.getBody().front())
    if (Op.getName().getDialectNamespace() == "tile")
      Accesses.push_back(Op.getName().stripDialect());
  EXPECT_EQ(Accesses, (std::vector<StringRef>{"load", "store", "load", "store",
                                              "return"}));
}

} // namespace
