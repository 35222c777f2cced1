//===- GoldenData.h - Models with known results ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Reads the folders of test/goldens/data (see the README there).
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_GOLDENS_GOLDENDATA_H
#define TRANSXSSM_TEST_GOLDENS_GOLDENDATA_H

#include "dialect/txs/interpreter/Tensor.h"
#include "runtime/SafeTensors.h"
#include "runtime/model/ModelConfig.h"

#include <string>
#include <vector>

namespace transxssm {

struct GoldenModel {
  std::string Folder;
  ModelConfig Config;
  txs::TensorMap Weights;
  txs::TensorMap Expected;
  int64_t Prefill = 0; ///< tokens before the first decode step; 0: no decode

  static Result<GoldenModel> load(const std::string &Folder);

  const txs::Tensor &expected(const std::string &Name) const {
    return Expected.at(Name);
  }
  bool has(const std::string &Name) const { return Expected.count(Name); }
};

/// All folders of the golden data.
const std::vector<std::string> &goldenNames();
std::string goldenFolder(const std::string &Name);

/// Every tensor of a file, whatever its type.
Result<txs::TensorMap> readTensors(const std::string &Path);

/// ||actual - expected|| / ||expected||; infinite where shapes differ.
double relativeError(const txs::Tensor &Actual, const txs::Tensor &Expected);

} // namespace transxssm

#endif // TRANSXSSM_TEST_GOLDENS_GOLDENDATA_H
