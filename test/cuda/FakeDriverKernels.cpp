//===- FakeDriverKernels.cpp - Kernels of the fake CUDA driver ------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The driver's functions for modules, launches, events and graphs.
//
//===----------------------------------------------------------------------===//

#include "test/cuda/FakeDriverState.h"

#include <algorithm>
#include <cstring>

#include <elf.h>
#include <time.h>

using namespace transxssm;
using namespace transxssm::cuda;
using namespace transxssm::fake;

/// The size of an object file: its header says where the last part ends.
static uint64_t imageBytes(const void *Image) {
  Elf64_Ehdr Header;
  std::memcpy(&Header, Image, sizeof(Header));
  if (std::memcmp(Header.e_ident, ELFMAG, SELFMAG) != 0)
    return 0;
  uint64_t Bytes =
      Header.e_shoff + uint64_t(Header.e_shnum) * Header.e_shentsize;
  for (unsigned I = 0; I < Header.e_shnum; ++I) {
    Elf64_Shdr Section;
    std::memcpy(&Section,
                static_cast<const char *>(Image) + Header.e_shoff +
                    I * Header.e_shentsize,
                sizeof(Section));
    if (Section.sh_type != SHT_NOBITS)
      Bytes = std::max(Bytes, Section.sh_offset + Section.sh_size);
  }
  return Bytes;
}

static double now() {
  timespec Time;
  ::clock_gettime(CLOCK_MONOTONIC, &Time);
  return double(Time.tv_sec) + 1e-9 * double(Time.tv_nsec);
}

FAKE CuResult cuModuleLoadDataEx(CuModule *Made, const void *Image,
                                 unsigned Count, int *Options, void **Values) {
  ENTER();
  if (++driver().Images <= driver().Given.refuse_images)
    return CuNoBinaryForGpu;
  auto New = std::make_unique<FakeModule>();
  Result<std::unique_ptr<sim::SimModule>> Code = sim::SimModule::load(
      static_cast<const uint8_t *>(Image), imageBytes(Image), "image");
  if (!Code) {
    for (unsigned I = 0; I < Count; ++I)
      if (Options[I] == CuJitErrorLog)
        std::strcpy(static_cast<char *>(Values[I]), Code.message().c_str());
    return CuInvalidImage;
  }
  New->Code = std::move(*Code);
  driver().Modules.insert(New.get());
  *Made = reinterpret_cast<CuModule>(New.release());
  return CuSuccess;
}

FAKE CuResult cuModuleUnload(CuModule Handle) {
  Lock Held(driver().Guard);
  (void)checkHandle(__func__, driver().Modules, Handle);
  for (Stream *Of : driver().Streams)
    (void)drain(*Of);
  destroyHandle(__func__, driver().Modules, Handle);
  return driver().Sticky;
}

FAKE CuResult cuModuleGetFunction(CuFunction *Made, CuModule Handle,
                                  const char *Symbol) {
  ENTER();
  FakeModule *Module = checkHandle(__func__, driver().Modules, Handle);
  const TransXSSMSimKernelInfo *Found = Module->Code->find(Symbol);
  if (!Found)
    return CuResult(500);
  Function &Of = Module->Functions[Symbol];
  Of.Of = Module;
  Of.Kernel = Found;
  *Made = reinterpret_cast<CuFunction>(&Of);
  return CuSuccess;
}

FAKE CuResult cuFuncSetAttribute(CuFunction Handle, int Attribute, int Value) {
  ENTER();
  if (Attribute != CuFunctionMaxDynamicSharedBytes || Value < 0 ||
      uint64_t(Value) > driver().Given.shared)
    return CuResult(1);
  reinterpret_cast<Function *>(Handle)->MaxShared = uint64_t(Value);
  return CuSuccess;
}

FAKE CuResult cuLaunchKernel(CuFunction Handle, unsigned X, unsigned Y,
                             unsigned Z, unsigned BlockX, unsigned BlockY,
                             unsigned BlockZ, unsigned SharedBytes, CuStream On,
                             void **Parameters, void **Extra) {
  ENTER();
  if (++driver().Launches == driver().Given.fail_launch)
    return CuResult(701);
  auto Launch = std::make_shared<KernelLaunch>();
  CuResult Checked = makeLaunch(__func__,
                                {Handle,
                                 {X, Y, Z},
                                 {BlockX, BlockY, BlockZ},
                                 SharedBytes,
                                 Parameters,
                                 Extra},
                                *Launch);
  if (Checked == CuSuccess)
    stream(__func__, On)->Waiting.push_back([=] { return runKernel(*Launch); });
  return Checked;
}

FAKE CuResult cuTensorMapEncodeTiled(
    CuTensorMap *Into, int Type, uint32_t Rank, void *Base,
    const uint64_t *Extent, const uint64_t *Stride, const uint32_t *Box,
    const uint32_t *ElementStride, int Interleave, int Swizzle, int, int Fill) {
  Lock Held(driver().Guard);
  checkRange(__func__, reinterpret_cast<uint64_t>(Base), 1);
  const uint32_t Spans[] = {0, 32, 64, 128};
  uint32_t ElementBytes = Type == CuTensorBf16 ? 2 : 4;
  uint32_t Span = Spans[Swizzle & 3], RowBytes = Box[0] * ElementBytes;
  bool Right = (Type == CuTensorBf16 || Type == CuTensorFloat32) && Rank >= 1 &&
               Rank <= 5 && Interleave == CuTensorNoInterleave &&
               Swizzle >= CuTensorNoSwizzle && Swizzle <= CuTensorSwizzle128 &&
               Fill == CuTensorFillZeros && RowBytes % 16 == 0 &&
               (Span == 0 || RowBytes <= Span) &&
               reinterpret_cast<uint64_t>(Base) % 16 == 0;
  TransXSSMSimTensorMap Made = {};
  for (uint32_t D = 0; D < Rank && Right; ++D) {
    Right &=
        Extent[D] >= 1 && Box[D] >= 1 && Box[D] <= 256 && ElementStride[D] == 1;
    Made.Extent[D] = Extent[D];
    Made.Box[D] = Box[D];
    if (D + 1 == Rank)
      continue;
    Right &= Stride[D] % 16 == 0 && Stride[D] < (uint64_t(1) << 40);
    Made.Stride[D] = Stride[D];
  }
  if (!Right)
    return CuResult(1);
  Made.Base = reinterpret_cast<uint64_t>(Base);
  Made.Rank = uint16_t(Rank);
  Made.ElementBytes = uint8_t(ElementBytes);
  Made.Swizzle = uint8_t(Span);
  static_assert(sizeof(Made) == sizeof(*Into));
  std::memcpy(Into, &Made, sizeof(Made));
  driver().Maps.insert(Into);
  return CuSuccess;
}

FAKE CuResult cuEventCreate(CuEvent *Made, unsigned) {
  ENTER();
  makeHandle(driver().Events, Made);
  return CuSuccess;
}

FAKE CuResult cuEventDestroy_v2(CuEvent Handle) {
  Lock Held(driver().Guard);
  destroyHandle(__func__, driver().Events, Handle);
  return driver().Sticky;
}

FAKE CuResult cuEventRecord(CuEvent Handle, CuStream On) {
  ENTER();
  Event *Of = checkHandle(__func__, driver().Events, Handle);
  Of->Seconds = -1;
  stream(__func__, On)->Waiting.push_back([=] {
    Of->Seconds = now();
    return CuSuccess;
  });
  return CuSuccess;
}

FAKE CuResult cuEventSynchronize(CuEvent Handle) {
  ENTER();
  (void)checkHandle(__func__, driver().Events, Handle);
  for (Stream *Of : driver().Streams)
    (void)drain(*Of);
  return driver().Sticky;
}

FAKE CuResult cuEventElapsedTime(float *Milliseconds, CuEvent From,
                                 CuEvent To) {
  ENTER();
  Event *A = checkHandle(__func__, driver().Events, From);
  Event *B = checkHandle(__func__, driver().Events, To);
  if (A->Seconds < 0 || B->Seconds < 0)
    return CuResult(600);
  *Milliseconds = float((B->Seconds - A->Seconds) * 1e3);
  return CuSuccess;
}

FAKE CuResult cuGraphCreate(CuGraph *Made, unsigned) {
  ENTER();
  makeHandle(driver().Graphs, Made);
  return CuSuccess;
}

FAKE CuResult cuGraphDestroy(CuGraph Handle) {
  Lock Held(driver().Guard);
  destroyHandle(__func__, driver().Graphs, Handle);
  return CuSuccess;
}

/// A graph is a chain: each node comes after the one before alone.
FAKE CuResult cuGraphAddKernelNode(CuGraphNode *Made, CuGraph Handle,
                                   const CuGraphNode *After, size_t Count,
                                   const CuKernelNodeParameters *Given) {
  ENTER();
  Graph *Of = checkHandle(__func__, driver().Graphs, Handle);
  CuGraphNode Last = Of->Nodes.empty()
                         ? nullptr
                         : reinterpret_cast<CuGraphNode>(&Of->Nodes.back());
  if (Count != (Last ? 1 : 0) || (Last && *After != Last))
    misused("cuGraphAddKernelNode: a node that is not behind the last one");
  KernelLaunch New;
  if (CuResult Checked = makeLaunch(__func__, *Given, New);
      Checked != CuSuccess)
    return Checked;
  Of->Nodes.push_back(std::move(New));
  *Made = reinterpret_cast<CuGraphNode>(&Of->Nodes.back());
  return CuSuccess;
}

FAKE CuResult cuGraphInstantiateWithFlags(CuGraphExec *Made, CuGraph Handle,
                                          unsigned long long) {
  ENTER();
  ++driver().Counts["instantiated"];
  Graph *Of = checkHandle(__func__, driver().Graphs, Handle);
  GraphExec *New = makeHandle(driver().Execs, Made);
  for (const KernelLaunch &Node : Of->Nodes) {
    New->Place[&Node] = New->Nodes.size();
    New->Nodes.push_back(Node);
  }
  return CuSuccess;
}

FAKE CuResult cuGraphExecKernelNodeSetParams(
    CuGraphExec Handle, CuGraphNode Node, const CuKernelNodeParameters *Given) {
  ENTER();
  ++driver().Counts["changed"];
  GraphExec *Of = checkHandle(__func__, driver().Execs, Handle);
  auto Found = Of->Place.find(reinterpret_cast<KernelLaunch *>(Node));
  if (Found == Of->Place.end())
    misused("cuGraphExecKernelNodeSetParams: a node of another graph");
  return makeLaunch(__func__, *Given, Of->Nodes[Found->second]);
}

FAKE CuResult cuGraphLaunch(CuGraphExec Handle, CuStream On) {
  ENTER();
  ++driver().Counts["graphs"];
  if (++driver().Launches == driver().Given.fail_launch)
    return CuResult(701);
  GraphExec *Of = checkHandle(__func__, driver().Execs, Handle);
  // A launch has what the nodes are now, whatever is set later.
  for (const KernelLaunch &Node : Of->Nodes) {
    auto Launch = std::make_shared<KernelLaunch>(Node);
    stream(__func__, On)->Waiting.push_back([=] { return runKernel(*Launch); });
  }
  return CuSuccess;
}

FAKE CuResult cuGraphExecDestroy(CuGraphExec Handle) {
  Lock Held(driver().Guard);
  destroyHandle(__func__, driver().Execs, Handle);
  return CuSuccess;
}
