//===- PackageTest.cpp - Tests of the package loader ----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Package.h"

#include "SamplePackage.h"
#include "runtime/PackageFile.h"
#include "transxssm/kernel_abi.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>

using namespace transxssm;
using namespace transxssm::test;
using flatbuffers::Offset;
using package::PackageT;

namespace {

std::string failure(const std::vector<uint8_t> &File) {
  Result<Package> Read = Package::fromBytes(File.data(), File.size(), "p");
  return Read ? "(no error)" : Read.message();
}

TEST(Package, ReadsTheSample) {
  std::vector<uint8_t> File = serialize(samplePackage());
  Result<Package> Read = Package::fromBytes(File.data(), File.size(), "p");
  ASSERT_TRUE(bool(Read)) << Read.message();
  EXPECT_EQ(Read->producer(), "test");
  EXPECT_EQ(Read->config().VocabSize, SampleVocab);
  EXPECT_EQ(Read->maxBatch(), SampleMaxBatch);
  EXPECT_EQ(Read->maxSeqLen(), SampleMaxSeq);
  ASSERT_EQ(Read->entries().size(), 4u);
  const PackageEntry *Decode = Read->findEntry("decode");
  ASSERT_TRUE(Decode);
  EXPECT_EQ(Decode->Launches.size(), 3u);
  EXPECT_TRUE(Decode->find(BufferKind::Output, "logits"));
  EXPECT_FALSE(Decode->find(BufferKind::Input, "logits"));
  EXPECT_FALSE(Read->findEntry("none"));
  EXPECT_EQ(Read->parameters()[0].NumElements, SampleVocab * SampleWidth);

  Result<EntryMemory> Memory = entryMemory(*Read, *Decode, {2, 3, 0, 16});
  ASSERT_TRUE(bool(Memory)) << Memory.message();
  EXPECT_EQ(Memory->Inputs, 2u * 3 * 4);
  EXPECT_EQ(Memory->Outputs, 2u * 3 * SampleVocab * 4);
  EXPECT_EQ(Memory->Temporaries, 2u * 3 * SampleWidth * 4);
  EXPECT_EQ(Memory->States, 2u * SampleWidth * 4 + 2 * 16 * 4);
}

TEST(Package, ReadsAndWritesFiles) {
  TemporaryFolder Folder;
  std::vector<uint8_t> File = serialize(samplePackage());
  std::string Path = Folder.path("m.txpkg");
  ASSERT_TRUE(bool(writePackage(Path, File.data() + PackageHeaderBytes,
                                File.size() - PackageHeaderBytes)));
  Result<Package> Read = Package::load(Path);
  ASSERT_TRUE(bool(Read)) << Read.message();
  EXPECT_EQ(Read->sourceName(), Path);
  EXPECT_EQ(Package::load(Folder.path("none")).message(),
            Folder.path("none") + ": cannot open: No such file or directory");
}

TEST(Package, ChecksTheFrame) {
  std::vector<uint8_t> File = serialize(samplePackage());
  auto With = [&](size_t At, uint8_t Value) {
    std::vector<uint8_t> Changed = File;
    Changed[At] = Value;
    return failure(Changed);
  };
  EXPECT_EQ(failure({}), "p: not a package: expected at least 32 bytes, got 0");
  EXPECT_EQ(With(0, 'X'),
            "p: not a package: expected it to start with TXSSMPKG");
  for (unsigned Other : {99u, TRANSXSSM_PACKAGE_VERSION - 1})
    EXPECT_EQ(With(8, uint8_t(Other)),
              "p: expected package version " +
                  std::to_string(TRANSXSSM_PACKAGE_VERSION) + ", got " +
                  std::to_string(Other) + "; compile the model again");
  EXPECT_EQ(With(12, 1), "p: expected zero in bytes 12 to 15, got 1");
  EXPECT_NE(With(16, File[16] + 1).find("truncated or damaged"),
            std::string::npos);
  EXPECT_NE(With(24, File[24] + 1).find("the file is damaged"),
            std::string::npos);
  EXPECT_NE(With(File.size() - 1, File.back() + 1).find("expected checksum"),
            std::string::npos);
  std::vector<uint8_t> Garbage(100, 0x5a);
  EXPECT_EQ(failure(framePackage(Garbage.data(), Garbage.size())),
            "p: malformed package (FlatBuffers verification failed)");
}

struct SemanticCase {
  const char *Expected;
  std::function<void(PackageT &)> Change;
};

// Everything that a well-formed FlatBuffer can still get wrong.
TEST(Package, ChecksTheMeaning) {
  const SemanticCase Cases[] = {
      {"p: config: key 'model_type': expected \"TransXSSM\", got nothing",
       [](PackageT &P) { P.config = "{}"; }},
      {"p: limits: expected them, got nothing",
       [](PackageT &P) { P.limits.reset(); }},
      {"p: limits.max_batch: expected 1 to 2147483648, got 0",
       [](PackageT &P) { P.limits->max_batch = 0; }},
      {"p: parameter 1: expected a name, got nothing",
       [](PackageT &P) { P.parameters[1]->name.clear(); }},
      {"p: parameter 1 'model.word_embed.weight': defined twice",
       [](PackageT &P) { P.parameters[1]->name = P.parameters[0]->name; }},
      {"p: parameter 0 'model.word_embed.weight': bad extent -3 of dimension 1",
       [](PackageT &P) { P.parameters[0]->shape[1] = -3; }},
      {"p: parameter 0 'model.word_embed.weight': bad extent "
       "1099511627776 of dimension 1",
       [](PackageT &P) {
         P.parameters[0]->shape = {int64_t(1) << 40, int64_t(1) << 40};
       }},
      {"p: parameter 1 'model.layers.0.ssd.A': expected at most "
       "281474976710656 elements in all parameters, got 281474976710657",
       [](PackageT &P) {
         P.parameters[0]->shape = {1};
         P.parameters[1]->shape = {int64_t(1) << 48};
       }},
      {"p: parameter 1 'model.layers.0.ssd.A': expected initializer normal, "
       "ones, zeros or ssd_decay, got 'random'",
       [](PackageT &P) { P.parameters[1]->initializer = "random"; }},
      {"p: parameter 1 'model.layers.0.ssd.A': expected f32 or bf16, got i32",
       [](PackageT &P) { P.parameters[1]->dtype = package::DType::I32; }},
      {"p: parameter 1 'model.layers.0.ssd.A': expected an element type 0 to "
       "5, got 77",
       [](PackageT &P) { P.parameters[1]->dtype = package::DType(77); }},
      {"p: state 1 'ssd_state.0': defined twice",
       [](PackageT &P) { P.states[1]->name = P.states[0]->name; }},
      {"p: state 0 'ssd_state.0': its shape must not depend on seq or past",
       [](PackageT &P) {
         P.states[0]->shape[0]->code[0] = {package::Opcode::Symbol, 2};
       }},
      {"p: state 0 'ssd_state.0', expression 1: an operation of an expression "
       "lacks an operand",
       [](PackageT &P) {
         P.states[0]->shape[1]->code[0] = {package::Opcode::Mul, 0};
       }},
      {"p: kernel 1 'sample_embed': defined twice",
       [](PackageT &P) { P.kernels[1]->name = "sample_embed"; }},
      {"p: code 0 (x86-64-v1): expected code for 6 kernels, got 5",
       [](PackageT &P) { P.code[0]->kernels.pop_back(); }},
      {"p: code 0 (x86-64-v1), kernel 'sample_embed': expected a name, got "
       "nothing",
       [](PackageT &P) { P.code[0]->kernels[0]->symbol.clear(); }},
      {"p: code 0 (x86-64-v1), kernel 'sample_embed': expected at most "
       "4294967296 bytes of scratch, got 18446744073709551615",
       [](PackageT &P) { P.code[0]->kernels[0]->scratch_bytes = ~0ull; }},
      {"p: code 0 (x86-64-v1), kernel 'sample_embed': expected at most 32 "
       "resident blocks, got 33",
       [](PackageT &P) { P.code[0]->kernels[0]->resident_blocks = 33; }},
      {"p: entry 1 'forward': defined twice",
       [](PackageT &P) { P.entries[1]->name = "forward"; }},
      {"p: entry 'forward', buffer 0: expected a kind 0 to 8, got 9",
       [](PackageT &P) {
         P.entries[0]->buffers[0]->kind = package::BufferKind(9);
       }},
      {"p: entry 'forward', buffer 1: 'input_ids' is defined twice",
       [](PackageT &P) {
         P.entries[0]->buffers[1]->name = "input_ids";
         P.entries[0]->buffers[1]->dtype = package::DType::I32;
       }},
      {"p: entry 'forward', buffer 0 'input_ids': expected i32, got i64",
       [](PackageT &P) {
         P.entries[0]->buffers[0]->dtype = package::DType::I64;
       }},
      {"p: entry 'forward', buffer 0 'wisdom': unknown input; known are "
       "input_ids, attention_mask, labels, rope_cos, rope_sin, "
       "hyperparameters, seed, sampling, draw",
       [](PackageT &P) { P.entries[0]->buffers[0]->name = "wisdom"; }},
      {"p: entry 'forward', buffer 3 'embedding': expected a parameter below "
       "2, got 9",
       [](PackageT &P) { P.entries[0]->buffers[3]->index = 9; }},
      {"p: entry 'forward', buffer 3 'embedding': expected 1 elements of "
       "'model.layers.0.ssd.A', got 88",
       [](PackageT &P) { P.entries[0]->buffers[3]->index = 1; }},
      {"p: entry 'forward', buffer 3 'embedding': expected a parameter "
       "narrower "
       "than f32, got 'model.word_embed.weight' of f32",
       [](PackageT &P) {
         P.entries[0]->buffers[3]->kind = package::BufferKind::Master;
       }},
      {"p: entry 'forward', buffer 3 'embedding': expected f32, got bf16",
       [](PackageT &P) {
         P.parameters[0]->dtype = package::DType::BF16;
         P.entries[0]->buffers[3]->kind = package::BufferKind::Master;
         P.entries[0]->buffers[3]->dtype = package::DType::BF16;
       }},
      {"p: entry 'decode', buffer 3 'sum': expected a state below 2, got 5",
       [](PackageT &P) { P.entries[1]->buffers[3]->index = 5; }},
      {"p: entry 'decode', buffer 3 'sum': expected f32, got bf16",
       [](PackageT &P) {
         P.entries[1]->buffers[3]->dtype = package::DType::BF16;
       }},
      {"p: entry 'forward': expected output 'logits' of f32, got none",
       [](PackageT &P) { P.entries[0]->buffers[6]->name = "scores"; }},
      {"p: entry 'forward', buffer 5 'hidden': first use 4 comes after last "
       "use 1",
       [](PackageT &P) { P.entries[0]->buffers[5]->first_use = 4; }},
      {"p: entry 'forward', launch 1 ('sample_logits'), operand 0: buffer "
       "'hidden' lives from launch 0 to 0 only",
       [](PackageT &P) { P.entries[0]->buffers[5]->last_use = 0; }},
      {"p: entry 'forward', launch 0: expected a kernel below 6, got 6",
       [](PackageT &P) { P.entries[0]->launches[0]->kernel = 6; }},
      {"p: entry 'forward', launch 0 ('sample_embed'): expected 5 operands, "
       "got 4",
       [](PackageT &P) { P.entries[0]->launches[0]->operands.pop_back(); }},
      {"p: entry 'forward', launch 0 ('sample_embed'), operand 2: expected a "
       "buffer below 7, got 7",
       [](PackageT &P) { P.entries[0]->launches[0]->operands[2] = 7; }},
      {"p: entry 'forward', launch 0 ('sample_embed'): expected 3 sizes, got 2",
       [](PackageT &P) { P.entries[0]->launches[0]->sizes.pop_back(); }},
      {"p: entry 'forward', launch 0 ('sample_embed'): expected one to three "
       "grid extents, got none",
       [](PackageT &P) { P.entries[0]->launches[0]->grid.clear(); }},
      {"p: entry 'decode', launch 1 ('sample_shift'), guards, expression 0: "
       "expected a symbol 0 to 3, got 9",
       [](PackageT &P) {
         P.entries[1]->launches[1]->guards[0]->code[0] = {
             package::Opcode::Symbol, 9};
       }},
  };
  for (const SemanticCase &Case : Cases) {
    PackageT Changed = samplePackage();
    Case.Change(Changed);
    EXPECT_EQ(failure(serialize(Changed)), Case.Expected);
  }
}

/// What is wrong with a package that has nothing but one entry with launches of
/// these sizes.
std::string
failureOfSizes(flatbuffers::FlatBufferBuilder &Builder,
               const std::vector<Offset<package::Expression>> &Sizes,
               size_t NumLaunches) {
  auto Launch =
      package::CreateLaunch(Builder, 0, 0, 0, Builder.CreateVector(Sizes));
  auto Launches = Builder.CreateVector(std::vector(NumLaunches, Launch));
  auto Entry = package::CreateEntry(Builder, 0, 0, Launches);
  auto Entries = Builder.CreateVector(&Entry, 1);
  package::PackageBuilder Made(Builder);
  Made.add_entries(Entries);
  package::FinishPackageBuffer(Builder, Made.Finish());
  return failure(framePackage(Builder.GetBufferPointer(), Builder.GetSize()));
}

// A model of thousands of layers has more tables than FlatBuffers' own limit of
// a million.
TEST(Package, AcceptsAnyNumberOfTables) {
  flatbuffers::FlatBufferBuilder Builder;
  std::vector<Offset<package::Expression>> Sizes(1100000);
  for (Offset<package::Expression> &Each : Sizes)
    Each = package::CreateExpression(Builder);
  EXPECT_EQ(failureOfSizes(Builder, Sizes, 1),
            "p: config: expected 1 to 1048576 bytes, got 0");
}

// Few bytes that are as many tables, since launches share their sizes.
TEST(Package, RefusesTablesThatAreSharedTooOften) {
  flatbuffers::FlatBufferBuilder Builder;
  std::vector<Offset<package::Expression>> Sizes(
      4096, package::CreateExpression(Builder));
  EXPECT_EQ(failureOfSizes(Builder, Sizes, 100),
            "p: malformed package (FlatBuffers verification failed)");
}

TEST(Package, SurvivesTruncation) {
  std::vector<uint8_t> File = serialize(samplePackage());
  size_t Stride = std::max<size_t>(1, File.size() / 1500);
  for (size_t Length = 0; Length < File.size(); Length += Stride) {
    std::vector<uint8_t> Cut(File.begin(), File.begin() + long(Length));
    EXPECT_NE(failure(Cut), "(no error)");
    // The same with a frame that fits, so that the verifier sees the cut. Only
    // padding may be missing from what it accepts.
    if (Length <= PackageHeaderBytes || Length + 8 >= File.size())
      continue;
    EXPECT_NE(failure(framePackage(Cut.data() + PackageHeaderBytes,
                                   Length - PackageHeaderBytes)),
              "(no error)")
        << Length << " of " << File.size();
  }
}

TEST(Package, SurvivesBitFlips) {
  PackageT Small = samplePackage();
  Small.code[0]->object = {0}; // flips should hit the plan, not the code
  std::vector<uint8_t> File = serialize(Small);
  // --gtest_random_seed asks for other damage.
  std::mt19937 Random(
      unsigned(5 + testing::UnitTest::GetInstance()->random_seed()));
  int Refused = 0;
  for (int Round = 0; Round < 6000; ++Round) {
    std::vector<uint8_t> Flipped = File;
    bool Reframe = Round % 2;
    for (int Flip = 0; Flip <= Round % 4; ++Flip) {
      size_t First = Reframe ? PackageHeaderBytes : 0;
      Flipped[First + Random() % (File.size() - First)] ^=
          uint8_t(1 << Random() % 8);
    }
    if (!Reframe) {
      EXPECT_TRUE(Flipped == File || failure(Flipped) != "(no error)");
      continue;
    }
    Flipped = framePackage(Flipped.data() + PackageHeaderBytes,
                           Flipped.size() - PackageHeaderBytes);
    Result<Package> Read =
        Package::fromBytes(Flipped.data(), Flipped.size(), "p");
    if (!Read) {
      ++Refused;
      continue;
    }
    // What was accepted can be measured without harm.
    for (const PackageEntry &Entry : Read->entries())
      (void)entryMemory(*Read, Entry, {2, 3, 4, 16});
  }
  EXPECT_GT(Refused, 1000);
}

} // namespace
