//===- InlinePtx.cpp - Inline PTX for the simulator -----------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// An assembler for the part of PTX that kernels use inline: straight-line code
// in which any instruction may have a guard. Registers are LLVM values by
// name; a guarded write selects between the old and the new value, a guarded
// access tells its hook. What it does not know is an error with its text.
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimRewriter.h"
#include "transxssm/sim_abi.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/IR/InlineAsm.h"

#include <optional>

using namespace llvm;

namespace transxssm::sim {
namespace {

/// `@p mov.b32 %0, %1;`
struct Statement {
  StringRef Guard; ///< register, without '@' and '!'
  bool GuardNegated = false;
  SmallVector<StringRef, 8> Opcode; ///< split at the dots
  SmallVector<StringRef, 8> Operands;
  StringRef Text;
};

class PtxAssembler {
public:
  PtxAssembler(SimRewriter &Rewriter, CallInst &Call)
      : Rewriter(Rewriter), Call(Call), Builder(&Call) {}

  Error run();

private:
  Error bindOperands();
  Error parse(StringRef Text);
  Error assemble(const Statement &Line);
  bool dispatch(const Statement &Line);
  bool setPredicate(const Statement &Line);
  bool move(const Statement &Line);
  bool loadOrStore(const Statement &Line);
  bool copyAsync(const Statement &Line);
  bool barrier(const Statement &Line);
  bool approximate(const Statement &Line);
  bool convertPair(const Statement &Line);
  bool wgmma(const Statement &Line);
  bool arrive(const Statement &Line);
  bool waitLoop();
  Value *finishedResult();

  llvm::Type *typeOf(StringRef Name);
  /// The value of a register or a constant as that type; null where there is
  /// neither.
  Value *read(StringRef Name, llvm::Type *Type);
  Value *readAny(StringRef Name);
  bool write(const Statement &Line, StringRef Name, Value *New);
  /// The address in "[register+offset]".
  Value *address(StringRef Operand, unsigned Space);
  Value *guard(const Statement &Line);

  SimRewriter &Rewriter;
  CallInst &Call;
  IRBuilder<> Builder;
  std::string Text;
  StringMap<Value *> Registers; ///< "$0" or a name declared in the text
  unsigned NumOutputs = 0;
};

} // namespace

static llvm::Type *integerOfSize(llvm::Type *Type) {
  if (Type->isPointerTy())
    return Type::getInt64Ty(Type->getContext());
  return Type::getIntNTy(Type->getContext(), Type->getPrimitiveSizeInBits());
}

/// The same bits as another type, cut or zero-extended.
static Value *cast(IRBuilder<> &Builder, Value *Held, llvm::Type *Type) {
  llvm::Type *Has = Held->getType();
  if (Has == Type)
    return Held;
  if (Has->isPointerTy())
    Held = Builder.CreatePtrToInt(Held, integerOfSize(Has));
  else if (!Has->isIntegerTy())
    Held = Builder.CreateBitCast(Held, integerOfSize(Has));
  Held = Builder.CreateZExtOrTrunc(Held, integerOfSize(Type));
  if (Type->isPointerTy())
    return Builder.CreateIntToPtr(Held, Type);
  return Type->isIntegerTy() ? Held : Builder.CreateBitCast(Held, Type);
}

/// Splits at commas outside brackets.
static SmallVector<StringRef, 8> splitOperands(StringRef Text) {
  SmallVector<StringRef, 8> Parts;
  int Depth = 0;
  size_t Begin = 0;
  for (size_t I = 0; I <= Text.size(); ++I) {
    if (I == Text.size() || (Text[I] == ',' && Depth == 0)) {
      StringRef Part = Text.slice(Begin, I).trim();
      if (!Part.empty())
        Parts.push_back(Part);
      Begin = I + 1;
    } else if (Text[I] == '{' || Text[I] == '[') {
      ++Depth;
    } else if (Text[I] == '}' || Text[I] == ']') {
      --Depth;
    }
  }
  return Parts;
}

llvm::Type *PtxAssembler::typeOf(StringRef Name) {
  return StringSwitch<llvm::Type *>(Name)
      .Case("pred", Builder.getInt1Ty())
      .Cases({"b8", "u8", "s8"}, Builder.getInt8Ty())
      .Cases({"b16", "u16", "s16"}, Builder.getInt16Ty())
      .Cases({"b32", "u32", "s32"}, Builder.getInt32Ty())
      .Cases({"b64", "u64", "s64"}, Builder.getInt64Ty())
      .Case("f32", Builder.getFloatTy())
      .Case("f64", Builder.getDoubleTy())
      .Default(nullptr);
}

Value *PtxAssembler::readAny(StringRef Name) {
  auto Found = Registers.find(Name);
  return Found == Registers.end() ? nullptr : Found->second;
}

Value *PtxAssembler::read(StringRef Name, llvm::Type *Type) {
  if (Value *Held = readAny(Name))
    return cast(Builder, Held, Type);
  int64_t Number = 0;
  if (!Name.getAsInteger(0, Number))
    return cast(Builder, Builder.getInt64(Number), Type);
  StringRef Bits = Name;
  if (Bits.consume_front("0f") && !Bits.getAsInteger(16, Number))
    return cast(Builder, Builder.getInt32(uint32_t(Number)), Type);
  return nullptr;
}

Value *PtxAssembler::guard(const Statement &Line) {
  if (Line.Guard.empty())
    return nullptr;
  Value *Held = read(Line.Guard, Builder.getInt1Ty());
  return Held && Line.GuardNegated ? Builder.CreateNot(Held) : Held;
}

bool PtxAssembler::write(const Statement &Line, StringRef Name, Value *New) {
  if (Name == "_")
    return true;
  if (!New || !Registers.count(Name))
    return false;
  Value *&Held = Registers[Name];
  if (Value *Guard = guard(Line)) {
    Value *Old = Held ? cast(Builder, Held, New->getType())
                      : Constant::getNullValue(New->getType());
    New = Builder.CreateSelect(Guard, New, Old);
  }
  Held = New;
  return true;
}

Value *PtxAssembler::address(StringRef Operand, unsigned Space) {
  if (!Operand.consume_front("[") || !Operand.consume_back("]"))
    return nullptr;
  auto [Base, Offset] = Operand.split('+');
  Value *Held = read(Base.trim(), Builder.getInt64Ty());
  Value *Origin = readAny(Base.trim());
  int64_t Bytes = 0;
  if (!Held || (!Offset.empty() && Offset.trim().getAsInteger(0, Bytes)))
    return nullptr;
  // A pointer stays one, so that its origin can be told.
  if (Origin && Origin->getType()->isPointerTy())
    return Builder.CreatePtrAdd(Origin, Builder.getInt64(Bytes));
  if (auto *FromPointer = dyn_cast_or_null<PtrToIntOperator>(Origin))
    return Builder.CreatePtrAdd(
        const_cast<Value *>(FromPointer->getPointerOperand()),
        Builder.getInt64(Bytes));
  return Builder.CreateAdd(Held, Builder.getInt64(Bytes));
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

/// setp.ne.b32 p, a, b
bool PtxAssembler::setPredicate(const Statement &Line) {
  if (Line.Opcode.size() != 3 || Line.Operands.size() != 3)
    return false;
  StringRef TypeName = Line.Opcode[2];
  llvm::Type *Type = typeOf(TypeName);
  if (!Type || !Type->isIntegerTy())
    return false;
  bool Signed = TypeName.starts_with("s");
  auto Predicate =
      StringSwitch<std::optional<CmpInst::Predicate>>(Line.Opcode[1])
          .Case("eq", CmpInst::ICMP_EQ)
          .Case("ne", CmpInst::ICMP_NE)
          .Case("lt", Signed ? CmpInst::ICMP_SLT : CmpInst::ICMP_ULT)
          .Case("le", Signed ? CmpInst::ICMP_SLE : CmpInst::ICMP_ULE)
          .Case("gt", Signed ? CmpInst::ICMP_SGT : CmpInst::ICMP_UGT)
          .Case("ge", Signed ? CmpInst::ICMP_SGE : CmpInst::ICMP_UGE)
          .Default(std::nullopt);
  Value *Left = read(Line.Operands[1], Type);
  Value *Right = read(Line.Operands[2], Type);
  return Predicate && Left && Right &&
         write(Line, Line.Operands[0],
               Builder.CreateICmp(*Predicate, Left, Right));
}

/// mov.b32 d, a
bool PtxAssembler::move(const Statement &Line) {
  llvm::Type *Type = Line.Opcode.size() == 2 ? typeOf(Line.Opcode[1]) : nullptr;
  return Type && Line.Operands.size() == 2 &&
         write(Line, Line.Operands[0], read(Line.Operands[1], Type));
}

/// The parts of "{a, b}", or the operand itself.
static SmallVector<StringRef, 8> listOf(StringRef Operand) {
  SmallVector<StringRef, 8> Parts;
  if (Operand.consume_front("{"))
    Operand.consume_back("}");
  Operand.split(Parts, ',');
  for (StringRef &Part : Parts)
    Part = Part.trim();
  return Parts;
}

/// ld.global.nc.L1::no_allocate.v4.b32 {a, b, c, d}, [address]
bool PtxAssembler::loadOrStore(const Statement &Line) {
  bool IsStore = Line.Opcode[0] == "st";
  if (Line.Operands.size() != 2 || Line.Opcode.size() < 3)
    return false;
  unsigned Space = StringSwitch<unsigned>(Line.Opcode[1])
                       .Case("global", 1)
                       .Case("shared", 3)
                       .Case("shared::cta", 3)
                       .Default(0);
  llvm::Type *Type = typeOf(Line.Opcode.back());
  unsigned Count = 1;
  for (StringRef Part : ArrayRef(Line.Opcode).drop_front(2).drop_back()) {
    if (Part == "v2" || Part == "v4" || Part == "v8")
      Count = Part[1] - '0';
    else if (Part != "nc" && !Part.starts_with("L1::") &&
             !Part.starts_with("L2::") && Part != "weak" && Part != "cs" &&
             Part != "cg" && Part != "ca" && Part != "wb")
      return false;
  }
  SmallVector<StringRef, 8> List = listOf(Line.Operands[IsStore ? 1 : 0]);
  Value *Address = address(Line.Operands[IsStore ? 0 : 1], Space);
  if (!Space || !Type || !Address || List.size() != Count)
    return false;
  uint64_t Each = Type->getPrimitiveSizeInBits() / 8;
  if (Each == 0)
    return false;
  Value *Host =
      Rewriter.access(Builder, Call, Address, Each * Count,
                      IsStore ? TRANSXSSM_SIM_STORE : TRANSXSSM_SIM_LOAD, Space,
                      Align(Each * Count), guard(Line));
  for (unsigned I = 0; I < Count; ++I) {
    Value *Place = Builder.CreateConstInBoundsGEP1_32(Type, Host, I);
    if (!IsStore) {
      if (!write(Line, List[I], Builder.CreateLoad(Type, Place)))
        return false;
      continue;
    }
    Value *Held = read(List[I], Type);
    if (!Held)
      return false;
    // Without the guard the place is a substitute that nobody reads.
    Builder.CreateStore(Held, Place);
  }
  return true;
}

/// cp.async.cg.shared.global [shared], [global], 16, bytes
bool PtxAssembler::copyAsync(const Statement &Line) {
  ArrayRef<StringRef> Opcode = Line.Opcode;
  if (Opcode.size() < 3 || Opcode[1] != "async" || !Line.Guard.empty())
    return false;
  auto Hook = [&](const char *Name, ArrayRef<Value *> In, uint32_t Variant,
                  Value *Address = nullptr) {
    Rewriter.callHook(Builder, Call, Name, In, Rewriter.Void, Variant, Address);
    return true;
  };
  if (Opcode[2] == "commit_group")
    return Hook("sim_copy_async_commit", {}, 0);
  if (Opcode[2] == "wait_all")
    return Hook("sim_copy_async_wait", {Builder.getInt32(0)}, 1);
  if (Opcode[2] == "wait_group") {
    Value *Keep = Line.Operands.size() == 1
                      ? read(Line.Operands[0], Builder.getInt32Ty())
                      : nullptr;
    return Keep && Hook("sim_copy_async_wait", {Keep}, 0);
  }
  if ((Opcode[2] != "ca" && Opcode[2] != "cg") || Opcode.size() < 5 ||
      !Opcode[3].starts_with("shared") || Opcode[4] != "global" ||
      Line.Operands.size() < 3)
    return false;
  unsigned Bytes = 0;
  Value *To = address(Line.Operands[0], 3),
        *From = address(Line.Operands[1], 1);
  Value *Size = read(Line.Operands[2], Builder.getInt32Ty());
  if (auto *Constant = dyn_cast_or_null<ConstantInt>(Size))
    Bytes = Constant->getZExtValue();
  Value *Read = Line.Operands.size() == 4
                    ? read(Line.Operands[3], Builder.getInt32Ty())
                    : Size;
  return To && From && Read && Bytes &&
         Hook("sim_copy_async", {To, From, Read}, Bytes, From);
}

/// bar.sync a{, b}; bar.arrive a, b
bool PtxAssembler::barrier(const Statement &Line) {
  if (!Line.Guard.empty() || Line.Operands.empty() || Line.Opcode.size() < 2)
    return false;
  StringRef Kind = Line.Opcode[1] == "cta" && Line.Opcode.size() > 2
                       ? Line.Opcode[2]
                       : Line.Opcode[1];
  if (Kind != "sync" && Kind != "arrive")
    return false;
  Value *Id = read(Line.Operands[0], Builder.getInt32Ty());
  Value *Count = Line.Operands.size() == 2
                     ? read(Line.Operands[1], Builder.getInt32Ty())
                     : static_cast<Value *>(Builder.getInt32(0));
  if (!Id || !Count)
    return false;
  Rewriter.callHook(Builder, Call, "sim_barrier", {Id, Count}, Rewriter.Void,
                    Kind == "arrive");
  return true;
}

/// ex2.approx.ftz.f32 d, a
bool PtxAssembler::approximate(const Statement &Line) {
  int Variant = approximation(Line.Opcode[0]);
  ArrayRef<StringRef> Rest = ArrayRef(Line.Opcode).drop_front();
  if (Variant < 0 || Line.Operands.size() != 2 || Rest.size() < 2 ||
      Rest.front() != "approx" || Rest.back() != "f32")
    return false;
  if (Rest.size() == 3 && Rest[1] == "ftz")
    Variant |= 8;
  else if (Rest.size() != 2)
    return false;
  Value *Held = read(Line.Operands[1], Rewriter.Float);
  return Held && write(Line, Line.Operands[0],
                       Rewriter.callHook(Builder, Call, "sim_approx", {Held},
                                         Rewriter.Float, Variant));
}

/// cvt.rn.bf16x2.f32 d, upper, lower
bool PtxAssembler::convertPair(const Statement &Line) {
  if (Line.Text.find("cvt.rn.bf16x2.f32") == StringRef::npos ||
      Line.Operands.size() != 3)
    return false;
  Value *Pair = Builder.getInt32(0);
  for (unsigned I : {0, 1}) {
    Value *Held = read(Line.Operands[2 - I], Rewriter.Float);
    if (!Held)
      return false;
    Value *Half = Builder.CreateBitCast(
        Builder.CreateFPTrunc(Held, Builder.getBFloatTy()),
        Builder.getInt16Ty());
    Pair = Builder.CreateOr(
        Pair, Builder.CreateShl(Builder.CreateZExt(Half, Builder.getInt32Ty()),
                                16 * I));
  }
  return write(Line, Line.Operands[0], Pair);
}

/// wgmma.mma_async.sync.aligned.m64nNk16.f32.bf16.bf16 {d…}, a, b, p, …;
/// wgmma.fence.sync.aligned and wgmma.wait_group.sync.aligned n, which tie
/// registers through the fence, the wait
bool PtxAssembler::wgmma(const Statement &Line) {
  ArrayRef<StringRef> Opcode = Line.Opcode;
  if (!Line.Guard.empty() || Opcode.size() < 4)
    return false;
  if (Opcode[1] == "fence") {
    Rewriter.callHook(Builder, Call, "sim_wgmma_sync", {}, Rewriter.Void, 0);
    return Line.Operands.empty();
  }
  if (Opcode[1] == "wait_group") {
    Value *Keep = Line.Operands.size() == 1
                      ? read(Line.Operands[0], Builder.getInt64Ty())
                      : nullptr;
    if (Keep)
      Rewriter.callHook(Builder, Call, "sim_wgmma_sync", {Keep}, Rewriter.Void,
                        2);
    return Keep;
  }
  unsigned N = 0;
  if (Opcode.size() != 8 || Opcode[1] != "mma_async" || Opcode[5] != "f32" ||
      Opcode[6] != Opcode[7] || (Opcode[6] != "bf16" && Opcode[6] != "f16"))
    return false;
  StringRef Shape = Opcode[4];
  if (!Shape.consume_front("m64n") || !Shape.consume_back("k16") ||
      Shape.getAsInteger(10, N) || N % 8 || N > 256)
    return false;
  bool InRegisters =
      Line.Operands.size() > 1 && Line.Operands[1].starts_with("{");
  // Register A has no order of its own to choose.
  size_t Rest = InRegisters ? 7 : 8;
  if (Line.Operands.size() != Rest)
    return false;
  SmallVector<StringRef, 8> D = listOf(Line.Operands[0]);
  SmallVector<StringRef, 8> A = listOf(Line.Operands[1]);
  if (D.size() != N / 2 || A.size() != (InRegisters ? 4u : 1u))
    return false;
  SmallVector<Value *> In;
  for (StringRef Name : D)
    In.push_back(read(Name, Rewriter.Float));
  for (StringRef Name : A)
    In.push_back(read(Name, InRegisters ? Rewriter.Int32 : Rewriter.Int64));
  In.push_back(read(Line.Operands[2], Rewriter.Int64));
  for (size_t I = 3; I < Rest; ++I) {
    if (InRegisters && I == 6)
      In.push_back(Builder.getInt32(0));
    In.push_back(read(Line.Operands[I], Rewriter.Int32));
  }
  if (is_contained(In, nullptr))
    return false;
  uint32_t Variant =
      N | (InRegisters ? 512 : 0) | (Opcode[6] == "f16" ? 1024 : 0);
  SmallVector<llvm::Type *> Types(N / 2, Rewriter.Float);
  Value *Out =
      Rewriter.callHook(Builder, Call, "sim_wgmma", In,
                        StructType::get(Builder.getContext(), Types), Variant);
  for (size_t I = 0; I < D.size(); ++I)
    if (!write(Line, D[I], Builder.CreateExtractValue(Out, unsigned(I))))
      return false;
  return true;
}

/// mbarrier.arrive.shared.b64 state, [address]
bool PtxAssembler::arrive(const Statement &Line) {
  if (Line.Opcode.size() != 4 || Line.Opcode[1] != "arrive" ||
      !Line.Opcode[2].starts_with("shared") || Line.Operands.size() != 2)
    return false;
  Value *Barrier = address(Line.Operands[1], 3), *Guard = guard(Line);
  if (!Barrier)
    return false;
  Value *Arrivals = Guard ? Builder.CreateZExt(Guard, Builder.getInt32Ty())
                          : static_cast<Value *>(Builder.getInt32(1));
  // No arrivals: the instruction does nothing.
  Rewriter.callHook(Builder, Call, "sim_mbarrier_arrive",
                    {Barrier, Arrivals, Builder.getInt32(0)}, Rewriter.Void, 2);
  return true;
}

/// The loop around mbarrier.try_wait.parity, as one wait.
bool PtxAssembler::waitLoop() {
  StringRef Rest = Text;
  size_t At = Rest.find("mbarrier.try_wait.parity.");
  if (At == StringRef::npos || !Rest.contains("bra"))
    return false;
  StringRef Body = Rest.drop_front(At);
  Body = Body.take_front(Body.find(';'));
  SmallVector<StringRef, 8> Operands =
      splitOperands(Body.drop_front(Body.find_first_of(" \t")).trim());
  if (Operands.size() < 3)
    return false;
  Value *Barrier = address(Operands[1], 3);
  Value *Parity = read(Operands[2], Rewriter.Int32);
  if (!Barrier || !Parity)
    return false;
  Rewriter.callHook(Builder, Call, "sim_mbarrier_wait", {Barrier, Parity},
                    Rewriter.Void, 0);
  return true;
}

bool PtxAssembler::dispatch(const Statement &Line) {
  StringRef First = Line.Opcode[0];
  if (!Line.Guard.empty() && !guard(Line))
    return false;
  if (First == "setp")
    return setPredicate(Line);
  if (First == "mov")
    return move(Line);
  if (First == "ld" || First == "st")
    return loadOrStore(Line);
  if (First == "cp")
    return copyAsync(Line);
  if (First == "bar" || First == "barrier")
    return barrier(Line);
  if (First == "cvt")
    return convertPair(Line);
  if (First == "wgmma")
    return wgmma(Line);
  if (First == "mbarrier")
    return arrive(Line);
  return approximate(Line);
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

Error PtxAssembler::assemble(const Statement &Line) {
  if (dispatch(Line))
    return Error::success();
  return Rewriter.fail("inline PTX '" + Line.Text + "' is not simulated");
}

Error PtxAssembler::parse(StringRef Rest) {
  while (true) {
    // Braces around statements only limit the life of names.
    Rest = Rest.ltrim(" \t\n\r{};");
    if (Rest.empty())
      return Error::success();
    Statement Line;
    size_t End = Rest.find(';');
    Line.Text = Rest.take_front(End).trim();
    Rest = End == StringRef::npos ? "" : Rest.drop_front(End + 1);
    StringRef Body = Line.Text;
    if (Body.consume_front("@")) {
      Line.GuardNegated = Body.consume_front("!");
      size_t Space = Body.find_first_of(" \t\n");
      Line.Guard = Body.take_front(Space);
      Body = Body.drop_front(std::min(Space, Body.size())).ltrim();
    }
    size_t Space = Body.find_first_of(" \t\n");
    StringRef Opcode = Body.take_front(Space);
    StringRef Operands = Body.drop_front(std::min(Space, Body.size())).trim();
    if (Opcode == ".reg") {
      // .reg .pred p, q; the type is that of what is written.
      size_t Names = Operands.find_first_of(" \t");
      if (Names != StringRef::npos)
        for (StringRef Name : splitOperands(Operands.drop_front(Names)))
          Registers[Name] = nullptr;
      continue;
    }
    Opcode.split(Line.Opcode, '.');
    Line.Operands = splitOperands(Operands);
    if (Error Failed = assemble(Line))
      return Failed;
  }
}

/// Names "$0", "$1", … in the order of the constraints.
Error PtxAssembler::bindOperands() {
  auto *Asm = llvm::cast<InlineAsm>(Call.getCalledOperand());
  // "${0}" and "$0" mean the same, "$$" is a dollar.
  StringRef Raw = Asm->getAsmString();
  for (size_t I = 0; I < Raw.size(); ++I) {
    if (Raw[I] == '$' && I + 1 < Raw.size() && Raw[I + 1] == '{') {
      size_t End = Raw.find('}', I);
      Text += "$" + Raw.slice(I + 2, End).split(':').first.str();
      I = End;
      continue;
    }
    if (Raw[I] == '$' && I + 1 < Raw.size() && Raw[I + 1] == '$')
      ++I;
    Text += Raw[I];
  }
  unsigned Number = 0, Argument = 0;
  for (const InlineAsm::ConstraintInfo &Info : Asm->ParseConstraints()) {
    if (Info.Type == InlineAsm::isClobber)
      continue;
    if (Info.isIndirect || Info.Type == InlineAsm::isLabel)
      return Rewriter.fail("inline PTX with indirect operands is not "
                           "simulated");
    std::string Name = "$" + utostr(Number++);
    if (Info.Type == InlineAsm::isOutput) {
      Registers[Name] = nullptr;
      ++NumOutputs;
      continue;
    }
    Value *Held = Call.getArgOperand(Argument++);
    Registers[Name] = Held;
    unsigned Tied = 0;
    if (Info.Codes.size() == 1 &&
        !StringRef(Info.Codes.front()).getAsInteger(10, Tied))
      Registers["$" + utostr(Tied)] = Held;
  }
  return Error::success();
}

/// The outputs as the call returns them; null where one was never written.
Value *PtxAssembler::finishedResult() {
  llvm::Type *Type = Call.getType();
  if (NumOutputs == 1) {
    Value *Held = Registers["$0"];
    return Held ? cast(Builder, Held, Type) : nullptr;
  }
  Value *Whole = PoisonValue::get(Type);
  for (unsigned I = 0; I < NumOutputs; ++I) {
    Value *Held = Registers["$" + utostr(I)];
    if (!Held)
      return nullptr;
    Whole = Builder.CreateInsertValue(
        Whole, cast(Builder, Held, Type->getStructElementType(I)), I);
  }
  return Whole;
}

Error PtxAssembler::run() {
  if (Error Failed = bindOperands())
    return Failed;
  if (!waitLoop())
    if (Error Failed = parse(Text))
      return Failed;
  if (NumOutputs) {
    Value *Result = finishedResult();
    if (!Result)
      return Rewriter.fail("inline PTX '" + Text +
                           "' leaves an output unwritten");
    Call.replaceAllUsesWith(Result);
  }
  Call.eraseFromParent();
  return Error::success();
}

Error rewriteInlinePtx(SimRewriter &Rewriter, CallInst &Call) {
  return PtxAssembler(Rewriter, Call).run();
}

} // namespace transxssm::sim
