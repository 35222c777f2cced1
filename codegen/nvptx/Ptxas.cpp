//===- Ptxas.cpp - PTX to machine code ------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/Ptxas.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

using namespace llvm;

namespace transxssm::nvptx {

std::string findPtxas() {
  if (const char *Given = std::getenv("TRANSXSSM_PTXAS"))
    return Given;
  ErrorOr<std::string> Found = sys::findProgramByName("ptxas");
  return Found ? *Found : "";
}

/// The number that stands before a phrase, as in "4 bytes spill stores".
static int64_t numberBefore(StringRef Line, StringRef Phrase) {
  size_t At = Line.find(Phrase);
  if (At == StringRef::npos)
    return 0;
  int64_t Number = 0;
  StringRef Before = Line.take_front(At).rtrim();
  Before = Before.take_back(Before.size() - (Before.find_last_of(" ,:") + 1));
  return Before.getAsInteger(10, Number) ? 0 : Number;
}

void parsePtxasLog(const std::string &Log, AssembledCode &Into) {
  SmallVector<StringRef> Lines;
  StringRef(Log).split(Lines, '\n');
  for (StringRef Line : Lines) {
    if (Line.contains("C75") || Line.contains("warning"))
      Into.Warnings.push_back(Line.trim().str());
    StringRef Entry = "Compiling entry function '";
    if (size_t At = Line.find(Entry); At != StringRef::npos) {
      StringRef Name = Line.drop_front(At + Entry.size());
      Into.Kernels.emplace_back();
      Into.Kernels.back().Symbol =
          Name.take_until([](char C) { return C == '\''; }).str();
    }
    if (Into.Kernels.empty())
      continue;
    KernelUsage &Kernel = Into.Kernels.back();
    if (Line.contains("spill stores")) {
      Kernel.StackBytes = numberBefore(Line, "bytes stack frame");
      Kernel.SpillStores = numberBefore(Line, "bytes spill stores");
      Kernel.SpillLoads = numberBefore(Line, "bytes spill loads");
    }
    if (Line.contains("Used "))
      Kernel.Registers = numberBefore(Line, "registers");
  }
}

/// The first line of the log that names an error.
static std::string errorOf(StringRef Log) {
  SmallVector<StringRef> Lines;
  Log.split(Lines, '\n');
  for (StringRef Line : Lines)
    if (Line.contains("error") || Line.contains("fatal"))
      return Line.trim().str();
  return Log.take_front(200).trim().str();
}

Result<AssembledCode> assemble(const std::string &Ptx,
                               const std::string &Architecture,
                               const std::string &Ptxas) {
  SmallString<128> In, Out, Err;
  scope_exit Remove([&] {
    for (StringRef File : {In, Out, Err})
      if (!File.empty())
        sys::fs::remove(File);
  });
  int InFile = -1;
  if (sys::fs::createTemporaryFile("transxssm", "ptx", InFile, In) ||
      sys::fs::createTemporaryFile("transxssm", "cubin", Out) ||
      sys::fs::createTemporaryFile("transxssm", "log", Err))
    return makeError("ptxas: cannot create temporary files");
  raw_fd_ostream(InFile, /*shouldClose=*/true) << Ptx;
  std::string Arch = "-arch=" + Architecture;
  std::string Why;
  // -lineinfo and -G are off; -v prints what each kernel uses.
  int Status = sys::ExecuteAndWait(
      Ptxas, {Ptxas, "-v", Arch, In, "-o", Out}, std::nullopt,
      {StringRef(""), StringRef(Err), StringRef(Err)}, /*SecondsToWait=*/0,
      /*MemoryLimit=*/0, &Why);
  auto Log = MemoryBuffer::getFile(Err);
  std::string Text = Log ? (*Log)->getBuffer().str() : "";
  if (Status != 0)
    return makeError(Ptxas, ": ", Why.empty() ? errorOf(Text) : Why);
  auto Cubin = MemoryBuffer::getFile(Out, /*IsText=*/false,
                                     /*RequiresNullTerminator=*/false);
  if (!Cubin || (*Cubin)->getBufferSize() == 0)
    return makeError(Ptxas, ": expected a cubin, got nothing");
  AssembledCode Made;
  Made.Cubin = (*Cubin)->getBuffer().str();
  parsePtxasLog(Text, Made);
  return Made;
}

} // namespace transxssm::nvptx
