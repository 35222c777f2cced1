//===- SimCodegen.cpp - GPU kernels as x86 code for the simulator ---------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimCodegen.h"
#include "codegen/sim/SimRewriter.h"
#include "transxssm/sim_abi.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/IR/DebugInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <mutex>

using namespace llvm;

namespace transxssm::sim {

/// Every machine that compiled kernels run on has AVX2 (codegen/x86).
static constexpr StringLiteral Processor = "x86-64-v3";

static std::unique_ptr<TargetMachine> createMachine() {
  static std::once_flag Once;
  std::call_once(Once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
  });
  Triple Host("x86_64-unknown-linux-gnu");
  std::string Message;
  const Target *Backend = TargetRegistry::lookupTarget(Host, Message);
  if (!Backend)
    return nullptr;
  // Products and sums are fused where the module allows it, as on the GPU.
  return std::unique_ptr<TargetMachine>(Backend->createTargetMachine(
      Host, Processor, "", TargetOptions(), Reloc::PIC_, CodeModel::Small,
      CodeGenOptLevel::Default));
}

/// The first symbol that no simulator offers; empty when there is none.
static std::string findUnknownSymbol(StringRef Object) {
  llvm::StringSet<> Known = {"memcpy", "memmove", "memset", "sim_access",
                             "__truncsfbf2"};
#define ADD(NAME) Known.insert(#NAME);
  TRANSXSSM_SIM_HOOKS(ADD)
  TRANSXSSM_SIM_LIBRARY(ADD)
#undef ADD
  auto File = object::ObjectFile::createELFObjectFile(
      MemoryBufferRef(Object, "kernels"));
  if (!File) {
    consumeError(File.takeError());
    return "an unreadable symbol table";
  }
  for (const object::SymbolRef &Symbol : (*File)->symbols()) {
    Expected<uint32_t> Flags = Symbol.getFlags();
    Expected<StringRef> Name = Symbol.getName();
    bool Readable = Flags && Name;
    if (Readable && (!(*Flags & object::SymbolRef::SF_Undefined) ||
                     Name->empty() || Known.contains(*Name)))
      continue;
    std::string Result = Readable ? Name->str() : "an unreadable symbol";
    consumeError(Flags.takeError());
    consumeError(Name.takeError());
    return Result;
  }
  return "";
}

Expected<std::string> compileForSimulator(const llvm::Module &Module,
                                          std::string *Text) {
  std::unique_ptr<TargetMachine> Machine = createMachine();
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
  SmallVector<char, 0> Bytes;
  raw_svector_ostream Stream(Bytes);
  legacy::PassManager Passes;
  if (Machine->addPassesToEmitFile(Passes, Stream, nullptr,
                                   CodeGenFileType::ObjectFile))
    return createStringError("LLVM cannot write an object file");
  Passes.run(*Copy);
  std::string Unknown =
      findUnknownSymbol(StringRef(Bytes.data(), Bytes.size()));
  if (!Unknown.empty())
    return createStringError("the kernels call '" + Unknown +
                             "', which the simulator does not offer");
  return std::string(Bytes.begin(), Bytes.end());
}

} // namespace transxssm::sim
