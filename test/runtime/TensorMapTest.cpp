//===- TensorMapTest.cpp - Tests of tensor maps ---------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/TensorMap.h"

#include "test/runtime/SamplePackage.h"
#include "gtest/gtest.h"

#include <functional>

using namespace transxssm;
using namespace transxssm::test;

namespace {

/// [size 1, size 2, 128] of the second operand, in boxes of [1, 64, 64].
PackageTensorMap sampleMap() { return {1, {-1, -1, 128}, 1, {1, 64, 64}}; }

Result<BoundTensorMap> bind(const PackageTensorMap &Map, int64_t First,
                            int64_t Second, uint64_t Bytes) {
  PackageLaunch From;
  From.Operands = {4, 2};
  int64_t Sizes[] = {7, First, Second};
  void *Operands[] = {nullptr, reinterpret_cast<void *>(0x1000)};
  uint64_t BufferBytes[] = {0, 0, Bytes, 0, 0};
  DeviceLaunch Launch;
  Launch.From = &From;
  Launch.Sizes = Sizes;
  Launch.Operands = Operands;
  Launch.Bytes = BufferBytes;
  return bindTensorMap(Map, Launch);
}

TEST(TensorMap, TakesExtentsFromTheLaunch) {
  Result<BoundTensorMap> Made = bind(sampleMap(), 3, 10, 3 * 10 * 128 * 2);
  ASSERT_TRUE(Made) << Made.message();
  EXPECT_EQ(Made->Base, reinterpret_cast<void *>(0x1000));
  EXPECT_EQ(Made->Rank, 3u);
  EXPECT_EQ(Made->Extent[0], 128u);
  EXPECT_EQ(Made->Extent[1], 10u);
  EXPECT_EQ(Made->Extent[2], 3u);
  EXPECT_EQ(Made->Stride[0], 256u);
  EXPECT_EQ(Made->Stride[1], 2560u);
  EXPECT_EQ(Made->Box[0], 64u);
  EXPECT_EQ(Made->Box[1], 64u);
  EXPECT_EQ(Made->Box[2], 1u);
}

TEST(TensorMap, StaysInItsBuffer) {
  EXPECT_EQ(bind(sampleMap(), 3, 10, 3 * 10 * 128 * 2 - 2).message(),
            "tensor map of operand 1: expected at most the buffer's 7678 "
            "bytes, got 7680");
  // Without elements nothing is launched, and the map has to be possible.
  Result<BoundTensorMap> Empty = bind(sampleMap(), 0, 10, 0);
  ASSERT_TRUE(Empty) << Empty.message();
  EXPECT_EQ(Empty->Extent[2], 1u);
  EXPECT_EQ(bind(sampleMap(), int64_t(1) << 40, 1, 0).message(),
            "tensor map of operand 1: extent 1099511627776 is too large");
  EXPECT_EQ(bind(sampleMap(), int64_t(1) << 31, int64_t(1) << 32, 0).message(),
            "tensor map of operand 1: the tensor is too large");
  PackageTensorMap Odd = sampleMap();
  Odd.Shape.back() = 100;
  EXPECT_EQ(bind(Odd, 1, 1, 1000).message(),
            "tensor map of operand 1: expected rows of a multiple of 16 "
            "bytes, got 200");
}

/// The message of the loader for a package whose first kernel has this map.
std::string
loaderError(const std::function<void(package::TensorMapT &)> &Change) {
  package::PackageT Made = samplePackage();
  auto Map = std::make_unique<package::TensorMapT>();
  Map->operand = 0;
  Map->shape = {-1, 64};
  Map->first_size = 0;
  Map->box = {8, 64};
  Change(*Map);
  Made.code[0]->kernels[0]->tensor_maps.push_back(std::move(Map));
  std::vector<uint8_t> Bytes = serialize(Made);
  Result<Package> Read = Package::fromBytes(Bytes.data(), Bytes.size(), "p");
  return Read ? "" : Read.message();
}

TEST(TensorMap, IsCheckedByTheLoader) {
  using Map = package::TensorMapT;
  const std::string Where =
      "p: code 0 (x86-64-v1), kernel 'sample_embed', tensor map 0: ";
  EXPECT_EQ(loaderError([](Map &) {}), "");
  const uint32_t Memrefs = samplePackage().kernels[0]->memref_count;
  const uint32_t Sizes = samplePackage().kernels[0]->size_count;
  EXPECT_EQ(loaderError([&](Map &M) { M.operand = Memrefs; }),
            Where + "expected an operand below " + std::to_string(Memrefs) +
                ", got " + std::to_string(Memrefs));
  EXPECT_EQ(loaderError([&](Map &M) { M.first_size = Sizes; }),
            Where + "expected extents among " + std::to_string(Sizes) +
                " sizes, got number " + std::to_string(Sizes));
  EXPECT_EQ(loaderError([&](Map &M) { M.first_size = ~0u; }),
            Where + "expected extents among " + std::to_string(Sizes) +
                " sizes, got number 4294967295");
  EXPECT_EQ(loaderError([](Map &M) { M.shape = {64}; }),
            Where + "expected 2 to 5 extents and as many of a box, got 1 and "
                    "2");
  EXPECT_EQ(loaderError([](Map &M) { M.shape[1] = 0; }),
            Where + "expected extents of 1 to 4294967296, or -1, got 0");
  EXPECT_EQ(loaderError([](Map &M) { M.box[0] = 257; }),
            Where + "expected extents of a box of 1 to 256, got 257");
  EXPECT_EQ(loaderError([](Map &M) { M.box[1] = 32; }),
            Where + "expected a box of 64 columns, got 32");
  EXPECT_EQ(loaderError([](Map &M) { M.shape.assign(1000, -1); }),
            "p: code 0 (x86-64-v1), kernel 'sample_embed', tensor map 0: too "
            "many extents");
}

} // namespace
