//===- Common.cpp - What the subcommands share ----------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"

#include <atomic>
#include <csignal>
#include <cstdio>

using namespace transxssm;

namespace {

std::atomic<bool> InterruptSeen{false};

extern "C" void noteInterrupt(int Signal) {
  InterruptSeen.store(true, std::memory_order_relaxed);
  // The next one is not for us: whoever asks twice wants out now.
  std::signal(Signal, SIG_DFL);
}

} // namespace

void run::watchInterrupts() {
  struct sigaction Action = {};
  Action.sa_handler = noteInterrupt;
  sigemptyset(&Action.sa_mask);
  Action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &Action, nullptr);
  ::sigaction(SIGTERM, &Action, nullptr);
}

bool run::wasInterrupted() {
  return InterruptSeen.load(std::memory_order_relaxed);
}

Result<Model> run::openModel(const CommonOptions &Options,
                             const std::string &Weights, uint64_t Seed) {
  ModelOptions Settings;
  Settings.Threads = Options.Threads;
  Settings.Device = Options.Device;
  Settings.Seed = Seed;
  Settings.Warn = [](const std::string &Line) {
    std::fprintf(stderr, "transxssm-run: warning: %s\n", Line.c_str());
  };
  return Model::load(Options.Package, Weights, Settings);
}

Status run::resolveSizes(const Package &From, int64_t &Batch, int64_t &SeqLen) {
  if (Batch == 0)
    Batch = From.maxBatch();
  if (SeqLen == 0)
    SeqLen = From.maxSeqLen();
  if (Batch > From.maxBatch())
    return makeError("batch ", Batch, " exceeds the package's maximum ",
                     From.maxBatch(), "; compile with --max-batch ", Batch);
  if (SeqLen > From.maxSeqLen())
    return makeError("sequence length ", SeqLen,
                     " exceeds the package's maximum ", From.maxSeqLen(),
                     "; compile with --max-seq-len ", SeqLen);
  return {};
}

Status run::requireLanguageModel(const Package &From) {
  if (!From.config().SequenceClassification)
    return {};
  return makeError(From.sourceName(),
                   ": expected a language model, got a sequence classifier; "
                   "train and run it through the Python module");
}

Status run::requireByteVocabulary(const Package &From) {
  if (From.config().VocabSize >= 256)
    return {};
  return makeError(From.sourceName(),
                   ": text as bytes needs key 'vocab_size' "
                   "of at least 256, got ",
                   From.config().VocabSize);
}
