//===- WgmmaHooks.cpp - wgmma and setmaxnreg ------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// PTX ISA 9.0, 9.7.16. Operands in shared memory are read by the tensor cores
// of four warps, through the asynchronous proxy: they must be visible to all of
// these threads, and may be overwritten after wait_group only. The result is
// there at once; that a kernel does not use it before wait_group is not
// checked.
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/TensorCopies.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::sim;

namespace {

constexpr uint32_t GroupThreads = 128, M = 64, K = 16;

/// The tensor cores as a thread that knows what all threads of the group know.
Thread engineOf(Machine &Owner, WarpGroup &Of, size_t First) {
  Thread Engine;
  Engine.Owner = &Owner;
  Engine.Number = Owner.groupActor(Of);
  Engine.Clock = Of.Clock;
  size_t Actors = Owner.numActors();
  auto Common = std::make_shared<ClockVector>(2 * Actors, ~uint32_t(0));
  Engine.Epoch = ~uint32_t(0);
  for (size_t I = First; I < First + GroupThreads; ++I) {
    const Thread &Each = Owner.thread(I);
    Engine.Epoch = std::min(Engine.Epoch, Each.Epoch);
    // What a thread knows says nothing new of itself: the others decide.
    for (size_t A = 0; A < 2 * Actors; ++A)
      if (A % Actors != I)
        (*Common)[A] = std::min((*Common)[A], (*Each.Known)[A]);
  }
  Engine.Known = Common;
  return Engine;
}

/// A matrix descriptor.
struct Descriptor {
  uint64_t Start, Leading, Stride;
  uint32_t Swizzle;

  explicit Descriptor(uint64_t Bits)
      : Start((Bits & 0x3fff) << 4), Leading((Bits >> 16 & 0x3fff) << 4),
        Stride((Bits >> 32 & 0x3fff) << 4) {
    const uint32_t Modes[] = {0, 128, 64, 32};
    Swizzle = Modes[Bits >> 62];
  }

  /// Eight elements along K, from column 8 * Half of row `Row`: K-major.
  uint64_t alongK(uint32_t Row, uint32_t Half) const {
    uint64_t RowBytes = Swizzle ? Swizzle : 16;
    uint64_t At = Start + Row / 8 * Stride + Row % 8 * RowBytes;
    return swizzled(At + Half * (Swizzle ? 16 : Leading), Swizzle);
  }
  /// Eight elements along M or N, from `Row` on, of column `Column`: the other
  /// order, in areas of as many elements as the swizzle spans. Without swizzle
  /// the two offsets change their roles.
  uint64_t acrossK(uint32_t Row, uint32_t Column) const {
    if (!Swizzle)
      return Start + Row / 8 * Stride + Column / 8 * Leading + Column % 8 * 16;
    uint32_t Elements = Swizzle / 2;
    return swizzled(Start + Row / Elements * Leading + Column / 8 * Stride +
                        Column % 8 * Swizzle + Row % Elements * 2,
                    Swizzle);
  }
};

using Operand = std::vector<float>; // rows of K

/// Reads a descriptor's matrix of `Rows` rows; false after a report.
bool fetch(Machine &Owner, Thread &Engine, WarpGroup &Group, uint64_t Bits,
           uint32_t Rows, bool Transposed, bool IsF16, uint32_t Site,
           Operand &To) {
  Descriptor From(Bits);
  To.assign(size_t(Rows) * K, 0);
  auto Chunk = [&](uint64_t Offset, uint16_t *Into) {
    uint8_t *Place = Owner.shared().access(Engine, Offset, 16,
                                           SharedAccess::ProxyRead, Site);
    if (!Place)
      return false;
    Group.Open.push_back({uint32_t(Offset), 16});
    std::memcpy(Into, Place, 16);
    return true;
  };
  auto Convert = IsF16 ? halfToFloat : bfloatToFloat;
  uint16_t Values[8];
  uint32_t Outer = Transposed ? K : Rows, Inner = Transposed ? Rows / 8 : 2;
  for (uint32_t O = 0; O < Outer; ++O)
    for (uint32_t I = 0; I < Inner; ++I) {
      if (!Chunk(Transposed ? From.acrossK(8 * I, O) : From.alongK(O, I),
                 Values))
        return false;
      for (uint32_t E = 0; E < 8; ++E)
        To[Transposed ? (8 * I + E) * K + O : O * K + 8 * I + E] =
            Convert(Values[E]);
    }
  return true;
}

/// Row and column of accumulator `Register` of a thread of the group.
uint32_t rowOf(uint32_t Thread, uint32_t Register) {
  return Thread / 32 * 16 + Thread % 32 / 4 + Register / 2 % 2 * 8;
}
uint32_t columnOf(uint32_t Thread, uint32_t Register) {
  return Register / 4 * 8 + Thread % 4 * 2 + Register % 2;
}

/// A from registers: as the A operand of mma.m16n8k16, warp by warp.
void gatherRegisters(const WarpGroup &Group, uint32_t First, bool IsF16,
                     Operand &To) {
  To.assign(M * K, 0);
  auto Convert = IsF16 ? halfToFloat : bfloatToFloat;
  for (uint32_t T = 0; T < GroupThreads; ++T)
    for (uint32_t R = 0; R < 4; ++R) {
      uint64_t Pair = Group.In[T][First + R];
      uint32_t Row = T / 32 * 16 + T % 32 / 4 + R % 2 * 8;
      uint32_t Column = T % 4 * 2 + R / 2 * 8;
      To[Row * K + Column] = Convert(uint16_t(Pair));
      To[Row * K + Column + 1] = Convert(uint16_t(Pair >> 16));
    }
}

/// D = A B + (scale-d ? C : 0), accumulated along K.
void multiply(WarpGroup &Group, const Operand &A, const Operand &B, uint32_t N,
              bool Accumulates, float Scale) {
  std::vector<float> D(size_t(M) * N);
  for (uint32_t T = 0; T < GroupThreads; ++T)
    for (uint32_t R = 0; R < N / 2; ++R)
      D[rowOf(T, R) * N + columnOf(T, R)] =
          Accumulates ? asFloat(Group.In[T][R]) : 0.0f;
  for (uint32_t Row = 0; Row < M; ++Row)
    for (uint32_t I = 0; I < K; ++I)
      for (uint32_t Column = 0; Column < N; ++Column)
        D[Row * N + Column] += Scale * A[Row * K + I] * B[Column * K + I];
  for (uint32_t T = 0; T < GroupThreads; ++T)
    for (uint32_t R = 0; R < N / 2; ++R)
      Group.Out[T][R] = asSlot(D[rowOf(T, R) * N + columnOf(T, R)]);
}

void runWgmma(Thread &Self, WarpGroup &Group, size_t First, uint32_t Site,
              uint32_t Variant) {
  Machine &Owner = *Self.Owner;
  uint32_t N = Variant & 511;
  bool InRegisters = Variant & 512, IsF16 = Variant & 1024;
  uint32_t AtA = N / 2, AtB = AtA + (InRegisters ? 4 : 1);
  const uint64_t *In = Group.In[0];
  if (!Group.Fenced)
    Owner.report(&Self, ReportKind::MissingFence, Site,
                 "no wgmma.fence since the start or the last wait_group");
  for (uint32_t T = 1; T < GroupThreads; ++T)
    for (uint32_t I = InRegisters ? AtB : AtA; I < AtB + 6; ++I)
      if (Group.In[T][I] != In[I]) {
        Owner.report(&Self, ReportKind::BadOperand, Site,
                     "descriptors or scales differ between threads");
        return;
      }
  Thread Engine = engineOf(Owner, Group, First);
  Operand A, B;
  if (InRegisters)
    gatherRegisters(Group, AtA, IsF16, A);
  else if (!fetch(Owner, Engine, Group, In[AtA], M, In[AtB + 4] & 1, IsF16,
                  Site, A))
    return;
  if (!fetch(Owner, Engine, Group, In[AtB], N, In[AtB + 5] & 1, IsF16, Site, B))
    return;
  float Scale = float(int32_t(In[AtB + 2])) * float(int32_t(In[AtB + 3]));
  multiply(Group, A, B, N, In[AtB + 1] & 1, Scale);
  Owner.counters().TensorFlops += uint64_t(2) * M * N * K;
}

void waitWgmma(Thread &Self, WarpGroup &Group, size_t First, size_t Keep,
               uint32_t Site) {
  Machine &Owner = *Self.Owner;
  Group.Fenced = false;
  Thread Engine = engineOf(Owner, Group, First);
  bool Any = false;
  while (Group.Groups.size() > Keep) {
    for (const auto &[Offset, Bytes] : Group.Groups.front())
      Owner.shared().releaseRead(Engine, Offset, Bytes, Site);
    Group.Groups.erase(Group.Groups.begin());
    Any = true;
  }
  if (!Any)
    return;
  ClockVector Learnt(2 * Owner.numActors(), 0);
  Learnt[Engine.Number] = Group.Clock++;
  for (size_t I = 0; I < GroupThreads; ++I)
    Owner.learn(Owner.thread(First + I), Learnt);
}

} // namespace

void sim::sim_wgmma(TransXSSMSimThread *self, const uint64_t *in, uint64_t *out,
                    uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Self.Owner->meetGroup(Self, "wgmma", in, out, site,
                        [&](WarpGroup &Group, size_t First) {
                          runWgmma(Self, Group, First, site, variant);
                        });
}

void sim::sim_wgmma_sync(TransXSSMSimThread *self, const uint64_t *in,
                         uint64_t *out, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Self.Owner->meetGroup(Self, "wgmma", in, out, site,
                        [&](WarpGroup &Group, size_t First) {
                          if (variant == 0) {
                            Group.Fenced = true;
                          } else if (variant == 1) {
                            Group.Groups.push_back(std::move(Group.Open));
                            Group.Open.clear();
                          } else {
                            waitWgmma(Self, Group, First, size_t(in[0]), site);
                          }
                        });
}

/// Registers that groups have given up serve those that ask for more.
void sim::sim_max_registers(TransXSSMSimThread *self, const uint64_t *in,
                            uint64_t *out, uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  Machine &Owner = *Self.Owner;
  uint32_t Count = uint32_t(in[0]);
  if (Count < 24 || Count > 256 || Count % 8) {
    Owner.report(&Self, ReportKind::BadOperand, site,
                 "expected 24 to 256 registers in steps of 8, got " +
                     std::to_string(Count));
    return;
  }
  Owner.meetGroup(
      Self, "setmaxnreg", in, out, site, [&](WarpGroup &Group, size_t) {
        bool Grows = variant == 1;
        if (Grows ? Count < Group.Registers : Count > Group.Registers)
          Owner.report(&Self, ReportKind::BadOperand, site,
                       (Grows ? "inc to " : "dec to ") + std::to_string(Count) +
                           " from " + std::to_string(Group.Registers));
        Group.Wanted = Count;
        if (Count <= Group.Registers) {
          Owner.FreeRegisters += Group.Registers - Count;
          Group.Registers = Count;
        }
      });
  // The first thread of the group that gets here takes what the group wants;
  // who finds too little waits for the next group that gives some up.
  WarpGroup *Group = Owner.groupOf(Self);
  while (Group && Group->Registers < Group->Wanted) {
    int64_t Missing = int64_t(Group->Wanted) - Group->Registers;
    if (Missing <= Owner.FreeRegisters) {
      Owner.FreeRegisters -= Missing;
      Group->Registers = Group->Wanted;
      break;
    }
    Owner.waitForRegisters(Self, site);
  }
  Owner.wakeForRegisters();
}
