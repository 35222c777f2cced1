//===- Eval.cpp - transxssm-run eval --------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"
#include "Progress.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

using namespace transxssm;
using namespace transxssm::run;

Result<int> run::runEval(const EvalOptions &O) {
  if (O.MaxTokens == 1)
    return makeError("--max-tokens: expected 0 or at least 2, since the first "
                     "token is not scored, got 1");
  Result<Package> From = Package::load(O.Common.Package);
  if (!From)
    return From.error();
  if (Status Fits = requireLanguageModel(*From); !Fits)
    return Fits.error();
  int64_t Batch = O.Batch, SeqLen = O.SeqLen;
  if (Status Resolved = resolveSizes(*From, Batch, SeqLen); !Resolved)
    return Resolved.error();
  Result<TokenData> Tokens = TokenData::open(O.Data, *From);
  if (!Tokens)
    return Tokens.error();
  Result<Model> Of = openModel(O.Common, O.Weights);
  if (!Of)
    return Of.error();
  TokenRange Range{&*Tokens, 0, Tokens->size()};
  if (O.MaxTokens > 0)
    Range.Last = std::min(Range.Last, O.MaxTokens);
  Progress Bar("eval", Range.size() - 1);
  Clock::time_point Began = Clock::now();
  Result<Evaluation> Scored =
      evaluate(*Of, Range, Batch, SeqLen, [&](const Evaluation &So) {
        char Text[96];
        std::snprintf(
            Text, sizeof(Text), "loss %.4f  %s tok/s", So.mean(),
            countText(double(So.Scored) / secondsSince(Began)).c_str());
        Bar.update(So.Scored, Text);
      });
  Bar.clear();
  if (!Scored)
    return Scored.error();
  if (Scored->Stopped)
    return Interrupted;
  double Loss = Scored->mean(), Bits = Loss / std::log(2.0);
  const char *Unit = Tokens->isBytes() ? "bits_per_byte" : "bits_per_token";
  if (O.Json) {
    nlohmann::ordered_json Out = {{"loss", Loss},
                                  {"perplexity", std::exp(Loss)},
                                  {Unit, Bits},
                                  {"tokens", Scored->Scored}};
    std::printf("%s\n", Out.dump().c_str());
    return Success;
  }
  std::printf("loss            %.6f nats\nperplexity      %.4f\n%s  %.6f\n"
              "tokens scored   %lld\n",
              Loss, std::exp(Loss),
              Tokens->isBytes() ? "bits per byte " : "bits per token", Bits,
              (long long)Scored->Scored);
  return Success;
}
