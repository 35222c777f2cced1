//===- SimCodegen.cpp - GPU kernels as x86 code for the simulator ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimCodegen.h"
#include "codegen/MachineCode.h"
#include "codegen/sim/SimRewriter.h"
#include "transxssm/sim_abi.h"

#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace llvm;

namespace transxssm::sim {

/// Every machine that compiled kernels run on has AVX2 (codegen/x86).
static constexpr StringLiteral Processor = "x86-64-v3";

/// What the simulator offers to kernels.
static llvm::StringSet<> knownSymbols() {
  llvm::StringSet<> Known = {"memcpy", "memmove", "memset", "sim_access",
                             "__truncsfbf2"};
#define ADD(NAME) Known.insert(#NAME);
  TRANSXSSM_SIM_HOOKS(ADD)
  TRANSXSSM_SIM_LIBRARY(ADD)
#undef ADD
  return Known;
}

Expected<std::string> compileForSimulator(const llvm::Module &Module,
                                          std::string *Text) {
  // Products and sums are fused where the module allows it, as on the GPU.
  std::unique_ptr<TargetMachine> Machine =
      createX86Machine(Processor, /*Fuse=*/false, CodeGenOptLevel::Default);
  if (!Machine)
    return createStringError("LLVM lacks the x86-64 target");
  std::unique_ptr<llvm::Module> Copy = CloneModule(Module);
  Copy->setTargetTriple(Machine->getTargetTriple());
  Copy->setDataLayout(Machine->createDataLayout());
  SimRewriter Rewriter(*Copy);
  if (Error Failed = Rewriter.run())
    return Failed;
  StripDebugInfo(*Copy);
  for (Function &Function : *Copy) {
    Function.addFnAttr("target-cpu", Processor);
    if (!Function.isDeclaration())
      Function.addFnAttr("no-trapping-math", "true");
  }
  std::string Broken;
  raw_string_ostream BrokenStream(Broken);
  if (verifyModule(*Copy, &BrokenStream))
    return createStringError("the rewritten module is broken: " + Broken);
  if (Text) {
    raw_string_ostream Stream(*Text);
    Copy->print(Stream, nullptr);
  }
  std::optional<std::string> Object =
      emitFile(*Copy, *Machine, CodeGenFileType::ObjectFile);
  if (!Object)
    return createStringError("LLVM cannot write an object file");
  std::string Unknown = findForeignSymbol(*Object, knownSymbols());
  if (!Unknown.empty())
    return createStringError("the kernels call '" + Unknown +
                             "', which the simulator does not offer");
  return std::move(*Object);
}

} // namespace transxssm::sim
