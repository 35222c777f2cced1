//===- SourceTexts.cpp - Where in a tile program an instruction is --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/SourceTexts.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Transforms/LocationSnapshot.h"
#include "llvm/IR/Metadata.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace transxssm {

static constexpr llvm::StringLiteral MetadataName = "transxssm.tile.text";

SourceTexts locateInTexts(ModuleOp Kernels) {
  SourceTexts Texts;
  OpPrintingFlags Flags;
  Flags.useLocalScope();
  for (auto Kernel : Kernels.getOps<tile::KernelOp>()) {
    std::string File = Kernel.getSymName().str() + ".tile.mlir";
    llvm::raw_string_ostream Stream(Texts[File]);
    generateLocationsFromIR(Stream, File, Kernel, Flags);
  }
  return Texts;
}

void attachTexts(const SourceTexts &Texts, llvm::Module &Module) {
  llvm::LLVMContext &Context = Module.getContext();
  llvm::NamedMDNode *All = Module.getOrInsertNamedMetadata(MetadataName);
  for (const auto &[File, Text] : Texts)
    All->addOperand(
        llvm::MDNode::get(Context, {llvm::MDString::get(Context, File),
                                    llvm::MDString::get(Context, Text)}));
}

std::map<std::string, std::vector<std::string>>
attachedLines(const llvm::Module &Module) {
  std::map<std::string, std::vector<std::string>> Lines;
  const llvm::NamedMDNode *All = Module.getNamedMetadata(MetadataName);
  for (unsigned I = 0; All && I < All->getNumOperands(); ++I) {
    const llvm::MDNode *Node = All->getOperand(I);
    auto Part = [&](unsigned Number) {
      return llvm::cast<llvm::MDString>(Node->getOperand(Number))->getString();
    };
    llvm::SmallVector<llvm::StringRef> Text;
    Part(1).split(Text, '\n');
    for (llvm::StringRef Line : Text)
      Lines[Part(0).str()].push_back(Line.trim().str());
  }
  return Lines;
}

} // namespace transxssm
