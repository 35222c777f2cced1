//===- CudaDeviceTest.cpp - Device "cuda" over the fake driver ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A golden model compiled for a GPU whose machine code is that of the simulator
// (see FakeDriver.h): all that the runtime does around kernels is as on a GPU.
//
//===----------------------------------------------------------------------===//

#include "test/cuda/FakeDriver.h"

#include "codegen/Pipeline.h"
#include "codegen/sim/SimTarget.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/Executor.h"
#include "runtime/Model.h"
#include "runtime/support/File.h"
#include "test/goldens/GoldenData.h"
#include "gtest/gtest.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>

#include <dlfcn.h>
#include <unistd.h>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

constexpr int64_t MaxBatch = 4, MaxSeqLen = 128;

struct Compiled {
  OwningOpRef<ModuleOp> Module;
  CodeObject Code;
  std::string Config;
};

std::optional<Package> packageWith(const Compiled &From,
                                   const std::vector<std::string> &Targets) {
  std::vector<CodeObject> Code;
  for (const std::string &Target : Targets) {
    Code.push_back(From.Code);
    Code.back().Target = Target;
  }
  std::vector<uint8_t> Payload;
  Result<Package> Made = makePackage(
      *From.Module, Code, {From.Config, MaxBatch, MaxSeqLen}, Payload);
  if (Made)
    return *Made;
  ADD_FAILURE() << Made.message();
  return std::nullopt;
}

class CudaDeviceTest : public testing::Test {
protected:
  static void SetUpTestSuite() {
    Result<GoldenModel> Loaded = GoldenModel::load(goldenFolder("hybrid-tiny"));
    ASSERT_TRUE(Loaded) << Loaded.message();
    Golden = new GoldenModel(std::move(*Loaded));
    static DialectRegistry Registry;
    registerCompilerDialects(Registry);
    static MLIRContext Context(Registry);
    From = new Compiled;
    Result<std::vector<std::string>> Entries =
        expandEntries({}, Golden->Config);
    ASSERT_TRUE(Entries) << Entries.message();
    From->Module = buildModel(Golden->Config, *Entries, 0, Context);
    ASSERT_TRUE(From->Module && succeeded(lowerToPlan(*From->Module)));
    FailureOr<CodeObject> Code = sim::generateSimCode(*From->Module, {"sm_80"});
    ASSERT_TRUE(succeeded(Code));
    From->Code = std::move(*Code);
    Result<std::string> Text = readFile(Golden->Folder + "/config.json");
    ASSERT_TRUE(Text);
    From->Config = *Text;
    Ampere = new Package(*packageWith(*From, {"sm_80"}));
  }

  void SetUp() override {
    ASSERT_TRUE(Ampere);
    ::setenv("TRANSXSSM_CUDA_DRIVER", FAKE_CUDA_DRIVER, 1);
  }

  void TearDown() override {
    for (const char *Name : {"TRANSXSSM_CUDA_DRIVER", "TRANSXSSM_FAKE_CUDA",
                             "TRANSXSSM_CUDA_GRAPHS", "TRANSXSSM_CUDA_SYNC"})
      ::unsetenv(Name);
  }

  static uint64_t count(const char *What) {
    void *Handle = ::dlopen(FAKE_CUDA_DRIVER, RTLD_NOW | RTLD_LOCAL);
    EXPECT_TRUE(Handle) << ::dlerror();
    auto Count = reinterpret_cast<uint64_t (*)(const char *)>(
        reinterpret_cast<uintptr_t>(::dlsym(Handle, "fakeCudaCount")));
    EXPECT_TRUE(Count);
    return Count ? Count(What) : 0;
  }

  static Result<Model> load(const std::string &Weights = Golden->Folder,
                            const std::string &Device = "cuda:0") {
    ModelOptions Options;
    Options.Device = Device;
    Options.Threads = 2;
    Options.Seed = 5;
    return Model::load(*Ampere, Weights, Options);
  }

  static std::vector<int32_t> ids(int64_t Batch, int64_t Seq) {
    const Tensor &Given = Golden->expected("input_ids");
    std::vector<int32_t> Made;
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t T = 0; T < Seq; ++T)
        Made.push_back(int32_t(Given.at(B, T)));
    return Made;
  }

  /// The logits of a short call, or the message of its error.
  static Result<std::vector<float>> forward(Model &On, int64_t Batch,
                                            int64_t Seq) {
    std::vector<float> Logits(size_t(Batch * Seq * Golden->Config.VocabSize),
                              NAN);
    Status Ran =
        On.forward(ids(Batch, Seq).data(), Batch, Seq, nullptr, Logits.data());
    if (!Ran)
      return Ran.error();
    return Logits;
  }

  static std::string errorOf(const char *Settings) {
    ::setenv("TRANSXSSM_FAKE_CUDA", Settings, 1);
    Result<Model> On = load();
    if (!On)
      return On.message();
    Result<std::vector<float>> Ran = forward(*On, 1, 4);
    return Ran ? "" : Ran.message();
  }

  static GoldenModel *Golden;
  static Compiled *From;
  static Package *Ampere;
};

GoldenModel *CudaDeviceTest::Golden = nullptr;
Compiled *CudaDeviceTest::From = nullptr;
Package *CudaDeviceTest::Ampere = nullptr;

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, Logits) {
  const Tensor &Expected = Golden->expected("logits");
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  Result<std::vector<float>> Logits =
      forward(*On, Expected.dim(0), Expected.dim(1));
  ASSERT_TRUE(Logits) << Logits.message();
  Tensor Actual(Expected.shape());
  std::copy(Logits->begin(), Logits->end(), Actual.values().begin());
  EXPECT_LT(relativeError(Actual, Expected), 1e-5);
}

TEST_F(CudaDeviceTest, Gradients) {
  const Tensor &Ids = Golden->expected("input_ids");
  const Tensor &Labels = Golden->expected("labels");
  std::vector<int32_t> Given(Labels.values().begin(), Labels.values().end());
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  EXPECT_EQ(On->gradient(On->parameterNames()[0]).message(),
            "no gradient of '" + On->parameterNames()[0] +
                "' yet: neither gradients nor train has run");
  Result<double> Loss =
      On->gradients(ids(Ids.dim(0), Ids.dim(1)).data(), Given.data(),
                    Ids.dim(0), Ids.dim(1), nullptr);
  ASSERT_TRUE(Loss) << Loss.message();
  double Expected = Golden->expected("loss")[0];
  EXPECT_NEAR(*Loss, Expected, 1e-5 * Expected);
  for (const std::string &Name : On->parameterNames()) {
    Result<TensorView> View = On->gradient(Name);
    ASSERT_TRUE(View) << View.message();
    EXPECT_TRUE(View->Copy);
    Tensor Actual(View->Shape);
    std::copy_n(static_cast<const float *>(View->Data), Actual.size(),
                Actual.values().begin());
    EXPECT_LT(relativeError(Actual, Golden->expected("grad." + Name)), 1e-4)
        << Name;
  }
}

TEST_F(CudaDeviceTest, GraphsChangeNoBitOfDecoding) {
  const Tensor &Expected = Golden->expected("decode_logits");
  const int64_t Steps = 4, Vocab = Golden->Config.VocabSize;
  const int64_t Batch = Expected.dim(0);
  auto Run = [&]() -> Result<std::vector<float>> {
    Result<Model> On = load();
    if (!On)
      return On.error();
    Result<Cache> State = On->newCache(Batch);
    if (!State)
      return State.error();
    std::vector<float> All, Logits(size_t(Batch * Vocab));
    for (int64_t Step = 0; Step < Steps; ++Step) {
      int64_t To = Golden->Prefill + Step, First = Step ? To - 1 : 0;
      std::vector<int32_t> Part;
      for (int64_t B = 0; B < Batch; ++B)
        for (int64_t T = First; T < To; ++T)
          Part.push_back(int32_t(Golden->expected("input_ids").at(B, T)));
      Status Ran =
          Step ? On->decode(Part.data(), Batch, 1, *State, Logits.data())
               : On->prefill(Part.data(), Batch, To, nullptr, *State,
                             Logits.data());
      if (!Ran)
        return Ran.error();
      All.insert(All.end(), Logits.begin(), Logits.end());
    }
    // What the device remembers, and a copy of it, read back.
    Result<Cache> Copy = State->clone();
    if (!Copy)
      return Copy.error();
    for (Cache *Of : {&*State, &*Copy}) {
      Result<TensorView> View = Of->state("ssd_state.0");
      if (!View)
        return View.error();
      const float *Values = static_cast<const float *>(View->Data);
      All.insert(All.end(), Values, Values + View->numElements());
    }
    return All;
  };
  uint64_t Made = count("instantiated"), Ran = count("graphs"),
           Changed = count("changed");
  Result<std::vector<float>> With = Run();
  ASSERT_TRUE(With) << With.message();
  // The first step launches, the second makes a graph, the third changes it.
  EXPECT_EQ(count("instantiated") - Made, 1u);
  EXPECT_EQ(count("graphs") - Ran, uint64_t(Steps - 2));
  size_t Launches = Ampere->findEntry("decode")->Launches.size();
  EXPECT_GT(count("changed") - Changed, 0u);
  EXPECT_LT(count("changed") - Changed, uint64_t(Steps - 3) * Launches / 2);

  Ran = count("graphs");
  ::setenv("TRANSXSSM_CUDA_GRAPHS", "0", 1);
  Result<std::vector<float>> Without = Run();
  ASSERT_TRUE(Without) << Without.message();
  EXPECT_EQ(count("graphs"), Ran);
  ASSERT_EQ(With->size(), Without->size());
  EXPECT_EQ(
      std::memcmp(With->data(), Without->data(), With->size() * sizeof(float)),
      0);
  Tensor Actual({Batch, Steps, Vocab}), Right({Batch, Steps, Vocab});
  for (int64_t Step = 0; Step < Steps; ++Step)
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t V = 0; V < Vocab; ++V) {
        Actual.at(B, Step, V) = (*With)[size_t((Step * Batch + B) * Vocab + V)];
        Right.at(B, Step, V) = Expected.at(B, Step, V);
      }
  EXPECT_LT(relativeError(Actual, Right), 1e-5);
}

/// A state's shape that changes takes another graph; results do not mix.
TEST_F(CudaDeviceTest, SizesTakeTurns) {
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  std::vector<std::vector<float>> First;
  for (int Round = 0; Round < 3; ++Round)
    for (int64_t Seq : {5, 3}) {
      Result<std::vector<float>> Logits = forward(*On, 1, Seq);
      ASSERT_TRUE(Logits) << Logits.message();
      if (Round == 0)
        First.push_back(*Logits);
      else
        EXPECT_EQ(*Logits, First[Seq == 5 ? 0 : 1]);
    }
}

/// Steps of training; what they leave behind is saved after `SaveAfter`.
struct TrainingRun {
  std::vector<double> Losses;
  std::vector<float> Parameters;
};

Result<TrainingRun> trainOn(Model &On, const std::vector<int32_t> &Ids,
                            int64_t Steps) {
  TrainingRun Made;
  for (int64_t Step = 0; Step < Steps; ++Step) {
    Result<TrainResult> Done = On.trainStep(Ids.data(), Ids.data(), 1,
                                            int64_t(Ids.size()), nullptr, {});
    if (!Done)
      return Done.error();
    Made.Losses.push_back(Done->Loss);
  }
  for (const std::string &Name : On.parameterNames()) {
    Result<TensorView> View = On.parameter(Name);
    if (!View)
      return View.error();
    const float *Values = static_cast<const float *>(View->Data);
    Made.Parameters.insert(Made.Parameters.end(), Values,
                           Values + View->numElements());
  }
  return Made;
}

TEST_F(CudaDeviceTest, TrainsSavesAndResumes) {
  std::string Folder =
      testing::TempDir() + "cuda-checkpoint-" + std::to_string(::getpid());
  const std::vector<int32_t> Ids = ids(1, 6);
  Result<Model> Whole = load();
  ASSERT_TRUE(Whole) << Whole.message();
  Result<TrainingRun> All = trainOn(*Whole, Ids, 3);
  ASSERT_TRUE(All) << All.message();
  EXPECT_LT(All->Losses[2], All->Losses[0]);
  {
    ::setenv("TRANSXSSM_CUDA_GRAPHS", "0", 1);
    Result<Model> Begun = load();
    ASSERT_TRUE(Begun) << Begun.message();
    Result<TrainingRun> Part = trainOn(*Begun, Ids, 2);
    ASSERT_TRUE(Part) << Part.message();
    EXPECT_EQ(Part->Losses[1], All->Losses[1]);
    Status Saved = Begun->save(Folder);
    ASSERT_TRUE(Saved) << Saved.message();
    Saved = Begun->saveOptimizer(Folder + "/optimizer.safetensors");
    ASSERT_TRUE(Saved) << Saved.message();
    ::unsetenv("TRANSXSSM_CUDA_GRAPHS");
  }
  Result<Model> Resumed = load(Folder);
  ASSERT_TRUE(Resumed) << Resumed.message();
  Status Read = Resumed->loadOptimizer(Folder + "/optimizer.safetensors");
  ASSERT_TRUE(Read) << Read.message();
  Result<TrainingRun> Rest = trainOn(*Resumed, Ids, 1);
  ASSERT_TRUE(Rest) << Rest.message();
  EXPECT_EQ(Rest->Losses[0], All->Losses[2]);
  EXPECT_EQ(Rest->Parameters, All->Parameters);
  std::filesystem::remove_all(Folder);
}

/// The same initial values as on the processor, and what is set is there.
TEST_F(CudaDeviceTest, ParametersAreCopied) {
  Result<Model> On = load("");
  ASSERT_TRUE(On) << On.message();
  std::string Name = On->parameterNames()[1];
  Result<TensorView> Before = On->parameter(Name);
  ASSERT_TRUE(Before) << Before.message();
  std::vector<float> Values(size_t(Before->numElements()), 0.5f);
  ASSERT_TRUE(On->setParameter(Name, Values.data(), int64_t(Values.size())));
  Result<TensorView> After = On->parameter(Name);
  ASSERT_TRUE(After) << After.message();
  EXPECT_EQ(
      std::memcmp(After->Data, Values.data(), Values.size() * sizeof(float)),
      0);
  EXPECT_NE(
      std::memcmp(Before->Data, After->Data, Values.size() * sizeof(float)), 0);
}

/// What the device holds is what --print-memory says: nothing beside it.
TEST_F(CudaDeviceTest, AllocatesWhatThePlanSays) {
  auto Up = [](uint64_t Bytes) { return (Bytes + 63) / 64 * 64; };
  const PackageEntry &Entry = *Ampere->findEntry("forward");
  Symbols Sizes{2, 96, 0, 96};
  Result<EntryMemory> Plan = entryMemory(*Ampere, Entry, Sizes);
  ASSERT_TRUE(Plan) << Plan.message();
  uint64_t Expected = Plan->Temporaries;
  for (const PackageParameter &P : Ampere->parameters())
    Expected += Up(uint64_t(P.NumElements) * sizeOf(P.Type));
  for (const PackageBuffer &Buffer : Entry.Buffers)
    if (Buffer.Kind == BufferKind::Input || Buffer.Kind == BufferKind::Output)
      Expected += Up(*byteSize(Buffer.Type, Buffer.Shape, Sizes));
  // A byte less does not do.
  std::string Most = "memory=" + std::to_string(Expected);
  ::setenv("TRANSXSSM_FAKE_CUDA", Most.c_str(), 1);
  {
    Result<Model> On = load();
    ASSERT_TRUE(On) << On.message();
    std::vector<int32_t> Ids(2 * 96, 1);
    std::vector<float> Logits(Ids.size() * size_t(Golden->Config.VocabSize));
    Status Ran = On->forward(Ids.data(), 2, 96, nullptr, Logits.data());
    EXPECT_TRUE(Ran) << Ran.message();
  }
  Most = "memory=" + std::to_string(Expected - 1);
  ::setenv("TRANSXSSM_FAKE_CUDA", Most.c_str(), 1);
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  std::vector<int32_t> Ids(2 * 96, 1);
  std::vector<float> Logits(Ids.size() * size_t(Golden->Config.VocabSize));
  EXPECT_FALSE(On->forward(Ids.data(), 2, 96, nullptr, Logits.data()));
}

TEST_F(CudaDeviceTest, ProfilesEveryKernel) {
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  On->startProfile();
  Result<std::vector<float>> Logits = forward(*On, 1, 4);
  ASSERT_TRUE(Logits) << Logits.message();
  uint64_t Launches = 0;
  for (const KernelProfile &Kernel : On->profile()) {
    EXPECT_GT(Kernel.Seconds, 0) << Kernel.Name;
    Launches += Kernel.Launches;
  }
  EXPECT_EQ(Launches, Ampere->findEntry("forward")->Launches.size());
}

/// Observers get copies of what launches have written.
TEST_F(CudaDeviceTest, ShowsEveryLaunch) {
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  size_t Seen = 0;
  std::vector<float> Last;
  On->observeLaunches([&](const LaunchView &View) {
    EXPECT_EQ(View.Number, Seen++);
    uint32_t Into = View.Entry.Launches[View.Number].Operands.back();
    if (View.Entry.Buffers[Into].Name != "logits")
      return;
    const float *Values = static_cast<const float *>(View.Buffers[Into]);
    Last.assign(Values, Values + View.Bytes[Into] / sizeof(float));
  });
  Result<std::vector<float>> Logits = forward(*On, 1, 4);
  ASSERT_TRUE(Logits) << Logits.message();
  EXPECT_EQ(Seen, Ampere->findEntry("forward")->Launches.size());
  EXPECT_EQ(Last, *Logits);
}

//===----------------------------------------------------------------------===//
// Which code
//===----------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, TakesTheBestCode) {
  std::optional<Package> Wide = packageWith(
      *From, {"x86-64-v3", "ptx-sm_80", "sm_80", "sm_90a", "ptx-sm_90a"});
  ASSERT_TRUE(Wide);
  ThreadPool Pool(1);
  auto Chosen = [&](const char *Settings) {
    ::setenv("TRANSXSSM_FAKE_CUDA", Settings, 1);
    Result<std::unique_ptr<Executor>> Made =
        Executor::create(*Wide, "cuda:0", Pool);
    return Made ? (*Made)->target() : Made.message();
  };
  EXPECT_EQ(Chosen("capability=80"), "sm_80");
  EXPECT_EQ(Chosen("capability=86"), "sm_80");
  EXPECT_EQ(Chosen("capability=90"), "sm_90a");
  EXPECT_EQ(Chosen("capability=100"), "ptx-sm_80");
  EXPECT_EQ(Chosen("capability=75"),
            std::string(Wide->sourceName()) +
                ": expected code for cuda:0 (Simulated GPU, sm_75), got "
                "x86-64-v3, ptx-sm_80, sm_80, sm_90a, ptx-sm_90a; compile with "
                "--target=nvptx");
  // An assembler newer than the driver: the driver assembles itself.
  EXPECT_EQ(Chosen("capability=80,refuse_images=1"), "ptx-sm_80");
  EXPECT_EQ(Chosen("capability=80,refuse_images=2"),
            "cuda:0: loading ptx-sm_80 of " + Wide->sourceName() +
                ": CUDA_ERROR_NO_BINARY_FOR_GPU");
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST_F(CudaDeviceTest, NamesWhatIsMissing) {
  EXPECT_EQ(errorOf("version=11040"),
            "device 'cuda:0': expected a driver for CUDA 12.0 or later, got "
            "one for 11.4");
  EXPECT_EQ(errorOf("devices=0"),
            "device 'cuda:0': this machine has no NVIDIA GPU");
  ::unsetenv("TRANSXSSM_FAKE_CUDA");
  EXPECT_EQ(load("", "cuda:1").message(),
            "device 'cuda:1': expected a number below 1, as many GPUs as there "
            "are");
  for (const char *Wrong : {"cuda:", "cuda:x", "cuda:-1", "cuda:10000"})
    EXPECT_EQ(load("", Wrong).message(),
              "device '" + std::string(Wrong) +
                  "': expected the number of a GPU behind cuda:");
  EXPECT_TRUE(load("", "cuda"));
  ::setenv("TRANSXSSM_CUDA_GRAPHS", "yes", 1);
  EXPECT_EQ(load("").message(),
            "TRANSXSSM_CUDA_GRAPHS: expected 0 or 1, got 'yes'");
  ::unsetenv("TRANSXSSM_CUDA_GRAPHS");
  ::setenv("TRANSXSSM_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
  EXPECT_EQ(load("").message(),
            "device 'cuda:0': cannot load NVIDIA's driver: "
            "/nonexistent/libcuda.so.1: cannot open shared object file: No "
            "such file or directory");
  ::setenv("TRANSXSSM_CUDA_DRIVER", "libm.so.6", 1);
  EXPECT_EQ(load("").message(),
            "device 'cuda:0': libm.so.6 has no function cuInit");
}

TEST_F(CudaDeviceTest, NamesWhatDoesNotFit) {
  EXPECT_EQ(errorOf("fail_allocation=1,memory=1000000000")
                .find("cuda:0: cannot allocate "),
            0u);
  EXPECT_EQ(errorOf("memory=100000").find("cuda:0: cannot allocate "), 0u);
  std::string Third = errorOf("fail_allocation=2,memory=1000000000");
  EXPECT_NE(Third.find(" bytes for entry 'forward' with batch 1 and sequence "
                       "4: "),
            std::string::npos)
      << Third;
  EXPECT_NE(Third.find(" of 1000000000 bytes are free"), std::string::npos)
      << Third;
  uint64_t Shared = 0;
  for (const KernelCode &Kernel : From->Code.Kernels)
    Shared = std::max(Shared, Kernel.SharedBytes);
  ASSERT_GT(Shared, 1024u);
  std::string Small = errorOf("shared=1024");
  EXPECT_NE(Small.find("bytes of shared memory, cuda:0 (Simulated GPU) has "
                       "1024"),
            std::string::npos)
      << Small;
}

TEST_F(CudaDeviceTest, NamesTheKernelThatFails) {
  const std::string Source = Ampere->sourceName();
  const PackageEntry &Entry = *Ampere->findEntry("forward");
  const std::string Second = Ampere->kernels()[Entry.Launches[1].Kernel].Name;
  EXPECT_EQ(errorOf("fail_launch=2"),
            Source + ": entry 'forward': cuda:0: launching kernel '" + Second +
                "': CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES");
  EXPECT_EQ(errorOf("fail_kernel=2"),
            Source +
                ": entry 'forward': cuda:0: running kernels "
                "(TRANSXSSM_CUDA_SYNC=1 names the one): "
                "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was "
                "encountered); the device is lost to this process, which has "
                "to be restarted");
  ::setenv("TRANSXSSM_CUDA_SYNC", "1", 1);
  std::string Lost = "cuda:0: in kernel '" + Second +
                     "': CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access "
                     "was encountered); the device is lost to this process, "
                     "which has to be restarted";
  ::setenv("TRANSXSSM_FAKE_CUDA", "fail_kernel=2", 1);
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  EXPECT_EQ(forward(*On, 1, 4).message(),
            Source + ": entry 'forward': " + Lost);
  // It stays so.
  EXPECT_EQ(forward(*On, 1, 4).message(),
            Source + ": entry 'forward': " + Lost);
  EXPECT_EQ(On->parameter(On->parameterNames()[0]).message(), Lost);
  EXPECT_EQ(On->newCache(1).message(), Lost);
}

/// A launch that was refused leaves a model that still works.
TEST_F(CudaDeviceTest, GoesOnAfterARefusedLaunch) {
  ::setenv("TRANSXSSM_FAKE_CUDA", "fail_launch=3", 1);
  Result<Model> On = load();
  ASSERT_TRUE(On) << On.message();
  EXPECT_FALSE(forward(*On, 1, 4));
  Result<std::vector<float>> Again = forward(*On, 1, 4);
  ASSERT_TRUE(Again) << Again.message();
  ::unsetenv("TRANSXSSM_FAKE_CUDA");
  Result<Model> Other = load();
  ASSERT_TRUE(Other) << Other.message();
  Result<std::vector<float>> Expected = forward(*Other, 1, 4);
  ASSERT_TRUE(Expected) << Expected.message();
  EXPECT_EQ(*Again, *Expected);
}

} // namespace
