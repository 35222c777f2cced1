//===- PackageReader.cpp - From a FlatBuffer to a package -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/PackageReader.h"

#include "runtime/TensorMap.h"

using namespace transxssm;

namespace fbs = transxssm::package;

namespace {

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

// As in PackageReader.h, for what is read here alone.
constexpr size_t MaxNameBytes = 1024;
constexpr size_t MaxConfigBytes = 1 << 20;
constexpr uint64_t MaxScratchBytes = uint64_t(1) << 32;
/// More than any GPU has.
constexpr uint32_t MaxThreads = 1024;
constexpr uint32_t MaxResidentBlocks = 32; // of a multiprocessor
constexpr uint64_t MaxSharedBytes = uint64_t(1) << 20;
constexpr int64_t MaxLimit = int64_t(1) << 31;

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
  int64_t Elements = 0;
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
    Elements += To.NumElements; // both far below the limit of int64_t
    if (Elements > MaxElements)
      return fail(Where, ": expected at most ", MaxElements,
                  " elements in all parameters, got ", Elements);
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

Status PackageReader::readTensorMaps(const fbs::KernelCode &From,
                                     const PackageKernel &Kernel,
                                     const std::string &Where,
                                     PackageKernelCode &Into) const {
  if (sizeOrZero(From.tensor_maps()) > Kernel.MemrefCount)
    return fail(Where, ": expected at most ", Kernel.MemrefCount,
                " tensor maps, got ", sizeOrZero(From.tensor_maps()));
  for (size_t I = 0; I < sizeOrZero(From.tensor_maps()); ++I) {
    const fbs::TensorMap &Map = *From.tensor_maps()->Get(I);
    if (sizeOrZero(Map.shape()) > MaxRank || sizeOrZero(Map.box()) > MaxRank)
      return fail(Where, ", tensor map ", I, ": too many extents");
    PackageTensorMap To;
    To.Operand = Map.operand();
    To.FirstSize = Map.first_size();
    for (size_t D = 0; D < sizeOrZero(Map.shape()); ++D)
      To.Shape.push_back(elementOf<int64_t>(*Map.shape(), D));
    for (size_t D = 0; D < sizeOrZero(Map.box()); ++D)
      To.Box.push_back(elementOf<uint32_t>(*Map.box(), D));
    if (Status Checked =
            checkTensorMap(To, Kernel,
                           Made.SourceName + ": " + Where + ", tensor map " +
                               std::to_string(I));
        !Checked)
      return Checked;
    Into.TensorMaps.push_back(std::move(To));
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
      Into.ResidentBlocks = Code.resident_blocks();
      if (Into.ResidentBlocks > MaxResidentBlocks)
        return fail(Kernel, ": expected at most ", MaxResidentBlocks,
                    " resident blocks, got ", Into.ResidentBlocks);
      if (Status Read = readTensorMaps(Code, Made.Kernels[K], Kernel, Into);
          !Read)
        return Read;
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
