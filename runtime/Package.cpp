//===- Package.cpp - A loaded and verified package -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Package.h"

#include "runtime/PackageFile.h"
#include "runtime/support/File.h"

#include "package_generated.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <set>

using namespace transxssm;

namespace {

namespace fbs = transxssm::package;

static_assert(int(fbs::DType::MAX) + 1 == NumDTypes &&
                  int(fbs::DType::I64) == int(DType::I64) &&
                  int(fbs::DType::F16) == int(DType::F16),
              "DType.h numbers types as package.fbs does");
static_assert(int(fbs::BufferKind::MAX) == int(BufferKind::Master) &&
                  int(fbs::BufferKind::State) == int(BufferKind::State),
              "Package.h numbers kinds as package.fbs does");
static_assert(int(fbs::Opcode::MAX) == int(Expression::Opcode::Mod) &&
                  int(fbs::Opcode::FloorDiv) ==
                      int(Expression::Opcode::FloorDiv),
              "Expression.h numbers opcodes as package.fbs does");
static_assert(int(fbs::Symbol::MAX) == 3,
              "Expression.h numbers symbols as package.fbs does");

// A damaged FlatBuffer may refer to one large vector many times; bounds keep
// what is copied out of it near the size of the file.
constexpr size_t MaxNameBytes = 1024;
constexpr size_t MaxConfigBytes = 1 << 20;
constexpr uint32_t MaxOperands = 4096;
constexpr size_t MaxRank = 16;
constexpr int64_t MaxElements = int64_t(1) << 48;
constexpr uint64_t MaxScratchBytes = uint64_t(1) << 32;
/// More than any GPU has.
constexpr uint32_t MaxThreads = 1024;
constexpr uint64_t MaxSharedBytes = uint64_t(1) << 20;
constexpr int64_t MaxLimit = int64_t(1) << 31;

/// Element of a vector of scalars or structs. The FlatBuffers verifier leaves
/// their alignment unchecked, so that Get() could read a misaligned address.
template <typename T, typename Vector>
T elementOf(const Vector &Elements, size_t Index) {
  T Value;
  std::memcpy(static_cast<void *>(&Value), Elements.Data() + Index * sizeof(T),
              sizeof(T));
  return Value;
}

template <typename Vector> size_t sizeOrZero(const Vector *Elements) {
  return Elements ? Elements->size() : 0;
}

/// Turns the verified FlatBuffer into Package::Content. What the FlatBuffers
/// verifier cannot know is checked here: each step fails with the path of the
/// offending element.
class PackageReader {
public:
  PackageReader(const fbs::Package &Root, std::string SourceName) : Root(Root) {
    Made.SourceName = std::move(SourceName);
  }

  Result<Package::Content> read();

private:
  template <typename... Parts> Error fail(const Parts &...Pieces) const {
    return makeError(Made.SourceName, ": ", Pieces...);
  }

  Status readName(const flatbuffers::String *Text, const std::string &Where,
                  std::string &Into) const;
  /// Reads the name of a table's element, which no other element may have, and
  /// adds it to Where: "state 1" becomes "state 1 'key_mask'".
  Status readNewName(const flatbuffers::String *Text,
                     std::set<std::string> &Known, std::string &Where,
                     std::string &Into) const;
  Status readType(fbs::DType Type, const std::string &Where, DType &Into) const;
  using Expressions = flatbuffers::Vector<flatbuffers::Offset<fbs::Expression>>;
  Status readExpressions(const Expressions *Elements, size_t MaxCount,
                         const std::string &Where,
                         std::vector<Expression> &Into) const;

  Status readGeneral();
  Status readParameters();
  Status readStates();
  Status readKernels();
  Status readCode();
  Status readEntries();
  Status checkOutputs(const PackageEntry &Entry) const;
  Status readBuffer(const fbs::Buffer &From, const std::string &Where,
                    PackageEntry &Entry) const;
  Status checkBuffer(const PackageBuffer &Buffer,
                     const std::string &Where) const;
  Status checkInput(const PackageBuffer &Buffer,
                    const std::string &Where) const;
  Status checkParameterBuffer(const PackageBuffer &Buffer,
                              const std::string &Where) const;
  Status readLaunch(const fbs::Launch &From, const std::string &Where,
                    PackageEntry &Entry) const;

  const fbs::Package &Root;
  Package::Content Made;
};

} // namespace

Status PackageReader::readName(const flatbuffers::String *Text,
                               const std::string &Where,
                               std::string &Into) const {
  if (!Text || Text->size() == 0)
    return fail(Where, ": expected a name, got nothing");
  if (Text->size() > MaxNameBytes)
    return fail(Where, ": expected a name of at most ", MaxNameBytes,
                " bytes, got ", Text->size());
  Into = Text->str();
  return {};
}

Status PackageReader::readNewName(const flatbuffers::String *Text,
                                  std::set<std::string> &Known,
                                  std::string &Where, std::string &Into) const {
  if (Status Read = readName(Text, Where, Into); !Read)
    return Read;
  Where += " '" + Into + "'";
  if (!Known.insert(Into).second)
    return fail(Where, ": defined twice");
  return {};
}

Status PackageReader::readType(fbs::DType Type, const std::string &Where,
                               DType &Into) const {
  if (unsigned(Type) >= NumDTypes)
    return fail(Where, ": expected an element type 0 to ", NumDTypes - 1,
                ", got ", unsigned(Type));
  Into = DType(Type);
  return {};
}

Status PackageReader::readExpressions(const Expressions *Elements,
                                      size_t MaxCount, const std::string &Where,
                                      std::vector<Expression> &Into) const {
  size_t Count = sizeOrZero(Elements);
  if (Count > MaxCount)
    return fail(Where, ": expected at most ", MaxCount, " expressions, got ",
                Count);
  for (size_t I = 0; I < Count; ++I) {
    const auto *Code = Elements->Get(I)->code();
    if (sizeOrZero(Code) > Expression::MaxInstructions)
      return fail(Where, ", expression ", I, ": expected at most ",
                  Expression::MaxInstructions, " instructions, got ",
                  Code->size());
    std::vector<Expression::Instruction> Instructions;
    for (size_t J = 0; J < sizeOrZero(Code); ++J) {
      auto Step = elementOf<fbs::Instruction>(*Code, J);
      Instructions.push_back({Expression::Opcode(Step.opcode()), Step.value()});
    }
    Result<Expression> Made = Expression::create(std::move(Instructions));
    if (!Made)
      return fail(Where, ", expression ", I, ": ", Made.message());
    Into.push_back(std::move(*Made));
  }
  return {};
}

Status PackageReader::readGeneral() {
  if (Root.producer())
    Made.Producer = Root.producer()->str().substr(0, MaxNameBytes);
  if (!Root.config() || Root.config()->size() > MaxConfigBytes)
    return fail("config: expected 1 to ", MaxConfigBytes, " bytes, got ",
                Root.config() ? Root.config()->size() : 0);
  Made.ConfigText = Root.config()->str();
  Result<ModelConfig> Config =
      ModelConfig::parse(Made.ConfigText, Made.SourceName + ": config");
  if (!Config)
    return Config.error();
  Made.Config = std::move(*Config);
  if (!Root.limits())
    return fail("limits: expected them, got nothing");
  Made.MaxBatch = Root.limits()->max_batch();
  Made.MaxSeqLen = Root.limits()->max_seq_len();
  for (auto [Name, Value] : {std::pair("max_batch", Made.MaxBatch),
                             std::pair("max_seq_len", Made.MaxSeqLen)})
    if (Value < 1 || Value > MaxLimit)
      return fail("limits.", Name, ": expected 1 to ", MaxLimit, ", got ",
                  Value);
  return {};
}

Status PackageReader::readParameters() {
  std::set<std::string> Names;
  for (size_t I = 0; I < sizeOrZero(Root.parameters()); ++I) {
    const fbs::Parameter &From = *Root.parameters()->Get(I);
    PackageParameter To;
    std::string Where = "parameter " + std::to_string(I);
    if (Status Read = readNewName(From.name(), Names, Where, To.Name); !Read)
      return Read;
    if (Status Read = readType(From.dtype(), Where, To.Type); !Read)
      return Read;
    if (To.Type != DType::F32 && To.Type != DType::BF16)
      return fail(Where, ": expected f32 or bf16, got ", nameOf(To.Type));
    if (sizeOrZero(From.shape()) > MaxRank)
      return fail(Where, ": expected a rank of at most ", MaxRank, ", got ",
                  From.shape()->size());
    To.NumElements = 1;
    for (size_t D = 0; D < sizeOrZero(From.shape()); ++D) {
      auto Extent = elementOf<int64_t>(*From.shape(), D);
      if (Extent < 1 || Extent > MaxElements / To.NumElements)
        return fail(Where, ": bad extent ", Extent, " of dimension ", D);
      To.NumElements *= Extent;
      To.Shape.push_back(Extent);
    }
    std::string Init = From.initializer() ? From.initializer()->str() : "";
    std::optional<Initializer> Kind = initializerFromName(Init);
    if (!Kind)
      return fail(Where,
                  ": expected initializer normal, ones, zeros or "
                  "ssd_decay, got '",
                  Init.substr(0, MaxNameBytes), "'");
    To.Init = *Kind;
    Made.Parameters.push_back(std::move(To));
  }
  return {};
}

Status PackageReader::readStates() {
  std::set<std::string> Names;
  for (size_t I = 0; I < sizeOrZero(Root.states()); ++I) {
    const fbs::State &From = *Root.states()->Get(I);
    PackageState To;
    std::string Where = "state " + std::to_string(I);
    if (Status Read = readNewName(From.name(), Names, Where, To.Name); !Read)
      return Read;
    if (Status Read = readType(From.dtype(), Where, To.Type); !Read)
      return Read;
    if (Status Read = readExpressions(From.shape(), MaxRank, Where, To.Shape);
        !Read)
      return Read;
    for (const Expression &Extent : To.Shape)
      if (Extent.usesPast() || Extent.usesSeq())
        return fail(Where, ": its shape must not depend on seq or past");
    Made.States.push_back(std::move(To));
  }
  return {};
}

Status PackageReader::readKernels() {
  std::set<std::string> Names;
  for (size_t I = 0; I < sizeOrZero(Root.kernels()); ++I) {
    const fbs::Kernel &From = *Root.kernels()->Get(I);
    PackageKernel To;
    std::string Where = "kernel " + std::to_string(I);
    if (Status Read = readNewName(From.name(), Names, Where, To.Name); !Read)
      return Read;
    To.MemrefCount = From.memref_count();
    To.SizeCount = From.size_count();
    if (To.MemrefCount > MaxOperands || To.SizeCount > MaxOperands)
      return fail(Where, ": expected at most ", MaxOperands,
                  " operands and sizes, got ", To.MemrefCount, " and ",
                  To.SizeCount);
    Made.Kernels.push_back(std::move(To));
  }
  return {};
}

Status PackageReader::readCode() {
  uint64_t CopiedBytes = 0;
  for (size_t I = 0; I < sizeOrZero(Root.code()); ++I) {
    const fbs::CodeObject &From = *Root.code()->Get(I);
    PackageCode To;
    std::string Where = "code " + std::to_string(I);
    if (Status Read = readName(From.target(), Where, To.Target); !Read)
      return Read;
    Where += " (" + To.Target + ")";
    if (sizeOrZero(From.features()) > MaxOperands)
      return fail(Where, ": too many features");
    for (size_t F = 0; F < sizeOrZero(From.features()); ++F) {
      To.Features.emplace_back();
      if (Status Read = readName(From.features()->Get(F),
                                 Where + ", feature " + std::to_string(F),
                                 To.Features.back());
          !Read)
        return Read;
    }
    if (sizeOrZero(From.kernels()) != Made.Kernels.size())
      return fail(Where, ": expected code for ", Made.Kernels.size(),
                  " kernels, got ", sizeOrZero(From.kernels()));
    for (size_t K = 0; K < Made.Kernels.size(); ++K) {
      const fbs::KernelCode &Code = *From.kernels()->Get(K);
      std::string Kernel = Where + ", kernel '" + Made.Kernels[K].Name + "'";
      PackageKernelCode Into;
      if (Status Read = readName(Code.symbol(), Kernel, Into.Symbol); !Read)
        return Read;
      Into.ScratchBytes = Code.scratch_bytes();
      if (Into.ScratchBytes > MaxScratchBytes)
        return fail(Kernel, ": expected at most ", MaxScratchBytes,
                    " bytes of scratch, got ", Into.ScratchBytes);
      Into.Threads = Code.threads();
      Into.SharedBytes = Code.shared_bytes();
      if (Into.Threads > MaxThreads || Into.SharedBytes > MaxSharedBytes)
        return fail(Kernel, ": expected at most ", MaxThreads, " threads and ",
                    MaxSharedBytes, " bytes of shared memory, got ",
                    Into.Threads, " and ", Into.SharedBytes);
      To.Kernels.push_back(std::move(Into));
    }
    CopiedBytes += sizeOrZero(From.object());
    if (CopiedBytes > FLATBUFFERS_MAX_BUFFER_SIZE)
      return fail(Where, ": code objects overlap");
    if (From.object())
      To.Object.assign(From.object()->begin(), From.object()->end());
    Made.Code.push_back(std::move(To));
  }
  return {};
}

Status PackageReader::checkInput(const PackageBuffer &Buffer,
                                 const std::string &Where) const {
  static const std::pair<const char *, DType> Known[] = {
      {"input_ids", DType::I32}, {"attention_mask", DType::F32},
      {"labels", DType::I32},    {"rope_cos", DType::F32},
      {"rope_sin", DType::F32},  {"hyperparameters", DType::F32},
      {"seed", DType::I32}};
  for (const auto &[Name, Type] : Known) {
    if (Buffer.Name != Name)
      continue;
    if (Buffer.Type != Type)
      return fail(Where, ": expected ", nameOf(Type), ", got ",
                  nameOf(Buffer.Type));
    return {};
  }
  return fail(Where, ": unknown input; known are input_ids, attention_mask, "
                     "labels, rope_cos, rope_sin, hyperparameters, seed");
}

Status PackageReader::checkParameterBuffer(const PackageBuffer &Buffer,
                                           const std::string &Where) const {
  if (Buffer.Index >= Made.Parameters.size())
    return fail(Where, ": expected a parameter below ", Made.Parameters.size(),
                ", got ", Buffer.Index);
  const PackageParameter &Of = Made.Parameters[Buffer.Index];
  DType Expected = Buffer.Kind == BufferKind::Parameter ? Of.Type : DType::F32;
  if (Buffer.Type != Expected)
    return fail(Where, ": expected ", nameOf(Expected), ", got ",
                nameOf(Buffer.Type));
  if (Buffer.Kind == BufferKind::Master && Of.Type == DType::F32)
    return fail(Where, ": expected a parameter narrower than f32, got '",
                Of.Name, "' of f32");
  int64_t Elements = 1;
  for (const Expression &Extent : Buffer.Shape) {
    int64_t Value = 0;
    if (!Extent.isConstant() || !Extent.evaluate({}, Value) || Value < 1 ||
        Value > MaxElements / Elements)
      return fail(Where, ": expected constant extents, got ", Extent.str());
    Elements *= Value;
  }
  if (Elements != Of.NumElements)
    return fail(Where, ": expected ", Of.NumElements, " elements of '", Of.Name,
                "', got ", Elements);
  return {};
}

Status PackageReader::checkBuffer(const PackageBuffer &Buffer,
                                  const std::string &Where) const {
  switch (Buffer.Kind) {
  case BufferKind::Input:
    return checkInput(Buffer, Where);
  case BufferKind::Parameter:
  case BufferKind::Gradient:
  case BufferKind::Moment1:
  case BufferKind::Moment2:
  case BufferKind::Master:
    return checkParameterBuffer(Buffer, Where);
  case BufferKind::State:
    if (Buffer.Index >= Made.States.size())
      return fail(Where, ": expected a state below ", Made.States.size(),
                  ", got ", Buffer.Index);
    if (Buffer.Type != Made.States[Buffer.Index].Type)
      return fail(Where, ": expected ", nameOf(Made.States[Buffer.Index].Type),
                  ", got ", nameOf(Buffer.Type));
    return {};
  case BufferKind::Output:
  case BufferKind::Temporary:
    return {};
  }
  return {};
}

Status PackageReader::readBuffer(const fbs::Buffer &From,
                                 const std::string &Where,
                                 PackageEntry &Entry) const {
  PackageBuffer To;
  if (unsigned(From.kind()) > unsigned(BufferKind::Master))
    return fail(Where, ": expected a kind 0 to ", unsigned(BufferKind::Master),
                ", got ", unsigned(From.kind()));
  To.Kind = BufferKind(From.kind());
  if (Status Read = readName(From.name(), Where, To.Name); !Read)
    return Read;
  std::string Named = Where + " '" + To.Name + "'";
  if (Status Read = readType(From.dtype(), Named, To.Type); !Read)
    return Read;
  if (Status Read = readExpressions(From.shape(), MaxRank, Named, To.Shape);
      !Read)
    return Read;
  To.Index = From.index();
  To.FirstUse = From.first_use();
  To.LastUse = From.last_use();
  if (To.Kind == BufferKind::Temporary && To.FirstUse > To.LastUse)
    return fail(Named, ": first use ", To.FirstUse, " comes after last use ",
                To.LastUse);
  if (Status Checked = checkBuffer(To, Named); !Checked)
    return Checked;
  Entry.Buffers.push_back(std::move(To));
  return {};
}

Status PackageReader::readLaunch(const fbs::Launch &From,
                                 const std::string &Where,
                                 PackageEntry &Entry) const {
  uint32_t Number = uint32_t(Entry.Launches.size());
  PackageLaunch To;
  To.Kernel = From.kernel();
  if (To.Kernel >= Made.Kernels.size())
    return fail(Where, ": expected a kernel below ", Made.Kernels.size(),
                ", got ", To.Kernel);
  const PackageKernel &Kernel = Made.Kernels[To.Kernel];
  std::string Named = Where + " ('" + Kernel.Name + "')";
  if (Status Read = readExpressions(From.grid(), 3, Named + ", grid", To.Grid);
      !Read)
    return Read;
  if (To.Grid.empty())
    return fail(Named, ": expected one to three grid extents, got none");
  if (sizeOrZero(From.operands()) != Kernel.MemrefCount)
    return fail(Named, ": expected ", Kernel.MemrefCount, " operands, got ",
                sizeOrZero(From.operands()));
  if (sizeOrZero(From.sizes()) != Kernel.SizeCount)
    return fail(Named, ": expected ", Kernel.SizeCount, " sizes, got ",
                sizeOrZero(From.sizes()));
  for (uint32_t I = 0; I < Kernel.MemrefCount; ++I) {
    auto Operand = elementOf<uint32_t>(*From.operands(), I);
    if (Operand >= Entry.Buffers.size())
      return fail(Named, ", operand ", I, ": expected a buffer below ",
                  Entry.Buffers.size(), ", got ", Operand);
    const PackageBuffer &Buffer = Entry.Buffers[Operand];
    if (Buffer.Kind == BufferKind::Temporary &&
        (Number < Buffer.FirstUse || Number > Buffer.LastUse))
      return fail(Named, ", operand ", I, ": buffer '", Buffer.Name,
                  "' lives from launch ", Buffer.FirstUse, " to ",
                  Buffer.LastUse, " only");
    To.Operands.push_back(Operand);
  }
  if (Status Read = readExpressions(From.sizes(), MaxOperands,
                                    Named + ", sizes", To.Sizes);
      !Read)
    return Read;
  if (Status Read = readExpressions(From.guards(), MaxRank, Named + ", guards",
                                    To.Guards);
      !Read)
    return Read;
  for (size_t I = 0; I < sizeOrZero(From.holds()); ++I) {
    const fbs::HeldValue &Value = *From.holds()->Get(I);
    std::string Held = Named + ", held value " + std::to_string(I);
    PackageHeldValue Into;
    Into.Operand = Value.operand();
    if (Into.Operand >= Kernel.MemrefCount)
      return fail(Held, ": expected an operand below ", Kernel.MemrefCount,
                  ", got ", Into.Operand);
    if (Status Read = readName(Value.name(), Held, Into.Name); !Read)
      return Read;
    To.Holds.push_back(std::move(Into));
  }
  Entry.Launches.push_back(std::move(To));
  return {};
}

/// The entries that the runtime calls by name return what it reads.
Status PackageReader::checkOutputs(const PackageEntry &Entry) const {
  static const std::pair<const char *, const char *> Required[] = {
      {"forward", "logits"}, {"prefill", "logits"}, {"decode", "logits"},
      {"gradients", "loss"}, {"train", "loss"},     {"train", "grad_norm"}};
  for (const auto &[Name, Output] : Required) {
    if (Entry.Name != Name)
      continue;
    const PackageBuffer *Buffer = Entry.find(BufferKind::Output, Output);
    if (!Buffer || Buffer->Type != DType::F32)
      return fail("entry '", Name, "': expected output '", Output,
                  "' of f32, got ", Buffer ? nameOf(Buffer->Type) : "none");
  }
  return {};
}

Status PackageReader::readEntries() {
  std::set<std::string> Names;
  for (size_t I = 0; I < sizeOrZero(Root.entries()); ++I) {
    const fbs::Entry &From = *Root.entries()->Get(I);
    PackageEntry To;
    std::string Where = "entry " + std::to_string(I);
    if (Status Read = readNewName(From.name(), Names, Where, To.Name); !Read)
      return Read;
    Where = "entry '" + To.Name + "'"; // which says enough
    std::set<std::pair<BufferKind, std::string>> BufferNames;
    for (size_t B = 0; B < sizeOrZero(From.buffers()); ++B) {
      std::string Buffer = Where + ", buffer " + std::to_string(B);
      if (Status Read = readBuffer(*From.buffers()->Get(B), Buffer, To); !Read)
        return Read;
      BufferKind Kind = To.Buffers.back().Kind;
      if ((Kind == BufferKind::Input || Kind == BufferKind::Output) &&
          !BufferNames.insert({Kind, To.Buffers.back().Name}).second)
        return fail(Buffer, ": '", To.Buffers.back().Name,
                    "' is defined twice");
    }
    for (size_t L = 0; L < sizeOrZero(From.launches()); ++L)
      if (Status Read = readLaunch(*From.launches()->Get(L),
                                   Where + ", launch " + std::to_string(L), To);
          !Read)
        return Read;
    if (Status Checked = checkOutputs(To); !Checked)
      return Checked;
    Made.Entries.push_back(std::move(To));
  }
  return {};
}

Result<Package::Content> PackageReader::read() {
  Status (PackageReader::*const Steps[])() = {
      &PackageReader::readGeneral, &PackageReader::readParameters,
      &PackageReader::readStates,  &PackageReader::readKernels,
      &PackageReader::readCode,    &PackageReader::readEntries};
  for (auto Step : Steps)
    if (Status Read = (this->*Step)(); !Read)
      return Read.error();
  return std::move(Made);
}

const PackageBuffer *PackageEntry::find(BufferKind Kind,
                                        const std::string &Name) const {
  for (const PackageBuffer &Buffer : Buffers)
    if (Buffer.Kind == Kind && Buffer.Name == Name)
      return &Buffer;
  return nullptr;
}

Result<Package> Package::load(const std::string &Path) {
  Result<std::shared_ptr<MappedFile>> File = MappedFile::open(Path);
  if (!File)
    return File.error();
  return fromBytes((*File)->data(), (*File)->size(), Path);
}

Result<Package> Package::fromBytes(const uint8_t *File, size_t Bytes,
                                   const std::string &SourceName) {
  try {
    return verify(File, Bytes, SourceName);
  } catch (const std::bad_alloc &) {
    return makeError(SourceName, ": out of memory while reading the package");
  }
}

Result<Package> Package::verify(const uint8_t *File, size_t Bytes,
                                const std::string &SourceName) {
  if (Status Framed = checkPackageFrame(File, Bytes, SourceName); !Framed)
    return Framed.error();
  size_t PayloadBytes = Bytes - PackageHeaderBytes;
  if (PayloadBytes >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return makeError(SourceName, ": expected a payload of less than ",
                     FLATBUFFERS_MAX_BUFFER_SIZE, " bytes, got ", PayloadBytes);
  // FlatBuffers reads scalars in place, so the payload must be aligned.
  const uint8_t *Payload = File + PackageHeaderBytes;
  std::vector<uint64_t> Aligned;
  if (reinterpret_cast<uintptr_t>(Payload) % alignof(uint64_t) != 0) {
    Aligned.resize(PayloadBytes / 8 + 1);
    std::copy_n(Payload, PayloadBytes,
                reinterpret_cast<uint8_t *>(Aligned.data()));
    Payload = reinterpret_cast<const uint8_t *>(Aligned.data());
  }
  flatbuffers::Verifier Verifier(Payload, PayloadBytes);
  if (!fbs::VerifyPackageBuffer(Verifier))
    return makeError(SourceName, ": malformed package (FlatBuffers "
                                 "verification failed)");
  Result<Content> Read =
      PackageReader(*fbs::GetPackage(Payload), SourceName).read();
  if (!Read)
    return Read.error();
  Package Loaded;
  Loaded.Held = std::make_shared<const Content>(std::move(*Read));
  return Loaded;
}

const PackageEntry *Package::findEntry(const std::string &Name) const {
  for (const PackageEntry &Entry : entries())
    if (Entry.Name == Name)
      return &Entry;
  return nullptr;
}
