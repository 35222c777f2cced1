//===- ConformanceTest.cpp - Compiled kernels against the interpreter -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/codegen/ModelConformance.h"
#include "test/codegen/x86/KernelHarness.h"

#include <gtest/gtest.h>

using namespace transxssm;
using namespace transxssm::test;

namespace {

class X86Conformance : public ModelConformance {
public:
  X86Conformance(const char *Json, DType Type) : ModelConformance(Json, Type) {
    if (Module)
      Compiled = std::make_unique<Kernels>(*Module);
  }

protected:
  void run(const std::string &Kernel, const std::vector<Argument> &Arguments,
           const std::vector<int64_t> &Sizes,
           const std::vector<int64_t> &Grid) override {
    ASSERT_TRUE(Compiled->isLoaded());
    std::vector<void *> Buffers;
    for (const Argument &A : Arguments)
      Buffers.push_back(A.Data);
    Compiled->run(Kernel, Buffers, Sizes, Grid[0], Grid[1], Grid[2]);
  }

private:
  std::unique_ptr<Kernels> Compiled;
};

const PlanSizes AllSizes[] = {
    {1, 1, 0, 8}, {2, 1, 5, 8}, {2, 3, 0, 40}, {1, 37, 30, 80}, {3, 70, 0, 70}};

void checkAllSizes(const char *Json, DType Type) {
  X86Conformance Model(Json, Type);
  for (const PlanSizes &Sizes : AllSizes)
    Model.check(Sizes);
}

TEST(Conformance, HybridWithGroupedHeads) {
  checkAllSizes(GroupedHeadsConfig, DType::F32);
}

TEST(Conformance, HybridWithGroupedHeadsInBf16) {
  checkAllSizes(GroupedHeadsConfig, DType::BF16);
}

TEST(Conformance, OddWidths) { checkAllSizes(OddWidthsConfig, DType::F32); }

TEST(Conformance, OddWidthsInBf16) {
  checkAllSizes(OddWidthsConfig, DType::BF16);
}

} // namespace
