//===- sim_abi.h - What simulated kernels and the simulator agree on -----===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// codegen/sim turns the LLVM IR of a GPU kernel into an x86-64 object in which
// every access to shared or global memory and every GPU instruction is a call
// of a hook below; runtime/sim implements them. One call of a kernel function
// is one GPU thread. Any change that old objects would misread must increase
// TRANSXSSM_SIM_VERSION.
//
// Pointers. A pointer to shared memory is an offset as on the device: the
// kernel's shared memory begins at TRANSXSSM_SIM_SHARED_BASE. A generic pointer
// to it is SharedWindow + offset. All other pointers are host addresses.
//
// Operands. Hooks other than sim_access take their operands in 64-bit slots,
// `in`, and leave their results in `out`; narrower values lie in the low bits,
// zero-extended. Vectors of 32 bits count as one such value. `site` is an
// element of the module's site table, `variant` is explained at each hook.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_SIM_ABI_H
#define TRANSXSSM_SIM_ABI_H

#include <stdint.h>

#define TRANSXSSM_SIM_VERSION 2u

/// Where shared memory starts; the bytes below belong to the system, as they
/// do on the device.
#define TRANSXSSM_SIM_SHARED_BASE 1024u

/// Slots that a hook may be given and may fill.
#define TRANSXSSM_SIM_SLOTS 160u

#ifdef __cplusplus
extern "C" {
#endif

/// In place of a CUtensorMap, which is opaque: 128 bytes, passed byval.
typedef struct TransXSSMSimTensorMap {
  uint64_t Base;      ///< of the tensor in global memory
  uint64_t Extent[5]; ///< innermost first
  uint64_t Stride[4]; ///< in bytes, of dimensions 1 to 4
  uint32_t Box[5];
  uint16_t Rank;
  uint8_t ElementBytes;
  uint8_t Swizzle; ///< 0, 32, 64 or 128 bytes
  uint8_t Unused[24];
} TransXSSMSimTensorMap;

/// What compiled code sees of the thread that it is. Offsets are part of the
/// interface.
typedef struct TransXSSMSimThread {
  uint32_t Tid[3], BlockDim[3], BlockIdx[3], GridDim[3];
  uint32_t Lane, Warp, ClusterRank, ClusterSize;
  uint64_t SharedWindow; ///< host address of offset 0 of shared memory
  uint64_t Instructions; ///< LLVM instructions executed, counted by the code
} TransXSSMSimThread;

/// `parameters` holds one pointer per kernel parameter, to its value; a byval
/// parameter is that pointer.
typedef void (*TransXSSMSimKernel)(TransXSSMSimThread *self,
                                   void *const *parameters);

/// One instruction of a kernel, for reports.
typedef struct TransXSSMSimSite {
  const char *Kernel;    ///< symbol of the kernel
  const char *Operation; ///< the instruction, in a few words
  const char *File;      ///< tile-level source, empty where unknown
  uint32_t Line, Column;
  int32_t Operand; ///< parameter that the address is derived from, or -1
  /// The array in shared memory that it is derived from, where the module
  /// declares one of fixed size; else zeros.
  uint32_t SharedBegin, SharedBytes;
} TransXSSMSimSite;

typedef struct TransXSSMSimKernelInfo {
  const char *Symbol;
  TransXSSMSimKernel Function;
  uint32_t Parameters;
  uint32_t Threads; ///< nvvm.maxntid, 0 where not stated
  uint32_t Blocks;  ///< nvvm.minctasm, 0 where not stated
  uint32_t Unused;
  uint64_t StaticBytes; ///< shared memory of fixed size; dynamic comes behind
  uint64_t DynamicAlign;
} TransXSSMSimKernelInfo;

typedef struct TransXSSMSimModule {
  uint32_t Version; ///< TRANSXSSM_SIM_VERSION
  uint32_t NumSites, NumKernels;
  const TransXSSMSimSite *Sites;
  const TransXSSMSimKernelInfo *Kernels;
} TransXSSMSimModule;

/// The one function by which an object is entered.
#define TRANSXSSM_SIM_ENTRY "transxssm_sim_module"
typedef const TransXSSMSimModule *(*TransXSSMSimEntry)(void);

/// `what` of sim_access: bytes in bits 0..11, the rest as below.
#define TRANSXSSM_SIM_LOAD (0u << 12)
#define TRANSXSSM_SIM_STORE (1u << 12)
#define TRANSXSSM_SIM_ATOMIC (2u << 12)
#define TRANSXSSM_SIM_GENERIC (0u << 16)
#define TRANSXSSM_SIM_GLOBAL (1u << 16)
#define TRANSXSSM_SIM_SHARED (3u << 16)
#define TRANSXSSM_SIM_SHARED_CLUSTER (7u << 16)
#define TRANSXSSM_SIM_LOG2_ALIGN_SHIFT 20

/// The host address to use in place of `address`: the same memory, or a
/// harmless substitute after a report, or where `active` is zero.
typedef void *(*TransXSSMSimAccess)(TransXSSMSimThread *self, uint64_t address,
                                    uint32_t what, uint32_t site,
                                    uint32_t active);

typedef void (*TransXSSMSimHook)(TransXSSMSimThread *self, const uint64_t *in,
                                 uint64_t *out, uint32_t site,
                                 uint32_t variant);

// Threads that meet.
//
//   sim_barrier       in: barrier, threads (0: all of the block);
//                     variant: 0 sync, 1 arrive
//   sim_warp_barrier  in: mask
//   sim_shuffle       in: mask, value, b, c of PTX shfl.sync; out: value,
//                     whether the source was in range;
//                     variant: 0 up, 1 down, 2 bfly, 3 idx
//   sim_vote          in: mask, predicate; out: the answer;
//                     variant: 0 all, 1 any, 2 uni, 3 ballot
//   sim_elect         in: mask; out: leader's lane, whether this is it
//   sim_reduce        in: mask, value; out: value; redux.sync, variant: 0 add,
//                     1 and, 2 or, 3 xor, 4 min, 5 max, 6 umin, 7 umax
//
// Matrices. Registers as the PTX ISA numbers them.
//
//   sim_ldmatrix      in: address in shared memory; out: registers;
//                     variant: number of 8x8 matrices, + 16 transposed
//   sim_stmatrix      in: address, registers; variant as above
//   sim_mma           in: registers of A, B, C; out: of D; accumulates in
//                     float32; variant: K of m16n8, + 32 bf16, 64 f16, 96 tf32
//
// cp.async.
//
//   sim_copy_async         in: shared address, global address, bytes to read
//                          (the rest is zero); variant: bytes to write
//   sim_copy_async_commit
//   sim_copy_async_wait    in: groups that may be pending; variant: 1 wait_all
//
// Hopper: barriers in shared memory, the tensor memory accelerator, wgmma.
//
//   sim_mbarrier_init    in: address, arrivals of a phase
//   sim_mbarrier_arrive  in: address, arrivals, bytes to expect; out: a state;
//                        variant: 1 only expects,
//                        2 does nothing for no arrivals
//   sim_mbarrier_wait    in: address, parity; returns when the phase of that
//                        parity is complete; out: 1
//   sim_tensor_load      in: shared address, mbarrier, TransXSSMSimTensorMap,
//                        coordinates; variant: rank
//   sim_tensor_store     in: shared address, map, coordinates; variant: rank
//   sim_bulk_commit
//   sim_bulk_wait        in: groups that may be pending; variant: 1 read
//   sim_wgmma            in: N / 2 accumulators, A (descriptor or 4
//                        registers), descriptor of B, scale-d, scale-a,
//                        scale-b, trans-a, trans-b; out: accumulators;
//                        variant: N of m64nNk16, + 512 A in registers,
//                        + 1024 f16 instead of bf16
//   sim_wgmma_sync       variant: 0 fence, 1 commit, 2 wait; in: groups that
//                        may be pending
//   sim_fence            variant: 0 proxy.async, 1 mbarrier_init
//   sim_max_registers    in: registers; variant: 0 dec, 1 inc
//
// Arithmetic that differs from IEEE operations on a device.
//
//   sim_approx        in: value; out: value; variant: 0 ex2, 1 lg2, 2 rcp,
//                     3 rsqrt, 4 sqrt, 5 sin, 6 cos, 7 tanh, + 8 with
//                     subnormals flushed to zero
#define TRANSXSSM_SIM_HOOKS(HOOK)                                              \
  HOOK(sim_barrier)                                                            \
  HOOK(sim_warp_barrier)                                                       \
  HOOK(sim_shuffle)                                                            \
  HOOK(sim_vote)                                                               \
  HOOK(sim_elect)                                                              \
  HOOK(sim_reduce)                                                             \
  HOOK(sim_ldmatrix)                                                           \
  HOOK(sim_stmatrix)                                                           \
  HOOK(sim_mma)                                                                \
  HOOK(sim_copy_async)                                                         \
  HOOK(sim_copy_async_commit)                                                  \
  HOOK(sim_copy_async_wait)                                                    \
  HOOK(sim_mbarrier_init)                                                      \
  HOOK(sim_mbarrier_arrive)                                                    \
  HOOK(sim_mbarrier_wait)                                                      \
  HOOK(sim_tensor_load)                                                        \
  HOOK(sim_tensor_store)                                                       \
  HOOK(sim_bulk_commit)                                                        \
  HOOK(sim_bulk_wait)                                                          \
  HOOK(sim_wgmma)                                                              \
  HOOK(sim_wgmma_sync)                                                         \
  HOOK(sim_fence)                                                              \
  HOOK(sim_max_registers)                                                      \
  HOOK(sim_approx)

/// Functions of the C library that LLVM makes from its own intrinsics.
#define TRANSXSSM_SIM_LIBRARY(FUNCTION)                                        \
  FUNCTION(expf)                                                               \
  FUNCTION(exp2f)                                                              \
  FUNCTION(logf)                                                               \
  FUNCTION(log2f)                                                              \
  FUNCTION(log1pf)                                                             \
  FUNCTION(sinf)                                                               \
  FUNCTION(cosf)                                                               \
  FUNCTION(tanhf)                                                              \
  FUNCTION(sqrtf)                                                              \
  FUNCTION(roundf)                                                             \
  FUNCTION(fmaf)                                                               \
  FUNCTION(fminf)                                                              \
  FUNCTION(fmaxf)

#ifdef __cplusplus
}
#endif

#endif // TRANSXSSM_SIM_ABI_H
