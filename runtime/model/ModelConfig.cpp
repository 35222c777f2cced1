//===- ModelConfig.cpp - What config.json says about a model -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/model/ModelConfig.h"

#include "runtime/support/File.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

using namespace transxssm;
using nlohmann::json;

namespace {

/// Bounds that keep every product of two sizes far from overflow.
constexpr int64_t MaxWidth = int64_t(1) << 22;
constexpr int64_t MaxLayers = 1 << 16;
constexpr int64_t MaxToken = std::numeric_limits<int32_t>::max();

/// How a value is quoted in an error: as JSON, cut when long. Containers are
/// only named, since printing one may recurse as deep as the input nests.
std::string quote(const json &Value) {
  if (Value.is_object())
    return "an object";
  if (Value.is_array())
    return "a list";
  std::string Text = Value.dump(-1, ' ', true, json::error_handler_t::replace);
  return Text.size() <= 60 ? Text : Text.substr(0, 57) + "...";
}

/// Reads the keys of one JSON object. Remembers the first error only; after it
/// every read does nothing, so that callers need not check each key.
class KeyReader {
public:
  KeyReader(const json &Object, std::string Source, std::string Prefix)
      : Object(Object), Source(std::move(Source)), Prefix(std::move(Prefix)) {}

  const json *find(const char *Key) const {
    auto Found = Object.find(Key);
    return Found == Object.end() ? nullptr : &*Found;
  }

  /// The key's value, or null when it is absent or JSON null.
  const json *findNonNull(const char *Key) const {
    const json *Value = find(Key);
    return Value && !Value->is_null() ? Value : nullptr;
  }

  void fail(const std::string &Key, const std::string &Expected,
            const std::string &Actual) {
    if (!Failure)
      Failure = makeError(Source, ": key '", Prefix, Key, "': expected ",
                          Expected, ", got ", Actual);
  }

  void failMissing(const std::string &Key, const std::string &Expected) {
    fail(Key, Expected, "nothing");
  }

  /// An integer in [Low, High].
  void integer(const char *Key, int64_t Low, int64_t High, int64_t &Into) {
    if (const json *Value = find(Key))
      readInteger(Key, *Value, Low, High, Into);
  }

  void optionalInteger(const char *Key, int64_t Low, int64_t High,
                       std::optional<int64_t> &Into) {
    const json *Value = find(Key);
    if (!Value)
      return;
    Into.reset();
    int64_t Number = 0;
    if (!Value->is_null() && readInteger(Key, *Value, Low, High, Number))
      Into = Number;
  }

  /// A finite number that `Accepts`; `Expected` says in words which ones.
  template <typename Predicate>
  void number(const char *Key, const char *Expected, Predicate Accepts,
              double &Into) {
    if (const json *Value = find(Key))
      readNumber(Key, *Value, Expected, Accepts, Into);
  }

  template <typename Predicate>
  void requiredNumber(const char *Key, const char *Expected, Predicate Accepts,
                      double &Into) {
    if (const json *Value = findNonNull(Key))
      readNumber(Key, *Value, Expected, Accepts, Into);
    else
      failMissing(Key, Expected);
  }

  template <typename Predicate>
  bool readNumber(const std::string &Key, const json &Value,
                  const char *Expected, Predicate Accepts, double &Into) {
    double Number = Value.is_number() ? Value.get<double>() : 0;
    if (!Value.is_number() || !std::isfinite(Number) || !Accepts(Number)) {
      fail(Key, Expected, quote(Value));
      return false;
    }
    Into = Number;
    return true;
  }

  void boolean(const char *Key, bool &Into) {
    const json *Value = find(Key);
    if (!Value)
      return;
    if (Value->is_boolean())
      Into = Value->get<bool>();
    else
      fail(Key, "true or false", quote(*Value));
  }

  std::optional<Error> Failure;

private:
  bool readInteger(const char *Key, const json &Value, int64_t Low,
                   int64_t High, int64_t &Into) {
    bool Fits = Value.is_number_integer() &&
                !(Value.is_number_unsigned() &&
                  Value.get<uint64_t>() > uint64_t(INT64_MAX));
    int64_t Number = Fits ? Value.get<int64_t>() : 0;
    if (!Fits || Number < Low || Number > High) {
      std::string Range = Low == 1 && High == MaxWidth
                              ? "a positive integer"
                              : "an integer from " + std::to_string(Low) +
                                    " to " + std::to_string(High);
      // A positive integer that is merely too large gets the exact range.
      if (Fits && Number > High)
        Range = "an integer of at most " + std::to_string(High);
      fail(Key, Range, quote(Value));
      return false;
    }
    Into = Number;
    return true;
  }

  const json &Object;
  std::string Source;
  std::string Prefix;
};

bool isProbability(double Value) { return Value >= 0 && Value < 1; }
bool isPositive(double Value) { return Value > 0; }
/// Positive in float32 too, so that a row of zeros has a norm.
bool isNormalFloat(double Value) {
  return Value >= std::numeric_limits<float>::min();
}
bool isNonNegative(double Value) { return Value >= 0; }
bool isAtLeastOne(double Value) { return Value >= 1; }
bool isAboveOne(double Value) { return Value > 1; }

void readModelType(KeyReader &Keys) {
  const json *Value = Keys.find("model_type");
  if (!Value)
    Keys.failMissing("model_type", "\"TransXSSM\"");
  else if (!Value->is_string() || Value->get<std::string>() != "TransXSSM")
    Keys.fail("model_type", "\"TransXSSM\"", quote(*Value));
}

void readSizes(KeyReader &Keys, ModelConfig &Config) {
  Keys.integer("vocab_size", 1, MaxToken, Config.VocabSize);
  Keys.integer("hidden_size", 1, MaxWidth, Config.HiddenSize);
  Keys.integer("intermediate_size", 1, MaxWidth, Config.IntermediateSize);
  Keys.integer("num_hidden_layers", 1, MaxLayers, Config.NumHiddenLayers);
  Keys.integer("num_attention_heads", 1, MaxWidth, Config.NumAttentionHeads);
  std::optional<int64_t> KeyValueHeads;
  Keys.optionalInteger("num_key_value_heads", 1, MaxWidth, KeyValueHeads);
  Config.NumKeyValueHeads = KeyValueHeads.value_or(Config.NumAttentionHeads);
  Keys.integer("max_position_embeddings", 1, MaxToken,
               Config.MaxPositionEmbeddings);
  Keys.integer("ssd_chunk_size", 1, MaxWidth, Config.SsdChunkSize);
  Keys.integer("attn_layer_period", 1, MaxToken, Config.AttnLayerPeriod);
  Keys.integer("attn_layer_offset", 0, MaxToken, Config.AttnLayerOffset);
  Keys.integer("num_labels", 1, MaxToken, Config.NumLabels);
}

void checkHeads(KeyReader &Keys, const ModelConfig &Config) {
  int64_t D = Config.HiddenSize, H = Config.NumAttentionHeads;
  int64_t G = Config.NumKeyValueHeads;
  if (D % H != 0)
    Keys.fail("num_attention_heads",
              "a divisor of hidden_size " + std::to_string(D),
              std::to_string(H));
  else if (Config.headSize() % 2 != 0)
    Keys.fail("hidden_size",
              "an even head size (hidden_size / num_attention_heads)",
              std::to_string(Config.headSize()));
  else if (H % G != 0)
    Keys.fail("num_key_value_heads",
              "a divisor of num_attention_heads " + std::to_string(H),
              std::to_string(G));
}

void readActivation(KeyReader &Keys, ModelConfig &Config) {
  const json *Value = Keys.find("hidden_act");
  if (!Value)
    return;
  std::string Name = Value->is_string() ? Value->get<std::string>() : "";
  if (Name == "silu" || Name == "swish")
    Config.HiddenAct = Activation::Silu;
  else if (Name == "gelu")
    Config.HiddenAct = Activation::Gelu;
  else if (Name == "relu")
    Config.HiddenAct = Activation::Relu;
  else
    Keys.fail("hidden_act", "one of \"silu\", \"gelu\", \"relu\"",
              quote(*Value));
}

void readNumbers(KeyReader &Keys, ModelConfig &Config) {
  Keys.boolean("hidden_bias", Config.HiddenBias);
  Keys.boolean("tie_word_embeddings", Config.TieWordEmbeddings);
  Keys.number("rms_norm_eps", "a number of at least 2^-126", isNormalFloat,
              Config.RmsNormEps);
  Keys.number("rope_theta", "a number above 1", isAboveOne, Config.RopeTheta);
  Keys.number("hidden_dropout", "a number in [0, 1)", isProbability,
              Config.HiddenDropout);
  Keys.number("attention_dropout", "a number in [0, 1)", isProbability,
              Config.AttentionDropout);
  Keys.number("dynamic_mask_ratio", "a number in [0, 1)", isProbability,
              Config.DynamicMaskRatio);
  Keys.number("initializer_range", "a number of at least 0", isNonNegative,
              Config.InitializerRange);
}

/// `architectures` only tells a classifier from a language model here.
void readArchitectures(KeyReader &Keys, ModelConfig &Config) {
  const json *Value = Keys.findNonNull("architectures");
  if (!Value)
    return;
  if (!Value->is_array())
    return Keys.fail("architectures", "a list of strings", quote(*Value));
  for (const json &Name : *Value) {
    if (!Name.is_string())
      return Keys.fail("architectures", "a list of strings",
                       "a list with " + quote(Name));
    if (Name.get<std::string>() == "TransXSSMForSequenceClassification")
      Config.SequenceClassification = true;
  }
}

void readTokens(KeyReader &Keys, ModelConfig &Config) {
  Keys.optionalInteger("bos_token_id", 0, MaxToken, Config.BosTokenId);
  Keys.optionalInteger("eos_token_id", 0, MaxToken, Config.EosTokenId);
  Keys.optionalInteger("pad_token_id", 0, MaxToken, Config.PadTokenId);
  if (Config.PadTokenId && *Config.PadTokenId >= Config.VocabSize)
    Keys.fail("pad_token_id",
              "null or a token below vocab_size " +
                  std::to_string(Config.VocabSize),
              std::to_string(*Config.PadTokenId));
}

std::optional<RopeType> ropeTypeFromName(const std::string &Name) {
  static const std::pair<const char *, RopeType> Known[] = {
      {"default", RopeType::Default}, {"linear", RopeType::Linear},
      {"dynamic", RopeType::Dynamic}, {"yarn", RopeType::Yarn},
      {"llama3", RopeType::Llama3},   {"longrope", RopeType::LongRope}};
  for (const auto &[Spelling, Type] : Known)
    if (Name == Spelling)
      return Type;
  return std::nullopt;
}

/// `rope_type`, or `type` as older files spell it.
void readRopeType(KeyReader &Keys, RopeScaling &Rope) {
  const char *Key = Keys.findNonNull("rope_type") ? "rope_type" : "type";
  const char *Expected = "one of \"default\", \"linear\", \"dynamic\", "
                         "\"yarn\", \"llama3\", \"longrope\"";
  const json *Value = Keys.findNonNull(Key);
  if (!Value)
    return Keys.failMissing("rope_type", Expected);
  std::optional<RopeType> Type;
  if (Value->is_string())
    Type = ropeTypeFromName(Value->get<std::string>());
  if (!Type)
    return Keys.fail(Key, Expected, quote(*Value));
  Rope.Type = *Type;
}

/// A list with one positive factor for each of P/2 frequencies.
void readFactors(KeyReader &Keys, const char *Key, int64_t Count,
                 std::vector<double> &Into) {
  std::string Expected =
      "a list of " + std::to_string(Count) + " positive numbers";
  const json *Value = Keys.findNonNull(Key);
  if (!Value)
    return Keys.failMissing(Key, Expected);
  if (!Value->is_array() || int64_t(Value->size()) != Count)
    return Keys.fail(Key, Expected,
                     Value->is_array()
                         ? std::to_string(Value->size()) + " elements"
                         : quote(*Value));
  for (size_t I = 0; I < Value->size(); ++I) {
    double Factor = 0;
    if (!Keys.readNumber(std::string(Key) + "[" + std::to_string(I) + "]",
                         (*Value)[I], "a number above 0", isPositive, Factor))
      return;
    Into.push_back(Factor);
  }
}

void readLlama3(KeyReader &Keys, RopeScaling &Rope) {
  Keys.requiredNumber("low_freq_factor", "a number above 0", isPositive,
                      Rope.LowFreqFactor);
  double Low = Rope.LowFreqFactor;
  Keys.requiredNumber(
      "high_freq_factor", "a number above low_freq_factor",
      [&](double Value) { return Value > Low; }, Rope.HighFreqFactor);
  if (!Rope.OriginalMaxPositionEmbeddings)
    Keys.failMissing("original_max_position_embeddings", "a positive integer");
}

void readLongRope(KeyReader &Keys, const ModelConfig &Config,
                  RopeScaling &Rope) {
  int64_t Trained =
      Rope.OriginalMaxPositionEmbeddings.value_or(Config.MaxPositionEmbeddings);
  if (Trained < 2)
    Keys.fail("original_max_position_embeddings", "an integer of at least 2",
              std::to_string(Trained));
  if (!Keys.findNonNull("factor"))
    Rope.Factor = double(Config.MaxPositionEmbeddings) / double(Trained);
  readFactors(Keys, "short_factor", Config.headSize() / 2, Rope.ShortFactor);
  readFactors(Keys, "long_factor", Config.headSize() / 2, Rope.LongFactor);
}

void readRopeFields(KeyReader &Keys, const ModelConfig &Config,
                    RopeScaling &Rope) {
  if (Rope.Type == RopeType::Default)
    return;
  const char *Factor = "a number of at least 1";
  if (Rope.Type != RopeType::LongRope)
    Keys.requiredNumber("factor", Factor, isAtLeastOne, Rope.Factor);
  else if (Keys.findNonNull("factor"))
    Keys.number("factor", Factor, isAtLeastOne, Rope.Factor);
  Keys.optionalInteger("original_max_position_embeddings", 1, MaxToken,
                       Rope.OriginalMaxPositionEmbeddings);
  double Number = 0;
  if (const json *Value = Keys.findNonNull("attention_factor"))
    if (Keys.readNumber("attention_factor", *Value, "a number above 0",
                        isPositive, Number))
      Rope.AttentionFactor = Number;
  if (Keys.findNonNull("beta_fast"))
    Keys.number("beta_fast", "a number above 0", isPositive, Rope.BetaFast);
  if (Keys.findNonNull("beta_slow"))
    Keys.number(
        "beta_slow", "a number above 0, at most beta_fast",
        [&](double B) { return B > 0 && B <= Rope.BetaFast; }, Rope.BetaSlow);
  if (Rope.Type == RopeType::Llama3)
    readLlama3(Keys, Rope);
  if (Rope.Type == RopeType::LongRope)
    readLongRope(Keys, Config, Rope);
}

/// The value of `rope_scaling`; null means no scaling.
std::optional<Error> readRope(const json &Value, const std::string &Source,
                              ModelConfig &Config) {
  RopeScaling Rope;
  Rope.Type = RopeType::Default;
  Rope.OriginalMaxPositionEmbeddings.reset();
  if (Value.is_object()) {
    KeyReader Keys(Value, Source, "rope_scaling.");
    readRopeType(Keys, Rope);
    if (!Keys.Failure)
      readRopeFields(Keys, Config, Rope);
    if (Keys.Failure)
      return Keys.Failure;
  } else if (!Value.is_null()) {
    return makeError(Source,
                     ": key 'rope_scaling': expected an object or "
                     "null, got ",
                     quote(Value));
  }
  Config.Rope = std::move(Rope);
  return std::nullopt;
}

/// Line and column of a byte, both from one.
std::string position(std::string_view Text, size_t Byte) {
  size_t Line = 1, Column = 1;
  for (size_t I = 0; I + 1 < Byte && I < Text.size(); ++I) {
    Column = Text[I] == '\n' ? 1 : Column + 1;
    Line += Text[I] == '\n';
  }
  return std::to_string(Line) + ":" + std::to_string(Column);
}

Result<ModelConfig> readConfig(const json &Root, const std::string &Source) {
  if (!Root.is_object())
    return makeError(Source, ": expected a JSON object, got ", quote(Root));
  ModelConfig Config;
  KeyReader Keys(Root, Source, "");
  readModelType(Keys);
  readSizes(Keys, Config);
  if (!Keys.Failure)
    checkHeads(Keys, Config);
  readActivation(Keys, Config);
  readNumbers(Keys, Config);
  readTokens(Keys, Config);
  readArchitectures(Keys, Config);
  if (Keys.Failure)
    return *Keys.Failure;
  if (const json *Value = Keys.find("rope_scaling"))
    if (std::optional<Error> Failure = readRope(*Value, Source, Config))
      return *Failure;
  if (Config.Rope.Type == RopeType::Dynamic && Config.headSize() < 4)
    return makeError(Source,
                     ": key 'hidden_size': expected a head size of at "
                     "least 4 with dynamic rope_scaling, got ",
                     Config.headSize());
  return Config;
}

} // namespace

Result<ModelConfig> ModelConfig::parse(std::string_view Text,
                                       const std::string &SourceName) {
  try {
    return readConfig(json::parse(Text.begin(), Text.end()), SourceName);
  } catch (const json::parse_error &Why) {
    return makeError(SourceName, ":", position(Text, Why.byte),
                     ": expected valid JSON, got a syntax error");
  } catch (const std::exception &Why) {
    return makeError(SourceName, ": cannot read: ", Why.what());
  }
}

Result<ModelConfig> ModelConfig::load(const std::string &Path) {
  std::string File = isDirectory(Path) ? Path + "/config.json" : Path;
  Result<std::string> Text = readFile(File);
  if (!Text)
    return Text.error();
  return parse(*Text, File);
}
