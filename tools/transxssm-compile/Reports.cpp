//===- Reports.cpp - Tables of transxssm-compile --------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "Reports.h"
#include "Options.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"

#include <set>

using namespace transxssm;
using llvm::format;
using llvm::raw_ostream;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

static void printTotal(raw_ostream &Out, const char *Name, uint64_t Bytes,
                       const std::string &Note = "") {
  Out << format("%-12s %10s %14llu bytes", Name, formatSize(Bytes).c_str(),
                static_cast<unsigned long long>(Bytes))
      << (Note.empty() ? "" : "  ") << Note << "\n";
}

static Status printRow(const Package &Made, const PackageEntry &Entry,
                       const Symbols &Sizes, raw_ostream &Out) {
  Result<EntryMemory> Memory = entryMemory(Made, Entry, Sizes);
  if (!Memory)
    return Memory.error();
  Out << format("%-12s %6lld %7lld %12s %14llu %12s %12s\n", Entry.Name.c_str(),
                static_cast<long long>(Sizes.Batch),
                static_cast<long long>(Sizes.Seq),
                formatSize(Memory->Temporaries).c_str(),
                static_cast<unsigned long long>(Memory->Temporaries),
                formatSize(Memory->TemporariesTotal).c_str(),
                formatSize(Memory->Inputs + Memory->Outputs).c_str());
  return {};
}

/// States at the limits of the package, and of one sequence.
static Status printStates(const Package &Made, raw_ostream &Out) {
  PackageEntry None;
  Symbols One;
  One.Batch = 1;
  One.Capacity = Made.maxSeqLen();
  Symbols Most = One;
  Most.Batch = Made.maxBatch();
  Result<EntryMemory> OfOne = entryMemory(Made, None, One);
  Result<EntryMemory> OfMost = entryMemory(Made, None, Most);
  if (!OfOne || !OfMost)
    return (OfOne ? OfMost : OfOne).error();
  printTotal(Out, "cache", OfMost->States,
             "batch " + std::to_string(Most.Batch) + ", capacity " +
                 std::to_string(Most.Capacity) + "; " +
                 formatSize(OfOne->States) + " a sequence");
  return {};
}

Status transxssm::printMemory(const Package &Made, raw_ostream &Out) {
  uint64_t Weights = 0, Elements = 0, Masters = 0;
  for (const PackageParameter &Parameter : Made.parameters()) {
    Elements += Parameter.NumElements;
    Weights += Parameter.NumElements * sizeOf(Parameter.Type);
    if (Parameter.Type != DType::F32)
      Masters += Parameter.NumElements * sizeof(float);
  }
  printTotal(Out, "parameters", Weights,
             std::to_string(Elements) + " in " +
                 std::to_string(Made.parameters().size()) + " tensors");
  if (Made.findEntry("gradients") || Made.findEntry("train"))
    printTotal(Out, "gradients", Elements * sizeof(float));
  if (Made.findEntry("train"))
    printTotal(Out, "optimizer", 2 * Elements * sizeof(float) + Masters,
               Masters ? "two moments of AdamW, float32 masters"
                       : "two moments of AdamW");
  if (!Made.states().empty())
    if (Status Printed = printStates(Made, Out); !Printed)
      return Printed;

  Out << format("\n%-12s %6s %7s %12s %14s %12s %12s\n", "entry", "batch",
                "seq", "temporaries", "bytes", "unshared", "in and out");
  std::set<int64_t> Batches = {1, Made.maxBatch()};
  std::set<int64_t> Lengths = {1, (Made.maxSeqLen() + 3) / 4, Made.maxSeqLen()};
  for (const PackageEntry &Entry : Made.entries())
    for (int64_t Batch : Batches)
      for (int64_t Length : Lengths) {
        Symbols Sizes;
        Sizes.Batch = Batch;
        Sizes.Seq = Length;
        Sizes.Capacity = Made.maxSeqLen();
        if (Status Printed = printRow(Made, Entry, Sizes, Out); !Printed)
          return Printed;
      }
  return {};
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// Bytes of code by symbol of a relocatable object.
static Result<llvm::StringMap<uint64_t>> codeBytes(const PackageCode &Code) {
  llvm::StringRef Bytes(reinterpret_cast<const char *>(Code.Object.data()),
                        Code.Object.size());
  auto Object = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(Bytes, Code.Target));
  if (!Object)
    return makeError(Code.Target, ": ", llvm::toString(Object.takeError()));
  llvm::StringMap<uint64_t> Sizes;
  for (llvm::object::SymbolRef Symbol : (*Object)->symbols()) {
    llvm::Expected<llvm::StringRef> Name = Symbol.getName();
    if (!Name) {
      llvm::consumeError(Name.takeError());
      continue;
    }
    Sizes[*Name] = llvm::object::ELFSymbolRef(Symbol).getSize();
  }
  return Sizes;
}

Status transxssm::printKernels(const Package &Made, raw_ostream &Out) {
  std::vector<size_t> Launches(Made.kernels().size());
  for (const PackageEntry &Entry : Made.entries())
    for (const PackageLaunch &Launch : Entry.Launches)
      ++Launches[Launch.Kernel];
  std::vector<llvm::StringMap<uint64_t>> Sizes;
  size_t Width = 6;
  for (const PackageKernel &Kernel : Made.kernels())
    Width = std::max(Width, Kernel.Name.size());
  Out << llvm::left_justify("kernel", Width) << format(" %9s", "launches");
  for (const PackageCode &Code : Made.code()) {
    Result<llvm::StringMap<uint64_t>> Read = codeBytes(Code);
    if (!Read)
      return Read.error();
    Sizes.push_back(std::move(*Read));
    Out << format("  %18s %8s", (Code.Target + " code").c_str(), "scratch");
  }
  Out << "\n";
  for (size_t I = 0; I < Made.kernels().size(); ++I) {
    Out << llvm::left_justify(Made.kernels()[I].Name, Width)
        << format(" %9zu", Launches[I]);
    for (size_t T = 0; T < Made.code().size(); ++T) {
      const PackageKernelCode &Code = Made.code()[T].Kernels[I];
      Out << format(
          "  %18llu %8llu",
          static_cast<unsigned long long>(Sizes[T].lookup(Code.Symbol)),
          static_cast<unsigned long long>(Code.ScratchBytes));
    }
    Out << "\n";
  }
  return {};
}
