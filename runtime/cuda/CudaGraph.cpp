//===- CudaGraph.cpp - The launches of a call, replayed -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/CudaGraph.h"

#include <algorithm>

using namespace transxssm;
using namespace transxssm::cuda;

Result<std::unique_ptr<CudaGraph>> CudaGraph::create(const CudaDevice &On,
                                                     const DeviceCall &Call) {
  std::unique_ptr<CudaGraph> Made(new CudaGraph(On));
  if (Status Built = Made->build(Call); !Built)
    return Built.error();
  return Made;
}

CudaGraph::~CudaGraph() {
  const DriverTable &Driver = On.context().driver();
  if (Executable)
    (void)Driver.GraphExecDestroy(Executable);
  if (Graph)
    (void)Driver.GraphDestroy(Graph);
}

Status CudaGraph::build(const DeviceCall &Call) {
  CudaContext &Context = On.context();
  const DriverTable &Driver = Context.driver();
  if (Status Done = Context.check(Driver.GraphCreate(&Graph, 0),
                                  "making a graph of launches");
      !Done)
    return Done;
  CudaLaunch Prepared;
  for (const DeviceLaunch &Launch : Call.Launches) {
    if (Status Done = On.prepare(Launch, Prepared); !Done)
      return Done;
    Node Made;
    (void)remember(Launch, Made);
    const CuGraphNode *Before = Nodes.empty() ? nullptr : &Nodes.back().Handle;
    if (Status Done =
            Context.check(Driver.GraphAddKernel(&Made.Handle, Graph, Before,
                                                Before ? 1 : 0, &Prepared.Node),
                          "adding a launch to a graph");
        !Done)
      return Done;
    Nodes.push_back(std::move(Made));
  }
  return Context.check(Driver.GraphInstantiate(&Executable, Graph, 0),
                       "making a graph of launches");
}

bool CudaGraph::fits(const DeviceCall &Call) const {
  return std::equal(Nodes.begin(), Nodes.end(), Call.Launches.begin(),
                    Call.Launches.end(),
                    [](const Node &Has, const DeviceLaunch &Launch) {
                      return Has.Kernel == Launch.From->Kernel;
                    });
}

/// Whether anything differed from what the node had.
bool CudaGraph::remember(const DeviceLaunch &Launch, Node &Into) {
  size_t NumOperands = Launch.From->Operands.size();
  size_t NumSizes = Launch.From->Sizes.size();
  Into.Kernel = Launch.From->Kernel;
  if (Into.Operands.size() == NumOperands &&
      Into.Values.size() == 3 + NumSizes &&
      std::equal(Into.Operands.begin(), Into.Operands.end(), Launch.Operands) &&
      std::equal(Launch.Grid, Launch.Grid + 3, Into.Values.begin()) &&
      std::equal(Launch.Sizes, Launch.Sizes + NumSizes,
                 Into.Values.begin() + 3))
    return false;
  Into.Operands.assign(Launch.Operands, Launch.Operands + NumOperands);
  Into.Values.assign(Launch.Grid, Launch.Grid + 3);
  Into.Values.insert(Into.Values.end(), Launch.Sizes, Launch.Sizes + NumSizes);
  return true;
}

Status CudaGraph::update(const DeviceCall &Call) {
  CudaContext &Context = On.context();
  CudaLaunch Prepared;
  for (size_t I = 0; I < Nodes.size(); ++I) {
    if (!remember(Call.Launches[I], Nodes[I]))
      continue;
    if (Status Done = On.prepare(Call.Launches[I], Prepared); !Done)
      return Done;
    if (Status Done =
            Context.check(Context.driver().GraphSetKernel(
                              Executable, Nodes[I].Handle, &Prepared.Node),
                          "changing a launch of a graph");
        !Done)
      return Done;
  }
  return {};
}

Status CudaGraph::launch() {
  CudaContext &Context = On.context();
  return Context.check(
      Context.driver().GraphLaunch(Executable, Context.stream()),
      "launching a graph");
}
