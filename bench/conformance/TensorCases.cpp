//===- TensorCases.cpp - Boxes of the tensor memory accelerator -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// PTX ISA, "Tensors": boxes lie in shared memory row after row, of which
// swizzles exchange chunks of 16 bytes; elements outside the tensor load as
// zeros and are not stored. What lies in shared memory is compared as it is,
// byte by byte.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "bench/conformance/KernelText.h"

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

constexpr uint32_t Threads = 128;

struct Box {
  std::string Name;
  TensorShape Of;
  std::vector<int32_t> At;

  uint32_t rank() const { return uint32_t(Of.Extent.size()); }
  uint32_t elements() const {
    uint32_t Count = 1;
    for (uint32_t Each : Of.Box)
      Count *= Each;
    return Count;
  }
  uint32_t bytes() const { return elements() * Of.ElementBytes; }
  uint64_t tensorBytes() const {
    return Of.Extent.back() *
           (rank() == 1 ? Of.ElementBytes : Of.Stride.back());
  }
};

/// The same tensor in rows that are 16 bytes longer than they need be.
TensorShape tensor(uint32_t ElementBytes, std::vector<uint64_t> Extent,
                   std::vector<uint32_t> Box, uint32_t Swizzle) {
  TensorShape Made;
  Made.ElementBytes = ElementBytes;
  uint64_t Stride = (Extent[0] * ElementBytes + 15) / 16 * 16 + 16;
  for (size_t D = 1; D < Extent.size(); ++D) {
    Made.Stride.push_back(Stride);
    Stride *= Extent[D];
  }
  Made.Extent = std::move(Extent);
  Made.Box = std::move(Box);
  Made.Swizzle = Swizzle;
  return Made;
}

/// Chunk c of 16 bytes lies at c xor (line of 128 bytes mod 2, 4 or 8) of its
/// span (PTX ISA, "Swizzling Modes").
uint32_t placeOf(uint32_t Offset, uint32_t Swizzle) {
  if (Swizzle == 0)
    return Offset;
  uint32_t Line = Offset / 128, Chunk = Offset % 128 / 16;
  Chunk ^= Line % (Swizzle / 16);
  return Line * 128 + Chunk * 16 + Offset % 16;
}

/// Calls Visit(byte of the box in shared memory, byte of the tensor or -1).
template <typename Visitor> void forEachByte(const Box &Of, Visitor Visit) {
  for (uint32_t E = 0; E < Of.elements(); ++E) {
    uint32_t Rest = E;
    int64_t From = 0;
    bool Inside = true;
    for (uint32_t D = 0; D < Of.rank(); ++D) {
      int64_t Place = int64_t(Of.At[D]) + Rest % Of.Of.Box[D];
      Rest /= Of.Of.Box[D];
      Inside &= Place >= 0 && Place < int64_t(Of.Of.Extent[D]);
      From += Place * int64_t(D ? Of.Of.Stride[D - 1] : Of.Of.ElementBytes);
    }
    for (uint32_t B = 0; B < Of.Of.ElementBytes; ++B)
      Visit(placeOf(E * Of.Of.ElementBytes + B, Of.Of.Swizzle),
            Inside ? From + B : -1);
  }
}

std::vector<uint8_t> pattern(size_t Bytes) {
  std::vector<uint8_t> Made(Bytes);
  for (size_t I = 0; I < Bytes; ++I)
    Made[I] = uint8_t(I * 29 + I / 256 * 7 + 3);
  return Made;
}

Case emptyCase(const std::string &What, const Box &Of) {
  Case Made;
  Made.Name = What + "." + Of.Name;
  for (char C : Made.Name)
    Made.Symbol += C == '.' || C == '-' ? '_' : C;
  Made.NeedsHopper = true;
  Made.Threads = Threads;
  return Made;
}

void waitAt(KernelText &K, const Value &Barrier, const Value &Parity) {
  K.assembly("void",
             "{\n.reg .pred p;\nagain:\n"
             "mbarrier.try_wait.parity.shared.b64 p, [$0], $1;\n"
             "@!p bra again;\n}",
             "r,r,~{memory}", {Barrier, Parity});
}

/// One thread makes ready an mbarrier for each of those places in shared
/// memory; all may use them.
void makeBarriers(KernelText &K, const Value &Leads,
                  const std::vector<Value> &Barriers) {
  K.when(Leads);
  for (const Value &Each : Barriers)
    K.call("void", "llvm.nvvm.mbarrier.init.shared", {Each, word(1)});
  K.call("void", "llvm.nvvm.fence.mbarrier_init.release.cluster", {});
  K.end();
  K.meet();
}

void loadBox(KernelText &K, const Value &To, const Value &Barrier,
             const Value &Map, const Box &Of, int32_t Row) {
  K.call("i64", "llvm.nvvm.mbarrier.arrive.expect.tx.scope.cta.space.cta",
         {Barrier, word(Of.bytes())});
  std::vector<Value> Operands = {To, Barrier, Map};
  for (size_t D = 0; D < Of.At.size(); ++D)
    Operands.push_back(word(Of.At[D] + (D == 1 ? Row : 0)));
  Operands.push_back(quad(0));
  Operands.push_back({"i1", "false"});
  K.call("void",
         "llvm.nvvm.cp.async.bulk.tensor.g2s.cta.tile." +
             std::to_string(Of.rank()) + "d",
         Operands);
}

Case loadCase(const Box &Of) {
  Case Made = emptyCase("tensor-load", Of);
  Made.SharedBytes = Of.bytes() + 16;
  KernelText K(Made.Symbol, Threads);
  Value Map = K.tensorMap("x"), Y = K.pointer("y");
  Value Barrier = K.shared(Of.bytes());
  Value Leads = K.compare("eq", K.thread(), word(0));
  makeBarriers(K, Leads, {Barrier});
  K.when(Leads);
  loadBox(K, K.shared(), Barrier, Map, Of, 0);
  K.end();
  waitAt(K, Barrier, word(0));
  K.copyOut(Y, 0, Of.bytes());
  Made.Text = K.str();
  std::vector<uint8_t> From = pattern(Of.tensorBytes()), Answers(Of.bytes());
  forEachByte(Of, [&](uint32_t Place, int64_t At) {
    Answers[Place] = At < 0 ? 0 : From[size_t(At)];
  });
  Made.Arguments = {input("x", From), output("y", Answers)};
  Made.Arguments[0].Map = Of.Of;
  return Made;
}

Case storeCase(const Box &Of) {
  Case Made = emptyCase("tensor-store", Of);
  Made.SharedBytes = Of.bytes();
  KernelText K(Made.Symbol, Threads);
  Value X = K.pointer("x"), Map = K.tensorMap("y");
  K.copyIn(X, 0, Of.bytes());
  K.call("void", "llvm.nvvm.fence.proxy.async.shared_cta", {});
  K.meet();
  K.when(K.compare("eq", K.thread(), word(0)));
  std::vector<Value> Operands = {K.shared(), Map};
  for (int32_t Each : Of.At)
    Operands.push_back(word(Each));
  Operands.push_back(quad(0));
  Operands.push_back({"i1", "false"});
  K.call("void",
         "llvm.nvvm.cp.async.bulk.tensor.s2g.tile." +
             std::to_string(Of.rank()) + "d",
         Operands);
  K.call("void", "llvm.nvvm.cp.async.bulk.commit.group", {});
  K.call("void", "llvm.nvvm.cp.async.bulk.wait.group.read", {word(0)});
  K.call("void", "llvm.nvvm.cp.async.bulk.wait.group", {word(0)});
  K.end();
  Made.Text = K.str();
  std::vector<uint8_t> From = pattern(Of.bytes());
  std::vector<uint8_t> Answers(Of.tensorBytes(), Untouched);
  forEachByte(Of, [&](uint32_t Place, int64_t At) {
    if (At >= 0)
      Answers[size_t(At)] = From[Place];
  });
  Made.Arguments = {input("x", From), output("y", Answers)};
  Made.Arguments[1].Map = Of.Of;
  return Made;
}

/// A producer's thread has boxes of 16 rows copied into two stages, one after
/// the other; a warp stores them and gives each stage back.
Case pipeCase() {
  constexpr int32_t Rounds = 5, Stages = 2;
  Box Of{"pipe", tensor(2, {64, 16 * Rounds}, {64, 16}, 128), {0, 0}};
  Case Made = emptyCase("tensor", Of);
  Made.Threads = 64;
  Made.SharedBytes = Stages * Of.bytes() + 16 * Stages;
  KernelText K(Made.Symbol, Made.Threads);
  Value Map = K.tensorMap("x"), Y = K.pointer("y");
  std::vector<Value> Full, Empty;
  for (int64_t S = 0; S < Stages; ++S) {
    Full.push_back(K.shared(Stages * Of.bytes() + 16 * S));
    Empty.push_back(K.shared(Stages * Of.bytes() + 16 * S + 8));
  }
  std::vector<Value> Barriers = Full;
  Barriers.insert(Barriers.end(), Empty.begin(), Empty.end());
  makeBarriers(K, K.compare("eq", K.thread(), word(0)), Barriers);
  Value Lane = K.binary("and", K.thread(), word(31));
  K.when(K.compare("eq", K.thread(), word(32)));
  for (int32_t I = 0; I < Rounds; ++I) {
    if (I >= Stages)
      waitAt(K, Empty[I % Stages], word((I / Stages - 1) % 2));
    loadBox(K, K.shared(I % Stages * Of.bytes()), Full[I % Stages], Map, Of,
            16 * I);
  }
  K.end();
  K.when(K.compare("ult", K.thread(), word(32)));
  Value First = K.compare("eq", Lane, word(0));
  for (int32_t I = 0; I < Rounds; ++I) {
    waitAt(K, Full[I % Stages], word(I / Stages % 2));
    for (int64_t C = 0; C < int64_t(Of.bytes()) / 16 / 32; ++C) {
      const std::string Chunk = "<4 x i32>";
      Value Index = K.binary("add", Lane, word(32 * C));
      Value Held = K.load(
          Chunk, K.at(K.shared(I % Stages * Of.bytes()), Chunk, Index), 16);
      Value Into = K.binary("add", Index, word(I * Of.bytes() / 16));
      K.store(Held, K.at(Y, Chunk, Into), 16);
    }
    K.meetWarp();
    K.assembly("void",
               "{\n.reg .b64 state;\n"
               "@$1 mbarrier.arrive.shared.b64 state, [$0];\n}",
               "r,b,~{memory}", {Empty[I % Stages], First});
  }
  K.end();
  Made.Text = K.str();
  std::vector<uint8_t> From = pattern(Of.tensorBytes());
  std::vector<uint8_t> Answers(Rounds * Of.bytes());
  for (int32_t I = 0; I < Rounds; ++I) {
    Box Each = Of;
    Each.At[1] = 16 * I;
    forEachByte(Each, [&](uint32_t Place, int64_t At) {
      Answers[size_t(I) * Of.bytes() + Place] = From[size_t(At)];
    });
  }
  Made.Arguments = {input("x", From), output("y", Answers)};
  Made.Arguments[0].Map = Of.Of;
  return Made;
}

std::vector<Box> boxes() {
  std::vector<Box> All;
  for (uint32_t Swizzle : {0, 32, 64, 128}) {
    uint32_t Columns = Swizzle ? Swizzle / 2 : 64;
    std::string Name = "2d.swizzle-" + std::to_string(Swizzle);
    // The last column and row of the tensor lie in the box but for "inside".
    TensorShape Of = tensor(2, {Columns + 13, 29}, {Columns, 16}, Swizzle);
    int32_t Right = int32_t(Columns) / 2 + 8;
    All.push_back({Name + ".inside", Of, {8, 5}});
    All.push_back({Name + ".before", Of, {-8, -3}});
    All.push_back({Name + ".beyond", Of, {Right, 20}});
    All.push_back({Name + ".outside", Of, {int32_t(Columns) + 16, 0}});
  }
  // Rows shorter than the swizzle's span.
  All.push_back(
      {"2d.swizzle-128.narrow", tensor(2, {40, 20}, {32, 16}, 128), {3, 6}});
  All.push_back(
      {"2d.swizzle-64.narrow", tensor(2, {40, 20}, {16, 16}, 64), {3, 6}});
  All.push_back({"2d.narrow", tensor(2, {24, 20}, {8, 8}, 0), {5, -2}});
  All.push_back({"1d", tensor(2, {200}, {256}, 0), {-40}});
  All.push_back({"3d", tensor(2, {64, 5, 7}, {64, 3, 2}, 128), {0, 3, -1}});
  All.push_back(
      {"4d", tensor(2, {64, 3, 4, 5}, {64, 1, 4, 2}, 128), {8, 2, 1, 4}});
  All.push_back({"5d",
                 tensor(2, {64, 2, 3, 2, 3}, {64, 2, 1, 2, 2}, 128),
                 {0, -1, 2, 1, 1}});
  All.push_back(
      {"float.swizzle-128", tensor(4, {40, 12}, {32, 8}, 128), {12, 7}});
  All.push_back({"float", tensor(4, {40, 12}, {20, 8}, 0), {30, 2}});
  return All;
}

} // namespace

void conformance::addTensorCases(std::vector<Case> &To) {
  for (const Box &Of : boxes()) {
    To.push_back(loadCase(Of));
    To.push_back(storeCase(Of));
  }
  To.push_back(pipeCase());
}
