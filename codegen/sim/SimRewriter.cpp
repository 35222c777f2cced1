//===- SimRewriter.cpp - GPU instructions to calls of hooks ---------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/sim/SimRewriter.h"
#include "codegen/SourceTexts.h"
#include "transxssm/sim_abi.h"

#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/Support/raw_ostream.h"

#include <cstddef>

using namespace llvm;

namespace transxssm::sim {

/// Address spaces of NVPTX.
enum Space : unsigned {
  Generic = 0,
  Global = 1,
  Shared = 3,
  Constant = 4,
  Local = 5,
  SharedCluster = 7
};

SimRewriter::SimRewriter(llvm::Module &Module)
    : Module(Module), SourceLines(attachedLines(Module)) {
  LLVMContext &Context = Module.getContext();
  Int32 = Type::getInt32Ty(Context);
  Int64 = Type::getInt64Ty(Context);
  Pointer = PointerType::get(Context, 0);
  Void = Type::getVoidTy(Context);
  Float = Type::getFloatTy(Context);
}

Error SimRewriter::fail(const Twine &Why) {
  return createStringError("kernel '" + KernelName + "': " + Why);
}

Value *SimRewriter::loadField(IRBuilder<> &Builder, unsigned Offset) {
  return Builder.CreateLoad(Int32, Builder.CreateConstInBoundsGEP1_64(
                                       Builder.getInt8Ty(), Self, Offset));
}

//===----------------------------------------------------------------------===//
// Sites
//===----------------------------------------------------------------------===//

/// "load of 16 bytes", "llvm.nvvm.barrier…", "inline PTX '…'".
static std::string describe(Instruction &At) {
  if (auto *Call = dyn_cast<CallInst>(&At)) {
    if (auto *Asm = dyn_cast<InlineAsm>(Call->getCalledOperand())) {
      StringRef Text = Asm->getAsmString();
      std::string Line;
      for (char C : Text.trim().take_front(100))
        Line += C == '\n' || C == '\t' ? ' ' : C;
      return "inline PTX '" + Line + "'";
    }
    StringRef Name = Call->getCalledFunction()->getName();
    Name.consume_front("llvm.nvvm.");
    return Name.str();
  }
  Type *Accessed = getLoadStoreType(&At);
  uint64_t Bytes =
      At.getDataLayout().getTypeStoreSize(Accessed).getFixedValue();
  return std::string(isa<LoadInst>(At) ? "load" : "store") + " of " +
         std::to_string(Bytes) + " bytes";
}

std::string SimRewriter::sourceLine(const std::string &File,
                                    unsigned Line) const {
  constexpr size_t Longest = 120;
  auto Lines = SourceLines.find(File);
  if (Lines == SourceLines.end() || Line == 0 || Line > Lines->second.size())
    return {};
  const std::string &Text = Lines->second[Line - 1];
  return Text.size() > Longest ? Text.substr(0, Longest) + "..." : Text;
}

uint32_t SimRewriter::addSite(Instruction &At, Value *Address) {
  Site Made;
  Made.Kernel = KernelName;
  if (isa<AtomicRMWInst, AtomicCmpXchgInst>(At))
    Made.Operation = "atomic";
  else
    Made.Operation = describe(At);
  if (MDNode *Op = At.getMetadata("tile.op"))
    if (Op->getNumOperands() > 0)
      if (auto *Text = dyn_cast<MDString>(Op->getOperand(0)))
        Made.File = Text->getString();
  // Code that was moved or merged has line 0.
  DILocation *Location = At.getDebugLoc().get();
  if (Location && Location->getLine()) {
    Made.File = Location->getFilename();
    Made.Line = Location->getLine();
    Made.Column = Location->getColumn();
    if (std::string Text = sourceLine(Made.File, Made.Line); !Text.empty())
      Made.Operation += " of '" + Text + "'";
  }
  if (Address) {
    SmallVector<const Value *, 4> Objects;
    getUnderlyingObjects(Address, Objects, nullptr, 0);
    if (Objects.size() == 1) {
      auto Found = Parameters.find(const_cast<Value *>(Objects.front()));
      if (Found != Parameters.end())
        Made.Operand = Found->second;
      for (const SharedArray &Array : SharedArrays)
        if (Array.Global == Objects.front() && Array.Bytes) {
          Made.SharedBegin = Array.Offset;
          Made.SharedBytes = Array.Bytes;
        }
    }
  }
  Sites.push_back(Made);
  return Sites.size() - 1;
}

//===----------------------------------------------------------------------===//
// Calls of hooks
//===----------------------------------------------------------------------===//

void SimRewriter::store(IRBuilder<> &Builder, unsigned &Slot, Value *Held) {
  llvm::Type *Type = Held->getType();
  if (auto *Struct = dyn_cast<StructType>(Type)) {
    for (unsigned I = 0; I < Struct->getNumElements(); ++I)
      store(Builder, Slot, Builder.CreateExtractValue(Held, I));
    return;
  }
  if (Type->isPointerTy())
    Held = Builder.CreatePtrToInt(Held, Int64);
  else if (!Type->isIntegerTy())
    Held = Builder.CreateBitCast(
        Held, Builder.getIntNTy(Type->getPrimitiveSizeInBits()));
  Held = Builder.CreateZExtOrTrunc(Held, Int64);
  Builder.CreateStore(
      Held, Builder.CreateConstInBoundsGEP1_32(Int64, InSlots, Slot++));
}

Value *SimRewriter::load(IRBuilder<> &Builder, unsigned &Slot,
                         llvm::Type *Type) {
  if (auto *Struct = dyn_cast<StructType>(Type)) {
    Value *Whole = PoisonValue::get(Type);
    for (unsigned I = 0; I < Struct->getNumElements(); ++I)
      Whole = Builder.CreateInsertValue(
          Whole, load(Builder, Slot, Struct->getElementType(I)), I);
    return Whole;
  }
  Value *Held = Builder.CreateLoad(
      Int64, Builder.CreateConstInBoundsGEP1_32(Int64, OutSlots, Slot++));
  if (Type->isPointerTy())
    return Builder.CreateIntToPtr(Held, Type);
  Held = Builder.CreateTrunc(Held,
                             Builder.getIntNTy(Type->getPrimitiveSizeInBits()));
  return Type->isIntegerTy() ? Held : Builder.CreateBitCast(Held, Type);
}

Value *SimRewriter::callHook(IRBuilder<> &Builder, Instruction &At,
                             const char *Hook, ArrayRef<Value *> In,
                             llvm::Type *Result, uint32_t Variant,
                             Value *Address) {
  unsigned Slot = 0;
  for (Value *Operand : In)
    store(Builder, Slot, Operand);
  assert(Slot <= TRANSXSSM_SIM_SLOTS);
  FunctionCallee Callee = Module.getOrInsertFunction(
      Hook, Void, Pointer, Pointer, Pointer, Int32, Int32);
  Builder.CreateCall(Callee, {Self, InSlots, OutSlots,
                              Builder.getInt32(addSite(At, Address)),
                              Builder.getInt32(Variant)});
  Slot = 0;
  return Result->isVoidTy() ? nullptr : load(Builder, Slot, Result);
}

Value *SimRewriter::access(IRBuilder<> &Builder, Instruction &At,
                           Value *Address, uint64_t Bytes, uint32_t Kind,
                           uint32_t Space, Align Alignment, Value *Active) {
  uint32_t What = uint32_t(Bytes) | Kind | Space << 16 |
                  Log2(Alignment) << TRANSXSSM_SIM_LOG2_ALIGN_SHIFT;
  FunctionCallee Callee = Module.getOrInsertFunction(
      "sim_access", Pointer, Pointer, Int64, Int32, Int32, Int32);
  uint32_t Number = addSite(At, Address);
  if (Address->getType()->isPointerTy())
    Address = Builder.CreatePtrToInt(Address, Int64);
  Value *Guard = Active ? Builder.CreateZExt(Active, Int32)
                        : static_cast<Value *>(Builder.getInt32(1));
  return Builder.CreateCall(Callee, {Self, Builder.CreateZExt(Address, Int64),
                                     Builder.getInt32(What),
                                     Builder.getInt32(Number), Guard});
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

/// Arrays of fixed size first, then the dynamic part, of which every symbol of
/// no size is the start.
void SimRewriter::placeSharedArrays() {
  const DataLayout &Layout = Module.getDataLayout();
  SmallVector<llvm::Constant *, 4> Globals;
  uint64_t End = TRANSXSSM_SIM_SHARED_BASE;
  for (bool Dynamic : {false, true}) {
    for (GlobalVariable &Global : Module.globals()) {
      if (Global.getAddressSpace() != Shared)
        continue;
      uint64_t Bytes = Layout.getTypeAllocSize(Global.getValueType());
      if ((Bytes == 0) != Dynamic)
        continue;
      uint64_t Alignment = Global.getAlign().valueOrOne().value();
      if (Dynamic)
        DynamicAlign = std::max(DynamicAlign, Alignment);
      else
        End = alignTo(End, Alignment);
      SharedArrays.push_back({&Global, End, Bytes});
      End += Bytes;
      Globals.push_back(&Global);
    }
    if (!Dynamic) {
      StaticBytes = End - TRANSXSSM_SIM_SHARED_BASE;
      continue;
    }
    for (SharedArray &Array : SharedArrays)
      if (Array.Bytes == 0)
        Array.Offset = alignTo(End, DynamicAlign);
  }
  convertUsersOfConstantsToInstructions(Globals);
}

void SimRewriter::replaceSharedArrays() {
  for (const SharedArray &Array : SharedArrays) {
    Array.Global->replaceAllUsesWith(ConstantExpr::getIntToPtr(
        ConstantInt::get(Int64, Array.Offset), Array.Global->getType()));
    Array.Global->eraseFromParent();
  }
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

bool SimRewriter::isPrivate(Value *Address) {
  SmallVector<const Value *, 4> Objects;
  getUnderlyingObjects(Address, Objects, nullptr, 0);
  return all_of(Objects, [](const Value *Object) {
    if (auto *Constant = dyn_cast<GlobalVariable>(Object))
      return Constant->isConstant() && Constant->hasInitializer() &&
             Constant->getAddressSpace() != Shared;
    return isa<AllocaInst>(Object);
  });
}

Error SimRewriter::rewriteAccess(Instruction &At, unsigned PointerOperand,
                                 llvm::Type *Type, uint32_t Kind,
                                 Align Alignment) {
  Value *Address = At.getOperand(PointerOperand);
  // Facts about the GPU's memory; a call lies between now.
  At.setMetadata(LLVMContext::MD_invariant_load, nullptr);
  At.setMetadata(LLVMContext::MD_noalias, nullptr);
  At.setMetadata(LLVMContext::MD_alias_scope, nullptr);
  At.setMetadata(LLVMContext::MD_tbaa, nullptr);
  if (isPrivate(Address))
    return Error::success();
  unsigned Space = Address->getType()->getPointerAddressSpace();
  if (Space != Generic && Space != Global && Space != Shared &&
      Space != SharedCluster)
    return fail("access to address space " + Twine(Space) +
                " is not simulated");
  uint64_t Bytes = Module.getDataLayout().getTypeStoreSize(Type);
  if (Bytes > 1024)
    return fail("access of " + Twine(Bytes) + " bytes is not simulated");
  IRBuilder<> Builder(&At);
  At.setOperand(PointerOperand,
                access(Builder, At, Address, Bytes, Kind, Space, Alignment));
  return Error::success();
}

Error SimRewriter::rewriteAddressCast(AddrSpaceCastInst &Cast) {
  unsigned From = Cast.getSrcAddressSpace(), To = Cast.getDestAddressSpace();
  auto IsShared = [](unsigned Space) {
    return Space == Shared || Space == SharedCluster;
  };
  // Without clusters, both spaces of shared memory are the same.
  if (IsShared(From) == IsShared(To))
    return Error::success();
  if (From != Generic && To != Generic)
    return fail("cast from address space " + Twine(From) + " to " + Twine(To) +
                " is not simulated");
  IRBuilder<> Builder(&Cast);
  Value *Window = Builder.CreateLoad(
      Int64, Builder.CreateConstInBoundsGEP1_64(
                 Builder.getInt8Ty(), Self,
                 offsetof(TransXSSMSimThread, SharedWindow)));
  Value *Address = Builder.CreatePtrToInt(Cast.getOperand(0), Int64);
  Address = IsShared(From) ? Builder.CreateAdd(Address, Window)
                           : Builder.CreateSub(Address, Window);
  Cast.replaceAllUsesWith(Builder.CreateIntToPtr(Address, Cast.getType()));
  Cast.eraseFromParent();
  return Error::success();
}

Error SimRewriter::rewriteCall(CallInst &Call) {
  if (Call.isInlineAsm())
    return rewriteInlinePtx(*this, Call);
  Function *Callee = Call.getCalledFunction();
  if (!Callee)
    return fail("indirect call is not simulated");
  StringRef Name = Callee->getName();
  if (!Callee->isIntrinsic())
    return fail("call of '" + Name + "' is not simulated");
  if (Name.starts_with("llvm.nvvm."))
    return rewriteIntrinsic(*this, Call);
  if (isa<MemIntrinsic>(Call) &&
      !(isPrivate(Call.getArgOperand(0)) &&
        (isa<MemSetInst>(Call) || isPrivate(Call.getArgOperand(1)))))
    return fail("'" + Name + "' of GPU memory is not simulated");
  if (Callee->getIntrinsicID() == Intrinsic::assume ||
      Callee->getIntrinsicID() == Intrinsic::prefetch)
    Call.eraseFromParent();
  return Error::success();
}

Error SimRewriter::rewriteInstruction(Instruction &At) {
  if (auto *Load = dyn_cast<LoadInst>(&At))
    return rewriteAccess(At, 0, Load->getType(), TRANSXSSM_SIM_LOAD,
                         Load->getAlign());
  if (auto *Store = dyn_cast<StoreInst>(&At))
    return rewriteAccess(At, 1, Store->getValueOperand()->getType(),
                         TRANSXSSM_SIM_STORE, Store->getAlign());
  if (auto *Atomic = dyn_cast<AtomicRMWInst>(&At))
    return rewriteAccess(At, 0, Atomic->getType(), TRANSXSSM_SIM_ATOMIC,
                         Atomic->getAlign());
  if (auto *Atomic = dyn_cast<AtomicCmpXchgInst>(&At))
    return rewriteAccess(At, 0, Atomic->getNewValOperand()->getType(),
                         TRANSXSSM_SIM_ATOMIC, Atomic->getAlign());
  if (auto *Cast = dyn_cast<AddrSpaceCastInst>(&At))
    return rewriteAddressCast(*Cast);
  if (auto *Call = dyn_cast<CallInst>(&At))
    return rewriteCall(*Call);
  if (isa<FenceInst>(At))
    At.eraseFromParent();
  return Error::success();
}

/// Adds every block's number of instructions to the thread's count.
void SimRewriter::countInstructions(Function &Function) {
  for (BasicBlock &Block : Function) {
    uint64_t Count = 0;
    for (Instruction &I : Block)
      Count += !isa<PHINode>(I) && !isa<AllocaInst>(I);
    IRBuilder<> Builder(&Block, Block.getFirstInsertionPt());
    if (&Block == &Function.getEntryBlock())
      Builder.SetInsertPoint(Block.getTerminator());
    Value *At = Builder.CreateConstInBoundsGEP1_64(
        Builder.getInt8Ty(), Self, offsetof(TransXSSMSimThread, Instructions));
    Builder.CreateStore(Builder.CreateAdd(Builder.CreateLoad(Int64, At),
                                          Builder.getInt64(Count)),
                        At);
  }
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

/// The body of `Old` in a function of type TransXSSMSimKernel.
Function *SimRewriter::makeFunction(Function &Old) {
  auto *Made =
      Function::Create(FunctionType::get(Void, {Pointer, Pointer}, false),
                       GlobalValue::ExternalLinkage, "", Module);
  Made->splice(Made->begin(), &Old);
  Made->addFnAttr(Attribute::NoUnwind);
  Self = Made->getArg(0);
  IRBuilder<> Builder(&Made->getEntryBlock(), Made->getEntryBlock().begin());
  InSlots = Builder.CreateAlloca(ArrayType::get(Int64, TRANSXSSM_SIM_SLOTS));
  OutSlots = Builder.CreateAlloca(ArrayType::get(Int64, TRANSXSSM_SIM_SLOTS));
  Parameters.clear();
  for (Argument &Argument : Old.args()) {
    Value *Place = Builder.CreateLoad(
        Pointer, Builder.CreateConstInBoundsGEP1_32(Pointer, Made->getArg(1),
                                                    Argument.getArgNo()));
    Value *Held = Place;
    if (!Argument.hasByValAttr())
      Held = Builder.CreateLoad(Argument.getType(), Place);
    Argument.replaceAllUsesWith(Held);
    Parameters[Held] = int(Argument.getArgNo());
  }
  std::string Name = Old.getName().str();
  Kernels.push_back({Made, unsigned(Old.arg_size()), 0});
  Old.setName("");
  Made->setName(Name);
  return Made;
}

/// The product of "128" or "128,1,1".
static unsigned readExtents(StringRef Text) {
  unsigned Product = Text.empty() ? 0 : 1;
  while (!Text.empty()) {
    auto [Head, Tail] = Text.split(',');
    unsigned Extent = 0;
    if (Head.trim().getAsInteger(10, Extent))
      return 0;
    Product *= Extent;
    Text = Tail;
  }
  return Product;
}

Error SimRewriter::rewriteKernel(Function &Old) {
  KernelName = Old.getName().str();
  unsigned Threads =
      readExtents(Old.getFnAttribute("nvvm.maxntid").getValueAsString());
  Function *Made = makeFunction(Old);
  Kernels.back().Threads = Threads;
  Kernels.back().Blocks =
      readExtents(Old.getFnAttribute("nvvm.minctasm").getValueAsString());
  std::vector<Instruction *> Work;
  for (BasicBlock &Block : *Made)
    for (Instruction &I : Block) {
      // The loads of parameters, made above, are none of the kernel's.
      auto *Load = dyn_cast<LoadInst>(&I);
      if (Load &&
          (Parameters.count(Load) ||
           getUnderlyingObject(Load->getPointerOperand()) == Made->getArg(1)))
        continue;
      Work.push_back(&I);
    }
  countInstructions(*Made);
  for (Instruction *I : Work)
    if (Error Failed = rewriteInstruction(*I))
      return Failed;
  Old.eraseFromParent();
  return Error::success();
}

Error SimRewriter::run() {
  placeSharedArrays();
  std::vector<Function *> Old;
  for (Function &Function : Module) {
    if (Function.getCallingConv() == CallingConv::PTX_Kernel &&
        !Function.isDeclaration())
      Old.push_back(&Function);
  }
  if (Old.empty())
    return createStringError("the module has no kernel");
  for (Function *Kernel : Old)
    if (Error Failed = rewriteKernel(*Kernel))
      return Failed;
  replaceSharedArrays();
  std::vector<Function *> Unused;
  for (Function &Function : Module)
    if (Function.use_empty() &&
        (Function.isDeclaration() || Function.hasLocalLinkage()))
      Unused.push_back(&Function);
  for (Function *Function : Unused)
    Function->eraseFromParent();
  for (const char *Name : {"llvm.used", "llvm.compiler.used"})
    if (GlobalVariable *Used = Module.getNamedGlobal(Name))
      Used->eraseFromParent();
  addTables();
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

/// The constants of TransXSSMSimModule and the function that returns it.
void SimRewriter::addTables() {
  IRBuilder<> Builder(Module.getContext());
  auto AddGlobal = [&](llvm::Constant *Value) {
    return new GlobalVariable(Module, Value->getType(), true,
                              GlobalValue::PrivateLinkage, Value);
  };
  StringMap<llvm::Constant *> Strings;
  auto Text = [&](StringRef Value) {
    llvm::Constant *&Known = Strings[Value];
    if (!Known)
      Known =
          AddGlobal(ConstantDataArray::getString(Module.getContext(), Value));
    return Known;
  };
  auto Table = [&](ArrayRef<llvm::Constant *> Rows) -> llvm::Constant * {
    if (Rows.empty())
      return ConstantPointerNull::get(Pointer);
    return AddGlobal(ConstantArray::get(
        ArrayType::get(Rows.front()->getType(), Rows.size()), Rows));
  };
  auto Number = [&](uint64_t Value) {
    return Builder.getInt32(uint32_t(Value));
  };

  std::vector<llvm::Constant *> Rows;
  for (const Site &Site : Sites)
    Rows.push_back(ConstantStruct::getAnon(
        {Text(Site.Kernel), Text(Site.Operation), Text(Site.File),
         Number(Site.Line), Number(Site.Column), Number(Site.Operand),
         Number(Site.SharedBegin), Number(Site.SharedBytes)}));
  llvm::Constant *SiteTable = Table(Rows);
  Rows.clear();
  for (const Kernel &Kernel : Kernels)
    Rows.push_back(ConstantStruct::getAnon(
        {Text(Kernel.Function->getName()), Kernel.Function,
         Number(Kernel.Parameters), Number(Kernel.Threads),
         Number(Kernel.Blocks), Number(0), Builder.getInt64(StaticBytes),
         Builder.getInt64(DynamicAlign)}));
  llvm::Constant *All = AddGlobal(ConstantStruct::getAnon(
      {Number(TRANSXSSM_SIM_VERSION), Number(Sites.size()),
       Number(Kernels.size()), SiteTable, Table(Rows)}));
  auto *Entry = Function::Create(FunctionType::get(Pointer, false),
                                 GlobalValue::ExternalLinkage,
                                 TRANSXSSM_SIM_ENTRY, Module);
  Builder.SetInsertPoint(BasicBlock::Create(Module.getContext(), "", Entry));
  Builder.CreateRet(All);
}

} // namespace transxssm::sim
