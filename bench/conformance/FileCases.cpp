//===- FileCases.cpp - Whole small kernels --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// The kernels of test/sim/kernels, whose variants with bugs are the
// simulator's tests.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/Cases.h"
#include "runtime/support/HalfFloats.h"

#include <fstream>
#include <numeric>
#include <sstream>

using namespace transxssm;
using namespace transxssm::conformance;

namespace {

std::vector<float> numbers(size_t Count) {
  std::vector<float> Made(Count);
  std::iota(Made.begin(), Made.end(), 1.0f);
  return Made;
}

/// y[i] = x[From(i)].
template <typename Source>
std::vector<float> permuted(size_t Count, Source From) {
  std::vector<float> X = numbers(Count), Made;
  for (size_t I = 0; I < Count; ++I)
    Made.push_back(X[From(I)]);
  return Made;
}

/// A [M, 64] B^T [8, 64] of small integers.
struct SmallProduct {
  std::vector<uint16_t> A, B;
  std::vector<float> D;

  explicit SmallProduct(size_t M) : A(M * 64), B(8 * 64) {
    for (size_t I = 0; I < A.size(); ++I)
      A[I] = floatToBFloat(float(int(I * 7 % 31) - 15));
    for (size_t I = 0; I < B.size(); ++I)
      B[I] = floatToBFloat(float(int(I * 5 % 23) - 11));
    for (size_t Row = 0; Row < M; ++Row)
      for (size_t Column = 0; Column < 8; ++Column) {
        float Sum = 0;
        for (size_t K = 0; K < 64; ++K)
          Sum += bfloatToFloat(A[Row * 64 + K]) *
                 bfloatToFloat(B[Column * 64 + K]);
        D.push_back(Sum);
      }
  }
};

/// A matrix [Rows, Columns] as one box.
TensorShape wholeBox(uint32_t ElementBytes, uint32_t Rows, uint32_t Columns,
                     uint32_t Swizzle) {
  return {ElementBytes,
          {Columns, Rows},
          {uint64_t(Columns) * ElementBytes},
          {Columns, Rows},
          Swizzle};
}

Case reduceCase() {
  std::vector<float> X = numbers(3 * 128), Sums;
  for (long Block = 0; Block < 3; ++Block)
    Sums.push_back(std::accumulate(X.begin() + Block * 128,
                                   X.begin() + Block * 128 + 128, 0.0f));
  Case Made;
  Made.Symbol = "reduce";
  Made.Grid[0] = 3;
  Made.Threads = 128;
  Made.Arguments = {input("x", X), output("sums", Sums)};
  return Made;
}

Case tensorProductCase() {
  SmallProduct P(64);
  Case Made;
  Made.Symbol = "tma_wgmma";
  Made.NeedsHopper = true;
  Made.Threads = 128;
  Made.SharedBytes = 11272;
  Made.Arguments = {input("a", P.A), input("b", P.B), output("d", P.D)};
  Made.Arguments[0].Map = wholeBox(2, 64, 64, 128);
  Made.Arguments[1].Map = wholeBox(2, 8, 64, 128);
  Made.Arguments[2].Map = wholeBox(4, 64, 8, 0);
  return Made;
}

Case simpleCase(const char *Symbol, uint32_t Threads, uint64_t SharedBytes,
                std::vector<Argument> Arguments) {
  Case Made;
  Made.Symbol = Symbol;
  Made.Threads = Threads;
  Made.SharedBytes = SharedBytes;
  Made.Arguments = std::move(Arguments);
  return Made;
}

std::vector<Case> descriptions() {
  SmallProduct P(16);
  std::vector<uint32_t> Threads(384);
  std::iota(Threads.begin(), Threads.end(), 0u);
  std::vector<Case> Made = {
      reduceCase(),
      simpleCase("rotate", 128, 512,
                 {input("x", numbers(5 * 128)),
                  output("y", permuted(5 * 128,
                                       [](size_t I) {
                                         return I / 128 * 128 + (I + 32) % 128;
                                       })),
                  size("steps", 5)}),
      simpleCase("warp", 64, 0,
                 {input("x", numbers(64)),
                  output("y", permuted(64, [](size_t I) { return I ^ 31; }))}),
      simpleCase("named_barrier", 64, 0,
                 {input("x", numbers(128)),
                  output("y", permuted(128, [](size_t I) { return I ^ 31; })),
                  size("steps", 4)}),
      simpleCase("registers", 384, 0, {output("y", Threads)}),
      simpleCase("copy_async", 64, 2048,
                 {input("x", numbers(5 * 256)),
                  output("y", permuted(5 * 256,
                                       [](size_t I) {
                                         return I / 256 * 256 + (I + 128) % 256;
                                       })),
                  size("steps", 5)}),
      simpleCase("product", 32, 0,
                 {input("a", P.A), input("b", P.B), output("c", P.D)}),
      simpleCase("inline_ptx", 32, 0,
                 {input("x", numbers(100)), output("y", numbers(100)),
                  size("n", 100)}),
      tensorProductCase()};
  for (Case &Each : Made) {
    Each.Name = "kernel." + Each.Symbol;
    Each.NeedsHopper |= Each.Symbol == "registers";
  }
  return Made;
}

} // namespace

void conformance::addFileCases(std::vector<Case> &To,
                               const std::string &Folder) {
  for (Case &Each : descriptions()) {
    std::ifstream File(Folder + "/" + Each.Symbol + ".ll");
    std::ostringstream Text;
    Text << File.rdbuf();
    Each.Text = Text.str();
    To.push_back(std::move(Each));
  }
}

std::vector<Case> conformance::allCases(const std::string &Folder) {
  std::vector<Case> All;
  addWarpCases(All);
  addMmaCases(All);
  addWgmmaCases(All);
  addCopyCases(All);
  addTensorCases(All);
  addArithmeticCases(All);
  addFileCases(All, Folder);
  return All;
}
