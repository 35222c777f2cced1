//===- Generate.cpp - transxssm-run generate ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "Progress.h"
#include "runtime/support/File.h"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>

using namespace transxssm;
using namespace transxssm::run;

namespace {

Result<std::vector<int32_t>> promptIds(const GenerateOptions &O,
                                       const Package &From) {
  std::vector<int32_t> Ids;
  if (O.UseIds) {
    for (int64_t Id : O.Ids) {
      if (Id < 0 || Id >= From.config().VocabSize)
        return makeError("--ids: token ", Ids.size(), " is ", Id,
                         ", expected 0 to ", From.config().VocabSize - 1);
      Ids.push_back(int32_t(Id));
    }
  } else {
    if (Status Checked = requireByteVocabulary(From); !Checked)
      return Checked.error();
    std::string Text = O.Prompt;
    if (O.PromptFile == "-") {
      Text.assign(std::istreambuf_iterator<char>(std::cin), {});
    } else if (!O.PromptFile.empty()) {
      Result<std::string> Read = readFile(O.PromptFile);
      if (!Read)
        return Read.error();
      Text = *Read;
    }
    for (char C : Text)
      Ids.push_back(uint8_t(C));
  }
  if (Ids.empty())
    return makeError("the prompt is empty, expected at least one ",
                     O.UseIds ? "token" : "byte");
  return Ids;
}

void emit(const GenerateOptions &O, int32_t Token, bool First) {
  if (O.UseIds)
    std::printf(First ? "%d" : " %d", Token);
  else
    std::putchar(Token);
  std::fflush(stdout);
}

} // namespace

Result<int> run::runGenerate(GenerateOptions O) {
  Result<Sampler> Chosen = Sampler::create(O.Sampling);
  if (!Chosen)
    return Chosen.error();
  Result<Package> From = Package::load(O.Common.Package);
  if (!From)
    return From.error();
  if (Status Fits = requireLanguageModel(*From); !Fits)
    return Fits.error();
  Result<std::vector<int32_t>> Ids = promptIds(O, *From);
  if (!Ids)
    return Ids.error();
  // The last token is printed and never fed back.
  int64_t Prompt = int64_t(Ids->size());
  if (O.NumTokens == 0)
    O.NumTokens = std::clamp<int64_t>(From->maxSeqLen() - Prompt + 1, 1, 128);
  int64_t Needed = Prompt + O.NumTokens - 1;
  if (Needed > From->maxSeqLen())
    return makeError("a prompt of ", Prompt, " tokens and ", O.NumTokens,
                     " new ones need a cache for ", Needed,
                     ", the package's maximum is ", From->maxSeqLen(),
                     "; compile with --max-seq-len ", Needed);
  Result<Model> Of = openModel(O.Common, O.Weights);
  if (!Of)
    return Of.error();
  Result<Cache> Past = Of->newCache(1, Needed);
  if (!Past)
    return Past.error();
  int64_t Vocab = From->config().VocabSize;
  std::vector<float> Logits(size_t(Vocab), 0.0f);
  if (Status Ran =
          Of->prefill(Ids->data(), 1, Prompt, nullptr, *Past, Logits.data());
      !Ran)
    return Ran.error();
  bool First = true;
  for (size_t I = 0; O.Echo && I < Ids->size(); ++I, First = false)
    emit(O, (*Ids)[I], First);
  Clock::time_point Began = Clock::now();
  int64_t Made = 0;
  // Text is bytes: a larger vocabulary has tokens that mean nothing here.
  int64_t Choices = O.UseIds ? Vocab : 256;
  while (Made < O.NumTokens && !wasInterrupted()) {
    Result<int32_t> Token =
        Chosen->sample(Logits.data(), Choices, 0, uint64_t(Made));
    if (!Token)
      return Token.error();
    emit(O, *Token, First);
    First = false;
    ++Made;
    if (Made == O.NumTokens)
      break;
    if (Status Ran = Of->decode(&*Token, 1, 1, *Past, Logits.data()); !Ran)
      return Ran.error();
  }
  std::putchar('\n');
  std::fprintf(stderr, "%lld tokens, %s tokens/s\n", (long long)Made,
               countText(double(Made) / secondsSince(Began)).c_str());
  return wasInterrupted() ? Interrupted : Success;
}
