//===- PackageWriterTest.cpp - Tests of the package writer ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/package/PackageWriter.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "package_generated.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace transxssm;

namespace fbs = transxssm::package;

namespace {

const char *const ModuleText = R"(
  plan.parameter @model.layers.0.ssd.A tensor<8xf32> "ssd_decay"
  plan.parameter @model.word_embed.weight tensor<97x64xf32> "normal"
  plan.state @key_mask affine_map<()[s0, s1, s2, s3] -> (s0, s3)> f32
  plan.state @ssd_state.0 affine_map<()[s0, s1, s2, s3] -> (s0, 8, 16)> f32
  tile.kernel @first(%x: memref<?x64xf32>, %w: memref<97x64xf32>, %n: index) grid(%i) {}
  tile.kernel @second(%x: memref<?x64xf32>, %s: memref<?x8x16xf32>) grid(%i, %j) {}
  plan.entry @decode {
    %w = plan.buffer parameter "model.word_embed.weight" affine_map<()[s0, s1, s2, s3] -> (97, 64)> f32 live 0 to 1
    %t = plan.buffer temporary "hidden" affine_map<()[s0, s1, s2, s3] -> (s0, s1, 64)> f32 live 0 to 1
    %s = plan.buffer state "ssd_state.0" affine_map<()[s0, s1, s2, s3] -> (s0, 8, 16)> f32 live 1 to 1
    plan.launch @first grid affine_map<()[s0, s1, s2, s3] -> ((s0 * s1) ceildiv 16)> (%t, %w)
      sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s2)>
    plan.launch @second grid affine_map<()[s0, s1, s2, s3] -> (s0, 8)> (%t, %s)
      sizes affine_map<()[s0, s1, s2, s3] -> (s0 * s1, s0)> when affine_map<()[s0, s1, s2, s3] -> (s1 - 2, s2)>
  }
  plan.entry @empty {}
)";

class PackageWriterTest : public testing::Test {
protected:
  PackageWriterTest() {
    Context.loadDialect<tile::TileDialect, plan::PlanDialect,
                        arith::ArithDialect>();
  }

  /// Writes the module and keeps the payload.
  const fbs::Package *write(const std::string &Text,
                            ArrayRef<CodeObject> Code) {
    ScopedDiagnosticHandler Handler(&Context,
                                    [&](Diagnostic &D) { Message = D.str(); });
    OwningOpRef<ModuleOp> Module = parseSourceString<ModuleOp>(Text, &Context);
    if (!Module)
      return nullptr;
    FailureOr<std::vector<uint8_t>> Written =
        writePackagePayload(*Module, Code, {"{\"a\": 1}", 4, 512});
    if (failed(Written))
      return nullptr;
    Payload = std::move(*Written);
    flatbuffers::Verifier Verifier(Payload.data(), Payload.size());
    EXPECT_TRUE(fbs::VerifyPackageBuffer(Verifier));
    return fbs::GetPackage(Payload.data());
  }

  MLIRContext Context;
  std::vector<uint8_t> Payload;
  std::string Message;
};

TEST_F(PackageWriterTest, EverythingIsThere) {
  CodeObject Code{
      "x86-64-v3",
      {"avx2", "fma"},
      {{"second", "kernel_second", 128}, {"first", "kernel_first", 0}},
      "ELF"};
  const fbs::Package *P = write(ModuleText, Code);
  ASSERT_TRUE(P) << Message;
  EXPECT_EQ(P->producer()->str(), packageProducer());
  EXPECT_EQ(P->config()->str(), "{\"a\": 1}");
  EXPECT_EQ(P->limits()->max_batch(), 4);
  EXPECT_EQ(P->limits()->max_seq_len(), 512);

  ASSERT_EQ(P->parameters()->size(), 2u);
  EXPECT_EQ(P->parameters()->Get(0)->name()->str(), "model.layers.0.ssd.A");
  EXPECT_EQ(P->parameters()->Get(0)->initializer()->str(), "ssd_decay");
  EXPECT_EQ(P->parameters()->Get(1)->shape()->size(), 2u);
  EXPECT_EQ(P->parameters()->Get(1)->shape()->Get(0), 97);
  ASSERT_EQ(P->states()->size(), 2u);
  EXPECT_EQ(P->states()->Get(1)->name()->str(), "ssd_state.0");
  EXPECT_EQ(P->states()->Get(1)->shape()->size(), 3u);

  ASSERT_EQ(P->kernels()->size(), 2u);
  EXPECT_EQ(P->kernels()->Get(0)->memref_count(), 2u);
  EXPECT_EQ(P->kernels()->Get(0)->size_count(), 2u);
  EXPECT_EQ(P->kernels()->Get(1)->size_count(), 2u);

  // Code in the order of the kernels, whatever the object's order.
  ASSERT_EQ(P->code()->size(), 1u);
  const fbs::CodeObject *Object = P->code()->Get(0);
  EXPECT_EQ(Object->features()->Get(1)->str(), "fma");
  EXPECT_EQ(Object->kernels()->Get(0)->symbol()->str(), "kernel_first");
  EXPECT_EQ(Object->kernels()->Get(1)->scratch_bytes(), 128u);
  EXPECT_EQ(Object->object()->size(), 3u);
}

TEST_F(PackageWriterTest, Entries) {
  const fbs::Package *P = write(ModuleText, {});
  ASSERT_TRUE(P) << Message;
  ASSERT_EQ(P->entries()->size(), 2u);
  EXPECT_EQ(P->entries()->Get(1)->launches()->size(), 0u);
  const fbs::Entry *Decode = P->entries()->Get(0);
  EXPECT_EQ(Decode->name()->str(), "decode");
  ASSERT_EQ(Decode->buffers()->size(), 3u);
  const fbs::Buffer *Weight = Decode->buffers()->Get(0);
  EXPECT_EQ(Weight->kind(), fbs::BufferKind::Parameter);
  EXPECT_EQ(Weight->index(), 1u);
  const fbs::Buffer *Hidden = Decode->buffers()->Get(1);
  EXPECT_EQ(Hidden->kind(), fbs::BufferKind::Temporary);
  EXPECT_EQ(Hidden->first_use(), 0u);
  EXPECT_EQ(Hidden->last_use(), 1u);
  const fbs::Buffer *State = Decode->buffers()->Get(2);
  EXPECT_EQ(State->kind(), fbs::BufferKind::State);
  EXPECT_EQ(State->index(), 1u);

  ASSERT_EQ(Decode->launches()->size(), 2u);
  const fbs::Launch *First = Decode->launches()->Get(0);
  EXPECT_EQ(First->kernel(), 0u);
  EXPECT_EQ(First->operands()->Get(0), 1u);
  EXPECT_EQ(First->operands()->Get(1), 0u);
  EXPECT_EQ(First->guards()->size(), 0u);
  const fbs::Launch *Second = Decode->launches()->Get(1);
  EXPECT_EQ(Second->kernel(), 1u);
  EXPECT_EQ(Second->grid()->size(), 2u);
  EXPECT_EQ(Second->sizes()->size(), 2u);
  EXPECT_EQ(Second->guards()->size(), 2u);
}

TEST_F(PackageWriterTest, SameModuleSameBytes) {
  ASSERT_TRUE(write(ModuleText, {}));
  std::vector<uint8_t> Once = Payload;
  ASSERT_TRUE(write(ModuleText, {}));
  EXPECT_EQ(Once, Payload);
}

TEST_F(PackageWriterTest, MissingCodeIsAnError) {
  CodeObject Code{"x86-64-v3", {}, {{"first", "kernel_first", 0}}, "ELF"};
  EXPECT_FALSE(write(ModuleText, Code));
  EXPECT_EQ(Message, "'tile.kernel' op has no code for x86-64-v3");
}

/// Every operator, compared with MLIR's own evaluation.
TEST_F(PackageWriterTest, ExpressionsMeanTheSame) {
  AffineExpr S[4];
  bindSymbolsList(&Context, MutableArrayRef<AffineExpr>(S));
  AffineExpr Exprs[] = {
      S[0],
      S[3] + 7,
      (S[0] * S[1]).ceilDiv(16),
      (S[1] + S[2] - 1).floorDiv(64) + 1,
      (S[2] * 3 - S[1]) % 5,
      S[0] * ((S[1] - S[2]) * S[3] + S[0].floorDiv(S[1])),
      getAffineConstantExpr(-3, &Context),
  };
  int64_t Cases[][4] = {{1, 1, 0, 16}, {3, 65, 17, 512}, {8, 512, 0, 512}};
  for (AffineExpr Expr : Exprs) {
    Result<Expression> Made = toPostfix(Expr);
    ASSERT_TRUE(Made) << Made.message();
    for (auto &C : Cases) {
      SmallVector<Attribute> Symbols;
      for (int64_t Value : C)
        Symbols.push_back(IntegerAttr::get(IndexType::get(&Context), Value));
      SmallVector<Attribute> Folded;
      ASSERT_TRUE(
          succeeded(AffineMap::get(0, 4, Expr).constantFold(Symbols, Folded)));
      int64_t Value = 0;
      ASSERT_TRUE(Made->evaluate({C[0], C[1], C[2], C[3]}, Value));
      EXPECT_EQ(Value, cast<IntegerAttr>(Folded[0]).getInt()) << Made->str();
    }
  }
}

TEST_F(PackageWriterTest, DimensionsAndLongExpressionsAreErrors) {
  EXPECT_FALSE(toPostfix(getAffineDimExpr(0, &Context)));
  AffineExpr Sum = getAffineSymbolExpr(0, &Context);
  for (int I = 0; I < 300; ++I)
    Sum = Sum * getAffineSymbolExpr(I % 4, &Context);
  EXPECT_FALSE(toPostfix(Sum));
}

} // namespace
