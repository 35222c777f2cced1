//===- PtxForms.h - The closed list of inline PTX -------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// What kernels for GPUs contain beside LLVM's own instructions. Whoever reads
// the modules (the simulator) must know every form; a form that is not here
// does not occur.
//
// Intrinsics:
//   llvm.nvvm.read.ptx.sreg.{tid.x, ctaid.x, ctaid.y, ctaid.z, nctaid.x}
//   llvm.nvvm.barrier.cta.sync.aligned.all(0), .count(1, consumers)
//   llvm.nvvm.shfl.sync.bfly.{f32, i32}(-1, value, lane mask, 31)
//   llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4[.trans].b16
//   llvm.nvvm.mma.m16n8k16.row.col.bf16
//   llvm.nvvm.cp.async.cg.shared.global.16[.s], .commit.group, .wait.group(n)
//   llvm.nvvm.stmatrix.sync.aligned.m8n8.x4.b16 (sm_90a)
//   llvm.nvvm.fence.proxy.async.shared_cta (sm_90a)
//   llvm.nvvm.wgmma.commit_group.sync.aligned (sm_90a)
//   llvm.nvvm.wgmma.wait_group.sync.aligned(n) (sm_90a)
//   llvm.nvvm.bar.warp.sync(-1), llvm.nvvm.setmaxnreg.{inc, dec}.sync.aligned
//   llvm.nvvm.mbarrier.init.shared, .arrive.expect.tx.scope.cta.space.cta,
//   llvm.nvvm.fence.mbarrier_init.release.cluster,
//   llvm.nvvm.cp.async.bulk.tensor.{g2s.cta, s2g}.tile.{2 .. 5}d,
//   llvm.nvvm.cp.async.bulk.{commit.group, wait.group[.read](0)} (with tensor
//   maps)
//   llvm.nvvm.ex2.approx.ftz.f32
//   llvm.fma, llvm.sqrt, llvm.fabs, llvm.minimum, llvm.maximum and the like on
//   float32
//
// Inline PTX, all of it with side effects and a memory clobber. Addresses point
// to global memory; predicates are one bit, of constraint "b".
//
// On sm_90a also (WgmmaOps.cpp), with the sums tied through each:
//   wgmma.fence.sync.aligned; wgmma.wait_group.sync.aligned 0;
//   wgmma.mma_async.sync.aligned.m64nNk16.f32.bf16.bf16
// and with tensor maps (TensorCopies.cpp), in a loop and with a predicate:
//   mbarrier.try_wait.parity.shared.b64
//   @p mbarrier.arrive.shared.b64
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_CODEGEN_NVPTX_PTXFORMS_H
#define TRANSXSSM_CODEGEN_NVPTX_PTXFORMS_H

namespace transxssm::nvptx {

struct PtxForm {
  const char *Text, *Constraints;
};

/// Words of 32 bits (or one of 16) where the predicate holds, else zeros:
/// (address, predicate) -> words. Aligned to their size.
constexpr PtxForm LoadHalf = {"mov.b16 $0, 0; @$2 ld.global.b16 $0, [$1];",
                              "=h,l,b,~{memory}"};
constexpr PtxForm LoadWord = {"mov.b32 $0, 0; @$2 ld.global.b32 $0, [$1];",
                              "=r,l,b,~{memory}"};
constexpr PtxForm LoadWords2 = {"mov.b32 $0, 0; mov.b32 $1, 0; "
                                "@$3 ld.global.v2.b32 {$0, $1}, [$2];",
                                "=r,=r,l,b,~{memory}"};
constexpr PtxForm LoadWords4 = {
    "mov.b32 $0, 0; mov.b32 $1, 0; mov.b32 $2, 0; mov.b32 $3, 0; "
    "@$5 ld.global.v4.b32 {$0, $1, $2, $3}, [$4];",
    "=r,=r,=r,=r,l,b,~{memory}"};

/// The inverse: (address, predicate, words...).
constexpr PtxForm StoreHalf = {"@$1 st.global.b16 [$0], $2;",
                               "l,b,h,~{memory}"};
constexpr PtxForm StoreWord = {"@$1 st.global.b32 [$0], $2;",
                               "l,b,r,~{memory}"};
constexpr PtxForm StoreWords2 = {"@$1 st.global.v2.b32 [$0], {$2, $3};",
                                 "l,b,r,r,~{memory}"};
constexpr PtxForm StoreWords4 = {"@$1 st.global.v4.b32 [$0], {$2, $3, $4, $5};",
                                 "l,b,r,r,r,r,~{memory}"};

} // namespace transxssm::nvptx

#endif // TRANSXSSM_CODEGEN_NVPTX_PTXFORMS_H
