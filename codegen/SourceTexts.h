//===- SourceTexts.h - Where in a tile program an instruction is ----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// Tile programs are built by C++ code, so their operations come from no file.
// Here each kernel is printed, and each operation gets its line of that text as
// its location. The locations go with it to LLVM, and the text goes with the
// LLVM module, so that whoever finds something wrong can show the line. Neither
// reaches PTX.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_SOURCETEXTS_H
#define TRANSXSSM_CODEGEN_SOURCETEXTS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"

#include <map>
#include <string>
#include <vector>

namespace transxssm {

/// Texts by the names of their files, "KERNEL.tile.mlir".
using SourceTexts = std::map<std::string, std::string>;

/// Prints the kernels of the module and makes places in the texts the locations
/// of their operations.
SourceTexts locateInTexts(mlir::ModuleOp Kernels);

/// The texts as metadata of the module, which is no part of its code.
void attachTexts(const SourceTexts &Texts, llvm::Module &Module);

/// The texts' lines, without indentation; none where nothing is attached.
std::map<std::string, std::vector<std::string>>
attachedLines(const llvm::Module &Module);

} // namespace transxssm

#endif // TRANSXSSM_CODEGEN_SOURCETEXTS_H
