//===- GoldenData.cpp - Models with known results -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/goldens/GoldenData.h"

#include <cmath>
#include <cstdlib>
#include <limits>

using namespace transxssm;
using transxssm::txs::Tensor;
using transxssm::txs::TensorMap;

const std::vector<std::string> &transxssm::goldenNames() {
  static const std::vector<std::string> Names = {
      "hybrid-tiny",     "hybrid-left-padded",      "hybrid-dynamic-rope",
      "hybrid-head128",  "hybrid-yarn-bias-untied", "ssm-tiny",
      "transformer-tiny"};
  return Names;
}

std::string transxssm::goldenFolder(const std::string &Name) {
  return std::string(TRANSXSSM_GOLDENS) + "/" + Name;
}

Result<TensorMap> transxssm::readTensors(const std::string &Path) {
  Result<SafeTensors> File = SafeTensors::open(Path);
  if (!File)
    return File.error();
  TensorMap Made;
  for (const auto &[Name, From] : File->tensors())
    Made.emplace(Name, Tensor(From.Shape, float64Values(From)));
  return Made;
}

Result<GoldenModel> GoldenModel::load(const std::string &Folder) {
  GoldenModel Made;
  Made.Folder = Folder;
  Result<ModelConfig> Config = ModelConfig::load(Folder);
  if (!Config)
    return Config.error();
  Made.Config = *Config;
  Result<TensorMap> Weights = readTensors(Folder + "/model.safetensors");
  if (!Weights)
    return Weights.error();
  Made.Weights = std::move(*Weights);
  Result<TensorMap> Expected = readTensors(Folder + "/expected.safetensors");
  if (!Expected)
    return Expected.error();
  Made.Expected = std::move(*Expected);
  Result<SafeTensors> File =
      SafeTensors::open(Folder + "/expected.safetensors");
  if (!File)
    return File.error();
  auto Prefill = File->metadata().find("prefill");
  if (Prefill != File->metadata().end())
    Made.Prefill = std::atoll(Prefill->second.c_str());
  return Made;
}

double transxssm::relativeError(const Tensor &Actual, const Tensor &Expected) {
  if (Actual.shape() != Expected.shape())
    return std::numeric_limits<double>::infinity();
  double Difference = 0, Norm = 0;
  for (int64_t I = 0; I < Actual.size(); ++I) {
    Difference += (Actual[I] - Expected[I]) * (Actual[I] - Expected[I]);
    Norm += Expected[I] * Expected[I];
  }
  if (Difference == 0)
    return 0;
  return std::sqrt(Difference / Norm);
}
