//===- ImportConfig.cpp - From config.json to a txs module ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "passes/ImportConfig.h"

#include "dialect/txs/TxsDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Verifier.h"
#include "passes/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace transxssm;
using namespace transxssm::txs;

namespace {

constexpr int64_t Dynamic = ShapedType::kDynamic;

/// What distinguishes one entry from another.
struct EntryKind {
  StringLiteral Name;
  bool HasState;  ///< continues from a cache and returns it
  bool LastOnly;  ///< logits of the last token only, and the next token
  bool HasLoss;   ///< takes labels and returns the loss
  bool Optimizes; ///< updates the parameters
};

constexpr EntryKind EntryKinds[] = {
    {"forward", false, false, false, false},
    {"prefill", true, true, false, false},
    {"decode", true, false, false, false},
    {"gradients", false, false, true, false},
    {"train", false, false, true, true},
};

const EntryKind *findEntry(StringRef Name) {
  for (const EntryKind &Kind : EntryKinds)
    if (Kind.Name == Name)
      return &Kind;
  return nullptr;
}

bool supports(const ModelConfig &Config, const EntryKind &Kind) {
  return !Config.SequenceClassification || !Kind.HasState;
}

ActivationKind activationOf(Activation Kind) {
  switch (Kind) {
  case Activation::Silu:
    return ActivationKind::Silu;
  case Activation::Gelu:
    return ActivationKind::Gelu;
  case Activation::Relu:
    return ActivationKind::Relu;
  }
  llvm_unreachable("unknown activation");
}

/// Builds the function of one entry.
class EntryBuilder {
public:
  EntryBuilder(const ModelConfig &Config, const EntryKind &Kind,
               ModuleOp Module)
      : Config(Config), Kind(Kind), Build(Module.getBodyRegion()),
        Loc(Module.getLoc()), Heads(Config.NumAttentionHeads),
        KeyHeads(Config.NumKeyValueHeads), HeadSize(Config.headSize()) {
    Build.setInsertionPointToEnd(Module.getBody());
  }

  void build();

private:
  // The signature.
  void declareInputs();
  void declareStates();
  void declare(const Twine &Name, StringRef Attribute, Type Kind);
  void makeFunction();
  void addResult(const Twine &Name, StringRef Attribute, Value Result);
  void finishFunction();
  /// The argument, or null in an entry that does not have it.
  Value argument(const Twine &Name) { return Arguments.lookup(Name.str()); }
  bool usesDropout() const {
    return Kind.HasLoss &&
           (Config.HiddenDropout > 0 || Config.AttentionDropout > 0);
  }

  // The model.
  Value layer(int64_t Index, Value Hidden);
  Value ssd(int64_t Index, Value Hidden, SmallVectorImpl<Value> &States);
  Value attention(int64_t Index, Value Hidden, SmallVectorImpl<Value> &States);
  Value feedForward(const std::string &Prefix, Value Hidden);
  void head(Value Hidden);

  // Small pieces.
  Value read(const std::string &Name, ArrayRef<int64_t> Shape);
  Value norm(const std::string &Name, Value Hidden);
  Value linear(const std::string &Name, Value Input,
               ArrayRef<int64_t> Trailing);
  Value rope(Value Input);
  Value residual(const std::string &Name, Value Input, Value Update);
  Value dropout(Value Input, int64_t Site);

  RankedTensorType floats(ArrayRef<int64_t> Shape) {
    return RankedTensorType::get(Shape, Build.getF32Type());
  }
  RankedTensorType ids(ArrayRef<int64_t> Shape) {
    return RankedTensorType::get(Shape, Build.getI32Type());
  }

  const ModelConfig &Config;
  const EntryKind &Kind;
  OpBuilder Build;
  Location Loc;
  int64_t Heads, KeyHeads, HeadSize;

  struct Slot {
    std::string Name;
    StringRef Attribute;
    Type Kind;
  };
  SmallVector<Slot> Slots;
  llvm::StringMap<Value> Arguments;
  func::FuncOp Function;
  SmallVector<Slot> ResultSlots;
  SmallVector<Value> Results;
  SmallVector<std::pair<std::string, Value>> NewStates;
  Value KeyMask; ///< of the keys that attention sees
};

//===----------------------------------------------------------------------===//
// The signature
//===----------------------------------------------------------------------===//

void EntryBuilder::declare(const Twine &Name, StringRef Attribute, Type Kind) {
  Slots.push_back({Name.str(), Attribute, Kind});
}

void EntryBuilder::declareInputs() {
  declare("input_ids", InputAttribute, ids({Dynamic, Dynamic}));
  declare("attention_mask", InputAttribute, floats({Dynamic, Dynamic}));
  if (Kind.HasLoss)
    declare("labels", InputAttribute,
            Config.SequenceClassification ? ids({Dynamic})
                                          : ids({Dynamic, Dynamic}));
  declare("rope_cos", InputAttribute, floats({Dynamic, HeadSize / 2}));
  declare("rope_sin", InputAttribute, floats({Dynamic, HeadSize / 2}));
  if (usesDropout())
    declare("seed", InputAttribute, ids({2}));
  if (Kind.Optimizes)
    declare("hyperparameters", InputAttribute, floats({8}));
  if (Kind.LastOnly) {
    declare("sampling", InputAttribute, floats({2}));
    declare("draw", InputAttribute, ids({5}));
  }
  if (Kind.HasState)
    declare("past", InputAttribute, Build.getIndexType());
}

void EntryBuilder::declareStates() {
  bool HasAttention = false;
  for (int64_t I = 0; I < Config.NumHiddenLayers; ++I) {
    if (!Config.isAttentionLayer(I)) {
      declare("ssd_state." + Twine(I), StateAttribute,
              floats({Dynamic, Heads, HeadSize, HeadSize}));
      continue;
    }
    HasAttention = true;
    for (StringRef Stem : {"key_cache.", "value_cache."})
      declare(Stem + Twine(I), StateAttribute,
              floats({Dynamic, Dynamic, KeyHeads, HeadSize}));
  }
  if (HasAttention)
    declare("key_mask", StateAttribute, floats({Dynamic, Dynamic}));
}

void EntryBuilder::makeFunction() {
  SmallVector<Type> Types;
  for (const Slot &S : Slots)
    Types.push_back(S.Kind);
  Function = func::FuncOp::create(Build, Loc, Kind.Name,
                                  Build.getFunctionType(Types, {}));
  if (Kind.HasLoss)
    Function->setAttr(DifferentiateAttribute, Build.getUnitAttr());
  if (Kind.Optimizes)
    Function->setAttr(OptimizeAttribute, Build.getUnitAttr());
  Block *Body = Function.addEntryBlock();
  for (auto [Index, S] : llvm::enumerate(Slots)) {
    Function.setArgAttr(Index, S.Attribute, Build.getStringAttr(S.Name));
    Arguments[S.Name] = Body->getArgument(Index);
  }
  Build.setInsertionPointToEnd(Body);
}

void EntryBuilder::addResult(const Twine &Name, StringRef Attribute,
                             Value Result) {
  ResultSlots.push_back({Name.str(), Attribute, Result.getType()});
  Results.push_back(Result);
}

void EntryBuilder::finishFunction() {
  for (auto &[Name, State] : NewStates)
    addResult(Name, StateAttribute, State);
  if (KeyMask && Kind.HasState)
    addResult("key_mask", StateAttribute, KeyMask);
  func::ReturnOp::create(Build, Loc, Results);
  Function.setFunctionType(
      Build.getFunctionType(Function.getArgumentTypes(), TypeRange(Results)));
  for (auto [Index, S] : llvm::enumerate(ResultSlots))
    Function.setResultAttr(Index, S.Attribute, Build.getStringAttr(S.Name));
}

//===----------------------------------------------------------------------===//
// Small pieces
//===----------------------------------------------------------------------===//

Value EntryBuilder::read(const std::string &Name, ArrayRef<int64_t> Shape) {
  return ReadOp::create(Build, Loc, floats(Shape), Name);
}

Value EntryBuilder::norm(const std::string &Name, Value Hidden) {
  Value Weight = read(Name + ".weight", {Config.HiddenSize});
  return RmsNormOp::create(Build, Loc, Hidden, Weight,
                           APFloat(Config.RmsNormEps));
}

/// A projection whose result has the input's leading dimensions, then
/// `Trailing`: a width, or heads and head size.
Value EntryBuilder::linear(const std::string &Name, Value Input,
                           ArrayRef<int64_t> Trailing) {
  ArrayRef<int64_t> From = cast<RankedTensorType>(Input.getType()).getShape();
  SmallVector<int64_t> To;
  int64_t In = 1, Out = 1;
  for (int64_t Extent : From) {
    if (ShapedType::isDynamic(Extent))
      To.push_back(Extent);
    else
      In *= Extent;
  }
  for (int64_t Extent : Trailing) {
    To.push_back(Extent);
    Out *= Extent;
  }
  Value Weight = read(Name + ".weight", {Out, In});
  Value Bias = Config.HiddenBias ? read(Name + ".bias", {Out}) : Value();
  return LinearOp::create(Build, Loc, floats(To), Input, Weight, Bias);
}

Value EntryBuilder::rope(Value Input) {
  return RopeOp::create(Build, Loc, Input, argument("rope_cos"),
                        argument("rope_sin"));
}

Value EntryBuilder::residual(const std::string &Name, Value Input,
                             Value Update) {
  Value Weight = read(Name + ".weight", {Config.HiddenSize});
  return ResidualOp::create(Build, Loc, Input, Update, Weight);
}

/// Dropout of hidden states; nothing outside of training.
Value EntryBuilder::dropout(Value Input, int64_t Site) {
  if (!Kind.HasLoss || Config.HiddenDropout == 0)
    return Input;
  return DropoutOp::create(Build, Loc, Input, argument("seed"),
                           APFloat(Config.HiddenDropout), Site);
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

std::string layerPrefix(int64_t Index) {
  return "model.layers." + std::to_string(Index) + ".";
}

Value EntryBuilder::ssd(int64_t Index, Value Hidden,
                        SmallVectorImpl<Value> &States) {
  std::string Prefix = layerPrefix(Index) + "ssd.";
  // The input is masked, not the step: the state decays through padding.
  Hidden = MaskOp::create(Build, Loc, Hidden, argument("attention_mask"));
  Value C = rope(linear(Prefix + "c_proj", Hidden, {Heads, HeadSize}));
  Value B = rope(linear(Prefix + "b_proj", Hidden, {Heads, HeadSize}));
  Value X = linear(Prefix + "x_proj", Hidden, {Heads, HeadSize});
  Value Step = ActivationOp::create(Build, Loc, ActivationKind::Softplus,
                                    linear(Prefix + "dt_proj", Hidden, Heads));
  Value Decay = read(Prefix + "A", Heads);
  auto Scan = SsmScanOp::create(
      Build, Loc, X.getType(), floats({Dynamic, Heads, HeadSize, HeadSize}), C,
      B, X, Step, Decay, argument("ssd_state." + Twine(Index)),
      Config.SsdChunkSize);
  if (Kind.HasState)
    States.push_back(Scan.getFinal());
  return linear(Prefix + "out_proj", Scan.getY(), Config.HiddenSize);
}

Value EntryBuilder::attention(int64_t Index, Value Hidden,
                              SmallVectorImpl<Value> &States) {
  std::string Prefix = layerPrefix(Index) + "attn.";
  Value Query = rope(linear(Prefix + "q_proj", Hidden, {Heads, HeadSize}));
  Value Key = rope(linear(Prefix + "k_proj", Hidden, {KeyHeads, HeadSize}));
  Value Val = linear(Prefix + "v_proj", Hidden, {KeyHeads, HeadSize});
  Value Past = argument("past");
  if (Kind.HasState) {
    Key = CacheAppendOp::create(
        Build, Loc, argument("key_cache." + Twine(Index)), Key, Past);
    Val = CacheAppendOp::create(
        Build, Loc, argument("value_cache." + Twine(Index)), Val, Past);
    States.append({Key, Val});
  }
  bool Drops = Kind.HasLoss && Config.AttentionDropout > 0;
  auto Mixed = AttentionOp::create(
      Build, Loc, Query.getType(), floats({Dynamic, Dynamic, Heads}), Query,
      Key, Val, KeyMask, Past, Drops ? argument("seed") : Value(),
      APFloat(Drops ? Config.AttentionDropout : 0.0),
      Drops ? 3 * Index + 2 : 0);
  return linear(Prefix + "o_proj", Mixed.getResult(), Config.HiddenSize);
}

Value EntryBuilder::feedForward(const std::string &Prefix, Value Hidden) {
  int64_t Width = Config.IntermediateSize;
  Value Gate = linear(Prefix + "gate_proj", Hidden, Width);
  Value Up = linear(Prefix + "up_proj", Hidden, Width);
  Gate = ActivationOp::create(Build, Loc, activationOf(Config.HiddenAct), Gate);
  Value Product = MulOp::create(Build, Loc, Gate, Up);
  return linear(Prefix + "down_proj", Product, Config.HiddenSize);
}

Value EntryBuilder::layer(int64_t Index, Value Hidden) {
  std::string Prefix = layerPrefix(Index);
  bool IsAttention = Config.isAttentionLayer(Index);
  OpBuilder::InsertionGuard Guard(Build);

  // The block is created when the types of its results are known.
  Block Body;
  Build.setInsertionPointToEnd(&Body);
  SmallVector<Value> States;
  Value H = norm(Prefix + "pre_sequence_layernorm", Hidden);
  Value Mixed =
      IsAttention ? attention(Index, H, States) : ssd(Index, H, States);
  Value X = residual(Prefix + "post_sequence_residual", Hidden,
                     dropout(Mixed, 3 * Index));
  H = norm(Prefix + "pre_state_layernorm", X);
  Value Update = feedForward(Prefix + "feed_forward.", H);
  X = residual(Prefix + "post_state_residual", X,
               dropout(Update, 3 * Index + 1));
  SmallVector<Value> Yielded{X};
  Yielded.append(States);
  YieldOp::create(Build, Loc, Yielded);

  Build.setInsertionPointToEnd(&Function.getBody().front());
  auto Layer = BlockOp::create(
      Build, Loc, TypeRange(Yielded),
      IsAttention ? MixerKind::Attention : MixerKind::Ssd, Index);
  Layer.getBody().emplaceBlock().getOperations().splice(
      Layer.getBody().front().end(), Body.getOperations());

  static constexpr StringLiteral SsdStems[] = {"ssd_state."};
  static constexpr StringLiteral CacheStems[] = {"key_cache.", "value_cache."};
  ArrayRef<StringLiteral> Stems =
      IsAttention ? ArrayRef(CacheStems) : ArrayRef(SsdStems);
  for (size_t I = 0; I < States.size(); ++I)
    NewStates.emplace_back((Stems[I] + Twine(Index)).str(),
                           Layer.getResult(I + 1));
  return Layer.getResult(0);
}

/// From the normalised hidden states to the entry's first result.
void EntryBuilder::head(Value Hidden) {
  bool Classifies = Config.SequenceClassification;
  int64_t Width = Classifies ? Config.NumLabels : Config.VocabSize;
  std::string Name = Classifies                 ? "classifier.weight"
                     : Config.TieWordEmbeddings ? "model.word_embed.weight"
                                                : "lm_head.weight";
  if (Classifies || Kind.LastOnly)
    Hidden = LastTokenOp::create(
        Build, Loc, floats({Dynamic, Config.HiddenSize}), Hidden,
        Classifies ? argument("attention_mask") : Value());
  Value Weight = read(Name, {Width, Config.HiddenSize});
  if (Kind.HasLoss) {
    Value Labels = argument("labels");
    ArrayRef<int64_t> Rows =
        cast<RankedTensorType>(Labels.getType()).getShape();
    auto Loss = LinearCrossEntropyOp::create(Build, Loc, floats({}),
                                             floats(Rows), Hidden, Weight,
                                             Labels, /*shift=*/!Classifies);
    addResult("loss", OutputAttribute, Loss.getLoss());
    return;
  }
  // The head has no bias, whatever hidden_bias says of the projections.
  SmallVector<int64_t> Shape(
      cast<RankedTensorType>(Hidden.getType()).getShape());
  Shape.back() = Width;
  Value Logits =
      LinearOp::create(Build, Loc, floats(Shape), Hidden, Weight, Value());
  addResult("logits", OutputAttribute, Logits);
  if (Kind.LastOnly)
    addResult("tokens", OutputAttribute,
              SampleOp::create(Build, Loc, ids({Dynamic}), Logits,
                               argument("sampling"), argument("draw")));
}

void EntryBuilder::build() {
  declareInputs();
  if (Kind.HasState)
    declareStates();
  makeFunction();

  KeyMask = argument("attention_mask");
  if (Kind.HasState) {
    Value Kept = argument("key_mask");
    KeyMask = Kept ? Value(CacheAppendOp::create(Build, Loc, Kept, KeyMask,
                                                 argument("past")))
                   : Value();
  }
  IntegerAttr Pad = Config.PadTokenId
                        ? Build.getI64IntegerAttr(*Config.PadTokenId)
                        : IntegerAttr();
  Value Hidden = EmbeddingOp::create(
      Build, Loc, floats({Dynamic, Dynamic, Config.HiddenSize}),
      argument("input_ids"),
      read("model.word_embed.weight", {Config.VocabSize, Config.HiddenSize}),
      Pad);
  for (int64_t I = 0; I < Config.NumHiddenLayers; ++I)
    Hidden = layer(I, Hidden);
  head(norm("model.final_layernorm", Hidden));
  finishFunction();
}

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

void declareParameters(const ModelConfig &Config, OpBuilder &Build,
                       Location Loc) {
  for (const ParameterInfo &Parameter : parameters(Config))
    ParameterOp::create(
        Build, Loc, Parameter.Name,
        RankedTensorType::get(Parameter.Shape, Build.getF32Type()),
        nameOf(Parameter.Init), /*no_decay=*/!Parameter.WeightDecay);
}

LogicalResult checkEntries(const ModelConfig &Config,
                           ArrayRef<std::string> Entries, Location Loc) {
  std::string Known = llvm::join(supportedEntries(Config), ", ");
  llvm::StringSet<> Seen;
  for (const std::string &Name : Entries) {
    const EntryKind *Kind = findEntry(Name);
    if (!Kind || !supports(Config, *Kind))
      return emitError(Loc)
             << "unknown entry '" << Name << "': expected some of " << Known;
    if (!Seen.insert(Name).second)
      return emitError(Loc) << "entry '" << Name
                            << "' is given twice: expected each at most once";
  }
  return success();
}

} // namespace

std::vector<std::string>
transxssm::supportedEntries(const ModelConfig &Config) {
  std::vector<std::string> Names;
  for (const EntryKind &Kind : EntryKinds)
    if (supports(Config, Kind))
      Names.push_back(Kind.Name.str());
  return Names;
}

OwningOpRef<ModuleOp> transxssm::importConfig(const ModelConfig &Config,
                                              const ImportOptions &Options,
                                              MLIRContext &Context) {
  Context.loadDialect<TxsDialect, func::FuncDialect>();
  Location Loc = UnknownLoc::get(&Context);
  std::vector<std::string> Entries =
      Options.Entries.empty() ? supportedEntries(Config) : Options.Entries;
  if (failed(checkEntries(Config, Entries, Loc)))
    return nullptr;

  OwningOpRef<ModuleOp> Module = ModuleOp::create(Loc);
  OpBuilder Build(Module->getBodyRegion());
  declareParameters(Config, Build, Loc);
  for (const std::string &Name : Entries)
    EntryBuilder(Config, *findEntry(Name), *Module).build();
  if (failed(verify(*Module)))
    return nullptr;
  return Module;
}
