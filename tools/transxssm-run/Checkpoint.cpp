//===- Checkpoint.cpp - Directories that a training run resumes from ------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Checkpoint.h"

#include "runtime/support/File.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <type_traits>

#include <fcntl.h>
#include <unistd.h>

using namespace transxssm;
using namespace transxssm::run;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

/// Calls Visit(option, JSON key, field) for each setting that a resumed run
/// must share with the run that wrote the checkpoint.
template <typename Options, typename Visitor>
void visitSettings(Options &O, Visitor Visit) {
  Visit("--data", "data", O.Data.Files);
  Visit("--format", "data_format", O.Data.Format);
  Visit("--val-data", "val_data", O.ValidationFiles);
  Visit("--val-fraction", "val_fraction", O.ValidationFraction);
  Visit("--steps", "steps", O.Steps);
  Visit("--batch", "batch", O.Batch);
  Visit("--seq-len", "seq_len", O.SeqLen);
  Visit("--lr", "lr", O.LearningRate);
  Visit("--min-lr", "min_lr", O.MinLearningRate);
  Visit("--warmup", "warmup", O.Warmup);
  Visit("--beta1", "beta1", O.Beta1);
  Visit("--beta2", "beta2", O.Beta2);
  Visit("--eps", "eps", O.Eps);
  Visit("--weight-decay", "weight_decay", O.WeightDecay);
  Visit("--max-grad-norm", "max_grad_norm", O.MaxGradNorm);
  Visit("--keep-decay-negative", "keep_decay_negative", O.KeepDecayNegative);
  Visit("--seed", "seed", O.Seed);
  Visit("--save-every", "save_every", O.SaveEvery);
  Visit("--eval-every", "eval_every", O.EvalEvery);
  Visit("--eval-tokens", "eval_tokens", O.EvalTokens);
  Visit("--keep", "keep", O.Keep);
}

/// What a value for this field should be, or null where it is. Numbers of
/// settings are never negative.
const char *expected(const Json &Value, int64_t) {
  bool Fits = Value.is_number_unsigned() &&
              Value.get<uint64_t>() <= uint64_t(INT64_MAX);
  return Fits ? nullptr : "an integer of at least 0";
}
const char *expected(const Json &Value, uint64_t) {
  return Value.is_number_unsigned() ? nullptr : "an integer of at least 0";
}
const char *expected(const Json &Value, double) {
  bool Fits = Value.is_number() && std::isfinite(Value.get<double>()) &&
              Value.get<double>() >= 0;
  return Fits ? nullptr : "a number of at least 0";
}
const char *expected(const Json &Value, bool) {
  return Value.is_boolean() ? nullptr : "true or false";
}
const char *expected(const Json &Value, const std::string &) {
  return Value.is_string() ? nullptr : "a string";
}
const char *expected(const Json &Value, const std::vector<std::string> &) {
  bool Fits = Value.is_array();
  for (const Json &Element : Value)
    Fits = Fits && Element.is_string();
  return Fits ? nullptr : "a list of strings";
}

/// Reads the keys of trainer.json; remembers the first error.
class TrainerReader {
public:
  TrainerReader(std::string Path, const Json &Root)
      : Path(std::move(Path)), Root(Root) {}

  template <typename T> void read(const char *Key, T &Into) {
    if (Failure)
      return;
    auto Found = Root.find(Key);
    const Json Value = Found == Root.end() ? Json() : *Found;
    if (const char *Expected = expected(Value, Into))
      Failure =
          makeError(Path, ": key '", Key, "': expected ", Expected, ", got ",
                    Found == Root.end()     ? "nothing"
                    : Value.is_structured() ? Value.type_name()
                                            : Value.dump());
    else
      Value.get_to(Into);
  }

  std::optional<Error> Failure;

private:
  std::string Path;
  const Json &Root;
};

void syncPath(const std::string &Path) {
  int File = ::open(Path.c_str(), O_RDONLY);
  if (File < 0)
    return;
  (void)::fsync(File);
  ::close(File);
}

/// A run may be resumed from another working directory.
void makeAbsolute(std::string &Path) {
  std::error_code Failed;
  fs::path Whole = fs::absolute(Path, Failed);
  if (!Failed)
    Path = Whole.lexically_normal().string();
}

Status writeTrainer(const std::string &Path, TrainOptions Options,
                    const TrainerState &State) {
  makeAbsolute(Options.Common.Package);
  for (std::vector<std::string> *Files :
       {&Options.Data.Files, &Options.ValidationFiles})
    for (std::string &File : *Files)
      makeAbsolute(File);
  Json Text;
  Text["format"] = 1;
  Text["step"] = State.Step;
  Text["seconds"] = State.Seconds;
  Text["data_fingerprint"] = State.DataFingerprint;
  Text["package"] = Options.Common.Package;
  visitSettings(Options, [&](const char *, const char *Key, auto &Field) {
    Text[Key] = Field;
  });
  std::string Dump =
      Text.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return writeFileAtomically(Path, {{Dump.data(), Dump.size()}});
}

/// A name for what is not, or no longer, a checkpoint.
std::string hiddenName(const std::string &Out, const std::string &Name) {
  return Out + "/." + Name + ".tmp";
}

/// Takes the name first, so that nobody sees a part of it.
void removeCheckpoint(const std::string &Out, const std::string &Name) {
  std::error_code Failed;
  std::string Hidden = hiddenName(Out, Name);
  fs::remove_all(Hidden, Failed);
  fs::rename(Out + "/" + Name, Hidden, Failed);
  fs::remove_all(Hidden, Failed);
}

/// Gives a directory its final name. Where one of that name is there already,
/// the two are exchanged in one step: `latest` may point at it.
Status publish(const std::string &Temporary, const std::string &Final) {
  if (::renameat2(AT_FDCWD, Temporary.c_str(), AT_FDCWD, Final.c_str(),
                  RENAME_EXCHANGE) == 0) {
    std::error_code Ignored;
    fs::remove_all(Temporary, Ignored);
    return {};
  }
  // There is none, or a file system that cannot exchange.
  std::error_code Failed;
  fs::remove_all(Final, Failed);
  fs::rename(Temporary, Final, Failed);
  if (Failed)
    return makeError(Final, ": cannot rename from ", Temporary, ": ",
                     Failed.message());
  return {};
}

/// The link is made under another name first: it always points somewhere.
Status pointLatest(const std::string &Out, const std::string &Name) {
  std::error_code Failed;
  fs::path Temporary = fs::path(Out) / ".latest.tmp";
  fs::remove(Temporary, Failed);
  fs::create_symlink(Name, Temporary, Failed);
  if (!Failed)
    fs::rename(Temporary, fs::path(Out) / "latest", Failed);
  if (Failed)
    return makeError(Out, "/latest: cannot create link: ", Failed.message());
  syncPath(Out);
  return {};
}

Status fillCheckpoint(Model &Of, const std::string &Into,
                      const TrainOptions &Options, const TrainerState &State) {
  if (Status Made = makeDirectories(Into); !Made)
    return Made;
  if (Status Saved = Of.save(Into); !Saved)
    return Saved;
  if (Status Saved = Of.saveOptimizer(Into + "/optimizer.safetensors"); !Saved)
    return Saved;
  return writeTrainer(Into + "/trainer.json", Options, State);
}

} // namespace

Result<std::string> run::writeCheckpoint(Model &Of, const TrainOptions &Options,
                                         const TrainerState &State) {
  std::string Name = "step-" + std::to_string(State.Step);
  std::string Final = Options.Out + "/" + Name;
  std::string Temporary = hiddenName(Options.Out, Name);
  std::error_code Failed;
  fs::remove_all(Temporary, Failed);
  Status Filled = fillCheckpoint(Of, Temporary, Options, State);
  if (!Filled) {
    fs::remove_all(Temporary, Failed);
    return Filled.error();
  }
  syncPath(Temporary);
  if (Status Published = publish(Temporary, Final); !Published)
    return Published.error();
  syncPath(Options.Out);
  if (Status Linked = pointLatest(Options.Out, Name); !Linked)
    return Linked.error();
  return Final;
}

Result<std::string> run::findCheckpoint(const std::string &Path) {
  for (const std::string &Candidate : {Path, Path + "/latest"})
    if (isFile(Candidate + "/trainer.json")) {
      std::error_code Failed;
      fs::path Real = fs::canonical(Candidate, Failed);
      return Failed ? Candidate : Real.string();
    }
  return makeError(Path, ": no checkpoint here: expected trainer.json or a "
                         "link 'latest' to a directory with one");
}

Result<TrainerState> run::readTrainer(const std::string &Checkpoint,
                                      TrainOptions &Options) {
  std::string Path = Checkpoint + "/trainer.json";
  Result<std::string> Text = readFile(Path);
  if (!Text)
    return Text.error();
  Json Root = Json::parse(*Text, nullptr, /*allow_exceptions=*/false);
  if (!Root.is_object())
    return makeError(Path, ": expected a JSON object");
  TrainerReader Reader(Path, Root);
  int64_t Format = 0;
  Reader.read("format", Format);
  if (!Reader.Failure && Format != 1)
    return makeError(Path, ": key 'format': expected 1, got ", Format);
  visitSettings(Options, [&](const char *Option, const char *Key, auto &Field) {
    // A checkpoint older than a flag does not have it.
    bool Optional = std::is_same_v<std::decay_t<decltype(Field)>, bool>;
    if (!Options.Given.count(Option) && !(Optional && !Root.contains(Key)))
      Reader.read(Key, Field);
  });
  TrainerState State;
  Reader.read("step", State.Step);
  Reader.read("seconds", State.Seconds);
  Reader.read("data_fingerprint", State.DataFingerprint);
  if (Reader.Failure)
    return *Reader.Failure;
  // As the command line checks them.
  if (Options.ValidationFraction > MaxValidationFraction)
    return makeError(Path, ": key 'val_fraction': expected a number from 0 to ",
                     MaxValidationFraction, ", got ",
                     Options.ValidationFraction);
  if (std::find(DataFormats.begin(), DataFormats.end(), Options.Data.Format) ==
      DataFormats.end())
    return makeError(Path,
                     ": key 'data_format': expected auto, bytes, npy, "
                     "uint16 or uint32, got '",
                     Options.Data.Format, "'");
  return State;
}

std::vector<int64_t> run::listCheckpoints(const std::string &Out) {
  std::vector<int64_t> Steps;
  std::error_code Failed;
  for (fs::directory_iterator At(Out, Failed), End; !Failed && At != End;
       At.increment(Failed)) {
    std::string Name = At->path().filename().string();
    if (Name.rfind("step-", 0) != 0 || Name.size() > 23 ||
        Name.find_first_not_of("0123456789", 5) != std::string::npos ||
        Name.size() == 5)
      continue;
    Steps.push_back(std::stoll(Name.substr(5)));
  }
  std::sort(Steps.begin(), Steps.end());
  return Steps;
}

void run::removeOldCheckpoints(const std::string &Out, int64_t Keep,
                               int64_t Step) {
  std::vector<int64_t> Steps = listCheckpoints(Out);
  Steps.erase(std::upper_bound(Steps.begin(), Steps.end(), Step), Steps.end());
  for (size_t I = 0; Keep > 0 && I + size_t(Keep) < Steps.size(); ++I)
    removeCheckpoint(Out, "step-" + std::to_string(Steps[I]));
}
