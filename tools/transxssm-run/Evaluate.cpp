//===- Evaluate.cpp - Loss over a range of tokens -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <algorithm>
#include <cmath>

using namespace transxssm;
using namespace transxssm::run;

namespace {

/// Scores `Rows` windows of `Length` tokens, the first at `First`.
Status scoreWindows(Model &Of, const TokenRange &Over, int64_t First,
                    int64_t Rows, int64_t Length, Evaluation &Into) {
  std::vector<int32_t> Ids(size_t(Rows * Length));
  for (int64_t Row = 0; Row < Rows; ++Row)
    Over.Tokens->copy(First + Row * (Length - 1), Length,
                      Ids.data() + Row * Length);
  if (!Of.package().findEntry("forward")) {
    Result<double> Loss =
        Of.gradients(Ids.data(), Ids.data(), Rows, Length, nullptr);
    if (!Loss)
      return Loss.error();
    Into.Nats += *Loss * double(Rows * (Length - 1));
    Into.Scored += Rows * (Length - 1);
    return {};
  }
  int64_t Vocab = Of.config().VocabSize;
  std::vector<float> Logits(size_t(Rows * Length * Vocab));
  if (Status Ran = Of.forward(Ids.data(), Rows, Length, nullptr, Logits.data());
      !Ran)
    return Ran;
  for (int64_t Row = 0; Row < Rows; ++Row)
    for (int64_t T = 0; T + 1 < Length; ++T) {
      int64_t At = Row * Length + T;
      Into.Nats += crossEntropy(Logits.data() + At * Vocab, Vocab, Ids[At + 1]);
    }
  Into.Scored += Rows * (Length - 1);
  return {};
}

} // namespace

double run::crossEntropy(const float *Logits, int64_t VocabSize,
                         int32_t Target) {
  double Largest = *std::max_element(Logits, Logits + VocabSize);
  double Sum = 0;
  for (int64_t I = 0; I < VocabSize; ++I)
    Sum += std::exp(double(Logits[I]) - Largest);
  return Largest + std::log(Sum) - double(Logits[Target]);
}

Result<Evaluation>
run::evaluate(Model &Of, const TokenRange &Over, int64_t Batch, int64_t SeqLen,
              const std::function<void(const Evaluation &)> &Report) {
  const Package &From = Of.package();
  if (!From.findEntry("forward") && !From.findEntry("gradients"))
    return makeError(From.sourceName(),
                     ": evaluation needs entry 'forward' or "
                     "'gradients'; compile with --entry=forward");
  if (SeqLen < 2)
    return makeError("sequence length ", SeqLen,
                     ": at least 2 tokens are needed to score one");
  Evaluation Sum;
  for (int64_t At = Over.First; At + 1 < Over.Last;) {
    if (wasInterrupted()) {
      Sum.Stopped = true;
      break;
    }
    int64_t Left = Over.Last - At - 1;
    int64_t Length = std::min(SeqLen, Left + 1);
    int64_t Rows = std::min(Batch, Left / (Length - 1));
    if (Status Scored = scoreWindows(Of, Over, At, Rows, Length, Sum); !Scored)
      return Scored.error();
    At += Rows * (Length - 1);
    if (Report)
      Report(Sum);
  }
  return Sum;
}
