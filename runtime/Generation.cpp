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
  int64_t Count = Options.NewTokens;
  if (Status Fits = checkGeneration(Of.package(), Seq, Count); !Fits)
    return Fits.error();
  TokenDraw Draw{Options.Sampling, 0, Options.Choices};
  if (Status Checked = checkDraw(Draw, Of.config()); !Checked)
    return Checked.error();
  Result<Cache> Past = Of.newCache(Batch, Seq + Count - 1);
  if (!Past)
    return Past.error();

  std::vector<int32_t> Next(static_cast<size_t>(Batch));
  std::vector<int32_t> Tokens(size_t(Batch * Count));
  Generated Made;
  for (bool GoOn = true; GoOn && Made.Steps < Count;) {
    bool First = Made.Steps == 0;
    Draw.Step = uint64_t(Made.Steps);
    if (Status Ran =
            Of.nextTokens(First ? Ids : Next.data(), Batch, First ? Seq : 1,
                          First ? Mask : nullptr, *Past, Draw, Next.data());
        !Ran)
      return Ran.error();
    for (int64_t Row = 0; Row < Batch; ++Row)
      Tokens[size_t(Row * Count + Made.Steps)] = Next[size_t(Row)];
    if (Options.OnTokens)
      GoOn = Options.OnTokens(Made.Steps, Next.data());
    ++Made.Steps;
  }
  for (int64_t Row = 0; Row < Batch; ++Row)
    Made.Tokens.insert(Made.Tokens.end(), Tokens.begin() + Row * Count,
                       Tokens.begin() + Row * Count + Made.Steps);
  return Made;
}
