//===- GpuCheck.cpp - transxssm-gpu-check ---------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// What bench/gpu_check asks of the runtime, as JSON on stdout:
//
//   golden     a golden model on a device: distances from the authors' numbers,
//              and whether three runs, of which the last two are CUDA graphs
//              where there are such, give the same bits
//   launches   the same calls on a device and in the simulator, launch by
//              launch: the first kernel that differs has the fault; and the
//              tokens that both draw
//   kernels    the conformance set (conformance/Cases.h): single kernels
//              beside what the simulator has answered, bit by bit
//   bandwidth  bytes a second that the device copies
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseRunner.h"
#include "runtime/Model.h"
#include "runtime/SafeTensors.h"
#include "runtime/cuda/CudaContext.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

using namespace transxssm;
using Json = nlohmann::ordered_json;

namespace {

struct Options {
  std::string Package, Folder, Device = "cuda:0", Simulated,
                               SimulatedDevice = "sim";
  std::vector<std::string> Parts;
};

Result<std::vector<double>> readValues(const SafeTensors &File,
                                       const std::string &Name) {
  const SafeTensor *Found = File.find(Name);
  if (!Found)
    return makeError(File.sourceName(), ": expected tensor '", Name,
                     "', got none");
  return float64Values(*Found);
}

/// |Actual - Expected| / |Expected|; infinite where one is not a number.
double relativeError(const std::vector<float> &Actual,
                     const std::vector<double> &Expected) {
  if (Actual.size() != Expected.size())
    return INFINITY;
  double Difference = 0, Norm = 0;
  for (size_t I = 0; I < Actual.size(); ++I) {
    double Off = double(Actual[I]) - Expected[I];
    Difference += Off * Off;
    Norm += Expected[I] * Expected[I];
  }
  if (Difference == 0)
    return 0;
  double Error = std::sqrt(Difference / Norm);
  return std::isnan(Error) ? INFINITY : Error;
}

std::vector<float> floatsOf(const TensorView &View) {
  std::vector<float> Values(static_cast<size_t>(View.numElements()));
  (void)convertElements(View.Type, View.Data, DType::F32, Values.data(),
                        View.numElements());
  return Values;
}

/// A golden's folder: config.json, model.safetensors, expected.safetensors.
struct Golden {
  SafeTensors Expected;
  std::vector<int32_t> Ids, Labels;
  std::vector<float> Mask;
  int64_t Batch = 0, Tokens = 0, Prefill = 0;

  const float *mask() const { return Mask.empty() ? nullptr : Mask.data(); }

  static Result<Golden> load(const std::string &Folder) {
    Result<SafeTensors> File =
        SafeTensors::open(Folder + "/expected.safetensors");
    if (!File)
      return File.error();
    Golden Made{*File, {}, {}, {}, 0, 0, 0};
    for (const auto &[Name, Into] :
         {std::pair<const char *, std::vector<int32_t> *>{"input_ids",
                                                          &Made.Ids},
          {"labels", &Made.Labels}}) {
      Result<std::vector<double>> Values = readValues(*File, Name);
      if (!Values)
        return Values.error();
      Into->assign(Values->begin(), Values->end());
    }
    if (File->find("attention_mask")) {
      Result<std::vector<double>> Values = readValues(*File, "attention_mask");
      if (!Values)
        return Values.error();
      Made.Mask.assign(Values->begin(), Values->end());
    }
    const SafeTensor &Ids = *File->find("input_ids");
    if (Ids.Shape.size() != 2)
      return makeError(Folder, ": input_ids: expected two dimensions");
    Made.Batch = Ids.Shape[0];
    Made.Tokens = Ids.Shape[1];
    auto Prefill = File->metadata().find("prefill");
    if (Prefill != File->metadata().end())
      Made.Prefill = std::atoll(Prefill->second.c_str());
    return Made;
  }
};

//===----------------------------------------------------------------------===//
// golden
//===----------------------------------------------------------------------===//

class GoldenCheck {
public:
  GoldenCheck(const Options &O, const Golden &Of, Model &On)
      : O(O), Of(Of), On(On), Vocab(On.config().VocabSize) {}

  Status run(Json &Into);

private:
  bool wants(const char *Part) const {
    return O.Parts.empty() ||
           std::count(O.Parts.begin(), O.Parts.end(), Part) > 0;
  }
  Status logits();
  Status decode();
  Status gradients();
  Status train();
  Status decodeOnce(std::vector<float> &All);
  void add(const std::string &Name, double Error, double Bound, bool SameBits);

  const Options &O;
  const Golden &Of;
  Model &On;
  int64_t Vocab;
  Json Checks = Json::array();
};

void GoldenCheck::add(const std::string &Name, double Error, double Bound,
                      bool SameBits) {
  Checks.push_back({{"name", Name},
                    {"error", std::isfinite(Error) ? Json(Error) : Json()},
                    {"bound", Bound},
                    {"same_bits", SameBits},
                    {"ok", Error < Bound && SameBits}});
}

Status GoldenCheck::logits() {
  Result<std::vector<double>> Expected = readValues(Of.Expected, "logits");
  if (!Expected)
    return Expected.error();
  std::vector<float> First;
  bool Same = true;
  for (int Round = 0; Round < 3; ++Round) {
    std::vector<float> Logits(Expected->size(), NAN);
    if (Status Ran = On.forward(Of.Ids.data(), Of.Batch, Of.Tokens, Of.mask(),
                                Logits.data());
        !Ran)
      return Ran;
    if (Round == 0)
      First = std::move(Logits);
    else
      Same &= std::memcmp(First.data(), Logits.data(),
                          First.size() * sizeof(float)) == 0;
  }
  // Padded positions carry no meaning.
  for (size_t Row = 0; Row < Of.Mask.size(); ++Row)
    for (size_t V = 0; Of.Mask[Row] == 0 && V < size_t(Vocab); ++V)
      First[Row * size_t(Vocab) + V] = 0,
                                  (*Expected)[Row * size_t(Vocab) + V] = 0;
  add("logits", relativeError(First, *Expected), 1e-5, Same);
  return {};
}

/// Logits of a prefill and of one call a token, as [batch, call, vocabulary].
Status GoldenCheck::decodeOnce(std::vector<float> &All) {
  int64_t Calls = Of.Expected.find("decode_logits")->Shape[1];
  Result<Cache> State = On.newCache(Of.Batch);
  if (!State)
    return State.error();
  All.assign(size_t(Of.Batch * Calls * Vocab), NAN);
  std::vector<float> Logits(size_t(Of.Batch * Vocab));
  for (int64_t Call = 0; Call < Calls; ++Call) {
    int64_t To = Of.Prefill + Call, From = Call ? To - 1 : 0;
    std::vector<int32_t> Part;
    for (int64_t B = 0; B < Of.Batch; ++B)
      Part.insert(Part.end(), Of.Ids.begin() + B * Of.Tokens + From,
                  Of.Ids.begin() + B * Of.Tokens + To);
    Status Ran =
        Call ? On.decode(Part.data(), Of.Batch, 1, *State, Logits.data())
             : On.prefill(Part.data(), Of.Batch, To, nullptr, *State,
                          Logits.data());
    if (!Ran)
      return Ran;
    for (int64_t B = 0; B < Of.Batch; ++B)
      std::copy_n(Logits.begin() + B * Vocab, Vocab,
                  All.begin() + (B * Calls + Call) * Vocab);
  }
  return {};
}

Status GoldenCheck::decode() {
  if (!Of.Expected.find("decode_logits"))
    return {};
  Result<std::vector<double>> Expected =
      readValues(Of.Expected, "decode_logits");
  if (!Expected)
    return Expected.error();
  std::vector<float> First, Second;
  for (std::vector<float> *Into : {&First, &Second})
    if (Status Ran = decodeOnce(*Into); !Ran)
      return Ran;
  add("decode", relativeError(First, *Expected), 1e-5,
      std::memcmp(First.data(), Second.data(), First.size() * sizeof(float)) ==
          0);
  return {};
}

Status GoldenCheck::gradients() {
  std::vector<std::vector<float>> First;
  Result<std::vector<double>> Loss = readValues(Of.Expected, "loss");
  if (!Loss)
    return Loss.error();
  bool Same = true;
  double LossError = 0;
  for (int Round = 0; Round < 3; ++Round) {
    Result<double> Actual = On.gradients(Of.Ids.data(), Of.Labels.data(),
                                         Of.Batch, Of.Tokens, Of.mask());
    if (!Actual)
      return Actual.error();
    LossError = std::abs(*Actual - (*Loss)[0]) / std::abs((*Loss)[0]);
    std::vector<std::string> Names = On.parameterNames();
    for (size_t I = 0; I < Names.size(); ++I) {
      Result<TensorView> View = On.gradient(Names[I]);
      if (!View)
        return View.error();
      if (Round == 0)
        First.push_back(floatsOf(*View));
      else
        Same &= First[I] == floatsOf(*View);
    }
  }
  double Worst = 0;
  std::string Where;
  for (size_t I = 0; I < First.size(); ++I) {
    std::string Name = "grad." + On.parameterNames()[I];
    Result<std::vector<double>> Expected = readValues(Of.Expected, Name);
    if (!Expected)
      return Expected.error();
    double Error = relativeError(First[I], *Expected);
    if (Error >= Worst) {
      Worst = Error;
      Where = Name;
    }
  }
  add("loss", std::isnan(LossError) ? INFINITY : LossError, 1e-5, true);
  add("gradients, worst: " + Where, Worst, 1e-4, Same);
  return {};
}

/// Five steps on one batch. The loss falls, and a second model that is trained
/// likewise has the same losses and parameters.
Status GoldenCheck::train() {
  std::vector<double> Losses;
  std::vector<std::vector<float>> First;
  bool Same = true;
  for (int Round = 0; Round < 2; ++Round) {
    ModelOptions Settings;
    Settings.Device = O.Device;
    Result<Model> Fresh = Model::load(On.package(), O.Folder, Settings);
    if (!Fresh)
      return Fresh.error();
    for (size_t Step = 0; Step < 5; ++Step) {
      Result<TrainResult> Done =
          Fresh->trainStep(Of.Ids.data(), Of.Labels.data(), Of.Batch, Of.Tokens,
                           Of.mask(), Hyperparameters());
      if (!Done)
        return Done.error();
      if (Round == 0)
        Losses.push_back(Done->Loss);
      else
        Same &= Losses[Step] == Done->Loss;
    }
    std::vector<std::string> Names = Fresh->parameterNames();
    for (size_t I = 0; I < Names.size(); ++I) {
      Result<TensorView> View = Fresh->parameter(Names[I]);
      if (!View)
        return View.error();
      if (Round == 0)
        First.push_back(floatsOf(*View));
      else
        Same &= First[I] == floatsOf(*View);
    }
  }
  bool Falls = Losses.back() < Losses.front();
  add("five training steps, loss falls", Falls ? 0 : INFINITY, 1, Same);
  return {};
}

Status GoldenCheck::run(Json &Into) {
  const struct {
    const char *Part, *Entry;
    Status (GoldenCheck::*Run)();
  } All[] = {{"logits", "forward", &GoldenCheck::logits},
             {"decode", "decode", &GoldenCheck::decode},
             {"gradients", "gradients", &GoldenCheck::gradients},
             {"train", "train", &GoldenCheck::train}};
  for (const auto &[Part, Entry, Run] : All)
    if (wants(Part) && On.package().findEntry(Entry))
      if (Status Ran = (this->*Run)(); !Ran)
        return Ran;
  Into["checks"] = Checks;
  return {};
}

Result<Json> checkGolden(const Options &O) {
  Result<Golden> Of = Golden::load(O.Folder);
  if (!Of)
    return Of.error();
  ModelOptions Settings;
  Settings.Device = O.Device;
  Result<Model> On = Model::load(O.Package, O.Folder, Settings);
  if (!On)
    return On.error();
  Json Made = {{"golden", O.Folder}, {"device", O.Device}};
  GoldenCheck Check(O, *Of, *On);
  if (Status Ran = Check.run(Made); !Ran)
    return Ran.error();
  return Made;
}

//===----------------------------------------------------------------------===//
// launches
//===----------------------------------------------------------------------===//

/// What the operands of a launch held after it.
struct SeenLaunch {
  std::string Kernel;
  std::vector<std::vector<float>> Operands;
  std::vector<std::string> Names;
};

Result<std::vector<SeenLaunch>> observe(const Options &O, const Golden &Of,
                                        const std::string &PackagePath,
                                        const std::string &Device,
                                        const std::string &Entry) {
  ModelOptions Settings;
  Settings.Device = Device;
  Result<Model> On = Model::load(PackagePath, O.Folder, Settings);
  if (!On)
    return On.error();
  std::vector<SeenLaunch> Seen;
  On->observeLaunches([&](const LaunchView &View) {
    const PackageLaunch &Launch = View.Entry.Launches[View.Number];
    SeenLaunch Made;
    Made.Kernel = On->package().kernels()[Launch.Kernel].Name;
    for (uint32_t Index : Launch.Operands) {
      const PackageBuffer &Buffer = View.Entry.Buffers[Index];
      int64_t Count = int64_t(View.Bytes[Index] / sizeOf(Buffer.Type));
      std::vector<float> Values(static_cast<size_t>(Count));
      // Integers are inputs, which kernels do not write.
      if (!convertElements(Buffer.Type, View.Buffers[Index], DType::F32,
                           Values.data(), Count))
        Values.clear();
      Made.Operands.push_back(std::move(Values));
      Made.Names.push_back(Buffer.Name);
    }
    Seen.push_back(std::move(Made));
  });
  Status Ran;
  if (Entry == "forward") {
    std::vector<float> Logits(Of.Ids.size() * size_t(On->config().VocabSize));
    Ran = On->forward(Of.Ids.data(), Of.Batch, Of.Tokens, Of.mask(),
                      Logits.data());
  } else {
    Result<double> Loss = On->gradients(Of.Ids.data(), Of.Labels.data(),
                                        Of.Batch, Of.Tokens, Of.mask());
    if (!Loss)
      Ran = Loss.error();
  }
  if (!Ran)
    return Ran.error();
  return Seen;
}

/// Errors pile up from launch to launch, so the bound is that of gradients.
constexpr double LaunchBound = 1e-4;

Json compareLaunches(const std::vector<SeenLaunch> &Actual,
                     const std::vector<SeenLaunch> &Expected,
                     const std::string &Entry) {
  Json Made = {{"name", "launches of " + Entry},
               {"launches", Actual.size()},
               {"bound", LaunchBound}};
  bool Same = Actual.size() == Expected.size();
  double Worst = 0;
  for (size_t I = 0; Same && I < Actual.size(); ++I) {
    Same = Actual[I].Kernel == Expected[I].Kernel &&
           Actual[I].Operands.size() == Expected[I].Operands.size();
    for (size_t N = 0; Same && N < Actual[I].Operands.size(); ++N) {
      std::vector<double> Right(Expected[I].Operands[N].begin(),
                                Expected[I].Operands[N].end());
      double Error = relativeError(Actual[I].Operands[N], Right);
      Worst = std::max(Worst, Error);
      if (Error < LaunchBound || Made.contains("first"))
        continue;
      Made["first"] = {{"launch", I},
                       {"kernel", Actual[I].Kernel},
                       {"buffer", Actual[I].Names[N]},
                       {"error", std::isfinite(Error) ? Json(Error) : Json()}};
    }
  }
  Made["error"] = std::isfinite(Worst) ? Json(Worst) : Json();
  Made["same_plan"] = Same;
  Made["ok"] = Same && Worst < LaunchBound;
  return Made;
}

/// Tokens drawn behind a prompt of four with several settings and seeds.
Result<std::vector<int32_t>> drawTokens(const Options &O, const Golden &Of,
                                        const std::string &PackagePath,
                                        const std::string &Device) {
  ModelOptions Settings;
  Settings.Device = Device;
  Result<Model> On = Model::load(PackagePath, O.Folder, Settings);
  if (!On)
    return On.error();
  const SamplingOptions Each[] = {
      {0, 0, 1, 1},  {1, 0, 1, 2},   {2, 0, 1, uint64_t(3) << 32},
      {2, 20, 1, 4}, {2, 0, 0.7, 5}, {2, 40, 0.8, 6}};
  int64_t Prompt = std::min<int64_t>(4, Of.Tokens);
  std::vector<int32_t> Ids, Tokens(static_cast<size_t>(Of.Batch)), All;
  for (int64_t B = 0; B < Of.Batch; ++B)
    Ids.insert(Ids.end(), Of.Ids.begin() + B * Of.Tokens,
               Of.Ids.begin() + B * Of.Tokens + Prompt);
  for (const SamplingOptions &Sampling : Each) {
    Result<Cache> Past = On->newCache(Of.Batch);
    if (!Past)
      return Past.error();
    if (Status Drawn =
            On->nextTokens(Ids.data(), Of.Batch, Prompt, nullptr, *Past,
                           {Sampling, Sampling.Seed, 0}, Tokens.data());
        !Drawn)
      return Drawn.error();
    All.insert(All.end(), Tokens.begin(), Tokens.end());
  }
  return All;
}

/// Logits differ in their last bits, which moves a token once in thousands of
/// draws; of these few, none.
Result<Json> compareDraws(const Options &O, const Golden &Of) {
  Result<std::vector<int32_t>> Actual = drawTokens(O, Of, O.Package, O.Device);
  if (!Actual)
    return Actual.error();
  Result<std::vector<int32_t>> Expected =
      drawTokens(O, Of, O.Simulated, O.SimulatedDevice);
  if (!Expected)
    return Expected.error();
  size_t Differ = 0;
  for (size_t I = 0; I < Actual->size(); ++I)
    Differ += (*Actual)[I] != (*Expected)[I];
  double Share = double(Differ) / double(Actual->size());
  return Json{{"name", "draws"},
              {"tokens", Actual->size()},
              {"error", Share},
              {"bound", 0},
              {"ok", Differ == 0}};
}

Result<Json> checkLaunches(const Options &O) {
  Result<Golden> Of = Golden::load(O.Folder);
  if (!Of)
    return Of.error();
  Result<Package> From = Package::load(O.Package);
  if (!From)
    return From.error();
  Json Made = {{"golden", O.Folder}, {"device", O.Device}};
  Made["checks"] = Json::array();
  auto Wanted = [&](const char *Part, const char *Entry) {
    return (O.Parts.empty() ||
            std::count(O.Parts.begin(), O.Parts.end(), Part) > 0) &&
           From->findEntry(Entry);
  };
  for (const char *Entry : {"forward", "gradients"}) {
    if (!Wanted(Entry, Entry))
      continue;
    Result<std::vector<SeenLaunch>> Actual =
        observe(O, *Of, O.Package, O.Device, Entry);
    if (!Actual)
      return Actual.error();
    Result<std::vector<SeenLaunch>> Expected =
        observe(O, *Of, O.Simulated, O.SimulatedDevice, Entry);
    if (!Expected)
      return Expected.error();
    Made["checks"].push_back(compareLaunches(*Actual, *Expected, Entry));
  }
  if (Wanted("draws", "prefill")) {
    Result<Json> Draws = compareDraws(O, *Of);
    if (!Draws)
      return Draws.error();
    Made["checks"].push_back(*Draws);
  }
  return Made;
}

//===----------------------------------------------------------------------===//
// kernels
//===----------------------------------------------------------------------===//

Result<std::shared_ptr<cuda::CudaContext>> openGpu(const Options &O) {
  if (O.Device.rfind("cuda:", 0) != 0)
    return makeError("expected a device cuda:NUMBER, got '", O.Device, "'");
  return cuda::CudaContext::create(unsigned(std::atoi(O.Device.c_str() + 5)));
}

/// From the kernel of that number on. After a kernel that breaks the device for
/// this process, "next" says with which to begin in another one.
Result<Json> checkKernels(const Options &O, size_t From) {
  Result<std::vector<conformance::StoredCase>> Cases =
      conformance::readCases(O.Folder);
  if (!Cases)
    return Cases.error();
  Result<std::shared_ptr<cuda::CudaContext>> On = openGpu(O);
  if (!On)
    return On.error();
  Json Made = {{"device", O.Device},
               {"model", (*On)->model()},
               {"not_for_this_gpu", 0},
               {"next", nullptr},
               {"checks", Json::array()}};
  int64_t NotForThis = 0;
  for (size_t I = From; I < Cases->size(); ++I) {
    const conformance::StoredCase &Each = (*Cases)[I];
    Result<std::optional<conformance::Contents>> Left =
        conformance::runOnGpu(*On, Each);
    if (Left && !*Left) {
      ++NotForThis;
      continue;
    }
    std::string Wrong =
        Left ? conformance::difference(Each.Of, **Left) : Left.message();
    Made["checks"].push_back(
        {{"name", Each.Of.Name}, {"ok", Wrong.empty()}, {"says", Wrong}});
    if (!(*On)->enter()) {
      if (I + 1 < Cases->size())
        Made["next"] = I + 1;
      break;
    }
  }
  Made["not_for_this_gpu"] = NotForThis;
  return Made;
}

//===----------------------------------------------------------------------===//
// bandwidth
//===----------------------------------------------------------------------===//

/// Copies within the device's memory; each byte is read and written.
Result<Json> measureBandwidth(const Options &O, uint64_t Bytes, int Rounds) {
  Result<std::shared_ptr<cuda::CudaContext>> On = openGpu(O);
  if (!On)
    return On.error();
  Result<MemoryBlock> From = MemoryBlock::allocate(Bytes, "a copy", *On);
  Result<MemoryBlock> To = MemoryBlock::allocate(Bytes, "a copy", *On);
  if (!From || !To)
    return From ? To.error() : From.error();
  double Best = INFINITY;
  for (int Round = 0; Round < Rounds; ++Round) {
    using Clock = std::chrono::steady_clock;
    Clock::time_point Began = Clock::now();
    if (Status Done = To->copyFrom(*From); !Done)
      return Done.error();
    double Seconds =
        std::chrono::duration<double>(Clock::now() - Began).count();
    Best = std::min(Best, Seconds);
  }
  return Json{{"device", O.Device},
              {"model", (*On)->model()},
              {"capability", (*On)->capability()},
              {"multiprocessors", (*On)->multiprocessors()},
              {"bytes", Bytes},
              {"bytes_per_second", 2 * double(Bytes) / Best}};
}

/// Prints the answer; status 1 where a check failed.
int report(const Result<Json> &Made) {
  if (!Made) {
    std::fprintf(stderr, "transxssm-gpu-check: error: %s\n",
                 Made.message().c_str());
    return 2;
  }
  std::printf("%s\n", Made->dump(2).c_str());
  if (Made->contains("checks"))
    for (const Json &Check : (*Made)["checks"])
      if (!Check["ok"].get<bool>())
        return 1;
  return 0;
}

} // namespace

int main(int Argc, char **Argv) {
  CLI::App App("Checks a device; the answers are JSON");
  App.require_subcommand(1);
  Options O;
  uint64_t Bytes = uint64_t(1) << 30;
  int Rounds = 20;
  CLI::App *Golden = App.add_subcommand("golden", "a golden model");
  CLI::App *Launches =
      App.add_subcommand("launches", "every launch beside the simulator's");
  CLI::App *Kernels =
      App.add_subcommand("kernels", "single kernels beside known answers");
  CLI::App *Bandwidth = App.add_subcommand("bandwidth", "copies on the device");
  size_t FirstKernel = 0;
  for (CLI::App *Command : {Golden, Launches}) {
    Command->add_option("package", O.Package)->required();
    Command->add_option("folder", O.Folder)->required();
    Command
        ->add_option("--parts", O.Parts,
                     "logits, decode, gradients, train; "
                     "of launches forward, gradients, draws")
        ->delimiter(',');
  }
  Launches->add_option("--simulated", O.Simulated, "package of --target=sim")
      ->required();
  Launches->add_option("--simulated-device", O.SimulatedDevice);
  Bandwidth->add_option("--bytes", Bytes)->check(CLI::PositiveNumber);
  Bandwidth->add_option("--rounds", Rounds)->check(CLI::PositiveNumber);
  Kernels->add_option("folder", O.Folder, "of transxssm-gpu-cases")->required();
  Kernels->add_option("--from", FirstKernel, "number of the first one");
  for (CLI::App *Command : {Golden, Launches, Kernels, Bandwidth})
    Command->add_option("--device", O.Device)->capture_default_str();
  CLI11_PARSE(App, Argc, Argv);
  return report(*Golden     ? checkGolden(O)
                : *Launches ? checkLaunches(O)
                : *Kernels  ? checkKernels(O, FirstKernel)
                            : measureBandwidth(O, Bytes, Rounds));
}
