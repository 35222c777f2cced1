//===- ModelConfig.h - What config.json says about a model ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_MODEL_MODELCONFIG_H
#define TRANSXSSM_RUNTIME_MODEL_MODELCONFIG_H

#include "runtime/support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace transxssm {

/// How rotary frequencies are stretched beyond the trained length.
enum class RopeType { Default, Linear, Dynamic, Yarn, Llama3, LongRope };

/// The key `rope_scaling`. Fields that a type does not use keep their default.
struct RopeScaling {
  RopeType Type = RopeType::Dynamic;
  double Factor = 4.0;
  /// llama3 and longrope; absent means max_position_embeddings.
  std::optional<int64_t> OriginalMaxPositionEmbeddings = 2048;
  /// yarn and longrope: factor on cos and sin; absent means the type's formula.
  std::optional<double> AttentionFactor;
  double BetaFast = 32.0;          ///< yarn
  double BetaSlow = 1.0;           ///< yarn
  double LowFreqFactor = 1.0;      ///< llama3
  double HighFreqFactor = 4.0;     ///< llama3
  std::vector<double> ShortFactor; ///< longrope, one for each frequency
  std::vector<double> LongFactor;  ///< longrope, one for each frequency
};

/// The function in the gated feed-forward: "silu", "gelu" (by erf) or "relu".
enum class Activation { Silu, Gelu, Relu };

/// A validated `config.json` with `model_type` "TransXSSM"; a key that the file
/// leaves out has the default shown here.
struct ModelConfig {
  int64_t VocabSize = 32768;
  int64_t HiddenSize = 1024;
  int64_t IntermediateSize = 2048;
  int64_t NumHiddenLayers = 32;
  int64_t NumAttentionHeads = 8;
  int64_t NumKeyValueHeads = 8; ///< null in the file means as many as heads
  Activation HiddenAct = Activation::Silu;
  bool HiddenBias = false;
  double RmsNormEps = 1e-6;
  int64_t MaxPositionEmbeddings = 2048;
  double RopeTheta = 10000.0;
  RopeScaling Rope;
  bool TieWordEmbeddings = true;
  int64_t SsdChunkSize = 256;
  int64_t AttnLayerPeriod = 8;
  int64_t AttnLayerOffset = 7;
  double HiddenDropout = 0.0;
  double AttentionDropout = 0.0;
  double InitializerRange = 0.02;
  std::optional<int64_t> BosTokenId = 0;
  std::optional<int64_t> EosTokenId = 1;
  std::optional<int64_t> PadTokenId = 2;
  double DynamicMaskRatio = 0.0; ///< read by nobody, kept for round trips
  int64_t NumLabels = 2;         ///< sequence classification
  /// `architectures` names "TransXSSMForSequenceClassification": the head is
  /// `classifier`, on each sequence's last token.
  bool SequenceClassification = false;

  /// Reads and validates the JSON text. `SourceName` (the file's name) starts
  /// every error: `FILE: key 'K': expected E, got A`.
  static Result<ModelConfig> parse(std::string_view Text,
                                   const std::string &SourceName);

  /// Reads and validates a file; a directory means its `config.json`.
  static Result<ModelConfig> load(const std::string &Path);

  /// P = D / H, also the state size N of an SSD layer.
  int64_t headSize() const { return HiddenSize / NumAttentionHeads; }

  /// Logits a token (or, when classifying, a sequence) gets.
  int64_t logitsWidth() const {
    return SequenceClassification ? NumLabels : VocabSize;
  }

  /// Whether layer `Index` mixes by attention; else by a state-space scan.
  bool isAttentionLayer(int64_t Index) const {
    return Index % AttnLayerPeriod == AttnLayerOffset;
  }
};

/// How a parameter starts without a checkpoint.
enum class Initializer {
  Normal,  ///< normal(0, initializer_range)
  Ones,    ///< norms and residual scales
  Zeros,   ///< biases
  SsdDecay ///< A = -(uniform in [1, 16)), the range of Mamba-2
};

/// "normal", "ones", "zeros", "ssd_decay": the names in a package.
const char *nameOf(Initializer Kind);
std::optional<Initializer> initializerFromName(std::string_view Name);

/// One learned tensor.
struct ParameterInfo {
  std::string Name; ///< as in a checkpoint
  std::vector<int64_t> Shape;
  Initializer Init = Initializer::Normal;
  bool WeightDecay = true; ///< AdamW decays tensors of rank two and more

  int64_t numElements() const {
    int64_t Count = 1;
    for (int64_t Extent : Shape)
      Count *= Extent;
    return Count;
  }
};

/// Every parameter in model order, under its checkpoint name. A tied head has
/// no tensor of its own.
std::vector<ParameterInfo> parameters(const ModelConfig &Config);

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_MODEL_MODELCONFIG_H
