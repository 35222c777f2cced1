//===- SafeTensorsTest.cpp - Tests of safetensors files -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/SafeTensors.h"

#include "SamplePackage.h"
#include "runtime/support/File.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

using namespace transxssm;
using transxssm::test::TemporaryFolder;

namespace {

/// Writes without the cost of syncing, for tests that write often.
void writeQuickly(const std::string &Path, const char *Data, size_t Bytes) {
  std::ofstream(Path, std::ios::binary).write(Data, std::streamsize(Bytes));
}

/// Writes a file from a header and data bytes.
void writeRaw(const std::string &Path, const std::string &Header,
              const std::string &Data) {
  uint64_t Length = Header.size();
  ASSERT_TRUE(bool(writeFileAtomically(Path, {{&Length, 8},
                                              {Header.data(), Header.size()},
                                              {Data.data(), Data.size()}})));
}

std::string failure(const std::string &Path) {
  Result<SafeTensors> File = SafeTensors::open(Path);
  return File ? "(no error)" : File.message();
}

TEST(SafeTensors, RoundTrip) {
  TemporaryFolder Folder;
  float A[6] = {1, 2, 3, 4, 5, 6};
  int64_t B[2] = {-7, 8};
  uint16_t C[1] = {0x3f80};
  ASSERT_TRUE(bool(writeSafeTensors(Folder.path("model.safetensors"),
                                    {{"a", DType::F32, {2, 3}, A},
                                     {"b", DType::I64, {2}, B},
                                     {"c", DType::BF16, {}, C}},
                                    {{"format", "pt"}})));
  Result<SafeTensors> File = SafeTensors::open(Folder.root());
  ASSERT_TRUE(bool(File)) << File.message();
  EXPECT_EQ(File->metadata().at("format"), "pt");
  ASSERT_EQ(File->tensors().size(), 3u);
  const SafeTensor *Read = File->find("a");
  ASSERT_TRUE(Read);
  EXPECT_EQ(Read->Shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(Read->Data, A, sizeof(A)), 0);
  EXPECT_EQ(std::memcmp(File->find("b")->Data, B, sizeof(B)), 0);
  EXPECT_EQ(File->find("c")->numElements(), 1);
  EXPECT_FALSE(File->find("d"));
}

TEST(SafeTensors, ReadsShards) {
  TemporaryFolder Folder;
  float A = 1, B = 2;
  ASSERT_TRUE(bool(writeSafeTensors(Folder.path("m-1.safetensors"),
                                    {{"a", DType::F32, {1}, &A}}, {})));
  ASSERT_TRUE(bool(writeSafeTensors(Folder.path("m-2.safetensors"),
                                    {{"b", DType::F32, {1}, &B}}, {})));
  auto WriteIndex = [&](const std::string &Map) {
    std::string Text = "{\"weight_map\": " + Map + "}";
    ASSERT_TRUE(
        bool(writeFileAtomically(Folder.path("model.safetensors.index.json"),
                                 {{Text.data(), Text.size()}})));
  };
  WriteIndex(R"({"a": "m-1.safetensors", "b": "m-2.safetensors"})");
  Result<SafeTensors> File = SafeTensors::open(Folder.root());
  ASSERT_TRUE(bool(File)) << File.message();
  EXPECT_TRUE(File->find("a") && File->find("b"));
  std::string Index = Folder.path("model.safetensors.index.json");
  WriteIndex(R"({"a": "m-2.safetensors", "b": "m-2.safetensors"})");
  EXPECT_EQ(failure(Index), Index + ": tensor 'a': expected it in "
                                    "m-2.safetensors, got nothing");
  WriteIndex(R"({"a": "m-3.safetensors"})");
  EXPECT_EQ(failure(Index), Folder.path("m-3.safetensors") +
                                ": cannot open: No such file or directory");
  WriteIndex(R"({"a": "../m-1.safetensors"})");
  EXPECT_EQ(failure(Index),
            Index + ": key 'weight_map.a': expected a file name");
}

TEST(SafeTensors, NamesWhatIsWrong) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("x.safetensors");
  auto Expect = [&](const std::string &Header, const std::string &Message) {
    writeRaw(Path, Header, "12345678");
    EXPECT_EQ(failure(Path), Path + ": " + Message);
  };
  Expect(R"({"t": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}})",
         "tensor 't': expected 12 bytes of data in the file, got 8; the file "
         "is truncated");
  Expect(R"({"t": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}})",
         "tensor 't': expected 12 bytes for its shape, got 8");
  Expect(R"({"t": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}})",
         "tensor 't': expected dtype F32, BF16, F16, F64, I32 or I64, got U8");
  Expect(R"({"t": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}})",
         "tensor 't': expected a list of extents as shape");
  Expect(R"({"t": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}})",
         "tensor 't': expected data_offsets [begin, end]");
  Expect(R"({"t": {"dtype": "F32", "shape": [4611686018427387904, 4],
             "data_offsets": [0, 8]}})",
         "tensor 't': shape overflows");
  Expect(R"({"t": {"dtype": "F32"}})",
         "tensor 't': expected dtype, shape and data_offsets");
  Expect("[]", "expected the header to be a JSON object");
  ASSERT_TRUE(bool(writeFileAtomically(Path, {{"123", 3}})));
  EXPECT_EQ(failure(Path),
            Path +
                ": not a safetensors file: expected at least 8 bytes, got 3");
  EXPECT_EQ(failure(Folder.root()),
            Folder.root() + ": expected model.safetensors or "
                            "model.safetensors.index.json in this directory");
}

TEST(SafeTensors, SurvivesTruncationAndBitFlips) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("x.safetensors");
  float A[4] = {1, 2, 3, 4};
  ASSERT_TRUE(bool(writeSafeTensors(
      Path, {{"a", DType::F32, {4}, A}, {"b", DType::F32, {2}, A}},
      {{"k", "v"}})));
  std::string Whole = *readFile(Path);
  std::string Cut = Folder.path("cut.safetensors");
  for (size_t Length = 0; Length < Whole.size(); ++Length) {
    writeQuickly(Cut, Whole.data(), Length);
    EXPECT_NE(failure(Cut), "(no error)") << Length;
  }
  std::mt19937 Random(3);
  for (int Round = 0; Round < 500; ++Round) {
    std::string Flipped = Whole;
    Flipped[Random() % Flipped.size()] ^= char(1 << Random() % 8);
    writeQuickly(Cut, Flipped.data(), Flipped.size());
    Result<SafeTensors> File = SafeTensors::open(Cut);
    if (!File)
      continue;
    // What was accepted must be readable.
    for (const auto &[Name, Tensor] : File->tensors()) {
      std::vector<double> Values(size_t(Tensor.numElements()));
      (void)convertElements(Tensor.Type, Tensor.Data, DType::F64, Values.data(),
                            Tensor.numElements());
    }
  }
}

TEST(SafeTensors, ConvertsEveryHalfExactly) {
  for (uint32_t Bits = 0; Bits < 65536; ++Bits)
    for (DType Type : {DType::F16, DType::BF16}) {
      uint16_t Half = uint16_t(Bits), Back = 0;
      float Wide = 0;
      double Widest = 0;
      ASSERT_TRUE(bool(convertElements(Type, &Half, DType::F32, &Wide, 1)));
      ASSERT_TRUE(
          bool(convertElements(DType::F32, &Wide, DType::F64, &Widest, 1)));
      ASSERT_TRUE(bool(convertElements(DType::F64, &Widest, Type, &Back, 1)));
      ASSERT_TRUE(std::isnan(Wide) || Back == Half) << nameOf(Type) << Bits;
    }
}

TEST(SafeTensors, RoundsToNearestEven) {
  auto Round = [](double Value, DType Type) {
    uint16_t Half = 0;
    float Back = 0;
    (void)convertElements(DType::F64, &Value, Type, &Half, 1);
    (void)convertElements(Type, &Half, DType::F32, &Back, 1);
    return Back;
  };
  // bf16 has 8 significant bits, f16 has 11.
  EXPECT_EQ(Round(1 + 0x1p-8, DType::BF16), 1.0f);
  EXPECT_EQ(Round(1 + 0x1p-8 + 0x1p-40, DType::BF16), 1.0f + 0x1p-7f);
  EXPECT_EQ(Round(1 + 3 * 0x1p-8, DType::BF16), 1.0f + 0x1p-6f);
  EXPECT_EQ(Round(1 + 0x1p-11, DType::F16), 1.0f);
  EXPECT_EQ(Round(1 + 0x1p-11 + 0x1p-40, DType::F16), 1.0f + 0x1p-10f);
  EXPECT_EQ(Round(0x1p-25, DType::F16), 0.0f);
  EXPECT_EQ(Round(0x1p-25 + 0x1p-45, DType::F16), 0x1p-24f);
  EXPECT_EQ(Round(65519.9, DType::F16), 65504.0f);
  EXPECT_EQ(Round(65520, DType::F16), HUGE_VALF);
  EXPECT_EQ(Round(-1e300, DType::BF16), -HUGE_VALF);
  EXPECT_TRUE(std::isnan(Round(NAN, DType::F16)));
  EXPECT_TRUE(std::isnan(Round(NAN, DType::BF16)));
  int64_t Integer = 1;
  float Target = 0;
  EXPECT_EQ(
      convertElements(DType::I64, &Integer, DType::F32, &Target, 1).message(),
      "cannot convert i64 to f32");
}

TEST(SafeTensors, ReadsEveryTypeAsFloat64) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("x.safetensors");
  float Single[2] = {0.5f, -3};
  uint16_t BFloat[2] = {0x3f00, 0xc040}, Half[2] = {0x3800, 0xc200};
  double Double[2] = {0.5, -3};
  int32_t Int[2] = {7, -2147483647};
  int64_t Long[2] = {7, -(int64_t(1) << 53)};
  ASSERT_TRUE(bool(writeSafeTensors(Path,
                                    {{"F32", DType::F32, {2}, Single},
                                     {"BF16", DType::BF16, {2}, BFloat},
                                     {"F16", DType::F16, {2}, Half},
                                     {"F64", DType::F64, {2}, Double},
                                     {"I32", DType::I32, {2, 1}, Int},
                                     {"I64", DType::I64, {2}, Long},
                                     {"none", DType::I64, {0}, Long}},
                                    {})));
  Result<SafeTensors> File = SafeTensors::open(Path);
  ASSERT_TRUE(bool(File)) << File.message();
  using Values = std::vector<double>;
  for (const char *Name : {"F32", "BF16", "F16", "F64"})
    EXPECT_EQ(float64Values(*File->find(Name)), (Values{0.5, -3})) << Name;
  EXPECT_EQ(float64Values(*File->find("I32")), (Values{7, -2147483647}));
  EXPECT_EQ(float64Values(*File->find("I64")), (Values{7, -0x1p53}));
  EXPECT_EQ(float64Values(*File->find("none")), Values());
}

} // namespace
