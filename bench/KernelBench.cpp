//===- KernelBench.cpp - Speed of compiled tile kernels -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
//   KernelBench compile FILE   seconds per kernel of a module, for each target
//   KernelBench asm FILE       assembly for this processor
//   KernelBench product [bf16] [FORM] [M N K ...]
//                              1024^3 products of a layer (forward, input
//                              gradient, weight gradient) with the given tiles
//                              against the peak of the processor's products
//   KernelBench decode         a matrix-vector product against read bandwidth
//
// Peak and bandwidth are measured in the same run, in turns with the kernels,
// because machines are shared and their clocks move.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/X86Codegen.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Parser/Parser.h"
#include "runtime/Memory.h"
#include "runtime/cpu/Ceilings.h"
#include "runtime/cpu/CpuFeatures.h"
#include "runtime/cpu/ObjectLoader.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

using namespace mlir;
using namespace transxssm;

namespace {

/// Seconds of this thread's work, so that other processes do not count.
double now() {
  timespec Time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &Time);
  return Time.tv_sec + 1e-9 * Time.tv_nsec;
}

void registerDialects(MLIRContext &Context) {
  Context
      .loadDialect<tile::TileDialect, plan::PlanDialect, arith::ArithDialect,
                   math::MathDialect, memref::MemRefDialect, scf::SCFDialect>();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// Memory in large pages, as a model's is: rows that are a power of two apart
/// share cache sets there, which scattered small pages would hide.
MemoryBlock allocate(uint64_t Bytes) {
  Result<MemoryBlock> Block =
      MemoryBlock::allocate(std::max<uint64_t>(Bytes, 16 << 20), "a benchmark");
  if (!Block) {
    std::fprintf(stderr, "%s\n", Block.message().c_str());
    std::exit(1);
  }
  return std::move(*Block);
}

MemoryBlock filled(int64_t Count, float Value) {
  MemoryBlock Block = allocate(Count * sizeof(float));
  std::fill_n(reinterpret_cast<float *>(Block.data()), Count, Value);
  return Block;
}

struct Loaded {
  std::unique_ptr<LoadedObject> Object;
  TransXSSMCpuKernel Kernel = nullptr;
  MemoryBlock Scratch;

  void operator()(std::vector<void *> Buffers, std::vector<int64_t> Sizes,
                  int64_t X, int64_t Y) {
    for (int64_t J = 0; J < Y; ++J)
      Kernel(Buffers.data(), Sizes.data(), Scratch.data(), 0, X, J, 0);
  }
};

x86::X86Target hostTarget() {
  for (x86::X86Target &Target : x86::x86Targets())
    if (missingCpuFeatures(Target.Features).empty())
      return Target;
  return x86::x86Targets().back();
}

Loaded load(const std::string &Text, const std::string &Name) {
  MLIRContext Context(MLIRContext::Threading::DISABLED);
  registerDialects(Context);
  auto Module = parseSourceString<ModuleOp>(Text, &Context);
  if (!Module)
    std::exit(1);
  auto Compiled = x86::compileForX86(*Module, hostTarget());
  if (failed(Compiled))
    std::exit(1);
  Loaded Result;
  auto Object = LoadedObject::load(
      reinterpret_cast<const uint8_t *>(Compiled->Object.data()),
      Compiled->Object.size(), "bench");
  if (!Object) {
    std::fprintf(stderr, "%s\n", Object.message().c_str());
    std::exit(1);
  }
  Result.Object = std::move(*Object);
  Result.Kernel = Result.Object->findKernel(Name);
  Result.Scratch = allocate(Compiled->Kernels[0].ScratchBytes);
  return Result;
}

/// 1024^3, one cell for each $M x $N of the result, $K inner elements at a
/// time.
const char *Product = R"(
tile.kernel @product(%x: memref<$Rx1024x$T>, %w: memref<$Sx1024x$T>, %y: memref<$Ux1024xf32>) grid(%i, %j) {
  %tm = arith.constant $M : index
  %tn = arith.constant $N : index
  %tk = arith.constant $K : index
  %c0 = arith.constant 0 : index
  %kk = arith.constant 1024 : index
  %m = arith.muli %i, %tm : index
  %n = arith.muli %j, %tn : index
  %init = arith.constant dense<0.0> : tensor<$Mx$Nxf32>
  %sum = scf.for %k = %c0 to %kk step %tk iter_args(%acc = %init) -> (tensor<$Mx$Nxf32>) {
    %a = tile.load %x[$A] over [0, 1] : memref<$Rx1024x$T> -> tensor<$Px$T>
    %b = tile.load %w[$B] over [0, 1] : memref<$Sx1024x$T> -> tensor<$Qx$T>
    %next = tile.mma %a, %b, %acc $FLAGS : tensor<$Px$T>, tensor<$Qx$T>, tensor<$Mx$Nxf32>
    scf.yield %next : tensor<$Mx$Nxf32>
  }
  tile.store %sum, %y[%m, %n] over [0, 1] : tensor<$Mx$Nxf32>, memref<$Ux1024xf32>
}
)";

/// The same product again and again: operands in the caches, packed once.
const char *InCache = R"(
tile.kernel @cached(%x: memref<128x256x$T>, %w: memref<256x128x$T>, %y: memref<128x128xf32>) grid(%i) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 100 : index
  %init = arith.constant dense<0.0> : tensor<128x128xf32>
  %a = tile.load %x[%c0, %c0] over [0, 1] : memref<128x256x$T> -> tensor<128x256x$T>
  %b = tile.load %w[%c0, %c0] over [0, 1] : memref<256x128x$T> -> tensor<256x128x$T>
  %sum = scf.for %k = %c0 to %n step %c1 iter_args(%acc = %init) -> (tensor<128x128xf32>) {
    %next = tile.mma %a, %b, %acc : tensor<128x256x$T>, tensor<256x128x$T>, tensor<128x128xf32>
    scf.yield %next : tensor<128x128xf32>
  }
  tile.store %sum, %y[%c0, %c0] over [0, 1] : tensor<128x128xf32>, memref<128x128xf32>
}
)";

const char *Decode = R"(
tile.kernel @decode(%x: memref<?x1024x$T>, %w: memref<32768x1024x$T>, %y: memref<?x32768xf32>) grid(%j) {
  %tile = arith.constant $N : index
  %tk = arith.constant 256 : index
  %c0 = arith.constant 0 : index
  %kk = arith.constant 1024 : index
  %n = arith.muli %j, %tile : index
  %init = arith.constant dense<0.0> : tensor<$Mx$Nxf32>
  %sum = scf.for %k = %c0 to %kk step %kk iter_args(%acc = %init) -> (tensor<$Mx$Nxf32>) {
    %a = tile.load %x[%c0, %k] over [0, 1] : memref<?x1024x$T> -> tensor<$Mx1024x$T>
    %b = tile.load %w[%n, %k] over [0, 1] : memref<32768x1024x$T> -> tensor<$Nx1024x$T>
    %next = tile.mma %a, %b, %acc {transpose_rhs} : tensor<$Mx1024x$T>, tensor<$Nx1024x$T>, tensor<$Mx$Nxf32>
    scf.yield %next : tensor<$Mx$Nxf32>
  }
  tile.store %sum, %y[%c0, %n] over [0, 1] : tensor<$Mx$Nxf32>, memref<?x32768xf32>
}
)";

std::string replace(std::string Text, const char *Key, const std::string &By) {
  for (size_t At = 0; (At = Text.find(Key, At)) != std::string::npos;)
    Text.replace(At, std::strlen(Key), By);
  return Text;
}

//===----------------------------------------------------------------------===//
// Modes
//===----------------------------------------------------------------------===//

double peakOf(const std::string &Type) {
  return Type == "bf16" ? measureBf16Peak(1) : measureFmaPeak(1);
}

/// In bf16 the operands are half as large as here; their bits are pairs of
/// about 0.5 or 0.25 and 0.
void benchInCache(const std::string &Type) {
  std::vector<float> X(128 * 256, 0.5f), W(256 * 128, 0.25f), Y(128 * 128);
  Loaded Kernel = load(replace(InCache, "$T", Type), "cached");
  double Best = 0, Peak = 0;
  for (int Round = 0; Round < 8; ++Round) {
    Peak = std::max(Peak, peakOf(Type));
    double Start = now();
    Kernel({X.data(), W.data(), Y.data()}, {}, 1, 1);
    Best = std::max(Best, 100 * 2.0 * 128 * 128 * 256 / (now() - Start));
  }
  std::printf("product in cache: %.1f of %.1f GF/s, %.2f\n", Best / 1e9,
              Peak / 1e9, Best / Peak);
}

/// A product as a layer has it, with which extents only a call knows.
struct ProductForm {
  const char *Name, *A, *P, *B, *Q, *Flags;
  bool DynamicA, DynamicB, DynamicResult;
};

const ProductForm ProductForms[] = {
    {"forward", "%m, %k", "$Mx$K", "%n, %k", "$Nx$K", "{transpose_rhs}", true,
     false, true},
    {"input gradient", "%m, %k", "$Mx$K", "%k, %n", "$Kx$N", "", true, false,
     true},
    {"weight gradient", "%k, %m", "$Kx$M", "%k, %n", "$Kx$N", "{transpose_lhs}",
     true, true, false},
};

struct ProductSizes {
  int64_t M, N, K;
};

double median(std::vector<double> Values) {
  std::nth_element(Values.begin(), Values.begin() + Values.size() / 2,
                   Values.end());
  return Values[Values.size() / 2];
}

void benchProduct(const std::string &Type, const ProductForm &Form,
                  ProductSizes Sizes) {
  MemoryBlock X = filled(1024 * 1024, 0.5f), W = filled(1024 * 1024, 0.25f),
              Y = filled(1024 * 1024, 0);
  std::string Text = Product;
  std::pair<const char *, std::string> Replacements[] = {
      {"$A", Form.A},
      {"$P", Form.P},
      {"$B", Form.B},
      {"$Q", Form.Q},
      {"$FLAGS", Form.Flags},
      {"$R", Form.DynamicA ? "?" : "1024"},
      {"$S", Form.DynamicB ? "?" : "1024"},
      {"$U", Form.DynamicResult ? "?" : "1024"},
      {"$M", std::to_string(Sizes.M)},
      {"$N", std::to_string(Sizes.N)},
      {"$K", std::to_string(Sizes.K)},
      {"$T", Type}};
  for (const auto &[Key, By] : Replacements)
    Text = replace(Text, Key, By);
  Loaded Kernel = load(Text, "product");
  std::vector<int64_t> Extents(
      Form.DynamicA + Form.DynamicB + Form.DynamicResult, 1024);
  std::vector<double> Speeds, Peaks, Shares;
  for (int Round = 0; Round < 25; ++Round) {
    double Peak = peakOf(Type), Start = now();
    Kernel({X.data(), W.data(), Y.data()}, Extents,
           llvm::divideCeil(1024, Sizes.M), llvm::divideCeil(1024, Sizes.N));
    Speeds.push_back(2.0 * 1024 * 1024 * 1024 / (now() - Start));
    Peaks.push_back(Peak);
    Shares.push_back(Speeds.back() / Peak);
  }
  double Best = *llvm::max_element(Speeds);
  std::printf("%-15s tile %3lld x %3lld x %3lld: %5.1f GF/s, %.3f of peak; "
              "best %5.1f GF/s, %.3f of the best peak\n",
              Form.Name, static_cast<long long>(Sizes.M),
              static_cast<long long>(Sizes.N), static_cast<long long>(Sizes.K),
              median(Speeds) / 1e9, median(Shares), Best / 1e9,
              Best / *llvm::max_element(Peaks));
  std::fflush(stdout);
}

/// Every form, or one, with each of the tiles.
void benchProducts(const std::string &Type, StringRef Only,
                   ArrayRef<ProductSizes> Sizes) {
  if (Only.empty())
    benchInCache(Type);
  for (const ProductForm &Form : ProductForms)
    for (ProductSizes S : Sizes)
      if (StringRef(Form.Name).starts_with(Only))
        benchProduct(Type, Form, S);
}

void benchDecode(StringRef Type) {
  constexpr int64_t StripWidth =
      128; // as Linear.cpp has it for so many outputs
  size_t Bytes = Type == "f32" ? 4 : 2, Count = size_t(32768) * 1024;
  // 1.0 in float32, or pairs of about 1 and 0 in bf16.
  MemoryBlock W = filled(Count * Bytes / 4, 1.0f);
  std::vector<float> Y(4 * 32768), X(4 * 1024, 1);
  // Bandwidth is that of memory: of bf16 weights a part stays in the caches.
  constexpr int64_t ReadSize = 64 << 20;
  MemoryBlock Read = filled(ReadSize, 1.0f);
  for (const char *M : {"1", "4"}) {
    std::string Text = replace(Decode, "$M", M);
    Text = replace(Text, "$N", std::to_string(StripWidth));
    Loaded Kernel = load(replace(Text, "$T", Type.str()), "decode");
    std::vector<double> Speeds, Shares;
    for (int Round = 0; Round < 15; ++Round) {
      double Peak = measureReadBandwidth(
          1, reinterpret_cast<const float *>(Read.data()), ReadSize);
      double Start = now();
      Kernel({X.data(), W.data(), Y.data()}, {std::atoi(M), std::atoi(M)},
             32768 / StripWidth, 1);
      Speeds.push_back(double(Count * Bytes) / (now() - Start));
      Shares.push_back(Speeds.back() / Peak);
    }
    std::printf("decode %s, %s rows: %.1f GB/s, %.3f of reading\n",
                Type.str().c_str(), M, median(Speeds) / 1e9, median(Shares));
  }
}

int benchCompile(const char *File) {
  MLIRContext Context(MLIRContext::Threading::DISABLED);
  registerDialects(Context);
  auto Module = parseSourceFile<ModuleOp>(File, &Context);
  if (!Module)
    return 1;
  for (const x86::X86Target &Target : x86::x86Targets()) {
    double Total = 0;
    for (auto Kernel : Module->getOps<tile::KernelOp>()) {
      OwningOpRef<ModuleOp> Alone = ModuleOp::create(Kernel.getLoc());
      Alone->push_back(Kernel.clone());
      double Start = now();
      auto Compiled = x86::compileForX86(*Alone, Target);
      double Seconds = now() - Start;
      Total += Seconds;
      if (failed(Compiled))
        return 1;
      std::printf("%s %-50s %6.3f s %8zu bytes %9lld scratch\n",
                  Target.Name.c_str(), Kernel.getSymName().str().c_str(),
                  Seconds, Compiled->Object.size(),
                  static_cast<long long>(Compiled->Kernels[0].ScratchBytes));
    }
    double Start = now();
    if (failed(x86::compileForX86(*Module, Target)))
      return 1;
    std::printf("%s: %.2f s one by one, %.2f s together\n", Target.Name.c_str(),
                Total, now() - Start);
  }
  return 0;
}

} // namespace

static int printAssembly(const char *File) {
  MLIRContext Context(MLIRContext::Threading::DISABLED);
  registerDialects(Context);
  auto Module = parseSourceFile<ModuleOp>(File, &Context);
  std::string Text;
  x86::X86Options Options;
  Options.AsmText = &Text;
  if (!Module || failed(x86::compileForX86(*Module, hostTarget(), Options)))
    return 1;
  std::fputs(Text.c_str(), stdout);
  return 0;
}

int main(int Argc, char **Argv) {
  std::string Mode = Argc > 1 ? Argv[1] : "";
  if (Mode == "compile" && Argc == 3)
    return benchCompile(Argv[2]);
  if (Mode == "asm" && Argc == 3)
    return printAssembly(Argv[2]);
  if (Mode == "product") {
    std::vector<ProductSizes> Sizes;
    bool IsShort = Argc > 2 && StringRef(Argv[2]) == "bf16";
    int Next = IsShort ? 3 : 2;
    StringRef Only = (Argc - Next) % 3 == 1 ? Argv[Next] : "";
    for (int I = Next + !Only.empty(); I + 3 <= Argc; I += 3)
      Sizes.push_back({std::atoll(Argv[I]), std::atoll(Argv[I + 1]),
                       std::atoll(Argv[I + 2])});
    if (Sizes.empty())
      Sizes = {{128, 512, 256}};
    return benchProducts(IsShort ? "bf16" : "f32", Only, Sizes), 0;
  }
  if (Mode == "decode")
    return benchDecode("f32"), benchDecode("bf16"), 0;
  std::fprintf(stderr, "usage: KernelBench compile FILE | asm FILE | product | "
                       "decode\n");
  return 2;
}
