//===- SimHarness.cpp - Runs GPU kernels in the simulator -----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "test/sim/SimHarness.h"
#include "codegen/sim/SimCodegen.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace transxssm::test {

SimKernels::SimKernels(const std::string &Text) {
  llvm::LLVMContext Context;
  llvm::SMDiagnostic Diagnostic;
  std::unique_ptr<llvm::Module> Module =
      llvm::parseAssemblyString(Text, Diagnostic, Context);
  if (Module) {
    compile(*Module);
    return;
  }
  llvm::raw_string_ostream Stream(Error);
  Diagnostic.print("kernel", Stream);
}

void SimKernels::compile(const llvm::Module &Module) {
  llvm::Expected<std::string> Object = sim::compileForSimulator(Module);
  if (!Object) {
    Error = llvm::toString(Object.takeError());
    return;
  }
  auto Made =
      sim::SimModule::load(reinterpret_cast<const uint8_t *>(Object->data()),
                           Object->size(), "test");
  if (Made)
    Loaded = std::move(*Made);
  else
    Error = Made.message();
}

SimLaunch &SimLaunch::buffer(const std::string &Name, void *Data,
                             uint64_t Bytes, bool Initialized) {
  Simulator.memory().declare(Data, Bytes, Name, Initialized);
  Values.push_back(
      std::make_unique<uint64_t>(reinterpret_cast<uint64_t>(Data)));
  Parameters.push_back(Values.back().get());
  return *this;
}

SimLaunch &SimLaunch::size(int64_t Value) {
  Values.push_back(std::make_unique<uint64_t>(uint64_t(Value)));
  Parameters.push_back(Values.back().get());
  return *this;
}

sim::LaunchShape SimLaunch::cells(llvm::ArrayRef<int64_t> Grid, bool Resident,
                                  int64_t Blocks) {
  sim::LaunchShape Shape;
  int64_t Cells = 1;
  for (size_t D = 0; D < 3; ++D) {
    int64_t Extent = D < Grid.size() ? Grid[D] : 1;
    Shape.Grid[D] = Extent;
    Cells *= Extent;
    if (Resident)
      size(Extent);
  }
  if (Resident) {
    Shape.Grid[0] = std::min(Cells, Blocks);
    Shape.Grid[1] = Shape.Grid[2] = 1;
  }
  return Shape;
}

SimLaunch &SimLaunch::map(const nvptx::TensorMap &Wanted, const void *Base,
                          llvm::ArrayRef<int64_t> Sizes) {
  TransXSSMSimTensorMap Made = {};
  Made.Base = reinterpret_cast<uint64_t>(Base);
  Made.Rank = Wanted.Shape.size();
  Made.ElementBytes = 2;
  Made.Swizzle = 128;
  std::vector<int64_t> Shape = Wanted.Shape;
  size_t NextSize = Wanted.FirstSize;
  for (int64_t &Extent : Shape)
    if (Extent < 0)
      Extent = Sizes[NextSize++];
  uint64_t Stride = Made.ElementBytes;
  for (size_t I = 0; I < Shape.size(); ++I) {
    size_t Outer = Shape.size() - 1 - I;
    Made.Extent[I] = Shape[Outer];
    Made.Box[I] = Wanted.Box[Outer];
    if (I > 0)
      Made.Stride[I - 1] = Stride;
    Stride *= Shape[Outer];
  }
  Maps.push_back(std::make_unique<TransXSSMSimTensorMap>(Made));
  return map(*Maps.back());
}

void SimLaunch::run(const sim::LaunchShape &Shape) {
  ASSERT_TRUE(Kernels.isLoaded()) << Kernels.error();
  const TransXSSMSimKernelInfo *Found = Kernels.module().find(Kernel);
  ASSERT_TRUE(Found) << "no kernel " << Kernel;
  Status Done = Simulator.launch(Kernels.module(), *Found, Shape, Parameters);
  ASSERT_TRUE(Done) << Done.message();
}

std::string SimLaunch::reportText() const {
  std::string Text;
  for (const sim::Report &Each : reports())
    Text += Each.str() + "\n";
  return Text;
}

std::vector<uint16_t> randomHalves(size_t Count, std::mt19937 &Generator) {
  std::uniform_real_distribution<float> Uniform(-1.0f, 1.0f);
  std::vector<uint16_t> Values(Count);
  for (uint16_t &V : Values)
    V = toBf16(Uniform(Generator));
  return Values;
}

std::vector<sim::SimOptions> manySchedules(unsigned Seeds) {
  std::vector<sim::SimOptions> All;
  for (sim::Schedule Order :
       {sim::Schedule::RoundRobin, sim::Schedule::Reverse})
    for (bool Early : {false, true}) {
      All.emplace_back();
      All.back().Order = Order;
      All.back().EarlyCopies = Early;
    }
  for (unsigned Seed = 1; Seed <= Seeds; ++Seed) {
    All.emplace_back();
    All.back().Order = sim::Schedule::Random;
    All.back().Seed = Seed;
    All.back().EarlyCopies = Seed % 2;
  }
  return All;
}

std::string kernelText(const std::string &Name, const std::string &Bug) {
  std::ifstream File(std::string(SIM_KERNELS) + "/" + Name + ".ll");
  EXPECT_TRUE(File) << "cannot read kernel " << Name;
  std::string Text, Line;
  bool Planted = Bug.empty();
  std::string Without = "; without " + Bug, With = "; with " + Bug + ": ";
  while (std::getline(File, Line)) {
    if (!Bug.empty()) {
      size_t At = Line.find(Without);
      if (At != std::string::npos && At + Without.size() == Line.size()) {
        Planted = true;
        continue;
      }
      At = Line.find(With);
      if (At != std::string::npos) {
        Planted = true;
        Line = Line.substr(At + With.size());
      }
    }
    Text += Line + "\n";
  }
  EXPECT_TRUE(Planted) << Name << " has no line for bug " << Bug;
  return Text;
}

} // namespace transxssm::test
