//===- MakeCases.cpp - transxssm-gpu-cases --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Writes the conformance set into a folder, for transxssm-gpu-check: runs each
// kernel in the simulator, whose answers must be those of the PTX ISA, and
// compiles it for each architecture.
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseRunner.h"
#include "bench/conformance/Cases.h"
#include "bench/conformance/CompileCase.h"
#include "codegen/nvptx/Ptxas.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CommandLine.h"

using namespace llvm;
using namespace transxssm;
using namespace transxssm::conformance;

namespace {

cl::opt<std::string> Folder(cl::Positional, cl::Required, cl::desc("FOLDER"));
cl::opt<std::string> Archs("archs", cl::init("sm_80,sm_90a"),
                           cl::desc("architectures, by commas"));
cl::opt<bool> Simulated("simulated",
                        cl::desc("the simulator's code under the name of "
                                 "machine code, for tests without a GPU"));

std::vector<uint8_t> bytesOf(const std::string &Text) {
  return {Text.begin(), Text.end()};
}

bool runsOn(const Case &Of, StringRef Architecture) {
  return !Of.NeedsHopper || Architecture == "sm_90a";
}

/// The simulator's answers in place of the expected ones, from which they must
/// not differ; where answers have a bound the expected ones stay, which are the
/// middle of what is allowed.
Status answer(StoredCase &Of, const std::string &Object) {
  Result<std::unique_ptr<sim::SimModule>> Module =
      sim::SimModule::load(reinterpret_cast<const uint8_t *>(Object.data()),
                           Object.size(), Of.Of.Name);
  if (!Module)
    return Module.error();
  Result<SimulatedRun> Run = runInSimulator(**Module, Of.Of);
  if (!Run)
    return Run.error();
  if (!Run->Reports.empty())
    return transxssm::Error{Run->Reports.front().str()};
  std::string Wrong = difference(Of.Of, Run->Left);
  if (!Wrong.empty())
    return makeError(Of.Of.Name, ", in the simulator: ", Wrong);
  for (size_t I = 0; I < Of.Of.Arguments.size(); ++I)
    if (Argument &Each = Of.Of.Arguments[I];
        Each.Kind == Argument::Role::Output && Each.Bound == 0)
      Each.Bytes = Run->Left[I];
  return {};
}

Status addImages(StoredCase &Of, ArrayRef<StringRef> Wanted,
                 const std::string &Ptxas) {
  for (StringRef Arch : Wanted) {
    if (!runsOn(Of.Of, Arch))
      continue;
    Result<std::string> Ptx = compileToPtx(Of.Of, Arch.str());
    if (!Ptx)
      return Ptx.error();
    if (!Ptxas.empty()) {
      Result<nvptx::AssembledCode> Made =
          nvptx::assemble(*Ptx, Arch.str(), Ptxas);
      if (!Made)
        return makeError(Of.Of.Name, ": ", Made.message());
      Of.Images.emplace_back(Arch.str(), bytesOf(Made->Cubin));
    }
    Of.Images.emplace_back("ptx-" + Arch.str(), bytesOf(*Ptx));
  }
  return {};
}

Status make() {
  SmallVector<StringRef> Wanted;
  StringRef(Archs).split(Wanted, ',');
  std::string Ptxas = nvptx::findPtxas();
  std::vector<StoredCase> Made;
  for (Case &Each : allCases(SIM_KERNELS)) {
    if (none_of(Wanted, [&](StringRef Arch) { return runsOn(Each, Arch); }))
      continue;
    StoredCase Of{std::move(Each), {}};
    Result<std::string> Object = compileForSimulator(Of.Of);
    if (!Object)
      return Object.error();
    if (Status Done = answer(Of, *Object); !Done)
      return Done;
    if (!Simulated) {
      if (Status Done = addImages(Of, Wanted, Ptxas); !Done)
        return Done;
    } else {
      for (StringRef Arch : Wanted)
        if (runsOn(Of.Of, Arch))
          Of.Images.emplace_back(Arch.str(), bytesOf(*Object));
    }
    Made.push_back(std::move(Of));
  }
  if (Status Done = writeCases(Folder, Made); !Done)
    return Done;
  outs() << Made.size() << " kernels\n";
  return {};
}

} // namespace

int main(int Argc, char **Argv) {
  cl::ParseCommandLineOptions(Argc, Argv,
                              "writes the GPU conformance set to a folder\n");
  if (Status Done = make(); !Done) {
    errs() << "transxssm-gpu-cases: error: " << Done.message() << "\n";
    return 1;
  }
  return 0;
}
