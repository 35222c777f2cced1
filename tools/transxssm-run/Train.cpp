//===- Train.cpp - transxssm-run train ------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Baselines.h"
#include "Checkpoint.h"
#include "Evaluate.h"
#include "LossChart.h"
#include "Progress.h"
#include "runtime/Random.h"
#include "runtime/support/File.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>

using namespace transxssm;
using namespace transxssm::run;
using Json = nlohmann::ordered_json;

namespace {

/// Warm-up from zero, then half a cosine from the peak to the minimum
/// (Loshchilov and Hutter, "SGDR", 2017).
double learningRate(const TrainOptions &O, int64_t Step) {
  if (Step <= O.Warmup)
    return O.LearningRate * double(Step) / double(O.Warmup);
  double Span = double(std::max<int64_t>(O.Steps - O.Warmup, 1));
  double Phase = std::min(1.0, double(Step - O.Warmup) / Span);
  return O.MinLearningRate + 0.5 * (O.LearningRate - O.MinLearningRate) *
                                 (1 + std::cos(3.14159265358979323846 * Phase));
}

/// A window is a function of (seed, step, row): resuming needs no state.
void drawBatch(const TrainOptions &O, const TokenRange &From, int64_t Step,
               int32_t *Ids) {
  uint64_t Starts = uint64_t(From.size() - O.SeqLen + 1);
  for (int64_t Row = 0; Row < O.Batch; ++Row) {
    std::array<uint32_t, 4> Word = philox(
        {uint32_t(Step), uint32_t(uint64_t(Step) >> 32), uint32_t(Row), 0x6461},
        uint64_t(O.Seed));
    uint64_t Draw = Word[0] | uint64_t(Word[1]) << 32;
    From.Tokens->copy(From.First + int64_t(Draw % Starts), O.SeqLen,
                      Ids + Row * O.SeqLen);
  }
}

Status checkSettings(TrainOptions &O, const Package &From) {
  if (Status Resolved = resolveSizes(From, O.Batch, O.SeqLen); !Resolved)
    return Resolved;
  if (O.SeqLen < 2)
    return makeError("--seq-len: expected at least 2, got ", O.SeqLen);
  if (O.Steps < 1)
    return makeError("--steps: expected at least 1, got ", O.Steps);
  if (O.Data.Files.empty())
    return makeError("--data: expected at least one file");
  if (O.MinLearningRate < 0)
    O.MinLearningRate = O.LearningRate / 10;
  if (O.Warmup < 0)
    O.Warmup = std::min<int64_t>(100, O.Steps / 10);
  if (O.EvalEvery < 0)
    O.EvalEvery = std::max<int64_t>(1, O.Steps / 10);
  if (Status Fits = requireLanguageModel(From); !Fits)
    return Fits;
  if (!From.findEntry("train"))
    return makeError(From.sourceName(), ": the package has no entry 'train'; "
                                        "compile with --entry=train");
  return {};
}

class TrainingRun {
public:
  explicit TrainingRun(TrainOptions Given) : O(std::move(Given)) {}
  Result<int> run();

private:
  Status prepare();
  Status prepareData();
  Status prepareOutput();
  Status openHistory();
  Result<int> loop();
  Status step(Progress &Bar, std::vector<int32_t> &Ids);
  Status validate(Progress &Bar);
  Status save(Progress &Bar);
  Status writeChart() const;
  Status writeLine(const Json &Line);
  Result<int> finish(Progress &Bar);
  std::string interruptedText() const;
  std::string lossText(double Nats) const;

  TrainOptions O;
  TrainerState State;
  std::string Checkpoint; ///< that the run goes on from, or empty
  std::string Newest; ///< where the last saved checkpoint is found, or empty
  std::optional<Package> From;
  std::optional<Model> Trained;
  TokenData TrainTokens, ValidationTokens;
  TokenRange TrainRange, ValidationRange;
  Baselines Counting;
  LossChart Chart;
  std::ofstream History;
  Clock::time_point Began;
  double SecondsBefore = 0, SecondsInSteps = 0;
  int64_t FirstStep = 0, LastSaved = -1, LastValidated = -1;
  double ValidationLoss = 0;
};

Status TrainingRun::prepare() {
  if (!O.Resume.empty()) {
    Result<std::string> Found = findCheckpoint(O.Resume);
    if (!Found)
      return Found.error();
    Checkpoint = *Found;
    Result<TrainerState> Read = readTrainer(Checkpoint, O);
    if (!Read)
      return Read.error();
    State = *Read;
    if (O.Out.empty())
      O.Out = Checkpoint.substr(0, Checkpoint.find_last_of('/'));
  }
  Result<Package> Loaded = Package::load(O.Common.Package);
  if (!Loaded)
    return Loaded.error();
  From = std::move(*Loaded);
  if (Status Checked = checkSettings(O, *From); !Checked)
    return Checked;
  if (State.Step >= O.Steps)
    return makeError(Checkpoint, ": already at step ", State.Step, " of ",
                     O.Steps, "; pass a larger --steps to go on");
  if (Status Read = prepareData(); !Read)
    return Read;
  if (Status Made = prepareOutput(); !Made)
    return Made;
  Result<Model> Opened = openModel(
      O.Common, Checkpoint.empty() ? O.Weights : Checkpoint, uint64_t(O.Seed));
  if (!Opened)
    return Opened.error();
  Trained.emplace(std::move(*Opened));
  if (Checkpoint.empty())
    return openHistory();
  LastSaved = State.Step;
  Newest = Checkpoint;
  if (Status Read =
          Trained->loadOptimizer(Checkpoint + "/optimizer.safetensors");
      !Read)
    return Read;
  if (Trained->step() != State.Step)
    return makeError(Checkpoint, ": trainer.json is at step ", State.Step,
                     ", optimizer.safetensors at step ", Trained->step());
  // Only now is it certain that the steps behind the checkpoint are given up.
  return openHistory();
}

Status TrainingRun::prepareData() {
  Result<TokenData> Opened = TokenData::open(O.Data, *From);
  if (!Opened)
    return Opened.error();
  TrainTokens = std::move(*Opened);
  TrainRange = {&TrainTokens, 0, TrainTokens.size()};
  if (!O.ValidationFiles.empty()) {
    Result<TokenData> Held =
        TokenData::open({O.ValidationFiles, O.Data.Format}, *From);
    if (!Held)
      return Held.error();
    ValidationTokens = std::move(*Held);
    ValidationRange = {&ValidationTokens, 0, ValidationTokens.size()};
  } else if (O.ValidationFraction > 0) {
    int64_t Split = TrainRange.Last -
                    int64_t(double(TrainRange.Last) * O.ValidationFraction);
    ValidationRange = {&TrainTokens, Split, TrainRange.Last};
    TrainRange.Last = Split;
  }
  if (ValidationRange.size() > O.EvalTokens)
    ValidationRange.Last = ValidationRange.First + O.EvalTokens;
  if (TrainRange.size() < O.SeqLen)
    return makeError(O.Data.Files.front(), ": ", TrainRange.size(),
                     " training tokens are fewer than one window of ", O.SeqLen,
                     "; pass a smaller --seq-len or more data");
  uint64_t Fingerprint = TrainTokens.fingerprint();
  if (!Checkpoint.empty() && Fingerprint != State.DataFingerprint)
    return makeError(O.Data.Files.front(), ": not the data that ", Checkpoint,
                     " was trained on; resuming needs the same --data");
  State.DataFingerprint = Fingerprint;
  if (ValidationRange.size() >= 2)
    Counting = countingBaselines(
        TrainRange, ValidationRange,
        TrainTokens.isBytes() ? 256 : From->config().VocabSize);
  return {};
}

Status TrainingRun::prepareOutput() {
  if (O.Out.empty())
    return makeError("--out: expected a directory for checkpoints");
  if (Status Made = makeDirectories(O.Out); !Made)
    return Made;
  if (Checkpoint.empty() && !listCheckpoints(O.Out).empty())
    return makeError(O.Out, ": has checkpoints already; pass --resume ", O.Out,
                     " to go on, or another --out");
  if (Status Writable = checkOutputPath(O.Out + "/loss.jsonl"); !Writable)
    return Writable;
  Chart.Title = From->config().AttnLayerPeriod > 1 ? "TransXSSM training"
                                                   : "Transformer training";
  if (ValidationRange.size() >= 2)
    Chart.References = {{"bigram", Counting.Bigram},
                        {"unigram", Counting.Unigram}};
  return {};
}

/// Keeps the lines of the steps that the checkpoint has seen, and drops those
/// that came after it.
Status TrainingRun::openHistory() {
  std::string Name = O.Out + "/loss.jsonl", Kept;
  if (!Checkpoint.empty()) {
    std::ifstream Old(Checkpoint.substr(0, Checkpoint.find_last_of('/')) +
                      "/loss.jsonl");
    for (std::string Line; std::getline(Old, Line);) {
      Json Entry = Json::parse(Line, nullptr, /*allow_exceptions=*/false);
      if (!Entry.is_object() || !Entry.contains("step") ||
          !Entry["step"].is_number_integer() ||
          Entry["step"].get<int64_t>() > State.Step)
        continue;
      int64_t Step = Entry["step"].get<int64_t>();
      if (Entry.contains("loss") && Entry["loss"].is_number())
        Chart.Training.push_back({Step, Entry["loss"].get<double>()});
      if (Entry.contains("val_loss") && Entry["val_loss"].is_number())
        Chart.Validation.push_back({Step, Entry["val_loss"].get<double>()});
      Kept += Line + "\n";
    }
  }
  if (Status Written = writeFileAtomically(Name, {{Kept.data(), Kept.size()}});
      !Written)
    return Written;
  History.open(Name, std::ios::app);
  if (!History)
    return makeError(Name, ": cannot write: ", std::strerror(errno));
  return {};
}

Status TrainingRun::writeLine(const Json &Line) {
  History << Line.dump() << '\n' << std::flush;
  if (!History)
    return makeError(O.Out,
                     "/loss.jsonl: cannot write: ", std::strerror(errno));
  return {};
}

std::string TrainingRun::lossText(double Nats) const {
  char Text[96];
  std::snprintf(Text, sizeof(Text), "%.4f nats, %.4f bits/%s", Nats,
                Nats / std::log(2.0), TrainTokens.isBytes() ? "byte" : "token");
  return Text;
}

Status TrainingRun::step(Progress &Bar, std::vector<int32_t> &Ids) {
  int64_t Step = State.Step + 1;
  Clock::time_point Start = Clock::now();
  drawBatch(O, TrainRange, Step, Ids.data());
  Hyperparameters Settings;
  Settings.LearningRate = learningRate(O, Step);
  Settings.Beta1 = O.Beta1;
  Settings.Beta2 = O.Beta2;
  Settings.Eps = O.Eps;
  Settings.WeightDecay = O.WeightDecay;
  Settings.MaxGradNorm = O.MaxGradNorm;
  Settings.KeepDecayNegative = O.KeepDecayNegative;
  Result<TrainResult> Done = Trained->trainStep(Ids.data(), Ids.data(), O.Batch,
                                                O.SeqLen, nullptr, Settings);
  if (!Done)
    return Done.error();
  State.Step = Step;
  State.Seconds = SecondsBefore + secondsSince(Began);
  SecondsInSteps += secondsSince(Start);
  if (!std::isfinite(Done->Loss) || !std::isfinite(Done->GradNorm))
    return makeError("step ", Step, ": loss is ", Done->Loss,
                     ", gradient norm ", Done->GradNorm,
                     "; try a smaller --lr (now ", Settings.LearningRate,
                     ") or a longer --warmup");
  Chart.Training.push_back({Step, Done->Loss});
  double Rate =
      double((Step - FirstStep) * O.Batch * O.SeqLen) / SecondsInSteps;
  char Text[128];
  std::snprintf(Text, sizeof(Text), "loss %.4f  |g| %.2f  %s tok/s", Done->Loss,
                Done->GradNorm, countText(Rate).c_str());
  Bar.update(Step, Text);
  return writeLine({{"step", Step},
                    {"loss", Done->Loss},
                    {"grad_norm", Done->GradNorm},
                    {"lr", Settings.LearningRate},
                    {"tokens", Step * O.Batch * O.SeqLen},
                    {"seconds", State.Seconds}});
}

Status TrainingRun::validate(Progress &Bar) {
  if (ValidationRange.size() < 2 || LastValidated == State.Step)
    return {};
  Result<Evaluation> Scored =
      evaluate(*Trained, ValidationRange, O.Batch, O.SeqLen);
  if (!Scored)
    return Scored.error();
  if (Scored->Stopped)
    return {};
  LastValidated = State.Step;
  ValidationLoss = Scored->mean();
  if (std::isfinite(ValidationLoss))
    Chart.Validation.push_back({State.Step, ValidationLoss});
  Bar.say("step " + std::to_string(State.Step) + ": validation " +
          lossText(ValidationLoss));
  if (Status Written =
          writeLine({{"step", State.Step}, {"val_loss", ValidationLoss}});
      !Written)
    return Written;
  return writeChart();
}

Status TrainingRun::writeChart() const {
  return Chart.write(O.Out + "/loss.svg");
}

Status TrainingRun::save(Progress &Bar) {
  if (LastSaved == State.Step)
    return {};
  Result<std::string> Written = writeCheckpoint(*Trained, O, State);
  if (!Written)
    return Written.error();
  LastSaved = State.Step;
  Newest = O.Out;
  Bar.say("step " + std::to_string(State.Step) + ": saved " + *Written);
  removeOldCheckpoints(O.Out, O.Keep, State.Step);
  return writeChart();
}

Result<int> TrainingRun::loop() {
  std::vector<int32_t> Ids(size_t(O.Batch * O.SeqLen));
  Progress Bar("step", O.Steps, State.Step);
  FirstStep = State.Step;
  SecondsBefore = State.Seconds;
  Began = Clock::now();
  while (State.Step < O.Steps && !wasInterrupted()) {
    if (Status Stepped = step(Bar, Ids); !Stepped)
      return Stepped.error();
    bool Last = State.Step == O.Steps;
    if (Last || (O.EvalEvery > 0 && State.Step % O.EvalEvery == 0))
      if (Status Validated = validate(Bar); !Validated)
        return Validated.error();
    if (Last || (O.SaveEvery > 0 && State.Step % O.SaveEvery == 0))
      if (Status Saved = save(Bar); !Saved)
        return Saved.error();
  }
  return finish(Bar);
}

/// A word of a command line, so that a shell reads it as it is.
static std::string shellWord(const std::string &Text) {
  const char *Plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789_-+./:,=@%";
  if (!Text.empty() && Text.find_first_not_of(Plain) == std::string::npos)
    return Text;
  std::string Quoted = "'";
  for (char C : Text)
    Quoted += C == '\'' ? std::string("'\\''") : std::string(1, C);
  return Quoted + "'";
}

/// How far the run has come, and the command that goes on from there.
std::string TrainingRun::interruptedText() const {
  if (Newest.empty())
    return "interrupted before the first step; nothing is saved";
  std::string Text =
      "interrupted after step " + std::to_string(State.Step) + " of " +
      std::to_string(O.Steps) + "; resume with: transxssm-run train " +
      shellWord(O.Common.Package) + " --resume " + shellWord(Newest);
  if (Newest == Checkpoint && O.Given.count("--out"))
    Text += " --out " + shellWord(O.Out);
  if (O.Common.Device != "cpu")
    Text += " --device " + shellWord(O.Common.Device);
  if (O.Common.Threads != 0)
    Text += " --threads " + std::to_string(O.Common.Threads);
  return Text;
}

Result<int> TrainingRun::finish(Progress &Bar) {
  if (State.Step < O.Steps) {
    if (State.Step > 0)
      if (Status Saved = save(Bar); !Saved)
        return Saved.error();
    Bar.say(interruptedText());
    return Interrupted;
  }
  Bar.clear();
  std::printf("trained %lld steps in %s\n", (long long)O.Steps,
              durationText(State.Seconds).c_str());
  if (LastValidated == State.Step) {
    std::printf("validation loss  %s\n", lossText(ValidationLoss).c_str());
    std::printf("bigram model     %s\n", lossText(Counting.Bigram).c_str());
    std::printf("unigram model    %s\n", lossText(Counting.Unigram).c_str());
  }
  std::printf("weights          %s/step-%lld\n", O.Out.c_str(),
              (long long)State.Step);
  std::printf("losses           %s/loss.jsonl, %s/loss.svg\n", O.Out.c_str(),
              O.Out.c_str());
  return Success;
}

Result<int> TrainingRun::run() {
  if (Status Ready = prepare(); !Ready)
    return Ready.error();
  int64_t Count = 0;
  for (const PackageParameter &P : From->parameters())
    Count += P.NumElements;
  std::fprintf(stderr,
               "%s: %s parameters, batch %lld x %lld tokens, %s training and "
               "%s validation tokens, %u threads\n",
               O.Common.Package.c_str(), countText(double(Count)).c_str(),
               (long long)O.Batch, (long long)O.SeqLen,
               countText(double(TrainRange.size())).c_str(),
               countText(double(ValidationRange.size())).c_str(),
               Trained->numThreads());
  if (State.Step > 0)
    std::fprintf(stderr, "resumed %s at step %lld\n", Checkpoint.c_str(),
                 (long long)State.Step);
  return loop();
}

} // namespace

Result<int> run::runTrain(TrainOptions Options) {
  return TrainingRun(std::move(Options)).run();
}
