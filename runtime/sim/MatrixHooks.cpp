//===- MatrixHooks.cpp - ldmatrix, stmatrix, mma.sync ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Which lane and register hold which element is written from the tables of the
// PTX ISA 9.0 (9.7.15.5), not from the code generator, so that a mistake in
// either shows.
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Hooks.h"
#include "runtime/sim/Traffic.h"

using namespace transxssm;
using namespace transxssm::sim;

namespace {

/// A tf32 operand: the low 13 bits of a float do not count.
float fromTf32(uint64_t Bits) { return asFloat(Bits & 0xffffe000); }

/// Operands of one m16n8k(K), K at most 16.
struct Product {
  float A[16][16], B[16][8], C[16][8];
};

using FromHalf = float (*)(uint16_t);

/// 16-bit A and B: two elements a register, consecutive in K.
void gather16(const uint64_t *In, uint32_t Lane, uint32_t K, FromHalf Convert,
              Product &P) {
  uint32_t Group = Lane / 4, InGroup = Lane % 4, Registers = K / 4;
  for (uint32_t R = 0; R < Registers; ++R) {
    uint32_t Row = Group + (R % 2) * 8, Column = InGroup * 2 + (R / 2) * 8;
    P.A[Row][Column] = Convert(uint16_t(In[R]));
    P.A[Row][Column + 1] = Convert(uint16_t(In[R] >> 16));
  }
  for (uint32_t R = 0; R < K / 8; ++R) {
    uint64_t Pair = In[Registers + R];
    P.B[InGroup * 2 + R * 8][Group] = Convert(uint16_t(Pair));
    P.B[InGroup * 2 + R * 8 + 1][Group] = Convert(uint16_t(Pair >> 16));
  }
}

/// tf32 A and B: one element a register.
void gather32(const uint64_t *In, uint32_t Lane, uint32_t K, Product &P) {
  uint32_t Group = Lane / 4, InGroup = Lane % 4, Registers = K / 2;
  for (uint32_t R = 0; R < Registers; ++R)
    P.A[Group + (R % 2) * 8][InGroup + (R / 2) * 4] = fromTf32(In[R]);
  for (uint32_t R = 0; R < K / 4; ++R)
    P.B[InGroup + R * 4][Group] = fromTf32(In[Registers + R]);
}

/// C and D: registers 0 and 1 hold neighbours in row Lane / 4, 2 and 3 eight
/// rows below.
uint32_t accumulatorRow(uint32_t Lane, uint32_t Register) {
  return Lane / 4 + (Register / 2) * 8;
}
uint32_t accumulatorColumn(uint32_t Lane, uint32_t Register) {
  return (Lane % 4) * 2 + Register % 2;
}

/// Products of such short factors are exact in float32; sums run along K.
void multiply(Product &P, uint32_t K) {
  for (uint32_t M = 0; M < 16; ++M)
    for (uint32_t I = 0; I < K; ++I)
      for (uint32_t N = 0; N < 8; ++N)
        P.C[M][N] += P.A[M][I] * P.B[I][N];
}

} // namespace

namespace {

bool isWholeWarp(Thread &Self, const Meeting &At, uint32_t Site) {
  if (At.Mask == ~uint32_t(0))
    return true;
  Self.Owner->report(&Self, ReportKind::BadOperand, Site,
                     "the warp has fewer than 32 threads");
  return false;
}

/// D = A B + C for a warp; see sim_mma in sim_abi.h.
void multiplyWarp(const Meeting &At, uint32_t K, uint32_t Type) {
  bool Wide = Type == 96;
  uint32_t First = Wide ? K / 2 + K / 4 : K / 4 + K / 8;
  Product P;
  for (uint32_t Lane = 0; Lane < 32; ++Lane) {
    const uint64_t *In = At.In[Lane];
    if (Wide)
      gather32(In, Lane, K, P);
    else
      gather16(In, Lane, K, Type == 32 ? bfloatToFloat : halfToFloat, P);
    for (uint32_t R = 0; R < 4; ++R)
      P.C[accumulatorRow(Lane, R)][accumulatorColumn(Lane, R)] =
          asFloat(In[First + R]);
  }
  multiply(P, K);
  for (uint32_t Lane = 0; Lane < 32; ++Lane)
    for (uint32_t R = 0; R < 4; ++R)
      At.Out[Lane][R] =
          asSlot(P.C[accumulatorRow(Lane, R)][accumulatorColumn(Lane, R)]);
}

} // namespace

void sim::sim_mma(TransXSSMSimThread *self, const uint64_t *in, uint64_t *out,
                  uint32_t site, uint32_t variant) {
  Thread &Self = threadOf(self);
  uint32_t K = variant & 31, Type = variant & ~31u;
  Self.Owner->meet(Self, "mma.sync", ~uint32_t(0), in, out, site,
                   [&](Meeting &At, WarpState &) {
                     if (!isWholeWarp(Self, At, site))
                       return;
                     multiplyWarp(At, K, Type);
                     Self.Owner->counters().TensorFlops += 2 * 16 * 8 * K;
                   });
}

namespace {

/// The place of row `Row` of matrix `Matrix`, whose address lane
/// 8 * Matrix + Row gives; null after a report.
uint8_t *matrixRow(Machine &Owner, const Meeting &At, WarpState &Group,
                   uint32_t Lane, bool IsWrite, uint32_t Site) {
  uint64_t Address = At.In[Lane][0];
  Thread &Of = *Group.Lanes[Lane];
  if (Address % 16) {
    Owner.report(&Of, ReportKind::Misaligned, Site,
                 "expected a row aligned to 16 bytes, got one " +
                     std::to_string(Address % 16) + " behind");
    return nullptr;
  }
  return Owner.shared().access(
      Of, Address, 16, IsWrite ? SharedAccess::Write : SharedAccess::Read,
      Site);
}

/// Register of a lane: elements 2 (Lane % 4) and the next of row Lane / 4, or
/// of that column where the matrix is transposed.
void elementsOf(uint32_t Lane, uint32_t Which, bool Transposed, uint32_t &Row,
                uint32_t &Column) {
  Row = Lane / 4;
  Column = Lane % 4 * 2 + Which;
  if (Transposed)
    std::swap(Row, Column);
}

/// One 8x8 matrix between eight rows and register `Matrix` of all lanes.
void moveMatrix(Machine &Owner, const Meeting &At, WarpState &Group,
                uint32_t Matrix, bool Transposed, bool IsWrite, uint32_t Site) {
  uint8_t *Rows[8];
  std::vector<uint64_t> Addresses;
  for (uint32_t Row = 0; Row < 8; ++Row) {
    uint32_t Lane = Matrix * 8 + Row;
    Addresses.push_back(At.In[Lane][0]);
    Rows[Row] = matrixRow(Owner, At, Group, Lane, IsWrite, Site);
    if (!Rows[Row])
      Rows[Row] = static_cast<uint8_t *>(Owner.substitute());
  }
  if (Owner.options().CountTraffic)
    countShared(Addresses, 16, Owner.counters());
  for (uint32_t Lane = 0; Lane < 32; ++Lane) {
    uint32_t Bits = IsWrite ? uint32_t(At.In[Lane][1 + Matrix]) : 0;
    for (uint32_t Which = 0; Which < 2; ++Which) {
      uint32_t Row, Column;
      elementsOf(Lane, Which, Transposed, Row, Column);
      uint16_t Half = uint16_t(Bits >> 16 * Which);
      if (IsWrite)
        std::memcpy(Rows[Row] + 2 * Column, &Half, 2);
      else
        std::memcpy(&Half, Rows[Row] + 2 * Column, 2);
      Bits = (Bits & ~(0xffffu << 16 * Which)) | uint32_t(Half) << 16 * Which;
    }
    if (!IsWrite)
      At.Out[Lane][Matrix] = Bits;
  }
}

void moveMatrices(Thread &Self, const uint64_t *In, uint64_t *Out,
                  uint32_t Site, uint32_t Variant, bool IsWrite) {
  Machine &Owner = *Self.Owner;
  const char *What = IsWrite ? "stmatrix" : "ldmatrix";
  Owner.meet(Self, What, ~uint32_t(0), In, Out, Site,
             [&](Meeting &At, WarpState &Group) {
               if (!isWholeWarp(Self, At, Site))
                 return;
               for (uint32_t Matrix = 0; Matrix < (Variant & 15); ++Matrix)
                 moveMatrix(Owner, At, Group, Matrix, Variant & 16, IsWrite,
                            Site);
             });
}

} // namespace

void sim::sim_ldmatrix(TransXSSMSimThread *self, const uint64_t *in,
                       uint64_t *out, uint32_t site, uint32_t variant) {
  moveMatrices(threadOf(self), in, out, site, variant, false);
}

void sim::sim_stmatrix(TransXSSMSimThread *self, const uint64_t *in,
                       uint64_t *out, uint32_t site, uint32_t variant) {
  moveMatrices(threadOf(self), in, out, site, variant, true);
}
