//===- Baselines.cpp - What counting alone achieves -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Baselines.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <vector>

using namespace transxssm;
using namespace transxssm::run;

namespace {

/// Counting more than this adds nothing to pair statistics and would delay the
/// start of training on a large corpus by minutes.
constexpr int64_t MostCounted = int64_t(1) << 26;

/// Calls Visit(previous, token) for each neighbouring pair, in order.
template <typename Visitor>
void visitPairs(const TokenRange &Over, int64_t Last, Visitor Visit) {
  std::vector<int32_t> Block(1 << 16);
  int32_t Previous = 0;
  Over.Tokens->copy(Over.First, 1, &Previous);
  for (int64_t At = Over.First + 1; At < Last; At += int64_t(Block.size())) {
    int64_t Count = std::min(int64_t(Block.size()), Last - At);
    Over.Tokens->copy(At, Count, Block.data());
    for (int64_t I = 0; I < Count; ++I) {
      Visit(Previous, Block[I]);
      Previous = Block[I];
    }
  }
}

class PairCounter {
public:
  explicit PairCounter(int64_t VocabSize)
      : VocabSize(VocabSize), Tokens(VocabSize), Contexts(VocabSize),
        Successors(VocabSize) {
    if (VocabSize <= 1024)
      Dense.resize(size_t(VocabSize) * VocabSize);
  }

  void add(int32_t Previous, int32_t Token) {
    ++Total;
    ++Tokens[Token];
    ++Contexts[Previous];
    uint32_t &Pair = pair(Previous, Token);
    if (Pair++ == 0)
      ++Successors[Previous];
  }

  double unigram(int32_t Token) const {
    return (Tokens[Token] + 1.0) / (double(Total) + double(VocabSize));
  }

  // Witten and Bell, "The zero-frequency problem", 1991: the weight of the
  // lower order is the number of distinct tokens seen in this context.
  double bigram(int32_t Previous, int32_t Token) const {
    if (Contexts[Previous] == 0)
      return unigram(Token);
    double Distinct = double(Successors[Previous]);
    return (count(Previous, Token) + Distinct * unigram(Token)) /
           (double(Contexts[Previous]) + Distinct);
  }

private:
  uint64_t key(int32_t Previous, int32_t Token) const {
    return uint64_t(Previous) * uint64_t(VocabSize) + uint64_t(Token);
  }
  uint32_t &pair(int32_t Previous, int32_t Token) {
    return Dense.empty() ? Sparse[key(Previous, Token)]
                         : Dense[key(Previous, Token)];
  }
  double count(int32_t Previous, int32_t Token) const {
    if (!Dense.empty())
      return Dense[key(Previous, Token)];
    auto Found = Sparse.find(key(Previous, Token));
    return Found == Sparse.end() ? 0.0 : Found->second;
  }

  int64_t VocabSize, Total = 0;
  std::vector<uint32_t> Tokens, Contexts, Successors, Dense;
  std::unordered_map<uint64_t, uint32_t> Sparse;
};

} // namespace

Baselines run::countingBaselines(const TokenRange &Train,
                                 const TokenRange &Test, int64_t VocabSize) {
  PairCounter Counter(VocabSize);
  visitPairs(
      Train, std::min(Train.Last, Train.First + MostCounted),
      [&](int32_t Previous, int32_t Token) { Counter.add(Previous, Token); });
  double Unigram = 0, Bigram = 0;
  visitPairs(Test, Test.Last, [&](int32_t Previous, int32_t Token) {
    Unigram -= std::log(Counter.unigram(Token));
    Bigram -= std::log(Counter.bigram(Previous, Token));
  });
  double Scored = double(std::max<int64_t>(Test.size() - 1, 1));
  return {Unigram / Scored, Bigram / Scored};
}
