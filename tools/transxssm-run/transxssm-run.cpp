//===- transxssm-run.cpp - Train, generate, evaluate, inspect, measure ----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "Numbers.h"
#include "runtime/support/Printable.h"

#include <CLI/CLI.hpp>

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <new>

using namespace transxssm;
using namespace transxssm::run;

namespace {

constexpr const char *Overview =
    "Runs packages made by transxssm-compile; needs neither a compiler nor "
    "Python.\n"
    "\n"
    "  transxssm-compile config.json -o m.txpkg --entry=forward,decode,train\n"
    "  transxssm-run train m.txpkg --data corpus.txt --steps 1000 --out run\n"
    "  transxssm-run eval m.txpkg --weights run/latest --data held-out.txt\n"
    "  transxssm-run generate m.txpkg --weights run/latest --prompt 'In the'\n"
    "\n"
    "Exit codes: 0 done, 1 failure, 2 wrong usage, 130 interrupted.";

constexpr const char *TrainText =
    "Trains on token files and writes checkpoints, loss.jsonl and loss.svg.\n"
    "\n"
    "Text files are read as bytes (one byte, one token); .npy holds token ids\n"
    "of a tokenizer, and so does a raw .bin with --format. Each step draws\n"
    "random windows; the draw depends on --seed and the step alone, so a\n"
    "resumed run continues with the very bits of an uninterrupted one. Ctrl-C\n"
    "finishes the step, saves and tells how to resume.\n"
    "\n"
    "  transxssm-run train m.txpkg --data a.txt b.txt --steps 2000 --out run\n"
    "  transxssm-run train m.txpkg --resume run\n"
    "  transxssm-run train m.txpkg --resume run --steps 4000";

constexpr const char *GenerateText =
    "Continues a prompt; text goes to standard output as it is made.\n"
    "\n"
    "  transxssm-run generate m.txpkg --weights run/latest --prompt 'And God'\n"
    "  transxssm-run generate m.txpkg --weights run/latest --prompt-file - \\\n"
    "      -n 400 --temperature 0.8 --top-k 40 --seed 1 < prompt.txt\n"
    "  transxssm-run generate m.txpkg --weights dir --ids 17,204,9 -n 16";

constexpr const char *EvalText =
    "Scores every token of the files but the first: mean loss in nats,\n"
    "perplexity, and bits per byte (per token for tokenised data).\n"
    "\n"
    "  transxssm-run eval m.txpkg --weights run/latest --data held-out.txt\n"
    "  transxssm-run eval m.txpkg --weights dir --data ids.npy --json";

constexpr const char *InspectText =
    "Prints what a package holds: entries, targets, parameters and the exact\n"
    "memory of a call for each batch size and sequence length.\n"
    "\n"
    "  transxssm-run inspect m.txpkg --batch 1,8 --seq-len 128,512\n"
    "  transxssm-run inspect m.txpkg --kernels --parameters\n"
    "  transxssm-run inspect m.txpkg --json";

constexpr const char *BenchText =
    "Measures tokens per second of each entry with random weights and tokens:\n"
    "the median of some calls after a warm-up, with the range from the tenth\n"
    "to the ninetieth percentile.\n"
    "\n"
    "  transxssm-run bench m.txpkg --batch 4 --seq-len 512\n"
    "  transxssm-run bench m.txpkg --entry train --profile\n"
    "  transxssm-run bench m.txpkg --profile --profile-picture p.svg\n"
    "  transxssm-run bench m.txpkg --entry decode --past 1024 --json";

void addPackage(CLI::App *Command, std::string &Package) {
  Command->add_option("package", Package, "package from transxssm-compile")
      ->required();
}

void addCommon(CLI::App *Command, CommonOptions &O) {
  addPackage(Command, O.Package);
  Command
      ->add_option("--device", O.Device,
                   "where to run: cpu, cuda or cuda:NUMBER for an NVIDIA GPU, "
                   "or sim for the simulator of one")
      ->capture_default_str();
  Command
      ->add_option("--threads", O.Threads,
                   "number of threads; 0 takes TRANSXSSM_NUM_THREADS, or all "
                   "processors")
      ->check(wholeNumber(0, 4096))
      ->capture_default_str();
}

void addData(CLI::App *Command, DataOptions &O, bool Required) {
  CLI::Option *Files =
      Command->add_option("--data", O.Files, "files with text or token ids");
  if (Required)
    Files->required();
  Command
      ->add_option("--format", O.Format,
                   "auto (.npy by its header, else bytes), bytes, npy, or raw "
                   "little-endian uint16, uint32")
      ->check(CLI::IsMember(DataFormats))
      ->capture_default_str();
}

/// An empty name, as of a variable that is not set, would ask for random
/// weights.
const CLI::Validator NotEmpty(
    [](std::string &Given) {
      return Given.empty() ? "expected a name, got an empty one" : "";
    },
    "");
const CLI::Validator NotNegative = wholeNumber(0);
const CLI::Validator NotNegativeReal = notNegativeNumber();

/// Of AdamW and its learning rate.
void addOptimizer(CLI::App *C, TrainOptions &O) {
  C->add_option("--lr", O.LearningRate, "peak learning rate")
      ->check(NotNegativeReal)
      ->capture_default_str();
  C->add_option("--min-lr", O.MinLearningRate,
                "learning rate at the end [lr / 10]")
      ->check(NotNegativeReal);
  C->add_option("--warmup", O.Warmup,
                "steps of linear warm-up [steps / 10, at most 100]")
      ->check(NotNegative);
  C->add_option("--weight-decay", O.WeightDecay,
                "on tensors of rank 2 and more")
      ->check(NotNegativeReal)
      ->capture_default_str();
  C->add_option("--max-grad-norm", O.MaxGradNorm, "clip to this global norm")
      ->check(positiveNumber())
      ->capture_default_str();
  C->add_flag("--keep-decay-negative", O.KeepDecayNegative,
              "after each step, set decays A of the SSD layers that are above "
              "-1e-4 to it: states then never grow with the sequence");
  C->add_option("--beta1", O.Beta1, "AdamW: decay of the first moment")
      ->check(shareUpTo(0.999999, "0.999999"))
      ->capture_default_str();
  C->add_option("--beta2", O.Beta2, "AdamW: decay of the second moment")
      ->check(shareUpTo(0.999999, "0.999999"))
      ->capture_default_str();
  C->add_option("--eps", O.Eps, "AdamW: added to the denominator")
      ->check(positiveNumber())
      ->capture_default_str();
}

void addTrain(CLI::App &App, TrainOptions &O,
              std::function<Result<int>()> &Do) {
  CLI::App *C = App.add_subcommand("train", TrainText);
  addCommon(C, O.Common);
  addData(C, O.Data, false);
  C->add_option("--val-data", O.ValidationFiles, "files to validate on");
  C->add_option("--val-fraction", O.ValidationFraction,
                "without --val-data: share of the tokens, at the end, that is "
                "held out")
      ->check(shareUpTo(MaxValidationFraction, "0.9"))
      ->capture_default_str();
  C->add_option("--out", O.Out, "directory for checkpoints, losses, picture")
      ->check(NotEmpty);
  C->add_option("--resume", O.Resume,
                "go on from this run's directory or checkpoint; settings come "
                "from it unless given here")
      ->check(NotEmpty);
  C->add_option("--weights", O.Weights,
                "start from these weights; without, random ones")
      ->check(NotEmpty);
  C->add_option("--steps", O.Steps, "steps in all")->check(NotNegative);
  C->add_option("--batch", O.Batch, "sequences a step; 0: package's maximum")
      ->check(NotNegative);
  C->add_option("--seq-len", O.SeqLen, "tokens each; 0: package's maximum")
      ->check(NotNegative);
  addOptimizer(C, O);
  C->add_option("--seed", O.Seed, "for weights, windows and dropout")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_option("--save-every", O.SaveEvery,
                "steps between checkpoints; 0: only at the end")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_option("--eval-every", O.EvalEvery,
                "steps between validations; 0: only at the end [steps / 10]")
      ->check(NotNegative);
  C->add_option("--eval-tokens", O.EvalTokens, "tokens to validate on")
      ->check(wholeNumber(2))
      ->capture_default_str();
  C->add_option("--keep", O.Keep, "newest checkpoints to keep; 0: all")
      ->check(NotNegative)
      ->capture_default_str();
  C->callback([C, &O, &Do] {
    for (const CLI::Option *Option : C->get_options())
      if (Option->count() > 0)
        O.Given.insert(Option->get_name());
    if (O.Resume.empty())
      for (const char *Needed : {"--data", "--steps", "--out"})
        if (!O.Given.count(Needed))
          throw CLI::RequiredError(Needed);
    Do = [&O] { return runTrain(O); };
  });
}

void addGenerate(CLI::App &App, GenerateOptions &O,
                 std::function<Result<int>()> &Do) {
  CLI::App *C = App.add_subcommand("generate", GenerateText);
  addCommon(C, O.Common);
  C->add_option("--weights", O.Weights, "directory or .safetensors file")
      ->required()
      ->check(NotEmpty);
  CLI::Option_group *Prompt = C->add_option_group("prompt", "one of these");
  Prompt->add_option("--prompt", O.Prompt, "text, taken as bytes");
  Prompt->add_option("--prompt-file", O.PromptFile,
                     "file with the text; - reads standard input");
  CLI::Option *Ids =
      Prompt->add_option("--ids", O.Ids, "token ids; the output is ids, too")
          ->delimiter(',');
  Prompt->require_option(1);
  C->add_flag("--echo", O.Echo, "print the prompt before its continuation");
  C->add_option(
       "-n,--num-tokens", O.NumTokens,
       "how many tokens to make [128, or what the package has room for]")
      ->check(wholeNumber(1, INT64_MAX / 4));
  C->add_option("--temperature", O.Sampling.Temperature,
                "0 takes the most likely token")
      ->check(NotNegativeReal)
      ->capture_default_str();
  C->add_option("--top-k", O.Sampling.TopK,
                "draw from the K most likely; 0: from all")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_option("--top-p", O.Sampling.TopP,
                "draw from the fewest tokens with this probability in sum")
      ->check(shareUpTo(1, "1"))
      ->capture_default_str();
  C->add_option("--seed", O.Sampling.Seed, "same seed, same text")
      ->check(NotNegative)
      ->capture_default_str();
  C->callback([Ids, &O, &Do] {
    O.UseIds = Ids->count() > 0;
    Do = [&O] { return runGenerate(O); };
  });
}

void addEval(CLI::App &App, EvalOptions &O, std::function<Result<int>()> &Do) {
  CLI::App *C = App.add_subcommand("eval", EvalText);
  addCommon(C, O.Common);
  addData(C, O.Data, true);
  C->add_option("--weights", O.Weights, "directory or .safetensors file")
      ->required()
      ->check(NotEmpty);
  C->add_option("--batch", O.Batch, "windows a call; 0: package's maximum")
      ->check(NotNegative);
  C->add_option("--seq-len", O.SeqLen, "tokens a window; 0: package's maximum")
      ->check(NotNegative);
  C->add_option("--max-tokens", O.MaxTokens,
                "stop after so many, at least 2; 0: never")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_flag("--json", O.Json, "print JSON");
  C->callback([&O, &Do] { Do = [&O] { return runEval(O); }; });
}

void addInspect(CLI::App &App, InspectOptions &O,
                std::function<Result<int>()> &Do) {
  CLI::App *C = App.add_subcommand("inspect", InspectText);
  addPackage(C, O.Package);
  CLI::Validator Positive = wholeNumber(1);
  C->add_option("--batch", O.Batches, "batch sizes [1 and the maximum]")
      ->delimiter(',')
      ->check(Positive);
  C->add_option("--seq-len", O.SeqLens, "sequence lengths [the maximum]")
      ->delimiter(',')
      ->check(Positive);
  C->add_flag("--kernels", O.Kernels, "list the kernels");
  C->add_flag("--parameters", O.Parameters, "list the parameters");
  C->add_flag("--json", O.Json, "print all of it as JSON");
  C->callback([&O, &Do] { Do = [&O] { return runInspect(O); }; });
}

void addBench(CLI::App &App, BenchOptions &O,
              std::function<Result<int>()> &Do) {
  CLI::App *C = App.add_subcommand("bench", BenchText);
  addCommon(C, O.Common);
  C->add_option("--entry", O.Entries,
                "forward, train, prefill, decode [all that the package has]")
      ->delimiter(',')
      ->check(CLI::IsMember({"forward", "train", "prefill", "decode"}));
  C->add_option("--batch", O.Batch, "sequences; 0: package's maximum")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_option("--seq-len", O.SeqLen, "tokens each; 0: package's maximum")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_option("--past", O.Past, "tokens before a decode step [seq-len - 1]")
      ->check(NotNegative);
  C->add_option("--iterations", O.Iterations, "calls to measure")
      ->check(wholeNumber(1, 1000000))
      ->capture_default_str();
  C->add_option("--warmup", O.Warmup, "calls before that")
      ->check(wholeNumber(0, 1000000))
      ->capture_default_str();
  C->add_option("--seed", O.Seed, "for weights and tokens")
      ->check(NotNegative)
      ->capture_default_str();
  C->add_flag("--profile", O.Profile,
              "also show each kernel's time and share of the machine's peaks");
  C->add_option("--profile-picture", O.ProfilePicture,
                "with --profile: an SVG picture of it, to this file");
  C->add_flag("--traffic", O.Traffic,
              "show what each kernel moves, on device sim: one call, no times");
  C->add_flag("--json", O.Json, "print JSON");
  C->callback([&O, &Do] { Do = [&O] { return runBench(O); }; });
}

/// One line and the way to help, instead of CLI11's whole help page.
int reportUsage(const CLI::App &App, const CLI::ParseError &Why, int Argc,
                char **Argv) {
  std::string Command = "transxssm-run";
  for (const CLI::App *Sub : App.get_subcommands())
    Command += " " + Sub->get_name();
  std::string Line = Why.what();
  Line = Line.substr(0, Line.find('\n'));
  if (App.get_subcommands().empty() && Argc > 1 && Argv[1][0] != '-')
    Line = "expected train, generate, eval, inspect or bench, got '" +
           std::string(Argv[1]) + "'";
  if (!Line.empty())
    Line[0] = char(std::tolower(uint8_t(Line[0])));
  std::fprintf(stderr, "transxssm-run: error: %s; see %s --help\n",
               printable(Line).c_str(), Command.c_str());
  return Usage;
}

int dispatch(int Argc, char **Argv) {
  CLI::App App(Overview, "transxssm-run");
  App.require_subcommand(1);
  App.set_version_flag("--version", "transxssm-run " TRANSXSSM_VERSION);
  TrainOptions Train;
  GenerateOptions Generate;
  EvalOptions Eval;
  InspectOptions Inspect;
  BenchOptions Bench;
  std::function<Result<int>()> Do;
  addTrain(App, Train, Do);
  addGenerate(App, Generate, Do);
  addEval(App, Eval, Do);
  addInspect(App, Inspect, Do);
  addBench(App, Bench, Do);
  try {
    App.parse(Argc, Argv);
  } catch (const CLI::Success &Why) {
    Do = [Code = App.exit(Why)]() -> Result<int> { return Code; };
  } catch (const CLI::ParseError &Why) {
    return reportUsage(App, Why, Argc, Argv);
  }
  watchInterrupts();
  Result<int> Code = Do();
  // A full disk shows when the last of the output leaves the buffer.
  if (Code && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    Code = makeError("standard output: cannot write: ", std::strerror(errno));
  if (Code)
    return *Code;
  std::fprintf(stderr, "transxssm-run: error: %s\n",
               printable(Code.message()).c_str());
  return Failure;
}

} // namespace

int main(int Argc, char **Argv) {
  try {
    return dispatch(Argc, Argv);
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "transxssm-run: error: out of memory; try a smaller "
                         "--batch or --seq-len\n");
    return Failure;
  } catch (const std::exception &Why) {
    std::fprintf(stderr, "transxssm-run: error: %s\n",
                 printable(Why.what()).c_str());
    return Failure;
  }
}
