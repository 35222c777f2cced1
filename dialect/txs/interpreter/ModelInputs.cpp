//===- ModelInputs.cpp - Inputs of a model's entries ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "dialect/txs/interpreter/ModelInputs.h"

#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/model/RopeTable.h"

#include <cmath>

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

TensorMap transxssm::txs::makeInputs(const ModelConfig &Config,
                                     const Tensor &Ids, const Tensor *Mask,
                                     int64_t Past) {
  int64_t Tokens = Ids.dim(1), Half = Config.headSize() / 2;
  RopeFrequencies Frequencies = ropeFrequencies(Config, Past + Tokens);
  Tensor Cos({Tokens, Half}), Sin({Tokens, Half});
  for (int64_t T = 0; T < Tokens; ++T)
    for (int64_t J = 0; J < Half; ++J) {
      double Angle = double(Past + T) * Frequencies.Inverse[J];
      Cos.at(T, J) = std::cos(Angle) * Frequencies.AttentionFactor;
      Sin.at(T, J) = std::sin(Angle) * Frequencies.AttentionFactor;
    }
  Tensor Ones(Ids.shape(), std::vector<double>(Ids.size(), 1.0));
  return {{"input_ids", Ids},
          {"attention_mask", Mask ? *Mask : Ones},
          {"rope_cos", Cos},
          {"rope_sin", Sin},
          {"sampling", Tensor({2}, {0.0, 1.0})},
          {"draw", Tensor({5}, {0, 0, 0, 0, double(Config.VocabSize)})},
          {"past", Tensor::scalar(double(Past))}};
}

TensorMap transxssm::txs::makeStates(ModuleOp Module, StringRef Entry,
                                     int64_t Batch, int64_t Capacity) {
  TensorMap States;
  auto Function = Module.lookupSymbol<func::FuncOp>(Entry);
  if (!Function)
    return States;
  for (BlockArgument Argument : Function.getArguments()) {
    auto Name = Function.getArgAttrOfType<StringAttr>(Argument.getArgNumber(),
                                                      StateAttribute);
    if (!Name)
      continue;
    // Dimension 0 is the batch; any other dynamic one the capacity.
    SmallVector<int64_t> Shape(
        cast<RankedTensorType>(Argument.getType()).getShape());
    for (size_t I = 0; I < Shape.size(); ++I)
      if (ShapedType::isDynamic(Shape[I]))
        Shape[I] = I == 0 ? Batch : Capacity;
    States[Name.str()] = Tensor(Shape);
  }
  return States;
}
