//===- SampleKernels.c - Kernels of the sample package --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A miniature language model that exercises every feature of the executor: the
// logits of a token are its embedding against every embedding, scaled. Written
// in C against the kernel interface, so that the runtime is tested before and
// without the compiler.
//
//===----------------------------------------------------------------------===//

#include "transxssm/kernel_abi.h"

float expf(float);
void *memset(void *, int, __SIZE_TYPE__);

// Weak, so that the compiler must reach it through the global offset table and
// cannot fold what it holds: an address that the loader has to fill in.
const float SampleTable[4] = {1.0f, 2.0f, 3.0f, 4.0f};
__attribute__((weak))
const float *const SampleTablePointer[1] = {&SampleTable[1]};

#define KERNEL(Name)                                                           \
  static void Name##_cell(void *const *Buffers, const int64_t *Sizes,          \
                          void *Scratch, int64_t X, int64_t Y, int64_t Z);     \
  void Name(void *const *Buffers, const int64_t *Sizes, void *Scratch,         \
            int64_t First, int64_t Last, int64_t Y, int64_t Z) {               \
    for (int64_t X = First; X < Last; ++X)                                     \
      Name##_cell(Buffers, Sizes, Scratch, X, Y, Z);                           \
  }                                                                            \
  static void Name##_cell(void *const *Buffers, const int64_t *Sizes,          \
                          void *Scratch, int64_t X, int64_t Y, int64_t Z)

// hidden[b, t, :] = embed[ids[b, t], :] * mask[b, t] + cos[t, 0].
// Grid (T, B). Buffers ids, mask, cos, embed, hidden. Sizes T, D, P/2.
KERNEL(sample_embed) {
  const int32_t *Ids = Buffers[0];
  const float *Mask = Buffers[1], *Cos = Buffers[2], *Embed = Buffers[3];
  float *Hidden = Buffers[4];
  int64_t T = Sizes[0], D = Sizes[1], Width = Sizes[2];
  int64_t Token = Y * T + X;
  // A detour through scratch shows that it is private to the thread.
  float *Row = Scratch;
  memset(Row, 0, (__SIZE_TYPE__)D * sizeof(float));
  for (int64_t I = 0; I < D; ++I)
    Row[I] += Embed[Ids[Token] * D + I] * Mask[Token];
  for (int64_t I = 0; I < D; ++I)
    Hidden[Token * D + I] = Row[I] + Cos[X * Width];
}

// logits[r, v] = exp(scale[0]) * table[1] * <hidden[r, :], embed[v, :]>.
// Grid (V, rows). Buffers hidden, embed, scale, logits. Sizes D, V.
KERNEL(sample_logits) {
  const float *Hidden = Buffers[0], *Embed = Buffers[1], *Scale = Buffers[2];
  float *Logits = Buffers[3];
  int64_t D = Sizes[0], V = Sizes[1];
  float Sum = 0;
  for (int64_t I = 0; I < D; ++I)
    Sum += Hidden[Y * D + I] * Embed[X * D + I];
  Logits[Y * V + X] = expf(Scale[0]) * SampleTablePointer[0][0] * Sum;
}

// A recurrence: hidden[b, t, :] = sum[b, :] += embed[ids[b, t], :], and the
// number of the token in key_mask[b, past + t].
// Grid (B). Buffers ids, embed, sum, key_mask, hidden.
// Sizes T, D, past, capacity.
KERNEL(sample_scan) {
  const int32_t *Ids = Buffers[0];
  const float *Embed = Buffers[1];
  float *Sum = Buffers[2], *KeyMask = Buffers[3], *Hidden = Buffers[4];
  int64_t T = Sizes[0], D = Sizes[1], Past = Sizes[2], Capacity = Sizes[3];
  for (int64_t Step = 0; Step < T; ++Step) {
    KeyMask[X * Capacity + Past + Step] = (float)(Past + Step + 1);
    for (int64_t I = 0; I < D; ++I) {
      Sum[X * D + I] += Embed[Ids[X * T + Step] * D + I];
      Hidden[(X * T + Step) * D + I] = Sum[X * D + I];
    }
  }
}

// Runs only where the cache already held tokens: hidden += 100 * past.
// Grid (rows). Buffers hidden. Sizes D, past.
KERNEL(sample_shift) {
  float *Hidden = Buffers[0];
  for (int64_t I = 0; I < Sizes[0]; ++I)
    Hidden[X * Sizes[0] + I] += 100.0f * (float)Sizes[1];
}

// The last row of each sequence, and its first largest element, or at another
// temperature than 0 any token by chance. Grid (B). Buffers rows, settings,
// draw, logits, tokens. Sizes T, V.
KERNEL(sample_draw) {
  const float *Settings = Buffers[1];
  const int32_t *Draw = Buffers[2];
  int64_t T = Sizes[0], V = Sizes[1];
  const float *Row = (const float *)Buffers[0] + (X * T + T - 1) * V;
  float *Logits = (float *)Buffers[3] + X * V;
  int32_t Best = 0;
  for (int32_t I = 0; I < V; ++I) {
    Logits[I] = Row[I];
    Best = I < Draw[4] && Row[I] > Row[Best] ? I : Best;
  }
  uint32_t Hash = (uint32_t)Draw[0] * 2654435761u + (uint32_t)Draw[2];
  Hash = (Hash ^ Hash >> 15) * 2246822519u + (uint32_t)X;
  Hash = (Hash ^ Hash >> 13) * 3266489917u;
  int32_t Any = (int32_t)((Hash ^ Hash >> 16) % (uint32_t)Draw[4]);
  ((int32_t *)Buffers[4])[X] = Settings[0] > 0 ? Any : Best;
}

// gradient[v, :] = how many labels equal v; loss[0] = number of counted labels.
// Grid (V). Buffers labels, gradient, loss. Sizes tokens, D.
KERNEL(sample_gradient) {
  const int32_t *Labels = Buffers[0];
  float *Gradient = Buffers[1], *Loss = Buffers[2];
  int64_t Tokens = Sizes[0], D = Sizes[1];
  float Count = 0, All = 0;
  for (int64_t I = 0; I < Tokens; ++I) {
    Count += Labels[I] == X;
    All += Labels[I] != -100;
  }
  for (int64_t I = 0; I < D; ++I)
    Gradient[X * D + I] = Count;
  if (X == 0)
    Loss[0] = All;
}

// One AdamW step without clipping on every element.
// Grid (V). Buffers hyperparameters, seed, gradient, parameter, moment1,
// moment2, grad_norm. Sizes D.
KERNEL(sample_update) {
  const float *Hyper = Buffers[0];
  const int32_t *Seed = Buffers[1];
  float *Gradient = Buffers[2], *Parameter = Buffers[3];
  float *First = Buffers[4], *Second = Buffers[5], *Norm = Buffers[6];
  for (int64_t I = X * Sizes[0]; I < (X + 1) * Sizes[0]; ++I) {
    First[I] = Hyper[1] * First[I] + (1 - Hyper[1]) * Gradient[I];
    Second[I] =
        Hyper[2] * Second[I] + (1 - Hyper[2]) * Gradient[I] * Gradient[I];
    float Step = First[I] / Hyper[6];
    Parameter[I] -= Hyper[0] * (Step + Hyper[4] * Parameter[I]);
  }
  if (X == 0)
    Norm[0] = (float)Seed[1];
}
