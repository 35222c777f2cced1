//===- MixedPrecisionTest.cpp - bf16 packages against the interpreter -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The golden models compiled in bf16 for this processor, against the
// interpreter's results with and without rounding (MixedReference.h).
//
//===----------------------------------------------------------------------===//

#include "test/goldens/MixedReference.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

/// Built once for each name.
const TypedModel &modelOf(const std::string &Name, DType Type = DType::BF16) {
  static std::map<std::pair<std::string, DType>, std::unique_ptr<TypedModel>>
      Known;
  std::unique_ptr<TypedModel> &Found = Known[{Name, Type}];
  if (!Found)
    Found = buildTypedModel(Name, Type, {}, generateForThisCpu);
  return *Found;
}

class MixedPrecision : public testing::TestWithParam<std::string> {
protected:
  const TypedModel &M = modelOf(GetParam());
};

TEST_P(MixedPrecision, TypesOfThePackage) {
  ASSERT_TRUE(M.Compiled);
  for (const PackageParameter &Parameter : M.Compiled->parameters())
    EXPECT_EQ(Parameter.Type,
              Parameter.Shape.size() >= 2 ? DType::BF16 : DType::F32)
        << Parameter.Name;
  for (const PackageState &State : M.Compiled->states()) {
    bool IsCache = State.Name.find("_cache.") != std::string::npos;
    EXPECT_EQ(State.Type, IsCache ? DType::BF16 : DType::F32) << State.Name;
  }
}

TEST_P(MixedPrecision, Logits) {
  ASSERT_TRUE(M.Compiled);
  txs::TensorMap Inputs = inputsOf(M);
  Tensor Truth = interpret(M, "forward", false, Inputs).Outputs.at("logits");
  Tensor Rounded = interpret(M, "forward", true, Inputs).Outputs.at("logits");
  std::vector<float> First;
  for (unsigned Threads : {1u, 2u}) {
    Result<Model> Loaded = M.load(Threads);
    ASSERT_TRUE(Loaded) << Loaded.message();
    std::vector<float> Logits(M.Batch * M.Tokens * M.Vocab, NAN);
    Status Ran = Loaded->forward(M.Ids.data(), M.Batch, M.Tokens, M.mask(),
                                 Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    if (First.empty())
      First = Logits;
    EXPECT_EQ(
        std::memcmp(First.data(), Logits.data(), Logits.size() * sizeof(float)),
        0)
        << "other bits with " << Threads << " threads";
  }
  Tensor Actual = tensor(Truth.shape(), First.data());
  for (Tensor *Each : {&Actual, &Truth, &Rounded})
    clearPadding(*Each, M.Mask);
  expectAsCloseAs(Actual, Rounded, Truth, "logits");
  // The types of the module cost something, or this compares float32.
  EXPECT_GT(relativeError(Rounded, Truth), 1e-4);
}

TEST_P(MixedPrecision, PrefillThenDecode) {
  ASSERT_TRUE(M.Compiled);
  if (!M.Golden.has("decode_logits") || !M.Mask.empty())
    GTEST_SKIP() << "no decode in this golden";
  txs::TensorMap Truth = interpretDecoding(M, false);
  txs::TensorMap Rounded = interpretDecoding(M, true);
  Result<Model> Loaded = M.load(2);
  ASSERT_TRUE(Loaded) << Loaded.message();
  Result<Cache> State = Loaded->newCache(M.Batch);
  ASSERT_TRUE(State) << State.message();
  Result<txs::TensorMap> Actual = decodeOn(*Loaded, *State, M);
  ASSERT_TRUE(Actual) << Actual.message();
  for (const auto &[Name, Value] : Truth)
    expectAsCloseAs(Actual->at(Name), Rounded.at(Name), Value, Name);
}

TEST_P(MixedPrecision, LossAndGradients) {
  ASSERT_TRUE(M.Compiled);
  Result<Model> One = M.load(1), Two = M.load(2);
  ASSERT_TRUE(One && Two);
  Result<double> Loss = One->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                       M.Tokens, M.mask());
  Result<double> Again = Two->gradients(M.Ids.data(), M.Labels.data(), M.Batch,
                                        M.Tokens, M.mask());
  ASSERT_TRUE(Loss && Again);
  EXPECT_EQ(*Loss, *Again);
  txs::TensorMap Actual = gradientsOf(*One), Other = gradientsOf(*Two);
  for (const auto &[Name, Gradient] : Actual)
    EXPECT_TRUE(sameBits(Gradient, Other.at(Name)))
        << Name << ": other bits with 2 threads";
  expectMixedGradients(M, *Loss, Actual);
}

INSTANTIATE_TEST_SUITE_P(Goldens, MixedPrecision,
                         testing::ValuesIn(goldenNames()), [](auto Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

//===----------------------------------------------------------------------===//
// Training
//===----------------------------------------------------------------------===//

std::vector<double> losses(Model &Of, const TypedModel &M, int64_t Steps) {
  std::vector<double> Made;
  for (int64_t Step = 0; Step < Steps; ++Step) {
    Result<TrainResult> Ran =
        Of.trainStep(M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask(),
                     usualSettings());
    EXPECT_TRUE(Ran) << Ran.message();
    if (!Ran)
      return Made;
    EXPECT_TRUE(std::isfinite(Ran->GradNorm));
    Made.push_back(Ran->Loss);
  }
  return Made;
}

/// Every parameter's bytes.
std::vector<std::vector<uint8_t>> bytesOf(Model &Of) {
  std::vector<std::vector<uint8_t>> Made;
  for (const std::string &Name : Of.parameterNames()) {
    Result<TensorView> View = Of.parameter(Name);
    EXPECT_TRUE(View) << View.message();
    auto *First = static_cast<const uint8_t *>(View->Data);
    Made.emplace_back(First, First + View->numElements() * sizeOf(View->Type));
  }
  return Made;
}

/// A folder that is gone after the test.
struct ScratchFolder {
  ScratchFolder() {
    std::string Pattern = testing::TempDir() + "/mixed-XXXXXX";
    EXPECT_TRUE(::mkdtemp(Pattern.data()));
    Path = Pattern;
  }
  ~ScratchFolder() { std::filesystem::remove_all(Path); }
  std::string Path;
};

TEST(MixedPrecisionTraining, LossCurveFollowsFloat32) {
  const TypedModel &M = modelOf("hybrid-tiny");
  const TypedModel &Wide = modelOf("hybrid-tiny", DType::F32);
  ASSERT_TRUE(M.Compiled && Wide.Compiled);
  Result<Model> Loaded = M.load(2), Float = Wide.load(2);
  ASSERT_TRUE(Loaded && Float);
  std::vector<double> Actual = losses(*Loaded, M, 10);
  std::vector<double> Expected = losses(*Float, Wide, 10);
  std::vector<double> Rounded = interpretLosses(M, 10, true);
  ASSERT_EQ(Actual.size(), 10u);
  EXPECT_LT(Actual.back(), 0.95 * Actual.front());
  double Allowed = Slack * largestDistance(Rounded, Expected);
  EXPECT_LE(largestDistance(Actual, Expected), Allowed);
  // And that is little: the first steps of AdamW move every weight by the
  // learning rate, whichever sign rounding leaves a small gradient.
  EXPECT_LE(Allowed, 0.02 * Expected.front());
}

/// Steps too small for bf16 to show one by one add up in the masters.
TEST(MixedPrecisionTraining, SmallStepsAddUp) {
  const TypedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(2);
  ASSERT_TRUE(Loaded) << Loaded.message();
  std::vector<std::vector<uint8_t>> Before = bytesOf(*Loaded);
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 1e-5;
  Settings.WeightDecay = 0;
  std::vector<double> Losses;
  for (int Step = 0; Step < 40; ++Step) {
    Result<TrainResult> Ran = Loaded->trainStep(
        M.Ids.data(), M.Labels.data(), M.Batch, M.Tokens, M.mask(), Settings);
    ASSERT_TRUE(Ran) << Ran.message();
    Losses.push_back(Ran->Loss);
  }
  EXPECT_LT(Losses.back(), Losses.front());
  EXPECT_NE(bytesOf(*Loaded), Before);
}

/// The first step updates the float32 checkpoint, not what bf16 keeps of it.
TEST(MixedPrecisionTraining, MastersComeFromTheCheckpoint) {
  const TypedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 0;
  ASSERT_TRUE(Loaded->trainStep(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask(), Settings));
  ScratchFolder Folder;
  std::string Path = Folder.Path + "/optimizer.safetensors";
  ASSERT_TRUE(Loaded->saveOptimizer(Path));
  Result<txs::TensorMap> Saved = readTensors(Path);
  ASSERT_TRUE(Saved) << Saved.message();
  for (const PackageParameter &Parameter : M.Compiled->parameters()) {
    auto Master = Saved->find("master." + Parameter.Name);
    ASSERT_EQ(Master != Saved->end(), Parameter.Type == DType::BF16)
        << Parameter.Name;
    if (Master != Saved->end())
      EXPECT_EQ(Master->second.values(),
                M.Golden.Weights.at(Parameter.Name).values())
          << Parameter.Name;
  }
}

/// What somebody writes into a parameter counts, whatever its master was.
TEST(MixedPrecisionTraining, AWrittenParameterReplacesItsMaster) {
  const TypedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Loaded = M.load(1);
  ASSERT_TRUE(Loaded) << Loaded.message();
  losses(*Loaded, M, 1);
  const std::string Name = "model.layers.0.ssd.x_proj.weight";
  Result<TensorView> View = Loaded->parameter(Name);
  ASSERT_TRUE(View) << View.message();
  std::vector<float> Values(View->numElements(), 0.5f);
  ASSERT_TRUE(Loaded->setParameter(Name, Values.data(), Values.size()));
  Hyperparameters Settings = usualSettings();
  Settings.LearningRate = 0;
  ASSERT_TRUE(Loaded->trainStep(M.Ids.data(), M.Labels.data(), M.Batch,
                                M.Tokens, M.mask(), Settings));
  auto *Bits = static_cast<const uint16_t *>(View->Data);
  for (size_t I = 0; I < Values.size(); ++I)
    ASSERT_EQ(Bits[I], 0x3f00) << "element " << I; // 0.5
}

TEST(MixedPrecisionTraining, ResumesToTheBit) {
  const TypedModel &M = modelOf("hybrid-tiny");
  ASSERT_TRUE(M.Compiled);
  Result<Model> Whole = M.load(2), Half = M.load(1);
  ASSERT_TRUE(Whole && Half);
  std::vector<double> Expected = losses(*Whole, M, 6);
  losses(*Half, M, 3);
  ScratchFolder Folder;
  ASSERT_TRUE(Half->save(Folder.Path));
  ASSERT_TRUE(Half->saveOptimizer(Folder.Path + "/optimizer.safetensors"));
  Result<Model> Resumed = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Resumed) << Resumed.message();
  Status Restored =
      Resumed->loadOptimizer(Folder.Path + "/optimizer.safetensors");
  ASSERT_TRUE(Restored) << Restored.message();
  std::vector<double> Actual = losses(*Resumed, M, 3);
  EXPECT_EQ(Actual, std::vector<double>(Expected.begin() + 3, Expected.end()));
  EXPECT_EQ(bytesOf(*Resumed), bytesOf(*Whole));
  // Without the masters it is another run.
  Result<Model> Poorer = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Poorer) << Poorer.message();
  losses(*Poorer, M, 3);
  EXPECT_NE(bytesOf(*Poorer), bytesOf(*Whole));
}

/// Tensors whose names begin with `Prefix`, which is cut off.
txs::TensorMap withPrefix(const txs::TensorMap &From,
                          const std::string &Prefix) {
  txs::TensorMap Made;
  for (const auto &[Name, Value] : From)
    if (Name.rfind(Prefix, 0) == 0)
      Made[Name.substr(Prefix.size())] = Value;
  return Made;
}

/// Half of the training of a float32 package, the rest in bf16: it starts from
/// the very same numbers, and goes on as far from the truth about them as
/// rounding takes it.
TEST(MixedPrecisionTraining, ContinuesAFloat32Run) {
  const TypedModel &M = modelOf("hybrid-tiny");
  const TypedModel &Wide = modelOf("hybrid-tiny", DType::F32);
  ASSERT_TRUE(M.Compiled && Wide.Compiled);
  Result<Model> Float = Wide.load(2);
  ASSERT_TRUE(Float) << Float.message();
  losses(*Float, Wide, 3);
  ScratchFolder Folder;
  std::string Path = Folder.Path + "/optimizer.safetensors";
  ASSERT_TRUE(Float->save(Folder.Path));
  ASSERT_TRUE(Float->saveOptimizer(Path));
  Result<txs::TensorMap> Weights =
      readTensors(Folder.Path + "/model.safetensors");
  Result<txs::TensorMap> Saved = readTensors(Path);
  ASSERT_TRUE(Weights && Saved);
  TrainingState From{*Weights, withPrefix(*Saved, "moment1."),
                     withPrefix(*Saved, "moment2."), 3};
  ASSERT_EQ(From.Moments1.size(), Weights->size());

  Result<Model> Resumed = Model::load(*M.Compiled, Folder.Path, {});
  ASSERT_TRUE(Resumed) << Resumed.message();
  ASSERT_TRUE(Resumed->loadOptimizer(Path));
  ASSERT_TRUE(Resumed->saveOptimizer(Path));
  Result<txs::TensorMap> Again = readTensors(Path);
  ASSERT_TRUE(Again) << Again.message();
  for (const auto &[Name, Value] : *Saved)
    EXPECT_EQ(Again->at(Name).values(), Value.values()) << Name;
  txs::TensorMap Masters = withPrefix(*Again, "master.");
  EXPECT_FALSE(Masters.empty());
  for (const auto &[Name, Master] : Masters)
    EXPECT_EQ(Master.values(), Weights->at(Name).values()) << Name;

  std::vector<double> Actual = losses(*Resumed, M, 3);
  std::vector<double> Truth = interpretLosses(M, 3, false, {}, From);
  EXPECT_LE(largestDistance(Actual, Truth),
            Slack * lossRounding(M, Truth, From));
}

} // namespace
