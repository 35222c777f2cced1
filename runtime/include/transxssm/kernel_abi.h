//===- kernel_abi.h - What generated code and the runtime agree on -------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The binary interface between compiled tile kernels and the runtime. It is
// the only header that both sides include. Any change that old packages would
// misread must increase TRANSXSSM_PACKAGE_VERSION.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_KERNEL_ABI_H
#define TRANSXSSM_KERNEL_ABI_H

#include <stdint.h>

/// Version of the package format and of this interface. A runtime loads the
/// packages of exactly its own version.
#define TRANSXSSM_PACKAGE_VERSION 3u

/// Alignment in bytes of every buffer and of the scratch area.
#define TRANSXSSM_ALIGNMENT 64

#ifdef __cplusplus
extern "C" {
#endif

/// Some cells of a kernel's grid on a CPU, one after the other.
///
///   buffers  one pointer per memref argument of the kernel, in argument order;
///            each is dense row-major and TRANSXSSM_ALIGNMENT-aligned.
///   sizes    in argument order: the dynamic dimensions of the memref
///            arguments and the values of the index arguments.
///   scratch  memory private to the calling thread, as many bytes as the
///            package's kernel table says; contents are undefined on entry.
///   first    the cells (x, y, z) with first <= x < last: what several of them
///   last     need in the same form, such as a packed operand of a product, is
///   y, z     made once for all of them.
///
/// Cells of one launch write disjoint memory and none reads what another
/// writes; what a cell computes does not depend on the range it is part of. So
/// any number of threads gives the same bits.
typedef void (*TransXSSMCpuKernel)(void *const *buffers, const int64_t *sizes,
                                   void *scratch, int64_t first, int64_t last,
                                   int64_t y, int64_t z);

#ifdef __cplusplus
}
#endif

#endif // TRANSXSSM_KERNEL_ABI_H
