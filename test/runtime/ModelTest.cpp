//===- ModelTest.cpp - Tests of running a package -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Model.h"

#include "SamplePackage.h"
#include "runtime/SafeTensors.h"
#include "runtime/model/RopeTable.h"
#include "runtime/support/File.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

using namespace transxssm;
using namespace transxssm::test;
using package::PackageT;

namespace {

constexpr int64_t V = SampleVocab, D = SampleWidth;

Package readPackage(const PackageT &From) {
  std::vector<uint8_t> File = serialize(From);
  Result<Package> Read = Package::fromBytes(File.data(), File.size(), "p");
  EXPECT_TRUE(bool(Read)) << Read.message();
  return *Read;
}

class RunTest : public testing::Test {
protected:
  void SetUp() override {
    SKIP_WITHOUT_OBJECT();
    reload(2);
  }

  void reload(unsigned Threads, const PackageT &From = samplePackage()) {
    ModelOptions Options;
    Options.Threads = Threads;
    Options.Seed = 42;
    Result<Model> Loaded = Model::load(readPackage(From), "", Options);
    ASSERT_TRUE(bool(Loaded)) << Loaded.message();
    Runner = std::make_unique<Model>(std::move(*Loaded));
    Embed = static_cast<float *>(
        Runner->parameter("model.word_embed.weight")->Data);
    Scale =
        static_cast<float *>(Runner->parameter("model.layers.0.ssd.A")->Data);
  }

  /// The logits of a hidden vector, in the kernel's order of operations.
  void expectLogits(const float *Logits, const std::vector<float> &Hidden) {
    // Rounding grows with the terms, which may cancel in the sum.
    for (int64_t Token = 0; Token < V; ++Token) {
      double Sum = 0, Terms = 0, Factor = std::exp(double(*Scale)) * 2;
      for (int64_t I = 0; I < D; ++I) {
        double Term = double(Hidden[size_t(I)]) * Embed[Token * D + I];
        Sum += Term;
        Terms += std::abs(Term);
      }
      ASSERT_NEAR(Logits[Token], Factor * Sum, 1e-6 * Factor * Terms);
    }
  }

  std::unique_ptr<Model> Runner;
  float *Embed = nullptr;
  float *Scale = nullptr;
};

TEST_F(RunTest, ForwardFillsInputs) {
  std::vector<int32_t> Ids = {1, 2, 3, 4, 5, 6};
  std::vector<float> Mask = {0, 1, 1, 1, 1, 1};
  std::vector<float> Logits(6 * V);
  ASSERT_TRUE(
      bool(Runner->forward(Ids.data(), 2, 3, Mask.data(), Logits.data())));
  RopeFrequencies Frequencies = ropeFrequencies(Runner->config(), 3);
  for (int64_t Token = 0; Token < 6; ++Token) {
    std::vector<float> Hidden(D);
    for (int64_t I = 0; I < D; ++I)
      Hidden[I] = Embed[Ids[Token] * D + I] * Mask[Token] +
                  float(std::cos(Token % 3 * Frequencies.Inverse[0]));
    expectLogits(&Logits[Token * V], Hidden);
  }
  // Without a mask every token counts.
  std::vector<float> Unmasked(6 * V);
  ASSERT_TRUE(
      bool(Runner->forward(Ids.data(), 2, 3, nullptr, Unmasked.data())));
  EXPECT_NE(Unmasked[0], Logits[0]);
  EXPECT_EQ(Unmasked[V], Logits[V]);
}

// The cache carries the state; guards and sizes see the number of past tokens.
TEST_F(RunTest, DecodeContinuesTheCache) {
  std::vector<int32_t> Ids = {1, 2, 3, 4, 5, 6};
  Result<Cache> Kept = Runner->newCache(1, 8);
  ASSERT_TRUE(bool(Kept)) << Kept.message();
  std::vector<float> Sum(D), Logits(6 * V);
  int64_t Splits[] = {2, 1, 1, 2}, Past = 0;
  for (int64_t Count : Splits) {
    ASSERT_TRUE(bool(
        Runner->decode(Ids.data() + Past, 1, Count, *Kept, Logits.data())));
    for (int64_t T = 0; T < Count; ++T) {
      std::vector<float> Hidden(D);
      for (int64_t I = 0; I < D; ++I) {
        Sum[I] += Embed[Ids[Past + T] * D + I];
        Hidden[I] = Sum[I] + 100.0f * float(Past);
      }
      expectLogits(&Logits[T * V], Hidden);
    }
    Past += Count;
    EXPECT_EQ(Kept->length(), Past);
  }
  Result<TensorView> State = Kept->state("ssd_state.0");
  ASSERT_TRUE(bool(State));
  EXPECT_EQ(State->Shape, (std::vector<int64_t>{1, D}));
  EXPECT_EQ(std::memcmp(State->Data, Sum.data(), D * sizeof(float)), 0);
  auto *KeyMask = static_cast<float *>(Kept->state("key_mask")->Data);
  for (int64_t I = 0; I < 8; ++I)
    EXPECT_EQ(KeyMask[I], I < 6 ? float(I + 1) : 0.0f);
  EXPECT_EQ(Kept->stateNames(),
            (std::vector<std::string>{"ssd_state.0", "key_mask"}));
}

TEST_F(RunTest, ClonesAreIndependent) {
  std::vector<int32_t> Ids = {1, 2, 3, 4};
  std::vector<float> Logits(2 * V), Again(2 * V);
  Result<Cache> First = Runner->newCache(2);
  ASSERT_TRUE(bool(First));
  EXPECT_EQ(First->capacity(), SampleMaxSeq);
  ASSERT_TRUE(
      bool(Runner->prefill(Ids.data(), 2, 2, nullptr, *First, Logits.data())));
  Result<Cache> Second = First->clone();
  ASSERT_TRUE(bool(Second));
  ASSERT_TRUE(bool(Runner->decode(Ids.data(), 2, 1, *First, Logits.data())));
  EXPECT_EQ(First->length(), 3);
  EXPECT_EQ(Second->length(), 2);
  ASSERT_TRUE(bool(Runner->decode(Ids.data(), 2, 1, *Second, Again.data())));
  EXPECT_EQ(Logits, Again);
  Second->reset();
  EXPECT_EQ(Second->length(), 0);
  EXPECT_EQ(static_cast<float *>(Second->state("key_mask")->Data)[0], 0);
}

// A package without "prefill" runs "decode" and keeps the last rows.
TEST_F(RunTest, PrefillReturnsTheLastToken) {
  std::vector<int32_t> Ids = {1, 2, 3, 4, 5, 6};
  Result<Cache> A = Runner->newCache(2), B = Runner->newCache(2);
  std::vector<float> All(6 * V), Last(2 * V);
  ASSERT_TRUE(bool(Runner->decode(Ids.data(), 2, 3, *A, All.data())));
  ASSERT_TRUE(
      bool(Runner->prefill(Ids.data(), 2, 3, nullptr, *B, Last.data())));
  for (int64_t Row = 0; Row < 2; ++Row)
    EXPECT_EQ(
        std::memcmp(&Last[Row * V], &All[(Row * 3 + 2) * V], V * sizeof(float)),
        0);
}

TEST_F(RunTest, GradientsByName) {
  std::vector<int32_t> Ids = {1, 2, 3, 4}, Labels = {-100, 5, 5, 7};
  EXPECT_FALSE(bool(Runner->gradient("model.word_embed.weight")));
  Result<double> Loss =
      Runner->gradients(Ids.data(), Labels.data(), 2, 2, nullptr);
  ASSERT_TRUE(bool(Loss)) << Loss.message();
  EXPECT_EQ(*Loss, 3);
  Result<TensorView> Gradient = Runner->gradient("model.word_embed.weight");
  ASSERT_TRUE(bool(Gradient));
  auto *Values = static_cast<float *>(Gradient->Data);
  for (int64_t I = 0; I < V * D; ++I)
    EXPECT_EQ(Values[I], I / D == 5 ? 2 : I / D == 7 ? 1 : 0);
  EXPECT_EQ(Runner->gradient("nobody").message(),
            "the model has no parameter 'nobody'");
}

// Hyperparameters, bias corrections, step counter and moments against the
// same update in float64.
TEST_F(RunTest, TrainingFollowsAdamW) {
  std::vector<double> Parameter(Embed, Embed + V * D), First(V * D),
      Second(V * D);
  Hyperparameters Settings;
  Settings.LearningRate = 0.01;
  std::vector<int32_t> Ids = {1, 2, 3, 4}, Labels = {-100, 5, 5, 7};
  for (int Step = 1; Step <= 5; ++Step) {
    Result<TrainResult> Result =
        Runner->trainStep(Ids.data(), Labels.data(), 2, 2, nullptr, Settings);
    ASSERT_TRUE(bool(Result)) << Result.message();
    EXPECT_EQ(Result->Step, Step);
    EXPECT_EQ(Result->Loss, 3);
    EXPECT_EQ(Result->GradNorm, Step - 1); // the sample's echo of the seed
    for (int64_t I = 0; I < V * D; ++I) {
      double G = I / D == 5 ? 2 : I / D == 7 ? 1 : 0;
      First[I] = 0.9 * First[I] + 0.1 * G;
      Second[I] = 0.95 * Second[I] + 0.05 * G * G;
      Parameter[I] -=
          0.01 * (First[I] / (1 - std::pow(0.9, Step)) + 0.1 * Parameter[I]);
      ASSERT_NEAR(Embed[I], Parameter[I], 1e-6);
    }
  }
  auto *Moment =
      static_cast<float *>(Runner->moment("model.word_embed.weight", 2)->Data);
  for (int64_t I = 0; I < V * D; ++I)
    EXPECT_NEAR(Moment[I], Second[I], 1e-6);
}

// Also numbers that a kernel's float32 does not hold: a step by eps = 0 would
// divide zero by zero.
TEST_F(RunTest, NamesBadHyperparameters) {
  std::vector<int32_t> Ids = {1, 2}, Labels = {-100, 5};
  auto Train = [&](double Hyperparameters::*Which, double Value) {
    Hyperparameters Settings;
    Settings.*Which = Value;
    Result<TrainResult> Done =
        Runner->trainStep(Ids.data(), Labels.data(), 1, 2, nullptr, Settings);
    return Done ? "(no error)" : Done.message();
  };
  using H = Hyperparameters;
  EXPECT_EQ(Train(&H::Beta1, 1), "beta1: expected a float32 number at least 0 "
                                 "and below 1, got 1");
  EXPECT_EQ(Train(&H::Eps, 1e-60),
            "eps: expected a float32 number above 0, got 1e-60");
  EXPECT_EQ(Train(&H::MaxGradNorm, 0),
            "max_grad_norm: expected a float32 number above 0, got 0");
  for (double Value : {-1.0, 1e39, double(INFINITY), double(NAN)}) {
    EXPECT_NE(Train(&H::LearningRate, Value), "(no error)") << Value;
    EXPECT_NE(Train(&H::WeightDecay, Value), "(no error)") << Value;
  }
  EXPECT_EQ(Runner->step(), 0);
}

// The sample's update leaves A alone, so what changes it is the option.
TEST_F(RunTest, TrainingKeepsDecayNegativeWhenAsked) {
  std::vector<int32_t> Ids = {1, 2}, Labels = {-100, 5};
  Hyperparameters Settings;
  auto DecayAfterStep = [&](float Decay) {
    *Scale = Decay;
    Result<TrainResult> Done =
        Runner->trainStep(Ids.data(), Labels.data(), 1, 2, nullptr, Settings);
    EXPECT_TRUE(bool(Done)) << Done.message();
    return *Scale;
  };
  EXPECT_EQ(DecayAfterStep(0.5f), 0.5f);
  Settings.KeepDecayNegative = true;
  std::fill_n(Embed, V * D, 2.0f);
  for (float Above : {0.5f, 0.0f, -0.9e-4f, INFINITY})
    EXPECT_EQ(DecayAfterStep(Above), -1e-4f);
  for (float Below : {-1.1e-4f, -3.0f})
    EXPECT_EQ(DecayAfterStep(Below), Below);
  EXPECT_TRUE(std::isnan(DecayAfterStep(NAN)));
  EXPECT_GT(Embed[0], 1) << "only decays are kept negative";
}

TEST_F(RunTest, SameBitsForAnyNumberOfThreads) {
  std::vector<int32_t> Ids(4 * 16);
  for (size_t I = 0; I < Ids.size(); ++I)
    Ids[I] = int32_t(I * 7 % V);
  std::vector<std::vector<float>> Results;
  for (unsigned Threads : {1u, 2u, 5u})
    for (int Round = 0; Round < 3; ++Round) {
      reload(Threads);
      EXPECT_EQ(Runner->numThreads(), Threads);
      Results.emplace_back(4 * 16 * V);
      ASSERT_TRUE(bool(
          Runner->forward(Ids.data(), 4, 16, nullptr, Results.back().data())));
    }
  for (const std::vector<float> &Other : Results)
    EXPECT_EQ(std::memcmp(Other.data(), Results[0].data(),
                          Other.size() * sizeof(float)),
              0);
}

// Bindings of different sizes share memory and must not disturb each other.
TEST_F(RunTest, AlternatesBetweenSizes) {
  std::vector<int32_t> Ids(64, 3);
  std::vector<float> Expected(V), Logits(64 * V);
  ASSERT_TRUE(
      bool(Runner->forward(Ids.data(), 1, 1, nullptr, Expected.data())));
  for (int64_t Batch = 1; Batch <= 4; ++Batch)
    for (int64_t Seq = 1; Seq <= 16; ++Seq)
      for (int64_t Size : {Seq, int64_t(1)}) {
        ASSERT_TRUE(bool(
            Runner->forward(Ids.data(), Batch, Size, nullptr, Logits.data())));
        EXPECT_EQ(
            std::memcmp(Logits.data(), Expected.data(), V * sizeof(float)), 0);
      }
}

TEST_F(RunTest, InitialValues) {
  for (int64_t I = 0; I < D; ++I)
    EXPECT_EQ(Embed[2 * D + I], 0) << "row of the padding token";
  double Squares = 0;
  for (int64_t I = 0; I < V * D; ++I)
    Squares += Embed[I] * Embed[I];
  double Deviation = std::sqrt(Squares / ((V - 1) * D));
  EXPECT_NEAR(Deviation, 0.02, 0.006);
  EXPECT_LE(*Scale, -1);
  EXPECT_GE(*Scale, -16);
  std::vector<float> First(Embed, Embed + V * D);
  reload(1);
  EXPECT_EQ(std::memcmp(First.data(), Embed, V * D * sizeof(float)), 0);
}

TEST_F(RunTest, NamesBadArguments) {
  std::vector<int32_t> Ids(100, 1), Labels(100, 1);
  std::vector<float> Mask(100, 1), Logits(100 * V);
  auto Forward = [&](int64_t Batch, int64_t Seq) {
    Status Done =
        Runner->forward(Ids.data(), Batch, Seq, Mask.data(), Logits.data());
    return Done ? "(no error)" : Done.message();
  };
  EXPECT_EQ(Forward(5, 1), "batch 5 exceeds the package's maximum 4; compile "
                           "with --max-batch");
  EXPECT_EQ(Forward(1, 17), "sequence length 17 exceeds the package's maximum "
                            "16; compile with --max-seq-len");
  EXPECT_EQ(Forward(0, 3), "expected a batch and a sequence of at least 1, got "
                           "0 and 3");
  Ids[4] = 11;
  EXPECT_EQ(Forward(2, 3),
            "input_ids[1, 1]: expected a token in [0, 11), got 11");
  Ids[4] = -1;
  EXPECT_EQ(Forward(2, 3),
            "input_ids[1, 1]: expected a token in [0, 11), got -1");
  Ids[4] = 1;
  Mask[2] = 0.5f;
  EXPECT_EQ(Forward(1, 3), "attention_mask[0, 2]: expected 0 or 1, got 0.5");
  Labels[1] = -1;
  EXPECT_EQ(
      Runner->gradients(Ids.data(), Labels.data(), 1, 2, nullptr).message(),
      "labels[0, 1]: expected -100 or a token in [0, 11), got -1");
}

TEST_F(RunTest, NamesBadCaches) {
  std::vector<int32_t> Ids(100, 1);
  std::vector<float> Logits(100 * V);
  EXPECT_EQ(Runner->newCache(9).message(),
            "batch 9 of a cache: expected 1 to the package's maximum 4; "
            "compile with --max-batch");
  EXPECT_EQ(Runner->newCache(1, 17).message(),
            "capacity 17 of a cache: expected 1 to the package's maximum 16; "
            "compile with --max-seq-len");
  Result<Cache> Kept = Runner->newCache(2, 4);
  ASSERT_TRUE(bool(Kept));
  EXPECT_EQ(Runner->decode(Ids.data(), 1, 1, *Kept, Logits.data()).message(),
            "expected batch 2 as in the cache, got 1");
  ASSERT_TRUE(bool(Runner->decode(Ids.data(), 2, 3, *Kept, Logits.data())));
  EXPECT_EQ(
      Runner->decode(Ids.data(), 2, 2, *Kept, Logits.data()).message(),
      "the cache holds 3 of 4 tokens: 2 more do not fit; create it with a "
      "larger capacity");
  EXPECT_EQ(Kept->length(), 3);
  EXPECT_EQ(Kept->state("x").message(), "the package has no state 'x'");
  Cache None;
  EXPECT_FALSE(bool(Runner->decode(Ids.data(), 1, 1, None, Logits.data())));
  std::unique_ptr<Model> Old = std::move(Runner);
  reload(1);
  EXPECT_EQ(Runner->decode(Ids.data(), 2, 1, *Kept, Logits.data()).message(),
            "the cache belongs to another model");
}

// A new model may lie where one was that is gone, and whose cache lives on.
TEST_F(RunTest, RefusesCachesOfModelsThatAreGone) {
  std::vector<int32_t> Ids(1, 1);
  std::vector<float> Logits(V);
  Package From = readPackage(samplePackage());
  std::vector<Cache> Caches;
  for (int Round = 0; Round < 20; ++Round) {
    ModelOptions Options;
    Options.Threads = 1;
    Result<Model> Loaded = Model::load(From, "", Options);
    ASSERT_TRUE(bool(Loaded)) << Loaded.message();
    for (Cache &Old : Caches) {
      Status Ran = Loaded->decode(Ids.data(), 1, 1, Old, Logits.data());
      ASSERT_FALSE(bool(Ran)) << Round;
      EXPECT_EQ(Ran.message(), "the cache belongs to another model");
    }
    Result<Cache> Kept = Loaded->newCache(1, 4);
    ASSERT_TRUE(bool(Kept)) << Kept.message();
    EXPECT_TRUE(bool(Loaded->decode(Ids.data(), 1, 1, *Kept, Logits.data())));
    Caches.push_back(std::move(*Kept));
  }
}

TEST_F(RunTest, NamesMissingEntries) {
  PackageT Small = samplePackage();
  Small.entries.resize(2); // forward, decode
  reload(1, Small);
  std::vector<int32_t> Ids(4, 1);
  EXPECT_EQ(
      Runner->trainStep(Ids.data(), Ids.data(), 1, 4, nullptr, {}).message(),
      "p: package has no entry 'train'; it has: forward, decode; compile with "
      "--entry=train");
}

TEST_F(RunTest, RefusesInputsOfTheWrongSize) {
  PackageT Wrong = samplePackage();
  Wrong.entries[0]->buffers[2]->shape[1]->code[0] = {package::Opcode::Constant,
                                                     5};
  reload(1, Wrong);
  std::vector<int32_t> Ids(4, 1);
  std::vector<float> Logits(4 * V);
  EXPECT_EQ(Runner->forward(Ids.data(), 1, 4, nullptr, Logits.data()).message(),
            "p: entry 'forward', buffer 'rope_cos': expected 64 bytes, got 80");
}

// A sequence classifier has one row of logits and one label a sequence.
TEST_F(RunTest, ClassifiesSequences) {
  PackageT Classifier = samplePackage();
  std::string Key = "\"model_type\": \"TransXSSM\",";
  Classifier.config.insert(
      Classifier.config.find(Key),
      "\"architectures\": [\"TransXSSMForSequenceClassification\"], "
      "\"num_labels\": 11, ");
  for (auto &Entry : Classifier.entries)
    for (auto &Buffer : Entry->buffers) {
      if (Buffer->name == "labels")
        Buffer->shape.pop_back();
      if (Buffer->name == "logits")
        Buffer->shape.erase(Buffer->shape.begin() + 1);
    }
  // Rows of hidden states stand for sequences: one logit row for each.
  Classifier.entries[0]->launches[1]->grid[1]->code = {
      {package::Opcode::Symbol, 0}};
  Classifier.entries[2]->launches[0]->sizes[0]->code = {
      {package::Opcode::Symbol, 0}};
  reload(1, Classifier);
  std::vector<int32_t> Ids = {1, 2, 3, 4, 5, 6}, Labels = {4, -100, 99};
  std::vector<float> Logits(2 * V + 1, -7);
  ASSERT_TRUE(bool(Runner->forward(Ids.data(), 2, 3, nullptr, Logits.data())));
  EXPECT_NE(Logits[2 * V - 1], -7);
  EXPECT_EQ(Logits[2 * V], -7);
  Result<double> Loss =
      Runner->gradients(Ids.data(), Labels.data(), 2, 3, nullptr);
  ASSERT_TRUE(bool(Loss)) << Loss.message();
  EXPECT_EQ(*Loss, 1);
  EXPECT_EQ(
      Runner->gradients(Ids.data(), Labels.data(), 3, 2, nullptr).message(),
      "labels[2]: expected -100 or a class in [0, 11), got 99");
}

TEST_F(RunTest, ChoosesCodeByFeatures) {
  PackageT Two = samplePackage();
  auto Fancy = std::make_unique<package::CodeObjectT>(*Two.code[0]);
  Fancy->target = "x86-64-v9";
  Fancy->features = {"warp_drive", "sse2"};
  Fancy->object = {0};
  Two.code.push_back(std::move(Fancy));
  reload(1, Two); // falls back to the first
  Two.code.erase(Two.code.begin());
  EXPECT_EQ(Model::load(readPackage(Two), "").message(),
            "p: no code for this processor: expected code for an x86-64 level "
            "that it has, got x86-64-v9 needs warp_drive");
  Two.code.clear();
  EXPECT_EQ(Model::load(readPackage(Two), "").message(),
            "p: no code for this processor: expected code for an x86-64 level "
            "that it has, got none for x86-64");
  PackageT Renamed = samplePackage();
  Renamed.code[0]->kernels[0]->symbol = "absent";
  EXPECT_EQ(Model::load(readPackage(Renamed), "").message(),
            "p: x86-64-v1: expected function 'absent' in the object code, got "
            "none");
  ModelOptions Options;
  Options.Device = "gpu";
  EXPECT_EQ(Model::load(readPackage(samplePackage()), "", Options).message(),
            "device 'gpu': expected cpu, cuda, cuda:NUMBER, sim or "
            "sim:ARCHITECTURE");
}

TEST_F(RunTest, SavesAndLoads) {
  TemporaryFolder Folder;
  std::vector<float> Values(V * D);
  std::iota(Values.begin(), Values.end(), 1.0f);
  ASSERT_TRUE(bool(
      Runner->setParameter("model.word_embed.weight", Values.data(), V * D)));
  EXPECT_EQ(Runner->setParameter("model.word_embed.weight", Values.data(), 3)
                .message(),
            "parameter 'model.word_embed.weight': expected 88 values, got 3");
  std::string Target = Folder.path("a/b");
  ASSERT_TRUE(bool(Runner->save(Target)));
  EXPECT_EQ(*readFile(Target + "/config.json"), Runner->package().configText());
  for (const std::string &Path : {Target, Target + "/model.safetensors"}) {
    Result<Model> Loaded = Model::load(Runner->package(), Path);
    ASSERT_TRUE(bool(Loaded)) << Loaded.message();
    for (const std::string &Name : Runner->parameterNames()) {
      TensorView A = *Runner->parameter(Name), B = *Loaded->parameter(Name);
      EXPECT_EQ(std::memcmp(A.Data, B.Data, size_t(A.numElements()) * 4), 0);
    }
  }
}

TEST_F(RunTest, SavesAndLoadsTheOptimizer) {
  TemporaryFolder Folder;
  std::vector<int32_t> Ids = {1, 2, 3, 4}, Labels = {-100, 5, 5, 7};
  auto Train = [&] {
    ASSERT_TRUE(
        bool(Runner->trainStep(Ids.data(), Labels.data(), 2, 2, nullptr, {})));
  };
  Train();
  Train();
  ASSERT_TRUE(bool(Runner->save(Folder.root())));
  ASSERT_TRUE(bool(Runner->saveOptimizer(Folder.path("optimizer"))));
  Train();
  std::vector<float> Expected(Embed, Embed + V * D);
  // A run that resumes gets the same bits.
  Result<Model> Loaded = Model::load(Runner->package(), Folder.root());
  ASSERT_TRUE(bool(Loaded));
  ASSERT_TRUE(bool(Loaded->loadOptimizer(Folder.path("optimizer"))));
  EXPECT_EQ(Loaded->step(), 2);
  *Runner = std::move(*Loaded);
  Embed =
      static_cast<float *>(Runner->parameter("model.word_embed.weight")->Data);
  Train();
  EXPECT_EQ(Runner->step(), 3);
  EXPECT_EQ(std::memcmp(Embed, Expected.data(), V * D * sizeof(float)), 0);
}

TEST_F(RunTest, NamesBadOptimizerFiles) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("o.safetensors");
  std::vector<float> Values(V * D, 0.5f);
  std::vector<TensorToWrite> Good;
  for (const char *Moment : {"moment1.", "moment2."}) {
    Good.push_back({Moment + std::string("model.word_embed.weight"),
                    DType::F32,
                    {V, D},
                    Values.data()});
    Good.push_back({Moment + std::string("model.layers.0.ssd.A"),
                    DType::F32,
                    {1},
                    Values.data()});
  }
  using Metadata = std::map<std::string, std::string>;
  auto Load = [&](const std::vector<TensorToWrite> &Tensors,
                  const Metadata &Says) {
    EXPECT_TRUE(bool(writeSafeTensors(Path, Tensors, Says)));
    Status Loaded = Runner->loadOptimizer(Path);
    return Loaded ? "(no error)" : Loaded.message();
  };
  std::string Step =
      Path + ": metadata 'step': expected a count of steps, got ";
  EXPECT_EQ(Load(Good, {}), Step + "nothing");
  for (const char *Text : {"", "-1", "+1", " 1", "1x", "1e3", "ten",
                           "9223372036854775807", "9223372036854775808"})
    EXPECT_EQ(Load(Good, {{"step", Text}}), Step + "'" + Text + "'");
  EXPECT_EQ(Load(Good, {{"step", "7"}}), "(no error)");
  EXPECT_EQ(Runner->step(), 7);

  // What does not fit is named before anything is taken over.
  Values.assign(V * D, 0.25f);
  std::vector<TensorToWrite> Bad = Good;
  Bad[3].Type = DType::I32;
  EXPECT_EQ(Load(Bad, {{"step", "8"}}),
            Path + ": tensor 'moment2.model.layers.0.ssd.A': expected f32 [1], "
                   "got i32 [1]");
  Bad.pop_back();
  EXPECT_EQ(Load(Bad, {{"step", "8"}}),
            Path + ": tensor 'moment2.model.layers.0.ssd.A': expected f32 [1], "
                   "got nothing");
  Result<TensorView> Moment = Runner->moment("model.word_embed.weight", 1);
  ASSERT_TRUE(bool(Moment));
  EXPECT_EQ(static_cast<float *>(Moment->Data)[0], 0.5f);
  EXPECT_EQ(Runner->step(), 7);
}

TEST_F(RunTest, NamesBadCheckpoints) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("w.safetensors");
  std::vector<float> Values(V * D, 0.5f);
  TensorToWrite Embedding{
      "model.word_embed.weight", DType::F32, {V, D}, Values.data()};
  TensorToWrite Decay{"model.layers.0.ssd.A", DType::F32, {1}, Values.data()};
  auto Load = [&](const std::vector<TensorToWrite> &Tensors) {
    EXPECT_TRUE(bool(writeSafeTensors(Path, Tensors, {})));
    Result<Model> Loaded = Model::load(Runner->package(), Path);
    return Loaded ? "(no error)" : Loaded.message();
  };
  EXPECT_EQ(Load({Embedding, Decay}), "(no error)");
  EXPECT_EQ(Load({Embedding}), Path + ": tensor 'model.layers.0.ssd.A': "
                                      "expected shape [1], got no such tensor");
  TensorToWrite Flat = Embedding;
  Flat.Shape = {V * D};
  EXPECT_EQ(Load({Flat, Decay}), Path + ": tensor 'model.word_embed.weight': "
                                        "expected shape [11, 8], got [88]");
  TensorToWrite Extra = Decay;
  Extra.Name = "model.layers.9.ssd.A";
  EXPECT_EQ(Load({Embedding, Decay, Extra}),
            Path + ": tensor 'model.layers.9.ssd.A': the model has no such "
                   "parameter");
  TensorToWrite Integer = Decay;
  Integer.Type = DType::I32;
  EXPECT_EQ(Load({Embedding, Integer}),
            Path + ": tensor 'model.layers.0.ssd.A': cannot convert i32 to "
                   "f32");
  // A tied head may be repeated, but not differ.
  TensorToWrite Head = Embedding;
  Head.Name = "lm_head.weight";
  EXPECT_EQ(Load({Embedding, Decay, Head}), "(no error)");
  std::vector<float> Others(V * D, 0.25f);
  Head.Data = Others.data();
  EXPECT_EQ(Load({Embedding, Decay, Head}),
            Path + ": tensor 'lm_head.weight': expected it to equal "
                   "model.word_embed.weight since tie_word_embeddings is true");
}

TEST_F(RunTest, WarnsOfGrowingStates) {
  TemporaryFolder Folder;
  float Decay = 1.0f;
  ASSERT_TRUE(bool(Runner->setParameter("model.layers.0.ssd.A", &Decay, 1)));
  ASSERT_TRUE(bool(Runner->save(Folder.root())));
  std::vector<std::string> Warnings;
  ModelOptions Options;
  Options.Warn = [&](const std::string &Line) { Warnings.push_back(Line); };
  ASSERT_TRUE(bool(Model::load(Runner->package(), Folder.root(), Options)));
  ASSERT_EQ(Warnings.size(), 1u);
  EXPECT_EQ(Warnings[0],
            "parameter 'model.layers.0.ssd.A': expected negative values, got "
            "1: its state overflows float32 after about 127 tokens");
  Warnings.clear();
  Decay = 1e-30f;
  ASSERT_TRUE(bool(Runner->setParameter("model.layers.0.ssd.A", &Decay, 1)));
  ASSERT_TRUE(bool(Runner->save(Folder.root())));
  ASSERT_TRUE(bool(Model::load(Runner->package(), Folder.root(), Options)));
  ASSERT_EQ(Warnings.size(), 1u);
  EXPECT_EQ(
      Warnings[0],
      "parameter 'model.layers.0.ssd.A': expected negative values, got "
      "1e-30: its state overflows float32 after about 1.27967e+32 tokens");
  Warnings.clear();
  ASSERT_TRUE(bool(Model::load(Runner->package(), "", Options)));
  EXPECT_TRUE(Warnings.empty());
}

} // namespace
