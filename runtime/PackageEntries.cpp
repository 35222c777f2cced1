//===- PackageEntries.cpp - Buffers and launches of a package -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/PackageReader.h"

#include <tuple>

using namespace transxssm;

namespace fbs = transxssm::package;

Status PackageReader::checkInput(const PackageBuffer &Buffer,
                                 const std::string &Where) const {
  static const std::pair<const char *, DType> Known[] = {
      {"input_ids", DType::I32}, {"attention_mask", DType::F32},
      {"labels", DType::I32},    {"rope_cos", DType::F32},
      {"rope_sin", DType::F32},  {"hyperparameters", DType::F32},
      {"seed", DType::I32},      {"sampling", DType::F32},
      {"draw", DType::I32}};
  for (const auto &[Name, Type] : Known) {
    if (Buffer.Name != Name)
      continue;
    if (Buffer.Type != Type)
      return fail(Where, ": expected ", nameOf(Type), ", got ",
                  nameOf(Buffer.Type));
    return {};
  }
  return fail(Where, ": unknown input; known are input_ids, attention_mask, "
                     "labels, rope_cos, rope_sin, hyperparameters, seed, "
                     "sampling, draw");
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
  if (Status Read =
          readExpressions(From.flops(), 1, Named + ", operations", To.Flops);
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
  static const std::tuple<const char *, const char *, DType> Required[] = {
      {"forward", "logits", DType::F32}, {"prefill", "logits", DType::F32},
      {"prefill", "tokens", DType::I32}, {"decode", "logits", DType::F32},
      {"gradients", "loss", DType::F32}, {"train", "loss", DType::F32},
      {"train", "grad_norm", DType::F32}};
  for (const auto &[Name, Output, Type] : Required) {
    if (Entry.Name != Name)
      continue;
    const PackageBuffer *Buffer = Entry.find(BufferKind::Output, Output);
    if (!Buffer || Buffer->Type != Type)
      return fail("entry '", Name, "': expected output '", Output, "' of ",
                  nameOf(Type), ", got ",
                  Buffer ? nameOf(Buffer->Type) : "none");
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
