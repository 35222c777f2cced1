//===- Simulator.cpp - Running GPU kernels on the CPU, checked ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/sim/Simulator.h"

#include "runtime/sim/Hooks.h"
#include "runtime/sim/Machine.h"

#include <cstring>

using namespace transxssm;
using namespace transxssm::sim;

Result<std::unique_ptr<SimModule>>
SimModule::load(const uint8_t *Object, size_t Bytes,
                const std::string &SourceName) {
  Result<std::unique_ptr<LoadedObject>> Loaded =
      LoadedObject::load(Object, Bytes, SourceName, hookSymbols());
  if (!Loaded)
    return Loaded.error();
  auto Made = std::make_unique<SimModule>();
  Made->Object = std::move(*Loaded);
  uint64_t Entry = Made->Object->findFunction(TRANSXSSM_SIM_ENTRY);
  if (!Entry)
    return makeError(SourceName, ": expected function '", TRANSXSSM_SIM_ENTRY,
                     "' in the simulator's object, got none");
  Made->Table = enterModule(Entry);
  if (Made->Table->Version != TRANSXSSM_SIM_VERSION)
    return makeError(SourceName, ": expected simulator version ",
                     TRANSXSSM_SIM_VERSION, ", got ", Made->Table->Version);
  return Made;
}

const TransXSSMSimKernelInfo *SimModule::find(const std::string &Symbol) const {
  for (uint32_t I = 0; I < Table->NumKernels; ++I)
    if (Symbol == Table->Kernels[I].Symbol)
      return &Table->Kernels[I];
  return nullptr;
}

Simulator::Simulator() : Runner(new Machine(*this)) {}
Simulator::~Simulator() = default;

Status Simulator::launch(const SimModule &Module,
                         const TransXSSMSimKernelInfo &Kernel,
                         const LaunchShape &Shape,
                         const std::vector<void *> &Parameters) {
  return Runner->run(Module, Kernel, Shape, Parameters);
}
