//===- PackageWriter.cpp - From plan IR and code to a package -------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "codegen/package/PackageWriter.h"
#include "codegen/LaunchFlops.h"
#include "codegen/package/Version.h"
#include "dialect/plan/PlanDialect.h"
#include "dialect/tile/TileDialect.h"

#include "package_generated.h"

#include <optional>

using namespace mlir;
using namespace transxssm;

namespace fbs = transxssm::package;

// The two enumerations of buffer kinds, and those of symbols and opcodes, have
// one numbering.
static_assert(
    int(plan::BufferKind::Input) == int(fbs::BufferKind::Input) &&
        int(plan::BufferKind::Output) == int(fbs::BufferKind::Output) &&
        int(plan::BufferKind::Parameter) == int(fbs::BufferKind::Parameter) &&
        int(plan::BufferKind::Gradient) == int(fbs::BufferKind::Gradient) &&
        int(plan::BufferKind::Moment1) == int(fbs::BufferKind::Moment1) &&
        int(plan::BufferKind::Moment2) == int(fbs::BufferKind::Moment2) &&
        int(plan::BufferKind::State) == int(fbs::BufferKind::State) &&
        int(plan::BufferKind::Temporary) == int(fbs::BufferKind::Temporary) &&
        int(fbs::BufferKind::MAX) == int(plan::BufferKind::Master),
    "the plan dialect numbers buffer kinds as package.fbs does");
static_assert(int(plan::Symbol::Batch) == int(fbs::Symbol::Batch) &&
                  int(plan::Symbol::Seq) == int(fbs::Symbol::Seq) &&
                  int(plan::Symbol::Past) == int(fbs::Symbol::Past) &&
                  int(plan::Symbol::Capacity) == int(fbs::Symbol::Capacity) &&
                  int(fbs::Symbol::MAX) + 1 == int(plan::SymbolCount),
              "the plan dialect numbers symbols as package.fbs does");
static_assert(int(Expression::Opcode::Constant) == int(fbs::Opcode::Constant) &&
                  int(Expression::Opcode::Symbol) == int(fbs::Opcode::Symbol) &&
                  int(Expression::Opcode::Add) == int(fbs::Opcode::Add) &&
                  int(Expression::Opcode::Mul) == int(fbs::Opcode::Mul) &&
                  int(Expression::Opcode::FloorDiv) ==
                      int(fbs::Opcode::FloorDiv) &&
                  int(Expression::Opcode::CeilDiv) ==
                      int(fbs::Opcode::CeilDiv) &&
                  int(Expression::Opcode::Mod) == int(fbs::Opcode::Mod) &&
                  int(fbs::Opcode::MAX) == int(Expression::Opcode::Mod),
              "runtime/Expression.h numbers opcodes as package.fbs does");

std::string transxssm::packageProducer() {
  return "transxssm-compile " TRANSXSSM_VERSION;
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

static Expression::Opcode opcodeOf(AffineExprKind Kind) {
  switch (Kind) {
  case AffineExprKind::Add:
    return Expression::Opcode::Add;
  case AffineExprKind::Mul:
    return Expression::Opcode::Mul;
  case AffineExprKind::FloorDiv:
    return Expression::Opcode::FloorDiv;
  case AffineExprKind::CeilDiv:
    return Expression::Opcode::CeilDiv;
  case AffineExprKind::Mod:
    return Expression::Opcode::Mod;
  default:
    llvm_unreachable("not a binary expression");
  }
}

Result<Expression> transxssm::toPostfix(AffineExpr Expr) {
  std::vector<Expression::Instruction> Code;
  bool HasDimension = false;
  Expr.walk([&](AffineExpr Part) { // operands before their operator
    if (auto Constant = dyn_cast<AffineConstantExpr>(Part))
      Code.push_back({Expression::Opcode::Constant, Constant.getValue()});
    else if (auto Symbol = dyn_cast<AffineSymbolExpr>(Part))
      Code.push_back({Expression::Opcode::Symbol, Symbol.getPosition()});
    else if (isa<AffineBinaryOpExpr>(Part))
      Code.push_back({opcodeOf(Part.getKind()), 0});
    else
      HasDimension = true;
  });
  if (HasDimension)
    return makeError("expected an expression of symbols, got a dimension");
  return Expression::create(std::move(Code));
}

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

static std::optional<fbs::DType> dtypeOf(Type Element) {
  if (Element.isF32())
    return fbs::DType::F32;
  if (Element.isBF16())
    return fbs::DType::BF16;
  if (Element.isF16())
    return fbs::DType::F16;
  if (Element.isF64())
    return fbs::DType::F64;
  if (Element.isInteger(32))
    return fbs::DType::I32;
  if (Element.isInteger(64))
    return fbs::DType::I64;
  return std::nullopt;
}

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
template <typename T> using Offsets = std::vector<Offset<T>>;
using ExpressionList = Offset<flatbuffers::Vector<Offset<fbs::Expression>>>;

/// Builds the FlatBuffer. Functions that can fail leave one diagnostic.
class PackageWriter {
public:
  explicit PackageWriter(ModuleOp Module) : Module(Module) {}

  FailureOr<std::vector<uint8_t>> write(ArrayRef<CodeObject> Code,
                                        const PackageOptions &Options);

private:
  LogicalResult addParameters();
  LogicalResult addStates();
  void addKernels();
  LogicalResult addCode(const CodeObject &From);
  LogicalResult addEntry(plan::EntryOp Entry);
  FailureOr<Offset<fbs::Buffer>> makeBuffer(plan::BufferOp Buffer);
  Offset<flatbuffers::Vector<Offset<fbs::HeldValue>>>
  makeHeldValues(ArrayAttr Names);
  FailureOr<Offset<fbs::Launch>>
  makeLaunch(plan::LaunchOp Launch,
             const DenseMap<Value, uint32_t> &BufferNumbers);

  FailureOr<fbs::DType> makeType(Operation *Op, Type Element);
  FailureOr<ExpressionList> makeExpressions(Operation *Op, AffineMap Map);
  FailureOr<ExpressionList> makeFlops(plan::LaunchOp Launch);

  ModuleOp Module;
  FlatBufferBuilder Builder;
  DenseMap<std::pair<Attribute, std::pair<AffineMap, AffineMap>>,
           std::optional<AffineExpr>>
      FlopsOf;
  llvm::StringMap<uint32_t> ParameterNumbers, StateNumbers, KernelNumbers;
  Offsets<fbs::Parameter> Parameters;
  Offsets<fbs::State> States;
  Offsets<fbs::Kernel> Kernels;
  Offsets<fbs::CodeObject> CodeObjects;
  Offsets<fbs::Entry> Entries;
};

} // namespace

FailureOr<fbs::DType> PackageWriter::makeType(Operation *Op, Type Element) {
  if (std::optional<fbs::DType> Known = dtypeOf(Element))
    return *Known;
  return Op->emitOpError("has element type ")
         << Element << ", expected f32, bf16, f16, f64, i32 or i64";
}

FailureOr<ExpressionList> PackageWriter::makeExpressions(Operation *Op,
                                                         AffineMap Map) {
  Offsets<fbs::Expression> Made;
  for (AffineExpr Expr : Map.getResults()) {
    Result<Expression> Postfix = toPostfix(Expr);
    if (!Postfix)
      return Op->emitOpError("has an expression that a package cannot hold: ")
             << Postfix.message();
    std::vector<fbs::Instruction> Code;
    for (const Expression::Instruction &I : Postfix->code())
      Code.emplace_back(static_cast<fbs::Opcode>(I.Code), I.Value);
    Made.push_back(
        fbs::CreateExpression(Builder, Builder.CreateVectorOfStructs(Code)));
  }
  return Builder.CreateVector(Made);
}

LogicalResult PackageWriter::addParameters() {
  for (auto Parameter : Module.getOps<plan::ParameterOp>()) {
    auto Tensor = dyn_cast<RankedTensorType>(Parameter.getType());
    if (!Tensor || !Tensor.hasStaticShape())
      return Parameter.emitOpError("has type ")
             << Parameter.getType() << ", expected a tensor of static shape";
    FailureOr<fbs::DType> Element =
        makeType(Parameter, Tensor.getElementType());
    if (failed(Element))
      return failure();
    ParameterNumbers[Parameter.getSymName()] = Parameters.size();
    auto Name = Builder.CreateString(Parameter.getSymName().str());
    auto Shape = Builder.CreateVector(Tensor.getShape().data(),
                                      Tensor.getShape().size());
    auto Initializer = Builder.CreateString(Parameter.getInitializer().str());
    Parameters.push_back(
        fbs::CreateParameter(Builder, Name, *Element, Shape, Initializer));
  }
  return success();
}

LogicalResult PackageWriter::addStates() {
  for (auto State : Module.getOps<plan::StateOp>()) {
    FailureOr<fbs::DType> Element = makeType(State, State.getElementType());
    FailureOr<ExpressionList> Shape = makeExpressions(State, State.getShape());
    if (failed(Element) || failed(Shape))
      return failure();
    StateNumbers[State.getSymName()] = States.size();
    auto Name = Builder.CreateString(State.getSymName().str());
    States.push_back(fbs::CreateState(Builder, Name, *Element, *Shape));
  }
  return success();
}

void PackageWriter::addKernels() {
  for (auto Kernel : Module.getOps<tile::KernelOp>()) {
    tile::KernelOp::LaunchCounts Counts = Kernel.countLaunchArguments();
    KernelNumbers[Kernel.getSymName()] = Kernels.size();
    auto Name = Builder.CreateString(Kernel.getSymName().str());
    Kernels.push_back(
        fbs::CreateKernel(Builder, Name, Counts.Buffers, Counts.Sizes));
  }
}

LogicalResult PackageWriter::addCode(const CodeObject &From) {
  llvm::StringMap<const KernelCode *> ByName;
  for (const KernelCode &Kernel : From.Kernels)
    ByName[Kernel.Kernel] = &Kernel;
  Offsets<fbs::KernelCode> Code;
  for (auto Kernel : Module.getOps<tile::KernelOp>()) {
    const KernelCode *Found = ByName.lookup(Kernel.getSymName());
    if (!Found)
      return Kernel.emitOpError("has no code for ") << From.Target;
    Offsets<fbs::TensorMap> Maps;
    for (const TensorMapCode &Map : Found->TensorMaps)
      Maps.push_back(fbs::CreateTensorMap(
          Builder, Map.Operand, Builder.CreateVector(Map.Shape), Map.FirstSize,
          Builder.CreateVector(Map.Box)));
    // Without maps the field is left out, as in packages before there were any.
    Offset<flatbuffers::Vector<Offset<fbs::TensorMap>>> MapsAt;
    if (!Maps.empty())
      MapsAt = Builder.CreateVector(Maps);
    Code.push_back(fbs::CreateKernelCode(
        Builder, Builder.CreateString(Found->Symbol), Found->ScratchBytes,
        Found->Threads, Found->SharedBytes, MapsAt, Found->ResidentBlocks));
  }
  auto Target = Builder.CreateString(From.Target);
  auto Features = Builder.CreateVectorOfStrings(From.Features);
  auto Kernels = Builder.CreateVector(Code);
  auto Object = Builder.CreateVector(
      reinterpret_cast<const uint8_t *>(From.Object.data()),
      From.Object.size());
  CodeObjects.push_back(
      fbs::CreateCodeObject(Builder, Target, Features, Kernels, Object));
  return success();
}

FailureOr<Offset<fbs::Buffer>>
PackageWriter::makeBuffer(plan::BufferOp Buffer) {
  FailureOr<fbs::DType> Element = makeType(Buffer, Buffer.getElementType());
  FailureOr<ExpressionList> Shape = makeExpressions(Buffer, Buffer.getShape());
  if (failed(Element) || failed(Shape))
    return failure();
  uint32_t Index = 0;
  switch (Buffer.getKind()) {
  case plan::BufferKind::Parameter:
  case plan::BufferKind::Gradient:
  case plan::BufferKind::Moment1:
  case plan::BufferKind::Moment2:
  case plan::BufferKind::Master:
    Index = ParameterNumbers.lookup(Buffer.getName());
    break;
  case plan::BufferKind::State:
    Index = StateNumbers.lookup(Buffer.getName());
    break;
  default:
    break;
  }
  auto Name = Builder.CreateString(Buffer.getName().str());
  return fbs::CreateBuffer(
      Builder, Name, static_cast<fbs::BufferKind>(Buffer.getKind()), *Element,
      *Shape, Index, Buffer.getFirstUse(), Buffer.getLastUse());
}

Offset<flatbuffers::Vector<Offset<fbs::HeldValue>>>
PackageWriter::makeHeldValues(ArrayAttr Names) {
  Offsets<fbs::HeldValue> Made;
  for (auto [Operand, Name] :
       llvm::enumerate(Names.getAsValueRange<StringAttr>()))
    if (!Name.empty())
      Made.push_back(fbs::CreateHeldValue(
          Builder, Operand, Builder.CreateSharedString(Name.str())));
  return Builder.CreateVector(Made);
}

/// One formula, or none where it is not known or no expression can hold it.
FailureOr<ExpressionList> PackageWriter::makeFlops(plan::LaunchOp Launch) {
  // Layers repeat one another; maps are unique in a context.
  auto [Known, IsNew] =
      FlopsOf.try_emplace({Launch.getKernelAttr().getAttr(),
                           {Launch.getGrid(), Launch.getSizes()}});
  if (IsNew)
    Known->second = flopsOf(
        Module.lookupSymbol<tile::KernelOp>(Launch.getKernel()), Launch);
  std::optional<AffineExpr> Flops = Known->second;
  MLIRContext *Context = Module.getContext();
  if (!Flops || !toPostfix(*Flops))
    return makeExpressions(Launch,
                           AffineMap::get(0, plan::SymbolCount, Context));
  return makeExpressions(Launch, AffineMap::get(0, plan::SymbolCount, *Flops));
}

FailureOr<Offset<fbs::Launch>>
PackageWriter::makeLaunch(plan::LaunchOp Launch,
                          const DenseMap<Value, uint32_t> &BufferNumbers) {
  FailureOr<ExpressionList> Grid = makeExpressions(Launch, Launch.getGrid());
  FailureOr<ExpressionList> Sizes = makeExpressions(Launch, Launch.getSizes());
  AffineMap When = Launch.getWhen().value_or(
      AffineMap::get(0, plan::SymbolCount, Module.getContext()));
  FailureOr<ExpressionList> Guards = makeExpressions(Launch, When);
  FailureOr<ExpressionList> Flops = makeFlops(Launch);
  if (failed(Grid) || failed(Sizes) || failed(Guards) || failed(Flops))
    return failure();
  std::vector<uint32_t> Numbers;
  for (Value Operand : Launch.getOperands())
    Numbers.push_back(BufferNumbers.lookup(Operand));
  auto Operands = Builder.CreateVector(Numbers);
  Offset<flatbuffers::Vector<Offset<fbs::HeldValue>>> Holds;
  if (ArrayAttr Names = Launch.getHoldsAttr())
    Holds = makeHeldValues(Names);
  return fbs::CreateLaunch(Builder, KernelNumbers.lookup(Launch.getKernel()),
                           *Grid, Operands, *Sizes, *Guards, Holds, *Flops);
}

LogicalResult PackageWriter::addEntry(plan::EntryOp Entry) {
  Offsets<fbs::Buffer> Buffers;
  Offsets<fbs::Launch> Launches;
  DenseMap<Value, uint32_t> BufferNumbers;
  for (auto Buffer : Entry.getOps<plan::BufferOp>()) {
    BufferNumbers[Buffer] = Buffers.size();
    FailureOr<Offset<fbs::Buffer>> Made = makeBuffer(Buffer);
    if (failed(Made))
      return failure();
    Buffers.push_back(*Made);
  }
  for (auto Launch : Entry.getOps<plan::LaunchOp>()) {
    FailureOr<Offset<fbs::Launch>> Made = makeLaunch(Launch, BufferNumbers);
    if (failed(Made))
      return failure();
    Launches.push_back(*Made);
  }
  auto Name = Builder.CreateString(Entry.getSymName().str());
  auto BufferVector = Builder.CreateVector(Buffers);
  auto LaunchVector = Builder.CreateVector(Launches);
  Entries.push_back(
      fbs::CreateEntry(Builder, Name, BufferVector, LaunchVector));
  return success();
}

FailureOr<std::vector<uint8_t>>
PackageWriter::write(ArrayRef<CodeObject> Code, const PackageOptions &Options) {
  if (failed(addParameters()) || failed(addStates()))
    return failure();
  addKernels();
  for (const CodeObject &Object : Code)
    if (failed(addCode(Object)))
      return failure();
  for (auto Entry : Module.getOps<plan::EntryOp>())
    if (failed(addEntry(Entry)))
      return failure();

  auto Producer = Builder.CreateString(packageProducer());
  auto Config = Builder.CreateString(Options.Config);
  auto Limits = fbs::CreateLimits(Builder, Options.MaxBatch, Options.MaxSeqLen);
  auto ParameterVector = Builder.CreateVector(Parameters);
  auto StateVector = Builder.CreateVector(States);
  auto KernelVector = Builder.CreateVector(Kernels);
  auto CodeVector = Builder.CreateVector(CodeObjects);
  auto EntryVector = Builder.CreateVector(Entries);
  fbs::FinishPackageBuffer(
      Builder,
      fbs::CreatePackage(Builder, Producer, Config, Limits, ParameterVector,
                         StateVector, KernelVector, CodeVector, EntryVector));
  return std::vector<uint8_t>(Builder.GetBufferPointer(),
                              Builder.GetBufferPointer() + Builder.GetSize());
}

FailureOr<std::vector<uint8_t>>
transxssm::writePackagePayload(ModuleOp Module, ArrayRef<CodeObject> Code,
                               const PackageOptions &Options) {
  return PackageWriter(Module).write(Code, Options);
}
