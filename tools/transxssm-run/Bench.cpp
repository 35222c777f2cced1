//===- Bench.cpp - transxssm-run bench ------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Commands.h"
#include "ProfilePicture.h"
#include "Progress.h"
#include "runtime/Random.h"
#include "runtime/support/File.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <optional>

using namespace transxssm;
using namespace transxssm::run;
using Json = nlohmann::ordered_json;

namespace {

/// Times of one benchmark, each for `Tokens` tokens.
struct Timing {
  std::string Name;
  int64_t Tokens = 0;
  std::vector<double> Seconds;        ///< sorted
  std::vector<KernelProfile> Kernels; ///< with --profile, the longest first
  std::vector<KernelTraffic> Traffic; ///< with --traffic, the most moved first

  double quantile(double Q) const {
    double At = Q * double(Seconds.size() - 1);
    size_t Low = size_t(At);
    size_t High = std::min(Low + 1, Seconds.size() - 1);
    return Seconds[Low] + (At - double(Low)) * (Seconds[High] - Seconds[Low]);
  }
  double rate(double Q) const { return double(Tokens) / quantile(Q); }
  double total() const {
    return std::accumulate(Seconds.begin(), Seconds.end(), 0.0);
  }
};

class Bench {
public:
  Bench(const BenchOptions &O, Model &Of) : O(O), Of(Of) {
    Ids.resize(size_t(O.Batch * O.SeqLen));
    uint64_t Vocab = uint64_t(Of.config().VocabSize);
    for (size_t I = 0; I < Ids.size(); ++I)
      Ids[I] = int32_t(
          philox({uint32_t(I), 0, 0, 0x6265}, uint64_t(O.Seed))[0] % Vocab);
  }

  Status run();
  void measurePeaks();
  void print() const;
  void printProfile(const Timing &T) const;
  void printTraffic(const Timing &T) const;
  Status drawProfile() const;

private:
  bool wants(const char *Entry) const;
  Status forward();
  Status train();
  Status prefill();
  Status decode();
  Status measure(const char *Name, int64_t Tokens,
                 const std::function<Status()> &Before,
                 const std::function<Status()> &Once);

  const BenchOptions &O;
  Model &Of;
  std::vector<int32_t> Ids;
  std::vector<Timing> Timings;
  Ceilings Peaks; ///< with --profile on a processor
};

bool Bench::wants(const char *Entry) const {
  return O.Entries.empty() ? Of.package().findEntry(Entry) != nullptr
                           : std::count(O.Entries.begin(), O.Entries.end(),
                                        std::string(Entry)) > 0;
}

Status Bench::measure(const char *Name, int64_t Tokens,
                      const std::function<Status()> &Before,
                      const std::function<Status()> &Once) {
  Timing Times{Name, Tokens, {}, {}, {}};
  Progress Bar(std::string("bench ") + Name, O.Iterations);
  for (int64_t I = -O.Warmup; I < O.Iterations && !wasInterrupted(); ++I) {
    if (Status Ready = Before(); !Ready)
      return Ready;
    if (I == 0 && O.Profile)
      Of.startProfile();
    if (I == 0 && O.Traffic)
      if (Status Counts = Of.startTraffic(); !Counts)
        return Counts;
    Clock::time_point Began = Clock::now();
    if (Status Ran = Once(); !Ran)
      return Ran;
    double Seconds = secondsSince(Began);
    if (I < 0)
      continue;
    Times.Seconds.push_back(Seconds);
    Bar.update(I + 1, countText(double(Tokens) / Seconds) + " tok/s");
  }
  Bar.clear();
  Times.Kernels = Of.profile();
  Times.Traffic = Of.traffic();
  std::sort(Times.Seconds.begin(), Times.Seconds.end());
  if (!wasInterrupted())
    Timings.push_back(std::move(Times));
  return {};
}

Status Bench::forward() {
  std::vector<float> Logits(Ids.size() * size_t(Of.config().VocabSize));
  return measure(
      "forward", O.Batch * O.SeqLen, [] { return Status(); },
      [&] {
        return Of.forward(Ids.data(), O.Batch, O.SeqLen, nullptr,
                          Logits.data());
      });
}

Status Bench::train() {
  Hyperparameters Settings;
  Settings.LearningRate = 1e-4;
  return measure(
      "train", O.Batch * O.SeqLen, [] { return Status(); },
      [&]() -> Status {
        Result<TrainResult> Done = Of.trainStep(Ids.data(), Ids.data(), O.Batch,
                                                O.SeqLen, nullptr, Settings);
        return Done ? Status() : Status(Done.error());
      });
}

Status Bench::prefill() {
  Result<Cache> Past = Of.newCache(O.Batch, O.SeqLen);
  if (!Past)
    return Past.error();
  std::vector<float> Logits(size_t(O.Batch * Of.config().VocabSize));
  return measure(
      "prefill", O.Batch * O.SeqLen,
      [&] {
        Past->reset();
        return Status();
      },
      [&] {
        return Of.prefill(Ids.data(), O.Batch, O.SeqLen, nullptr, *Past,
                          Logits.data());
      });
}

Status Bench::decode() {
  Result<Cache> Start = Of.newCache(O.Batch, O.Past + 1);
  if (!Start)
    return Start.error();
  std::vector<float> Logits(size_t(O.Batch * Of.config().VocabSize));
  std::vector<int32_t> Prompt(size_t(O.Batch * O.Past));
  for (size_t I = 0; I < Prompt.size(); ++I)
    Prompt[I] = Ids[I % Ids.size()];
  if (O.Past > 0)
    if (Status Ran = Of.prefill(Prompt.data(), O.Batch, O.Past, nullptr, *Start,
                                Logits.data());
        !Ran)
      return Ran;
  // Each step continues a copy of the same past, so that all cost the same.
  std::optional<Cache> Past;
  return measure(
      "decode", O.Batch,
      [&]() -> Status {
        Result<Cache> Copy = Start->clone();
        if (!Copy)
          return Copy.error();
        Past.emplace(std::move(*Copy));
        return {};
      },
      [&] { return Of.decode(Ids.data(), O.Batch, 1, *Past, Logits.data()); });
}

/// The peak of operations is that of the type which the weights have.
void Bench::measurePeaks() {
  Peaks = measureCeilings(Of.numThreads());
  for (const PackageParameter &Weight : Of.package().parameters())
    if (Weight.Type == DType::BF16)
      Peaks.FlopsPerSecond = Peaks.Bf16FlopsPerSecond;
}

Status Bench::run() {
  struct {
    const char *Name;
    Status (Bench::*Run)();
  } const All[] = {{"forward", &Bench::forward},
                   {"train", &Bench::train},
                   {"prefill", &Bench::prefill},
                   {"decode", &Bench::decode}};
  for (const auto &Entry : All) {
    if (!wants(Entry.Name) || wasInterrupted())
      continue;
    if (Status Ran = (this->*Entry.Run)(); !Ran)
      return Ran;
  }
  if (Timings.empty() && !wasInterrupted())
    return makeError(O.Common.Package, ": no entry to measure");
  if (O.Profile && O.Common.Device == "cpu" && !wasInterrupted())
    measurePeaks();
  return {};
}

static Json toJson(const KernelTraffic &Of) {
  return {{"name", Of.Name},
          {"launches", Of.Launches},
          {"floor_bytes", Of.FloorBytes},
          {"memory_bytes", Of.MemoryBytes},
          {"requested_bytes", Of.RequestedBytes},
          {"requested_bytes_ideal", Of.RequestedBytesIdeal},
          {"bank_passes", Of.BankPasses},
          {"bank_passes_ideal", Of.BankPassesIdeal},
          {"tensor_flops", Of.TensorFlops},
          {"instructions", Of.Instructions}};
}

void Bench::print() const {
  if (O.Json) {
    Json Out = {{"package", O.Common.Package},
                {"threads", Of.numThreads()},
                {"batch", O.Batch},
                {"seq_len", O.SeqLen},
                {"past", O.Past},
                {"iterations", O.Iterations}};
    Out["results"] = Json::array();
    for (const Timing &T : Timings)
      Out["results"].push_back({{"name", T.Name},
                                {"tokens_per_call", T.Tokens},
                                {"tokens_per_second", T.rate(0.5)},
                                {"seconds_median", T.quantile(0.5)},
                                {"seconds_p10", T.quantile(0.1)},
                                {"seconds_p90", T.quantile(0.9)}});
    if (O.Profile)
      Out["ceilings"] = {{"flops_per_second", Peaks.FlopsPerSecond},
                         {"bytes_read_per_second", Peaks.BytesReadPerSecond}};
    for (size_t I = 0; I < Timings.size() && O.Profile; ++I)
      for (const KernelProfile &Kernel : Timings[I].Kernels)
        Out["results"][I]["kernels"].push_back({{"name", Kernel.Name},
                                                {"launches", Kernel.Launches},
                                                {"bytes", Kernel.Bytes},
                                                {"flops", Kernel.Flops},
                                                {"seconds", Kernel.Seconds}});
    for (size_t I = 0; I < Timings.size(); ++I)
      for (const KernelTraffic &Kernel : Timings[I].Traffic)
        Out["results"][I]["traffic"].push_back(toJson(Kernel));
    std::printf("%s\n", Out.dump(2).c_str());
    return;
  }
  if (O.Traffic) {
    std::printf("%s, on the simulator: batch %lld, %lld tokens, past %lld\n",
                O.Common.Package.c_str(), (long long)O.Batch,
                (long long)O.SeqLen, (long long)O.Past);
    for (const Timing &T : Timings)
      printTraffic(T);
    return;
  }
  std::printf("%s: batch %lld, seq %lld, decode after %lld, %u threads, %lld "
              "calls each\n",
              O.Common.Package.c_str(), (long long)O.Batch, (long long)O.SeqLen,
              (long long)O.Past, Of.numThreads(), (long long)O.Iterations);
  std::printf("%-8s %12s %26s %12s\n", "entry", "tokens/s", "(10 % .. 90 %)",
              "ms/call");
  for (const Timing &T : Timings) {
    std::string Spread =
        "(" + countText(T.rate(0.9)) + " .. " + countText(T.rate(0.1)) + ")";
    std::printf("%-8s %12s %26s %12.3f\n", T.Name.c_str(),
                countText(T.rate(0.5)).c_str(), Spread.c_str(),
                T.quantile(0.5) * 1e3);
  }
  if (O.Profile && Peaks.FlopsPerSecond > 0)
    std::printf("peaks just now: %.1f GFLOP/s of products, %.1f GB/s read\n",
                Peaks.FlopsPerSecond * 1e-9, Peaks.BytesReadPerSecond * 1e-9);
  if (O.Profile)
    for (const Timing &T : Timings)
      printProfile(T);
}

/// Where the time of one entry goes, kernel by kernel, and how close each is
/// to the peaks of the processor: bytes are those of its operands.
void Bench::printProfile(const Timing &T) const {
  double Calls = double(T.Seconds.size()), InKernels = 0;
  std::printf("\n%s, kernels\n%9s %7s %9s %9s %6s %9s %6s  %s\n",
              T.Name.c_str(), "ms/call", "share", "launches", "GFLOP/s", "peak",
              "GB/s", "peak", "kernel");
  auto Rate = [](double Work, double Seconds, double Share) {
    char Text[48] = "        -      -";
    if (Work > 0 && Seconds > 0 && Share > 0)
      std::snprintf(Text, sizeof(Text), "%9.1f %5.0f%%", Work / Seconds * 1e-9,
                    100 * Share);
    else if (Work > 0 && Seconds > 0)
      std::snprintf(Text, sizeof(Text), "%9.1f      -", Work / Seconds * 1e-9);
    return std::string(Text);
  };
  for (const KernelProfile &Kernel : T.Kernels) {
    std::printf(
        "%9.3f %6.1f%% %9.0f %s %s  %s\n", Kernel.Seconds / Calls * 1e3,
        100 * Kernel.Seconds / T.total(), double(Kernel.Launches) / Calls,
        Rate(double(Kernel.Flops), Kernel.Seconds, shareOfFma(Kernel, Peaks))
            .c_str(),
        Rate(double(Kernel.Bytes), Kernel.Seconds, shareOfRead(Kernel, Peaks))
            .c_str(),
        Kernel.Name.c_str());
    InKernels += Kernel.Seconds;
  }
  double Rest = T.total() - InKernels;
  std::printf("%9.3f %6.1f%%  (outside of kernels)\n", Rest / Calls * 1e3,
              100 * Rest / T.total());
}

Status Bench::drawProfile() const {
  std::vector<EntryProfile> Profiles;
  for (const Timing &T : Timings)
    Profiles.push_back(
        {T.Name, T.total(), double(T.Seconds.size()), T.Kernels});
  std::string Text = profilePicture(Profiles, Peaks);
  return writeFileAtomically(O.ProfilePicture, {{Text.data(), Text.size()}});
}

/// What each kernel moves beside what it must: "!" marks more than 1.15 times
/// the bytes, or more than 1.1 times the passes over shared memory.
void Bench::printTraffic(const Timing &T) const {
  auto Ratio = [](uint64_t Is, uint64_t Least, double Most) {
    if (!Least)
      return std::string(Is ? "inf !" : "-  ");
    double Times = double(Is) / double(Least);
    char Text[32];
    std::snprintf(Text, sizeof(Text), "%.2f%s", Times,
                  Times > Most ? " !" : "  ");
    return std::string(Text);
  };
  std::printf("\n%s\n%12s %8s %10s %9s %9s %12s %8s  %s\n", T.Name.c_str(),
              "floor bytes", "moved", "requested", "sectors", "banks",
              "tensor FLOP", "launches", "kernel");
  for (const KernelTraffic &Kernel : T.Traffic) {
    double Requested = double(Kernel.RequestedBytes) /
                       double(std::max<uint64_t>(1, Kernel.FloorBytes));
    std::printf(
        "%12llu %8s %10.2f %9s %9s %12llu %8llu  %s\n",
        (unsigned long long)Kernel.FloorBytes,
        Ratio(Kernel.MemoryBytes, Kernel.FloorBytes, 1.15).c_str(), Requested,
        Ratio(Kernel.RequestedBytes, Kernel.RequestedBytesIdeal, 1.15).c_str(),
        Ratio(Kernel.BankPasses, Kernel.BankPassesIdeal, 1.1).c_str(),
        (unsigned long long)Kernel.TensorFlops,
        (unsigned long long)Kernel.Launches, Kernel.Name.c_str());
  }
  std::printf("\nmoved: what memory moves for each byte of the floor, behind a "
              "second-level cache; requested: what warps\nask that cache for; "
              "sectors: the same beside the least for these instructions; "
              "banks: passes over\nshared memory beside the least\n");
}

} // namespace

Result<int> run::runBench(const BenchOptions &Given) {
  BenchOptions O = Given;
  Result<Package> From = Package::load(O.Common.Package);
  if (!From)
    return From.error();
  if (Status Fits = requireLanguageModel(*From); !Fits)
    return Fits.error();
  if (Status Resolved = resolveSizes(*From, O.Batch, O.SeqLen); !Resolved)
    return Resolved.error();
  if (!O.ProfilePicture.empty()) {
    if (!O.Profile)
      return makeError("--profile-picture: expected --profile with it");
    if (Status Checked = checkOutputPath(O.ProfilePicture); !Checked)
      return Checked.error();
  }
  if (O.Traffic)
    O.Warmup = 0, O.Iterations = 1;
  if (O.Past < 0)
    O.Past = O.SeqLen - 1;
  if (O.Past >= From->maxSeqLen())
    return makeError("--past: expected at most ", From->maxSeqLen() - 1,
                     " tokens before a step, since the package's maximum is ",
                     From->maxSeqLen(), ", got ", O.Past);
  Result<Model> Of = openModel(O.Common, "", uint64_t(O.Seed));
  if (!Of)
    return Of.error();
  Bench All(O, *Of);
  if (Status Ran = All.run(); !Ran)
    return Ran.error();
  if (wasInterrupted())
    return Interrupted;
  All.print();
  if (!O.ProfilePicture.empty())
    if (Status Drawn = All.drawProfile(); !Drawn)
      return Drawn.error();
  return Success;
}
