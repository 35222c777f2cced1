//===- Sample.cpp - Drawing each sequence's next token -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// txs.sample. A row is a cell, which walks over its logits once for the most
// likely token, and once more to add noise where the temperature is not 0.
// Nothing is sorted for top_k and top_p: the farthest distance that is kept is
// found bit by bit, from the highest, by adding up what is not farther than
// each candidate. Distances are not negative, so their bits as integers have
// their order. Rows are read from a cache then: 50,280 logits are 201 KB.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/kernels/Kernels.h"
#include <limits>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::tiling;

namespace {

constexpr int64_t Lanes = txs::SampleLanes;
/// The bits of infinity as a distance: everything is kept.
constexpr double KeepsAll = 0x7F800000;
constexpr double MinusInfinity = -HUGE_VAL;

/// A row's best token so far, lane by lane. Numbers are carried as float32, in
/// which reductions are; -1 stands for none.
struct Best {
  Tile Score, Number;
};

class SampleKernel {
public:
  SampleKernel(TileBuilder &B, int64_t Vocabulary, TileSizes Sizes);
  void build();

private:
  /// Numbers Column, Column + 1, ... of tokens, as i32.
  Tile numbers(Tile Column, int64_t Extent) {
    return B.iota({Extent}) + B.toI32(Column);
  }
  Tile logits(Tile Column, int64_t Extent);
  Tile distance(Tile Column, int64_t Extent);
  Tile weight(Tile Distance) { return exp(-(Distance * Rate)); }
  Best better(Best Known, Tile Score, Tile Column);
  Tile firstOf(Best Found, Tile Score);

  void findLargest();
  Tile sum(function_ref<Tile(Tile Distance)> Amount);
  Tile bitsThatReach(Tile Target, function_ref<Tile(Tile Distance)> Amount);
  Tile farthestKept();
  std::array<Tile, 4> words(Tile Column);
  Tile noise(const std::array<Tile, 4> &Words, Tile W);
  Tile drawNoisy();

  TileBuilder &B;
  int64_t Vocabulary, Step;
  /// A GPU waits for memory in each walk; a CPU computes all walk long, for
  /// each candidate anew.
  int64_t DigitBits;
  Tile Logits, Settings, Draw, Tokens, Row;
  Tile Temperature, Rate, TopP, TopK, Choices;
  Tile Largest, MostLikely, HasNaN;
};

} // namespace

/// One cell of a GPU waits for a whole row: 256 threads ask for 64 bytes each
/// at a time. Small vocabularies do not fill a step.
static int64_t stepFor(int64_t Vocabulary, TileSizes Sizes) {
  int64_t Most = Sizes.Gpu ? 4096 : Sizes.vectorStep();
  return std::clamp<int64_t>(llvm::PowerOf2Ceil(Vocabulary), 64, Most);
}

SampleKernel::SampleKernel(TileBuilder &B, int64_t Vocabulary, TileSizes Sizes)
    : B(B), Vocabulary(Vocabulary), Step(stepFor(Vocabulary, Sizes)),
      DigitBits(Sizes.Gpu ? 2 : 1), Logits(B.memory({Dynamic, Vocabulary})),
      Settings(B.memory({2})), Draw(B.integerMemory({5})),
      Tokens(B.integerMemory({Dynamic})), Row(B.grid(0)),
      Temperature(B.load(Settings, {0})),
      // Finite, so that it leaves a distance of 0 what it is.
      Rate(minimum(1.0 / Temperature, std::numeric_limits<float>::max())),
      TopP(B.load(Settings, {1})), TopK(B.load(Draw, {3})),
      Choices(minimum(B.load(Draw, {4}), Vocabulary)) {}

/// What is not to be drawn is -infinity.
Tile SampleKernel::logits(Tile Column, int64_t Extent) {
  return select(numbers(Column, Extent) < Choices,
                B.load(Logits, {Row, Column}, {Extent}), MinusInfinity);
}

Tile SampleKernel::distance(Tile Column, int64_t Extent) {
  Tile X = logits(Column, Extent);
  return select(equal(X, Largest), 0, B.fill(Largest, {Extent}) - X);
}

Best SampleKernel::better(Best Known, Tile Score, Tile Column) {
  // A later token has to be better, so that the first of equals stays.
  Tile Better = Score > Known.Score;
  Tile Number = B.toFloat(numbers(Column, Score.columns()));
  return {select(Better, Score, Known.Score),
          select(Better, Number, Known.Number)};
}

/// The first token with this score.
Tile SampleKernel::firstOf(Best Found, Tile Score) {
  constexpr double Behind = -2.0 * txs::MostSampledTokens;
  return -B.max(select(equal(Found.Score, Score), -Found.Number, Behind));
}

void SampleKernel::findLargest() {
  SmallVector<Tile> Last = B.forLoop(
      0, Vocabulary, Step,
      {B.number(MinusInfinity, {Step}), B.number(-1, {Step}), B.zeros({Step})},
      [&](Tile Column, ArrayRef<Tile> C) {
        Tile X = logits(Column, Step);
        Best Found = better({C[0], C[1]}, X, Column);
        return SmallVector<Tile>{Found.Score, Found.Number,
                                 C[2] + select(equal(X, X), 0, B.number(1))};
      });
  Largest = B.max(Last[0]);
  MostLikely = firstOf({Last[0], Last[1]}, Largest);
  HasNaN = B.sum(Last[2]) > 0;
}

Tile SampleKernel::sum(function_ref<Tile(Tile)> Amount) {
  return B.sum(B.forLoop(0, Vocabulary, Step, {B.zeros({Step})},
                         [&](Tile Column, ArrayRef<Tile> C) {
                           return SmallVector<Tile>{
                               C[0] + Amount(distance(Column, Step))};
                         })[0]);
}

/// The smallest bits of a distance up to which the amounts add up to Target,
/// which all of them reach: a digit with each walk, from the highest.
Tile SampleKernel::bitsThatReach(Tile Target, function_ref<Tile(Tile)> Amount) {
  Type Word = B.builder().getI32Type();
  int64_t Candidates = (1 << DigitBits) - 1;
  auto Digit = [&](Tile, ArrayRef<Tile> C) {
    Tile Low = C[0], Unit = C[1];
    // At the highest bit the third wraps around and counts nothing, behind the
    // second, which is the largest number then and counts all.
    SmallVector<Tile> Higher, Below;
    for (int64_t I = 1; I <= Candidates; ++I) {
      Higher.push_back(Low + Unit * I);
      Below.push_back(Higher.back() - 1);
    }
    SmallVector<Tile> Sums = B.forLoop(
        0, Vocabulary, Step, SmallVector<Tile>(Candidates, B.zeros({Step})),
        [&](Tile Column, ArrayRef<Tile> Sums) {
          Tile D = distance(Column, Step), Bits = B.bits(D), Each = Amount(D);
          SmallVector<Tile> More;
          for (auto [Sum, Limit] : llvm::zip_equal(Sums, Below))
            More.push_back(Sum + select(Bits <= Limit, Each, 0));
          return More;
        });
    Tile Bits = Low, TooFew;
    for (auto [Sum, Next] : llvm::zip_equal(Sums, Higher)) {
      Tile Falls = B.sum(Sum) < Target;
      TooFew = TooFew ? TooFew & Falls : Falls;
      Bits = select(TooFew, Next, Bits);
    }
    return SmallVector<Tile>{Bits, shiftRight(Unit, DigitBits)};
  };
  return B.forLoop(0, (31 + DigitBits - 1) / DigitBits, 1,
                   {B.constant(0, Word), B.constant(1 << 30, Word)}, Digit)[0];
}

/// The bits of the largest distance that top_k and top_p keep.
Tile SampleKernel::farthestKept() {
  Tile All = B.constant(KeepsAll, B.builder().getI32Type());
  Tile Ranked = B.ifElse(
      (TopK > 0) & (TopK < Choices),
      [&] {
        return SmallVector<Tile>{bitsThatReach(
            B.toFloat(TopK), [&](Tile) { return B.number(1, {Step}); })};
      },
      [&] { return SmallVector<Tile>{All}; })[0];
  auto Weight = [&](Tile D) {
    return select(B.bits(D) <= Ranked, weight(D), 0);
  };
  return B.ifElse(
      TopP < 1,
      [&] {
        Tile Reached = bitsThatReach(TopP * sum(Weight), Weight);
        return SmallVector<Tile>{minimum(Reached, Ranked)};
      },
      [&] { return SmallVector<Tile>{Ranked}; })[0];
}

/// -log(-log1p(-u)) of the tokens Column + w Lanes + 0, 1, ... for word w.
Tile SampleKernel::noise(const std::array<Tile, 4> &Words, Tile W) {
  Tile Word = Words[3];
  for (int64_t I = 2; I >= 0; --I)
    Word = select(equal(W, B.index(I)), Words[I], Word);
  Tile Uniform = (B.toFloat(shiftRight(Word, 1)) + 0.5) * 0x1p-31;
  return -log(-log1p(-minimum(Uniform, 1 - 0x1p-24)));
}

/// The random words of the tokens from Column on.
std::array<Tile, 4> SampleKernel::words(Tile Column) {
  auto Fill = [&](Tile Word) { return B.fill(Word, {Lanes}); };
  return philox(B,
                {Fill(B.load(Draw, {2})), Fill(B.toI32(Row)),
                 numbers(Column / 4, Lanes),
                 Fill(B.constant(wordConstant(txs::SampleStream),
                                 B.builder().getI32Type()))},
                {B.load(Draw, {0}), B.load(Draw, {1})});
}

Tile SampleKernel::drawNoisy() {
  Tile Farthest = farthestKept();
  auto FourParts = [&](Tile Column, ArrayRef<Tile> Found) {
    std::array<Tile, 4> Words = words(Column);
    return B.forLoop(0, 4, 1, Found, [&](Tile W, ArrayRef<Tile> C) {
      Tile Part = Column + W * Lanes;
      // As the value of a branch it is computed once for both of its uses.
      Tile Score = B.ifElse(
          Part < Vocabulary,
          [&] {
            Tile D = distance(Part, Lanes);
            return SmallVector<Tile>{select(B.bits(D) <= Farthest,
                                            noise(Words, W) - D * Rate,
                                            MinusInfinity)};
          },
          [&] {
            return SmallVector<Tile>{B.number(MinusInfinity, {Lanes})};
          })[0];
      Best Next = better({C[0], C[1]}, Score, Part);
      return SmallVector<Tile>{Next.Score, Next.Number};
    });
  };
  SmallVector<Tile> Last = B.forLoop(
      0, Vocabulary, 4 * Lanes,
      {B.number(MinusInfinity, {Lanes}), B.number(-1, {Lanes})}, FourParts);
  return firstOf({Last[0], Last[1]}, B.max(Last[0]));
}

void SampleKernel::build() {
  findLargest();
  Tile Token = B.ifElse(
      Temperature > 0, [&] { return SmallVector<Tile>{drawNoisy()}; },
      [&] { return SmallVector<Tile>{MostLikely}; })[0];
  // Without a largest logit nothing can be drawn.
  Tile Drawable = MostLikely >= 0;
  Token = select(HasNaN, -1, select(Drawable, Token, -1));
  B.store(B.toI32(Token), Tokens, {Row});
}

tile::KernelOp tiling::buildSample(ModuleOp Module, int64_t Vocabulary) {
  return defineKernel(
      Module, "sample_v" + Twine(Vocabulary), 1, [&](TileBuilder &B) {
        SampleKernel(B, Vocabulary, TileSizes::of(Module)).build();
      });
}

static LogicalResult lowerSample(txs::SampleOp Op, EntryBuilder &E) {
  Value Logits = Op.getLogits();
  E.launch(buildSample(E.module(), E.width(Logits)), {E.batch()},
           {{E.read(Logits), {E.batch()}},
            {E.read(Op.getSettings())},
            {E.read(Op.getDraw())},
            {E.write(Op.getTokens()), {E.batch()}}});
  return success();
}

void tiling::registerSample(LoweringTable &Table) {
  Table.add<txs::SampleOp>(lowerSample);
}
