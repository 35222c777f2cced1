//===- Generation.cpp - Continuing prompts -------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Generation.h"

using namespace transxssm;

Status transxssm::checkGeneration(const Package &Of, int64_t Prompt,
                                  int64_t NewTokens) {
  if (Of.config().SequenceClassification)
    return makeError(Of.sourceName(),
                     ": expected a language model, got a sequence classifier");
  if (Prompt < 1 || NewTokens < 1)
    return makeError("expected a prompt and at least one new token, got ",
                     Prompt, " and ", NewTokens, " tokens");
  int64_t Needed = 0;
  if (__builtin_add_overflow(Prompt, NewTokens - 1, &Needed) ||
      Needed > Of.maxSeqLen())
    return makeError("a prompt of ", Prompt, " tokens and ", NewTokens,
                     " new ones need a cache for ", Needed,
                     ", the package's maximum is ", Of.maxSeqLen(),
                     "; compile with --max-seq-len ", Needed);
  return {};
}

Result<Generated> transxssm::generate(Model &Of, const int32_t *Ids,
                                      int64_t Batch, int64_t Seq,
                                      const float *Mask,
                                      const GenerationOptions &Options) {
  int64_t Count = Options.NewTokens, Vocab = Of.config().VocabSize;
  if (Status Fits = checkGeneration(Of.package(), Seq, Count); !Fits)
    return Fits.error();
  if (Options.Choices < 0 || Options.Choices > Vocab)
    return makeError("choices: expected 0 to the vocabulary's ", Vocab,
                     ", got ", Options.Choices);
  int64_t Choices = Options.Choices ? Options.Choices : Vocab;
  Result<Sampler> Chosen = Sampler::create(Options.Sampling);
  if (!Chosen)
    return Chosen.error();
  Result<Cache> Past = Of.newCache(Batch, Seq + Count - 1);
  if (!Past)
    return Past.error();

  std::vector<float> Logits(size_t(Batch * Vocab));
  std::vector<int32_t> Next(static_cast<size_t>(Batch));
  std::vector<int32_t> Tokens(size_t(Batch * Count));
  Generated Made;
  for (bool GoOn = true; GoOn && Made.Steps < Count;) {
    Status Ran = Made.Steps == 0
                     ? Of.prefill(Ids, Batch, Seq, Mask, *Past, Logits.data())
                     : Of.decode(Next.data(), Batch, 1, *Past, Logits.data());
    if (!Ran)
      return Ran.error();
    for (int64_t Row = 0; Row < Batch; ++Row) {
      Result<int32_t> Token =
          Chosen->sample(Logits.data() + Row * Vocab, Choices, uint64_t(Row),
                         uint64_t(Made.Steps));
      if (!Token)
        return Token.error();
      Tokens[size_t(Row * Count + Made.Steps)] = Next[size_t(Row)] = *Token;
    }
    if (Options.OnTokens)
      GoOn = Options.OnTokens(Made.Steps, Next.data());
    ++Made.Steps;
  }
  for (int64_t Row = 0; Row < Batch; ++Row)
    Made.Tokens.insert(Made.Tokens.end(), Tokens.begin() + Row * Count,
                       Tokens.begin() + Row * Count + Made.Steps);
  return Made;
}
