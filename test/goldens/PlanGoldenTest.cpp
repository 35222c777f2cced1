//===- PlanGoldenTest.cpp - Whole models as kernels and plans -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Importer, txs-to-tile and the kernels, run by the tile interpreter in
// float32, against the numbers of the model's authors. No code generator is
// involved.
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/ModelInputs.h"
#include "passes/ImportConfig.h"
#include "test/goldens/GoldenData.h"
#include "test/kernels/PlanRunner.h"
#include "gtest/gtest.h"

using namespace transxssm;
using namespace transxssm::test;
using transxssm::txs::Tensor;
using transxssm::txs::TensorMap;

namespace {

constexpr double Tolerance = 1e-5;

std::vector<float> toFloats(const Tensor &T) {
  return std::vector<float>(T.values().begin(), T.values().end());
}

class PlanGolden : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    Result<GoldenModel> Loaded = GoldenModel::load(goldenFolder(GetParam()));
    ASSERT_TRUE(Loaded) << Loaded.message();
    Golden = std::move(*Loaded);
  }

  /// A runner for these entries, with the weights.
  std::unique_ptr<PlanRunner> makeRunner(std::vector<std::string> Entries) {
    auto Runner = std::make_unique<PlanRunner>([&](mlir::MLIRContext &Context) {
      return importConfig(Golden.Config, ImportOptions{Entries}, Context);
    });
    for (const auto &[Name, Weight] : Golden.Weights)
      Runner->Floats[Name] = toFloats(Weight);
    return Runner;
  }

  const Tensor *mask() const {
    return Golden.has("attention_mask") ? &Golden.expected("attention_mask")
                                        : nullptr;
  }

  /// Runs an entry and returns its logits.
  std::vector<float> call(PlanRunner &Runner, const std::string &Entry,
                          const Tensor &Ids, int64_t Past, int64_t Capacity) {
    TensorMap Inputs = txs::makeInputs(Golden.Config, Ids, mask(), Past);
    for (const auto &[Name, Value] : Inputs)
      if (Name == "input_ids" || Name == "draw")
        Runner.Integers[Name].assign(Value.values().begin(),
                                     Value.values().end());
      else
        Runner.Floats[Name] = toFloats(Value);
    Runner.run(Entry, {Ids.dim(0), Ids.dim(1), Past, Capacity});
    return Runner.Floats["logits"];
  }

  GoldenModel Golden;
};

/// Columns [From, To) of a [B, T] tensor.
Tensor columns(const Tensor &Of, int64_t From, int64_t To) {
  Tensor Made({Of.dim(0), To - From});
  for (int64_t B = 0; B < Of.dim(0); ++B)
    for (int64_t T = From; T < To; ++T)
      Made.at(B, T - From) = Of.at(B, T);
  return Made;
}

TEST_P(PlanGolden, Logits) {
  auto Runner = makeRunner({"forward"});
  std::vector<float> Actual =
      call(*Runner, "forward", Golden.expected("input_ids"), 0, 0);
  std::vector<double> Expected = Golden.expected("logits").values();
  ASSERT_EQ(Actual.size(), Expected.size());
  // Padded positions carry no meaning.
  int64_t V = Golden.Config.VocabSize;
  for (size_t I = 0; mask() && I < Actual.size(); ++I)
    if ((*mask())[I / V] == 0)
      Actual[I] = Expected[I] = 0;
  EXPECT_LT(relativeError(Actual, Expected), Tolerance);
}

TEST_P(PlanGolden, PrefillThenDecode) {
  if (!Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  const Tensor &Ids = Golden.expected("input_ids");
  const Tensor &Expected = Golden.expected("decode_logits");
  int64_t Batch = Ids.dim(0), Steps = Expected.dim(1), V = Expected.dim(2);
  // The capacity is larger than needed: what is beyond must not be seen.
  int64_t Capacity = Ids.dim(1) + 3;
  auto Runner = makeRunner({"prefill", "decode"});
  Runner->clearStates({Batch, 1, 0, Capacity});
  std::vector<float> Actual(Expected.size());
  for (int64_t Step = 0; Step < Steps; ++Step) {
    int64_t From = Step ? Golden.Prefill + Step - 1 : 0;
    std::vector<float> Logits =
        call(*Runner, Step ? "decode" : "prefill",
             columns(Ids, From, Golden.Prefill + Step), From, Capacity);
    ASSERT_EQ(static_cast<int64_t>(Logits.size()), Batch * V);
    for (int64_t B = 0; B < Batch; ++B)
      std::copy_n(Logits.begin() + B * V, V,
                  Actual.begin() + (B * Steps + Step) * V);
  }
  EXPECT_LT(relativeError(Actual, Expected.values()), Tolerance);
  for (const auto &[Name, State] : Golden.Expected)
    if (Name.rfind("ssd_state.", 0) == 0) {
      EXPECT_LT(relativeError(Runner->Floats.at(Name), State.values()),
                Tolerance)
          << Name;
    }
}

/// Any split of a sequence into calls gives the same logits.
TEST_P(PlanGolden, DecodeInPieces) {
  if (Golden.Config.Rope.Type == RopeType::Dynamic || mask())
    GTEST_SKIP() << "one call and several have different tables or masks";
  const Tensor &Ids = Golden.expected("input_ids");
  const Tensor &Expected = Golden.expected("logits");
  int64_t Batch = Ids.dim(0), T = Ids.dim(1), V = Expected.dim(2);
  auto Runner = makeRunner({"decode"});
  Runner->clearStates({Batch, 1, 0, T});
  std::vector<float> Actual(Expected.size());
  int64_t Ends[] = {1, 4, 17, T}, From = 0;
  for (int64_t To : Ends) {
    std::vector<float> Logits =
        call(*Runner, "decode", columns(Ids, From, To), From, T);
    ASSERT_EQ(static_cast<int64_t>(Logits.size()), Batch * (To - From) * V);
    for (int64_t B = 0; B < Batch; ++B)
      std::copy_n(Logits.begin() + B * (To - From) * V, (To - From) * V,
                  Actual.begin() + (B * T + From) * V);
    From = To;
  }
  EXPECT_LT(relativeError(Actual, Expected.values()), Tolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, PlanGolden, testing::ValuesIn(goldenNames()),
                         [](const testing::TestParamInfo<std::string> &Info) {
                           std::string Name = Info.param;
                           std::replace(Name.begin(), Name.end(), '-', '_');
                           return Name;
                         });

} // namespace
