//===- SampleKernels.c - Kernels of a model that needs no compiler --------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// A model of token pairs, by hand in C, so that the command line and the Python
// module can be tested where no compiler is built:
//   logits[t] = Current[id[t]] + Before[id[t - 1]]
// The last token is its state (plus one, so that a fresh cache means none).
//
//===----------------------------------------------------------------------===//

#include "transxssm/kernel_abi.h"

float expf(float);
float logf(float);
float sqrtf(float);

#define KERNEL(NAME)                                                           \
  static void NAME##_cell(void *const *Buffers, const int64_t *Sizes,          \
                          void *Scratch, int64_t X, int64_t Y, int64_t Z);     \
  void NAME(void *const *Buffers, const int64_t *Sizes, void *Scratch,         \
            int64_t First, int64_t Last, int64_t Y, int64_t Z) {               \
    for (int64_t X = First; X < Last; ++X)                                     \
      NAME##_cell(Buffers, Sizes, Scratch, X, Y, Z);                           \
  }                                                                            \
  static void NAME##_cell(void *const *Buffers, const int64_t *Sizes,          \
                          void *Scratch, int64_t X, int64_t Y, int64_t Z)

static void fillRow(const float *Current, const float *Before, int64_t Vocab,
                    int Id, int Last, float *Row) {
  for (int64_t V = 0; V < Vocab; ++V) {
    Row[V] = Current[Id * Vocab + V];
    if (Last >= 0)
      Row[V] += Before[Last * Vocab + V];
  }
}

// ids [B, T], current, before [V, V], state [B] -> logits [B, T or 1, V];
// sizes: T, V, whether only the last token counts. One cell per sequence.
KERNEL(sample_logits) {
  const int *Ids = (const int *)Buffers[0] + X * Sizes[0];
  const float *Current = Buffers[1], *Before = Buffers[2];
  float *State = (float *)Buffers[3] + X;
  int64_t Seq = Sizes[0], Vocab = Sizes[1], LastOnly = Sizes[2];
  float *Logits = (float *)Buffers[4] + X * (LastOnly ? 1 : Seq) * Vocab;
  int Last = (int)*State - 1;
  for (int64_t T = 0; T < Seq; ++T) {
    fillRow(Current, Before, Vocab, Ids[T], Last,
            Logits + (LastOnly ? 0 : T * Vocab));
    Last = Ids[T];
  }
  *State = (float)(Last + 1);
}

// logits [B, V], settings [2], draw [5] -> tokens [B]: the first of the largest
// logits; at another temperature than 0 any of the choices by chance, unless
// top_k or top_p leave one. Sizes: V. One cell per sequence.
KERNEL(sample_draw) {
  const float *Logits = (const float *)Buffers[0] + X * Sizes[0];
  const float *Settings = Buffers[1];
  const int *Draw = Buffers[2];
  int Best = 0;
  for (int V = 1; V < Draw[4]; ++V)
    Best = Logits[V] > Logits[Best] ? V : Best;
  unsigned Hash = (unsigned)Draw[0] * 2654435761u + (unsigned)Draw[2];
  Hash = (Hash ^ Hash >> 15) * 2246822519u + (unsigned)X;
  Hash = (Hash ^ Hash >> 13) * 3266489917u;
  int Any = (int)((Hash ^ Hash >> 16) % (unsigned)Draw[4]);
  int Free = Settings[0] > 0 && Draw[3] != 1 && Settings[1] > 0.01f;
  ((int *)Buffers[3])[X] = Free ? Any : Best;
}

// ids, labels [B, T], current, before -> their gradients, loss [1]; row [V] is
// working space. Sizes: B, T, V. One cell.
KERNEL(sample_loss) {
  const int *Ids = Buffers[0], *Labels = Buffers[1];
  const float *Current = Buffers[2], *Before = Buffers[3];
  float *CurrentGrad = Buffers[4], *BeforeGrad = Buffers[5];
  float *Row = Buffers[6], *Loss = Buffers[7];
  int64_t Batch = Sizes[0], Seq = Sizes[1], Vocab = Sizes[2], Count = 0;
  for (int64_t I = 0; I < Vocab * Vocab; ++I)
    CurrentGrad[I] = BeforeGrad[I] = 0;
  for (int64_t I = 0; I < Batch * Seq; ++I)
    Count += I % Seq != 0 && Labels[I] != -100;
  double Sum = 0;
  for (int64_t I = 0; I < Batch * Seq; ++I) {
    if (I % Seq == 0 || Labels[I] == -100)
      continue;
    int Id = Ids[I - 1], Last = I % Seq >= 2 ? Ids[I - 2] : -1;
    fillRow(Current, Before, Vocab, Id, Last, Row);
    float Largest = Row[0], Total = 0;
    for (int64_t V = 1; V < Vocab; ++V)
      Largest = Row[V] > Largest ? Row[V] : Largest;
    for (int64_t V = 0; V < Vocab; ++V)
      Total += expf(Row[V] - Largest);
    Sum += Largest + logf(Total) - Row[Labels[I]];
    for (int64_t V = 0; V < Vocab; ++V) {
      float Grad = expf(Row[V] - Largest) / Total - (V == Labels[I]);
      CurrentGrad[Id * Vocab + V] += Grad / (float)Count;
      if (Last >= 0)
        BeforeGrad[Last * Vocab + V] += Grad / (float)Count;
    }
  }
  *Loss = Count ? (float)(Sum / (double)Count) : 0;
}

// Two gradients of V * V elements -> global norm [1]. Sizes: V. One cell.
KERNEL(sample_norm) {
  const float *First = Buffers[0], *Second = Buffers[1];
  double Sum = 0;
  for (int64_t I = 0; I < Sizes[0] * Sizes[0]; ++I)
    Sum += (double)First[I] * First[I] + (double)Second[I] * Second[I];
  *(float *)Buffers[2] = sqrtf((float)Sum);
}

// hyperparameters [8], norm [1], parameter, gradient, both moments. Sizes: V.
// One cell per row.
KERNEL(sample_adamw) {
  const float *Hyper = Buffers[0], *Norm = Buffers[1];
  int64_t Vocab = Sizes[0];
  float *Value = (float *)Buffers[2] + X * Vocab;
  const float *Grad = (const float *)Buffers[3] + X * Vocab;
  float *First = (float *)Buffers[4] + X * Vocab;
  float *Second = (float *)Buffers[5] + X * Vocab;
  float Scale = Hyper[5] / (*Norm + 1e-6f);
  Scale = Scale > 1 ? 1 : Scale;
  for (int64_t I = 0; I < Vocab; ++I) {
    float G = Grad[I] * Scale;
    First[I] = Hyper[1] * First[I] + (1 - Hyper[1]) * G;
    Second[I] = Hyper[2] * Second[I] + (1 - Hyper[2]) * G * G;
    float Step = First[I] / Hyper[6] / (sqrtf(Second[I] / Hyper[7]) + Hyper[3]);
    Value[I] -= Hyper[0] * (Step + Hyper[4] * Value[I]);
  }
}
