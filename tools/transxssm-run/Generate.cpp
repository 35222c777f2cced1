//===- Generate.cpp - transxssm-run generate ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "Progress.h"
#include "runtime/Generation.h"
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
  if (Status Valid = checkSampling(O.Sampling); !Valid)
    return Valid.error();
  Result<Package> From = Package::load(O.Common.Package);
  if (!From)
    return From.error();
  if (Status Fits = requireLanguageModel(*From); !Fits)
    return Fits.error();
  Result<std::vector<int32_t>> Ids = promptIds(O, *From);
  if (!Ids)
    return Ids.error();
  int64_t Prompt = int64_t(Ids->size());
  if (O.NumTokens == 0)
    O.NumTokens = std::clamp<int64_t>(From->maxSeqLen() - Prompt + 1, 1, 128);
  if (Status Fits = checkGeneration(*From, Prompt, O.NumTokens); !Fits)
    return Fits.error();
  Result<Model> Of = openModel(O.Common, O.Weights);
  if (!Of)
    return Of.error();

  GenerationOptions Wanted;
  Wanted.NewTokens = O.NumTokens;
  Wanted.Sampling = O.Sampling;
  // Text is bytes: a larger vocabulary has tokens that mean nothing here.
  Wanted.Choices = O.UseIds ? 0 : 256;
  Clock::time_point Began;
  Wanted.OnTokens = [&](int64_t Step, const int32_t *Token) {
    if (Step == 0) { // the prompt is through
      Began = Clock::now();
      for (size_t I = 0; O.Echo && I < Ids->size(); ++I)
        emit(O, (*Ids)[I], I == 0);
    }
    emit(O, *Token, Step == 0 && !O.Echo);
    return !wasInterrupted();
  };
  Result<Generated> Made =
      generate(*Of, Ids->data(), 1, Prompt, nullptr, Wanted);
  if (!Made)
    return Made.error();
  std::putchar('\n');
  std::fprintf(stderr, "%lld tokens, %s tokens/s\n", (long long)Made->Steps,
               countText(double(Made->Steps) / secondsSince(Began)).c_str());
  return wasInterrupted() ? Interrupted : Success;
}
