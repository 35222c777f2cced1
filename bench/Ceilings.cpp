//===- Ceilings.cpp - transxssm-ceilings ----------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
//   transxssm-ceilings [THREADS]   what the processor can do at most, as JSON
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/Ceilings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace transxssm;

int main(int Argc, char **Argv) {
  char *End = nullptr;
  long Threads = Argc > 1 ? std::strtol(Argv[1], &End, 10) : 1;
  if (Argc > 2 || (End && *End) || Threads < 1 || Threads > 4096) {
    std::fprintf(stderr, "usage: transxssm-ceilings [THREADS], 1 to 4096\n");
    return 2;
  }
  Ceilings Measured = measureCeilings(unsigned(Threads));
  std::printf("{\"threads\": %ld, \"flops_per_second\": %.4e, "
              "\"bf16_flops_per_second\": %.4e, "
              "\"bytes_read_per_second\": %.4e}\n",
              Threads, Measured.FlopsPerSecond, Measured.Bf16FlopsPerSecond,
              Measured.BytesReadPerSecond);
  return 0;
}
