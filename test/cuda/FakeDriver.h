//===- FakeDriver.h - A CUDA driver without a GPU, for tests --------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A shared library that TRANSXSSM_CUDA_DRIVER names in tests. Images are
// objects of the simulator (codegen/sim), so launches run, under its checks.
//
//   - Memory of the device can be touched by kernels and copies alone: the
//     host's own accesses to it end in a segmentation fault.
//   - Work waits in its stream until somebody waits for it, so a result that is
//     read too early is not there yet.
//   - What a caller must not do (copies out of bounds, memory freed twice or
//     never, handles of something else, wrong numbers of parameters) is printed
//     and ends the process.
//   - What a kernel does wrong is printed, and the launch fails.
//
// TRANSXSSM_FAKE_CUDA sets, separated by commas:
//
//   version=11040       of the driver
//   devices=0           how many GPUs there are
//   capability=90       of them: 9.0
//   memory=1000000      bytes of each
//   shared=166912       bytes of shared memory that a block may ask for
//   refuse_images=1     how many of the images loaded first are refused
//   fail_allocation=3   the number of the allocation that finds no memory
//   fail_kernel=2       the number of the kernel that touches a wrong address
//   fail_launch=2       the number of the launch that is refused
//   skip_kernel=4       the number of the kernel that does nothing
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_TEST_CUDA_FAKEDRIVER_H
#define TRANSXSSM_TEST_CUDA_FAKEDRIVER_H

#include <cstdint>

/// How often something happened since the library was loaded: "kernels" run,
/// "graphs" launched, graphs "instantiated", nodes "changed"; the "peak" of
/// allocated bytes.
extern "C" uint64_t fakeCudaCount(const char *What);

#endif // TRANSXSSM_TEST_CUDA_FAKEDRIVER_H
