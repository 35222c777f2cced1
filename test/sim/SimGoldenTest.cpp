//===- SimGoldenTest.cpp - Whole models in the simulator ------------------
//===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Golden models compiled for a GPU and run on device "sim": the numbers are
// those of the processor's test, and no kernel is reported.
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"
#include "codegen/sim/SimTarget.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/Model.h"
#include "runtime/support/File.h"
#include "test/goldens/GoldenData.h"
#include "gtest/gtest.h"

#include <cmath>
#include <map>
#include <optional>

using namespace mlir;
using namespace transxssm;
using txs::Tensor;

namespace {

/// The package of a golden model for that architecture, compiled once.
const std::optional<Package> &compile(const GoldenModel &Golden,
                                      const std::string &Architecture) {
  static std::map<std::string, std::optional<Package>> Known;
  auto [Found, Fresh] = Known.try_emplace(Golden.Folder + Architecture);
  std::optional<Package> &Made = Found->second;
  if (!Fresh)
    return Made;
  DialectRegistry Registry;
  registerCompilerDialects(Registry);
  MLIRContext Context(Registry);
  Result<std::vector<std::string>> Entries = expandEntries({}, Golden.Config);
  EXPECT_TRUE(Entries) << Entries.message();
  OwningOpRef<ModuleOp> Module =
      buildModel(Golden.Config, *Entries, 0, Context);
  if (!Module || failed(lowerToPlan(*Module))) {
    ADD_FAILURE() << Golden.Folder << " has no plan";
    return Made;
  }
  FailureOr<CodeObject> Code = sim::generateSimCode(*Module, {Architecture});
  if (failed(Code)) {
    ADD_FAILURE() << Golden.Folder << " has no code";
    return Made;
  }
  Result<std::string> Text = readFile(Golden.Folder + "/config.json");
  EXPECT_TRUE(Text);
  std::vector<uint8_t> Payload;
  Result<Package> Verified =
      makePackage(*Module, {*Code}, {*Text, 4, 512}, Payload);
  if (Verified)
    Made = *Verified;
  else
    ADD_FAILURE() << Verified.message();
  return Made;
}

std::vector<int32_t> integers(const Tensor &From) {
  return std::vector<int32_t>(From.values().begin(), From.values().end());
}

class SimGolden
    : public testing::TestWithParam<std::tuple<std::string, std::string>> {
protected:
  void SetUp() override {
    Result<GoldenModel> Loaded =
        GoldenModel::load(goldenFolder(std::get<0>(GetParam())));
    ASSERT_TRUE(Loaded) << Loaded.message();
    Golden = std::move(*Loaded);
    Vocab = Golden.Config.VocabSize;
    Batch = Golden.expected("input_ids").dim(0);
    Tokens = Golden.expected("input_ids").dim(1);
    const std::string &Architecture = std::get<1>(GetParam());
    const std::optional<Package> &Compiled = compile(Golden, Architecture);
    ASSERT_TRUE(Compiled);
    ModelOptions Options;
    Options.Threads = 1;
    Options.Device = "sim:" + Architecture;
    Result<Model> Made = Model::load(*Compiled, Golden.Folder, Options);
    ASSERT_TRUE(Made) << Made.message();
    On.emplace(std::move(*Made));
    if (Golden.has("attention_mask")) {
      const Tensor &Given = Golden.expected("attention_mask");
      Mask.assign(Given.values().begin(), Given.values().end());
    }
  }

  const float *mask() const { return Mask.empty() ? nullptr : Mask.data(); }

  GoldenModel Golden;
  std::optional<Model> On;
  std::vector<float> Mask;
  int64_t Batch = 0, Tokens = 0, Vocab = 0;
};

TEST_P(SimGolden, Logits) {
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<float> Logits(size_t(Batch * Tokens * Vocab), NAN);
  Status Ran = On->forward(Ids.data(), Batch, Tokens, mask(), Logits.data());
  ASSERT_TRUE(Ran) << Ran.message();
  Tensor Actual({Batch, Tokens, Vocab});
  std::copy(Logits.begin(), Logits.end(), Actual.values().begin());
  Tensor Expected = Golden.expected("logits");
  // Padded positions carry no meaning.
  for (int64_t Row = 0; !Mask.empty() && Row < Batch * Tokens; ++Row)
    for (int64_t V = 0; Mask[size_t(Row)] == 0 && V < Vocab; ++V)
      Actual.row(Row, Vocab)[V] = Expected.row(Row, Vocab)[V] = 0;
  EXPECT_LT(relativeError(Actual, Expected), 1e-5);
}

TEST_P(SimGolden, PrefillThenDecode) {
  if (!Golden.has("decode_logits"))
    GTEST_SKIP() << "no decode in this golden";
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  const Tensor &Expected = Golden.expected("decode_logits");
  Result<Cache> State = On->newCache(Batch);
  ASSERT_TRUE(State) << State.message();
  Tensor Actual(Expected.shape());
  std::vector<float> Logits(size_t(Batch * Vocab));
  for (int64_t Step = 0; Step < Expected.dim(1); ++Step) {
    int64_t To = Golden.Prefill + Step, From = Step ? To - 1 : 0;
    std::vector<int32_t> Part;
    for (int64_t B = 0; B < Batch; ++B)
      Part.insert(Part.end(), Ids.begin() + B * Tokens + From,
                  Ids.begin() + B * Tokens + To);
    Status Ran = Step ? On->decode(Part.data(), Batch, 1, *State, Logits.data())
                      : On->prefill(Part.data(), Batch, To, nullptr, *State,
                                    Logits.data());
    ASSERT_TRUE(Ran) << Ran.message();
    for (int64_t B = 0; B < Batch; ++B)
      for (int64_t V = 0; V < Vocab; ++V)
        Actual.at(B, Step, V) = Logits[size_t(B * Vocab + V)];
  }
  EXPECT_LT(relativeError(Actual, Expected), 1e-5);
}

TEST_P(SimGolden, Gradients) {
  std::vector<int32_t> Ids = integers(Golden.expected("input_ids"));
  std::vector<int32_t> Labels = integers(Golden.expected("labels"));
  Result<double> Loss =
      On->gradients(Ids.data(), Labels.data(), Batch, Tokens, mask());
  ASSERT_TRUE(Loss) << Loss.message();
  double Expected = Golden.expected("loss")[0];
  EXPECT_NEAR(*Loss, Expected, 1e-5 * Expected);
  for (const std::string &Name : On->parameterNames()) {
    Result<TensorView> View = On->gradient(Name);
    ASSERT_TRUE(View) << View.message();
    Tensor Actual(View->Shape);
    std::copy_n(static_cast<const float *>(View->Data), Actual.size(),
                Actual.values().begin());
    EXPECT_LT(relativeError(Actual, Golden.expected("grad." + Name)), 1e-4)
        << Name;
  }
}

INSTANTIATE_TEST_SUITE_P(Sm80, SimGolden,
                         testing::Combine(testing::ValuesIn(goldenNames()),
                                          testing::Values("sm_80")),
                         [](const auto &Info) {
                           std::string Name = std::get<0>(Info.param);
                           for (char &C : Name)
                             if (C == '-')
                               C = '_';
                           return Name;
                         });

} // namespace
