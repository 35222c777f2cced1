//===- ObjectLoaderTest.cpp - Tests of the object loader ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/ObjectLoader.h"

#include "SamplePackage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <elf.h>
#include <random>

using namespace transxssm;
using namespace transxssm::test;

namespace {

std::string failure(const std::vector<uint8_t> &Object) {
  auto Loaded = LoadedObject::load(Object.data(), Object.size(), "o");
  return Loaded ? "(no error)" : Loaded.message();
}

/// See Executor.cpp: generated code lacks what clang's check would read.
#if defined(__clang__)
__attribute__((no_sanitize("function")))
#endif
void call(TransXSSMCpuKernel Kernel, void *const *Buffers, const int64_t *Sizes,
          void *Scratch, int64_t X, int64_t Y) {
  Kernel(Buffers, Sizes, Scratch, X, X + 1, Y, 0);
}

TEST(ObjectLoader, RunsCodeWithConstantsAndExternals) {
  SKIP_WITHOUT_OBJECT();
  auto Loaded =
      LoadedObject::load(sampleObject().data(), sampleObject().size(), "o");
  ASSERT_TRUE(bool(Loaded)) << Loaded.message();
  TransXSSMCpuKernel Kernel = (*Loaded)->findKernel("sample_logits");
  ASSERT_TRUE(Kernel);
  EXPECT_FALSE((*Loaded)->findKernel("absent"));
  EXPECT_FALSE((*Loaded)->findKernel("SampleTable"));
  float Hidden[2] = {3, 4}, Embed[4] = {0, 0, 5, 6}, Scale = 0.5f, Logits[2];
  void *Buffers[] = {Hidden, Embed, &Scale, Logits};
  int64_t Sizes[] = {2, 2};
  call(Kernel, Buffers, Sizes, nullptr, 1, 0);
  EXPECT_EQ(Logits[1], std::exp(0.5f) * 2.0f * 39.0f);
}

// The sample's relocations cover what the loader claims to support.
TEST(ObjectLoader, SampleNeedsSlotsStubsAndAddresses) {
  SKIP_WITHOUT_OBJECT();
  const std::vector<uint8_t> &Object = sampleObject();
  Elf64_Ehdr Header;
  std::memcpy(&Header, Object.data(), sizeof(Header));
  bool Address = false, Call = false, Slot = false;
  for (unsigned I = 0; I < Header.e_shnum; ++I) {
    Elf64_Shdr Section;
    std::memcpy(&Section, Object.data() + Header.e_shoff + I * sizeof(Section),
                sizeof(Section));
    for (uint64_t At = 0; Section.sh_type == SHT_RELA && At < Section.sh_size;
         At += sizeof(Elf64_Rela)) {
      Elf64_Rela Entry;
      std::memcpy(&Entry, Object.data() + Section.sh_offset + At,
                  sizeof(Entry));
      uint32_t Type = ELF64_R_TYPE(Entry.r_info);
      Address |= Type == R_X86_64_64;
      Call |= Type == R_X86_64_PLT32;
      Slot |= Type == R_X86_64_GOTPCREL || Type == R_X86_64_GOTPCRELX ||
              Type == R_X86_64_REX_GOTPCRELX;
    }
  }
  EXPECT_TRUE(Address);
  EXPECT_TRUE(Call);
  EXPECT_TRUE(Slot);
}

TEST(ObjectLoader, RefusesUnknownSymbols) {
  SKIP_WITHOUT_OBJECT();
  EXPECT_EQ(failure(unknownSymbolObject()),
            "o: object code: undefined symbol 'puts'");
}

TEST(ObjectLoader, RefusesUnknownRelocations) {
  SKIP_WITHOUT_OBJECT();
  std::vector<uint8_t> Object = unknownSymbolObject();
  Elf64_Ehdr Header;
  std::memcpy(&Header, Object.data(), sizeof(Header));
  for (unsigned I = 0; I < Header.e_shnum; ++I) {
    Elf64_Shdr Section;
    std::memcpy(&Section, Object.data() + Header.e_shoff + I * sizeof(Section),
                sizeof(Section));
    if (Section.sh_type != SHT_RELA)
      continue;
    // Turn every relocation into a 32-bit absolute one.
    for (uint64_t At = 0; At < Section.sh_size; At += sizeof(Elf64_Rela)) {
      Elf64_Rela Entry;
      uint8_t *Place = Object.data() + Section.sh_offset + At;
      std::memcpy(&Entry, Place, sizeof(Entry));
      Entry.r_info = ELF64_R_INFO(ELF64_R_SYM(Entry.r_info), R_X86_64_32);
      std::memcpy(Place, &Entry, sizeof(Entry));
    }
  }
  EXPECT_NE(failure(Object).find("unsupported relocation type 10"),
            std::string::npos)
      << failure(Object);
}

TEST(ObjectLoader, RefusesOtherFiles) {
  EXPECT_EQ(failure({}), "o: object code: not an ELF file");
  EXPECT_EQ(failure(std::vector<uint8_t>(100)),
            "o: object code: not an ELF file");
  SKIP_WITHOUT_OBJECT();
  std::vector<uint8_t> Object = sampleObject();
  Object[offsetof(Elf64_Ehdr, e_type)] = ET_DYN;
  EXPECT_EQ(failure(Object),
            "o: object code: expected a relocatable x86-64 ELF file");
}

// Loading (not running) any damaged object ends in an object or an error.
TEST(ObjectLoader, SurvivesTruncationAndBitFlips) {
  SKIP_WITHOUT_OBJECT();
  const std::vector<uint8_t> &Whole = sampleObject();
  for (size_t Length = 0; Length < Whole.size(); Length += 7)
    EXPECT_NE(failure({Whole.begin(), Whole.begin() + long(Length)}),
              "(no error)");
  // --gtest_random_seed asks for other damage.
  std::mt19937 Random(
      unsigned(11 + testing::UnitTest::GetInstance()->random_seed()));
  int Refused = 0;
  for (int Round = 0; Round < 4000; ++Round) {
    std::vector<uint8_t> Flipped = Whole;
    for (int Flip = 0; Flip <= Round % 3; ++Flip)
      Flipped[Random() % Flipped.size()] ^= uint8_t(1 << Random() % 8);
    Refused += failure(Flipped) != "(no error)";
  }
  EXPECT_GT(Refused, 100);
}

} // namespace
