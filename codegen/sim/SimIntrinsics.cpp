//===- SimIntrinsics.cpp - llvm.nvvm.* for the simulator ------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// One row per intrinsic or family. What IEEE arithmetic can say stays LLVM IR;
// the rest calls a hook with the same operands.
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimRewriter.h"
#include "transxssm/sim_abi.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/Intrinsics.h"

#include <cstddef>

using namespace llvm;

namespace transxssm::sim {
namespace {

/// Replaces one call; `Name` comes without "llvm.nvvm.".
class IntrinsicRewriter {
public:
  IntrinsicRewriter(SimRewriter &Rewriter, CallInst &Call)
      : Rewriter(Rewriter), Call(Call), Builder(&Call),
        Name(Call.getCalledFunction()->getName().drop_front(
            strlen("llvm.nvvm."))) {}

  Error run();

private:
  bool rewrite();
  bool readRegister();
  bool barrier();
  bool collective();
  bool matrix();
  bool copyAsync();
  bool mbarrier();
  bool hopper();
  bool arithmetic();
  bool approximate();
  bool convert();

  Value *argument(unsigned I) { return Call.getArgOperand(I); }
  SmallVector<Value *, 16> arguments() {
    return SmallVector<Value *, 16>(Call.args());
  }
  /// Replaces the call's result; always true.
  bool finish(Value *Result);
  bool hook(const char *Hook, ArrayRef<Value *> In, uint32_t Variant = 0,
            Value *Address = nullptr) {
    return finish(Rewriter.callHook(Builder, Call, Hook, In, Call.getType(),
                                    Variant, Address));
  }

  SimRewriter &Rewriter;
  CallInst &Call;
  IRBuilder<> Builder;
  StringRef Name;
};

} // namespace

bool IntrinsicRewriter::finish(Value *Result) {
  if (Result)
    Call.replaceAllUsesWith(Result);
  Call.eraseFromParent();
  return true;
}

bool IntrinsicRewriter::readRegister() {
  if (!Name.consume_front("read.ptx.sreg."))
    return false;
  auto At = [](size_t Offset, unsigned Element = 0) {
    return int(Offset + 4 * Element);
  };
  using Thread = TransXSSMSimThread;
  int Offset = StringSwitch<int>(Name)
                   .Case("tid.x", At(offsetof(Thread, Tid)))
                   .Case("tid.y", At(offsetof(Thread, Tid), 1))
                   .Case("tid.z", At(offsetof(Thread, Tid), 2))
                   .Case("ntid.x", At(offsetof(Thread, BlockDim)))
                   .Case("ntid.y", At(offsetof(Thread, BlockDim), 1))
                   .Case("ntid.z", At(offsetof(Thread, BlockDim), 2))
                   .Case("ctaid.x", At(offsetof(Thread, BlockIdx)))
                   .Case("ctaid.y", At(offsetof(Thread, BlockIdx), 1))
                   .Case("ctaid.z", At(offsetof(Thread, BlockIdx), 2))
                   .Case("nctaid.x", At(offsetof(Thread, GridDim)))
                   .Case("nctaid.y", At(offsetof(Thread, GridDim), 1))
                   .Case("nctaid.z", At(offsetof(Thread, GridDim), 2))
                   .Case("laneid", At(offsetof(Thread, Lane)))
                   .Case("warpid", At(offsetof(Thread, Warp)))
                   .Case("cluster.ctarank", At(offsetof(Thread, ClusterRank)))
                   .Case("cluster.nctarank", At(offsetof(Thread, ClusterSize)))
                   .Default(-1);
  if (Offset >= 0)
    return finish(Rewriter.loadField(Builder, Offset));
  if (Name == "warpsize")
    return finish(Builder.getInt32(32));
  return false;
}

bool IntrinsicRewriter::barrier() {
  Value *Zero = Builder.getInt32(0);
  if (Name == "barrier0")
    return hook("sim_barrier", {Zero, Zero});
  if (Name == "barrier.cta.sync.aligned.all" || Name == "barrier.cta.sync.all")
    return hook("sim_barrier", {argument(0), Zero});
  if (Name == "barrier.cta.sync.aligned.count" ||
      Name == "barrier.cta.sync.count")
    return hook("sim_barrier", {argument(0), argument(1)});
  if (Name == "barrier.cta.arrive.aligned.count" ||
      Name == "barrier.cta.arrive.count")
    return hook("sim_barrier", {argument(0), argument(1)}, 1);
  if (Name == "bar.warp.sync")
    return hook("sim_warp_barrier", {argument(0)});
  // Order of memory is that of barriers here; fences add nothing to it.
  if (Name.starts_with("membar."))
    return finish(nullptr);
  return false;
}

bool IntrinsicRewriter::collective() {
  StringRef Rest = Name;
  if (Rest.consume_front("shfl.sync.")) {
    auto [Mode, Type] = Rest.split('.');
    int Variant = StringSwitch<int>(Mode)
                      .Case("up", Up)
                      .Case("down", Down)
                      .Case("bfly", Butterfly)
                      .Case("idx", Index)
                      .Default(-1);
    return Variant >= 0 && hook("sim_shuffle", arguments(), Variant);
  }
  int Vote = StringSwitch<int>(Name)
                 .Case("vote.all.sync", 0)
                 .Case("vote.any.sync", 1)
                 .Case("vote.uni.sync", 2)
                 .Case("vote.ballot.sync", 3)
                 .Default(-1);
  if (Vote >= 0)
    return hook("sim_vote", arguments(), Vote);
  if (Name == "elect.sync")
    return hook("sim_elect", arguments());
  if (Rest.consume_front("redux.sync.")) {
    int Variant = StringSwitch<int>(Rest)
                      .Case("add", 0)
                      .Case("and", 1)
                      .Case("or", 2)
                      .Case("xor", 3)
                      .Case("min", 4)
                      .Case("max", 5)
                      .Case("umin", 6)
                      .Case("umax", 7)
                      .Default(-1);
    // The intrinsic has the value first, the hook the mask.
    return Variant >= 0 &&
           hook("sim_reduce", {argument(1), argument(0)}, Variant);
  }
  return false;
}

bool IntrinsicRewriter::matrix() {
  StringRef Rest = Name;
  bool Store = Rest.starts_with("stmatrix.");
  if (Rest.consume_front("ldmatrix.sync.aligned.m8n8.x") ||
      Rest.consume_front("stmatrix.sync.aligned.m8n8.x")) {
    unsigned Count = Rest.front() - '0';
    Rest = Rest.drop_front();
    bool Transposed = Rest.consume_front(".trans");
    if (!Rest.starts_with(".b16") || (Count != 1 && Count != 2 && Count != 4) ||
        argument(0)->getType()->getPointerAddressSpace() != 3)
      return false;
    return hook(Store ? "sim_stmatrix" : "sim_ldmatrix", arguments(),
                Count | (Transposed ? 16 : 0));
  }
  if (!Rest.consume_front("mma."))
    return false;
  int Variant = StringSwitch<int>(Rest)
                    .Case("m16n8k8.row.col.bf16", 8 | MmaBf16)
                    .Case("m16n8k16.row.col.bf16", 16 | MmaBf16)
                    .Case("m16n8k8.row.col.f32.f32", 8 | MmaF16)
                    .Case("m16n8k16.row.col.f32.f32", 16 | MmaF16)
                    .Case("m16n8k4.row.col.tf32", 4 | MmaTf32)
                    .Case("m16n8k8.row.col.tf32", 8 | MmaTf32)
                    .Default(-1);
  return Variant >= 0 && hook("sim_mma", arguments(), Variant);
}

bool IntrinsicRewriter::copyAsync() {
  StringRef Rest = Name;
  if (!Rest.consume_front("cp.async."))
    return false;
  if (Rest == "commit.group")
    return hook("sim_copy_async_commit", {});
  if (Rest == "wait.group")
    return hook("sim_copy_async_wait", {argument(0)});
  if (Rest == "wait.all")
    return hook("sim_copy_async_wait", {Builder.getInt32(0)}, 1);
  if (!Rest.consume_front("ca.shared.global.") &&
      !Rest.consume_front("cg.shared.global."))
    return false;
  bool ZeroFills = Rest.consume_back(".s");
  unsigned Bytes = 0;
  if (Rest.getAsInteger(10, Bytes))
    return false;
  Value *Read =
      ZeroFills ? argument(2) : static_cast<Value *>(Builder.getInt32(Bytes));
  return hook("sim_copy_async", {argument(0), argument(1), Read}, Bytes,
              argument(1));
}

bool IntrinsicRewriter::mbarrier() {
  StringRef Rest = Name;
  if (!Rest.consume_front("mbarrier."))
    return false;
  Value *Zero = Builder.getInt32(0), *One = Builder.getInt32(1);
  if (Rest == "init.shared")
    return hook("sim_mbarrier_init", arguments());
  if (Rest == "arrive.shared")
    return hook("sim_mbarrier_arrive", {argument(0), One, Zero});
  if (Rest == "arrive.scope.cta.space.cta")
    return hook("sim_mbarrier_arrive", {argument(0), argument(1), Zero});
  if (Rest == "arrive.expect.tx.scope.cta.space.cta")
    return hook("sim_mbarrier_arrive", {argument(0), One, argument(1)});
  if (Rest == "expect.tx.scope.cta.space.cta")
    return hook("sim_mbarrier_arrive", {argument(0), Zero, argument(1)}, 1);
  if (Rest == "try.wait.parity.scope.cta.space.cta" ||
      Rest == "try.wait.parity.tl.scope.cta.space.cta")
    return hook("sim_mbarrier_wait", {argument(0), argument(1)});
  return false;
}

bool IntrinsicRewriter::hopper() {
  StringRef Rest = Name;
  if (Name == "fence.proxy.async" || Name == "fence.proxy.async.shared_cta")
    return hook("sim_fence", {});
  if (Name == "fence.mbarrier_init.release.cluster")
    return hook("sim_fence", {}, 1);
  if (Name == "wgmma.fence.sync.aligned")
    return hook("sim_wgmma_sync", {});
  if (Name == "wgmma.commit_group.sync.aligned")
    return hook("sim_wgmma_sync", {}, 1);
  if (Name == "wgmma.wait_group.sync.aligned")
    return hook("sim_wgmma_sync", {argument(0)}, 2);
  if (Name == "setmaxnreg.dec.sync.aligned.u32")
    return hook("sim_max_registers", {argument(0)});
  if (Name == "setmaxnreg.inc.sync.aligned.u32")
    return hook("sim_max_registers", {argument(0)}, 1);
  if (!Rest.consume_front("cp.async.bulk."))
    return false;
  if (Rest == "commit.group")
    return hook("sim_bulk_commit", {});
  if (Rest == "wait.group")
    return hook("sim_bulk_wait", {argument(0)});
  if (Rest == "wait.group.read")
    return hook("sim_bulk_wait", {argument(0)}, 1);
  bool IsStore = Rest.consume_front("tensor.s2g.tile.");
  bool IsLoad = Rest.consume_front("tensor.g2s.tile.") ||
                Rest.consume_front("tensor.g2s.cta.tile.");
  unsigned Rank = 0;
  if (!(IsStore || IsLoad) || !Rest.consume_back("d") ||
      Rest.getAsInteger(10, Rank))
    return false;
  // Shared address, mbarrier of a load, map, coordinates; multicast and cache
  // hints follow.
  unsigned Used = (IsStore ? 2 : 3) + Rank;
  SmallVector<Value *, 16> In = arguments();
  if (Name.contains("g2s.tile"))
    if (auto *Multicast = dyn_cast<ConstantInt>(In[Used + 2]))
      if (!Multicast->isZero())
        return false;
  In.truncate(Used);
  return hook(IsStore ? "sim_tensor_store" : "sim_tensor_load", In, Rank);
}

/// Exactly rounded operations, which LLVM has of its own.
bool IntrinsicRewriter::arithmetic() {
  auto Is = [&](std::initializer_list<const char *> Names) {
    return llvm::is_contained(Names, Name);
  };
  auto Llvm = [&](Intrinsic::ID Id) {
    return finish(Builder.CreateIntrinsic(Call.getType(), Id, arguments()));
  };
  if (Is({"fma.rn.f", "fma.rn.d"}))
    return Llvm(Intrinsic::fma);
  if (Is({"sqrt.rn.f", "sqrt.rn.d", "sqrt.f"}))
    return Llvm(Intrinsic::sqrt);
  if (Is({"fmax.f", "fmax.d"}))
    return Llvm(Intrinsic::maxnum);
  if (Is({"fmin.f", "fmin.d"}))
    return Llvm(Intrinsic::minnum);
  if (Is({"fmax.nan.f"}))
    return Llvm(Intrinsic::maximum);
  if (Is({"fmin.nan.f"}))
    return Llvm(Intrinsic::minimum);
  if (Name == "fabs.f32" || Name == "fabs.f64")
    return Llvm(Intrinsic::fabs);
  if (Is({"add.rn.f", "add.rn.d"}))
    return finish(Builder.CreateFAdd(argument(0), argument(1)));
  if (Is({"mul.rn.f", "mul.rn.d"}))
    return finish(Builder.CreateFMul(argument(0), argument(1)));
  if (Is({"div.rn.f", "div.rn.d"}))
    return finish(Builder.CreateFDiv(argument(0), argument(1)));
  if (Is({"rcp.rn.f", "rcp.rn.d"}))
    return finish(
        Builder.CreateFDiv(ConstantFP::get(Call.getType(), 1.0), argument(0)));
  return false;
}

bool IntrinsicRewriter::approximate() {
  StringRef Rest = Name;
  auto [Function, Suffix] = Rest.split(".approx");
  int Variant = approximation(Function);
  if (Variant < 0 || !Call.getType()->isFloatTy())
    return false;
  if (Suffix.consume_front(".ftz"))
    Variant |= 8;
  if (Suffix != ".f" && Suffix != ".f32")
    return false;
  return hook("sim_approx", {argument(0)}, Variant);
}

bool IntrinsicRewriter::convert() {
  if (Name == "f2bf16.rn" || Name == "f2f16.rn" || Name == "f2h.rn")
    if (!Call.getType()->isIntegerTy())
      return finish(Builder.CreateFPTrunc(argument(0), Call.getType()));
  if (Name == "ff2bf16x2.rn" || Name == "ff2f16x2.rn") {
    // The first operand becomes the upper half.
    llvm::Type *Half = Call.getType()->getScalarType();
    Value *Pair = PoisonValue::get(Call.getType());
    for (unsigned I : {0, 1})
      Pair = Builder.CreateInsertElement(
          Pair, Builder.CreateFPTrunc(argument(1 - I), Half), uint64_t(I));
    return finish(Pair);
  }
  if (Name == "f2i.rz")
    return finish(Builder.CreateIntrinsic(
        Intrinsic::fptosi_sat, {Call.getType(), argument(0)->getType()},
        {argument(0)}));
  if (Name == "f2i.rn")
    return finish(Builder.CreateIntrinsic(
        Intrinsic::fptosi_sat, {Call.getType(), argument(0)->getType()},
        {Builder.CreateUnaryIntrinsic(Intrinsic::roundeven, argument(0))}));
  if (Name == "i2f.rn")
    return finish(Builder.CreateSIToFP(argument(0), Call.getType()));
  return false;
}

bool IntrinsicRewriter::rewrite() {
  if (Name.starts_with("prefetch"))
    return finish(nullptr);
  return readRegister() || barrier() || collective() || matrix() ||
         copyAsync() || mbarrier() || hopper() || arithmetic() ||
         approximate() || convert();
}

Error IntrinsicRewriter::run() {
  if (rewrite())
    return Error::success();
  return Rewriter.fail("'" + Call.getCalledFunction()->getName() +
                       "' is not simulated");
}

int approximation(StringRef Function) {
  return StringSwitch<int>(Function)
      .Case("ex2", 0)
      .Case("lg2", 1)
      .Case("rcp", 2)
      .Case("rsqrt", 3)
      .Case("sqrt", 4)
      .Case("sin", 5)
      .Case("cos", 6)
      .Case("tanh", 7)
      .Default(-1);
}

Error rewriteIntrinsic(SimRewriter &Rewriter, CallInst &Call) {
  return IntrinsicRewriter(Rewriter, Call).run();
}

} // namespace transxssm::sim
