//===- UnknownSymbol.c - An object that wants what the loader denies ------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "transxssm/kernel_abi.h"

int puts(const char *);

void unknown_symbol(void *const *Buffers, const int64_t *Sizes, void *Scratch,
                    int64_t X, int64_t Y, int64_t Z) {
  puts("no");
}
