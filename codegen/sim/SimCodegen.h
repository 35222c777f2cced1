//===- SimCodegen.h - GPU kernels as x86 code for the simulator -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// Takes the LLVM IR that the NVPTX code generator gets, after optimisation,
// and makes x86-64 code of it that runs one GPU thread at a time: each access
// to shared or global memory and each GPU instruction becomes a call of a hook
// (transxssm/sim_abi.h), everything else stays as it is. So what is tested on
// a CPU is the very module that ptxas sees.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_SIM_SIMCODEGEN_H
#define TRANSXSSM_CODEGEN_SIM_SIMCODEGEN_H

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <string>

namespace transxssm::sim {

/// A relocatable x86-64 object of all kernels of `Module`, which stays as it
/// is. An intrinsic, inline PTX or call that the simulator does not know is an
/// error that names it. With `Text`, also the rewritten module as LLVM IR.
llvm::Expected<std::string> compileForSimulator(const llvm::Module &Module,
                                                std::string *Text = nullptr);

} // namespace transxssm::sim

#endif // TRANSXSSM_CODEGEN_SIM_SIMCODEGEN_H
