//===- Parameters.cpp - The learned tensors of a model -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/model/ModelConfig.h"

using namespace transxssm;

namespace {

/// Appends parameters under a common prefix.
class ParameterList {
public:
  explicit ParameterList(const ModelConfig &Config) : Config(Config) {}

  void vector(const std::string &Name, int64_t Extent, Initializer Init) {
    Made.push_back({Name, {Extent}, Init, /*WeightDecay=*/false});
  }

  void matrix(const std::string &Name, int64_t Out, int64_t In) {
    Made.push_back({Name, {Out, In}, Initializer::Normal, true});
  }

  /// A projection: weight [out, in] and, when the model has them, a bias.
  void projection(const std::string &Name, int64_t Out, int64_t In) {
    matrix(Name + ".weight", Out, In);
    if (Config.HiddenBias)
      vector(Name + ".bias", Out, Initializer::Zeros);
  }

  void ssd(const std::string &Prefix) {
    int64_t D = Config.HiddenSize, H = Config.NumAttentionHeads;
    vector(Prefix + "A", H, Initializer::SsdDecay);
    projection(Prefix + "c_proj", D, D);
    projection(Prefix + "b_proj", D, D);
    projection(Prefix + "dt_proj", H, D);
    projection(Prefix + "x_proj", D, D);
    projection(Prefix + "out_proj", D, D);
  }

  void attention(const std::string &Prefix) {
    int64_t D = Config.HiddenSize;
    int64_t KeyWidth = Config.NumKeyValueHeads * Config.headSize();
    projection(Prefix + "q_proj", D, D);
    projection(Prefix + "k_proj", KeyWidth, D);
    projection(Prefix + "v_proj", KeyWidth, D);
    projection(Prefix + "o_proj", D, D);
  }

  void layer(int64_t Index) {
    int64_t D = Config.HiddenSize, F = Config.IntermediateSize;
    std::string Prefix = "model.layers." + std::to_string(Index) + ".";
    vector(Prefix + "pre_sequence_layernorm.weight", D, Initializer::Ones);
    if (Config.isAttentionLayer(Index))
      attention(Prefix + "attn.");
    else
      ssd(Prefix + "ssd.");
    vector(Prefix + "post_sequence_residual.weight", D, Initializer::Ones);
    vector(Prefix + "pre_state_layernorm.weight", D, Initializer::Ones);
    projection(Prefix + "feed_forward.gate_proj", F, D);
    projection(Prefix + "feed_forward.up_proj", F, D);
    projection(Prefix + "feed_forward.down_proj", D, F);
    vector(Prefix + "post_state_residual.weight", D, Initializer::Ones);
  }

  std::vector<ParameterInfo> Made;

private:
  const ModelConfig &Config;
};

constexpr const char *InitializerNames[] = {"normal", "ones", "zeros",
                                            "ssd_decay"};

} // namespace

const char *transxssm::nameOf(Initializer Kind) {
  return InitializerNames[size_t(Kind)];
}

std::optional<Initializer>
transxssm::initializerFromName(std::string_view Name) {
  for (size_t I = 0; I < std::size(InitializerNames); ++I)
    if (Name == InitializerNames[I])
      return Initializer(I);
  return std::nullopt;
}

std::vector<ParameterInfo> transxssm::parameters(const ModelConfig &Config) {
  ParameterList List(Config);
  List.matrix("model.word_embed.weight", Config.VocabSize, Config.HiddenSize);
  for (int64_t I = 0; I < Config.NumHiddenLayers; ++I)
    List.layer(I);
  List.vector("model.final_layernorm.weight", Config.HiddenSize,
              Initializer::Ones);
  if (Config.SequenceClassification)
    List.matrix("classifier.weight", Config.NumLabels, Config.HiddenSize);
  else if (!Config.TieWordEmbeddings)
    List.matrix("lm_head.weight", Config.VocabSize, Config.HiddenSize);
  return List.Made;
}
