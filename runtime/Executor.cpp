//===- Executor.cpp - Running the launches of an entry --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/Executor.h"

#include "runtime/ArenaPlan.h"
#include "runtime/support/Alignment.h"

#include <algorithm>

using namespace transxssm;

namespace {

/// Bindings kept at a time. A training loop needs one, a server a few.
constexpr size_t MaxBindings = 64;
/// Largest grid: cells are numbered in 62 bits.
constexpr int64_t MaxCells = int64_t(1) << 62;

bool isTransfer(BufferKind Kind) {
  return Kind == BufferKind::Input || Kind == BufferKind::Output;
}

/// Whether sizes of buffers change from one decode step to the next.
bool shapesUsePast(const PackageEntry &Entry) {
  for (const PackageBuffer &Buffer : Entry.Buffers)
    for (const Expression &Extent : Buffer.Shape)
      if (Extent.usesPast())
        return true;
  return false;
}

bool launchUsesPast(const PackageLaunch &Launch) {
  for (const auto *List : {&Launch.Grid, &Launch.Sizes, &Launch.Guards})
    for (const Expression &Value : *List)
      if (Value.usesPast())
        return true;
  return false;
}

} // namespace

void *Binding::hostBuffer(BufferKind Kind, const std::string &Name) const {
  for (size_t I = 0; I < Entry->Buffers.size(); ++I)
    if (Entry->Buffers[I].Kind == Kind && Entry->Buffers[I].Name == Name)
      return Staging + Offsets[I];
  return nullptr;
}

void *Binding::input(const std::string &Name) const {
  return hostBuffer(BufferKind::Input, Name);
}

void *Binding::output(const std::string &Name) const {
  return hostBuffer(BufferKind::Output, Name);
}

Result<std::unique_ptr<Executor>>
Executor::create(const Package &From, const std::string &DeviceName,
                 ThreadPool &Pool) {
  Result<std::unique_ptr<Device>> Found =
      Device::create(From, DeviceName, Pool);
  if (!Found)
    return Found.error();
  return std::unique_ptr<Executor>(new Executor(From, std::move(*Found)));
}

Result<Binding *> Executor::bind(const PackageEntry &Entry,
                                 const Symbols &Sizes) {
  ++Calls;
  bool PastMatters = shapesUsePast(Entry);
  for (std::unique_ptr<Binding> &Kept : Bindings) {
    const Symbols &Has = Kept->Sizes;
    if (Kept->Entry != &Entry || Has.Batch != Sizes.Batch ||
        Has.Seq != Sizes.Seq || Has.Capacity != Sizes.Capacity ||
        (PastMatters && Has.Past != Sizes.Past))
      continue;
    if (Has.Past != Sizes.Past) {
      // Buffers are the same; only launches may differ.
      Kept->Sizes.Past = Sizes.Past;
      for (Binding::BoundLaunch &Launch : Kept->Launches)
        if (Launch.DependsOnPast)
          if (Status Done = evaluateLaunch(*Kept, Launch); !Done) {
            Kept->Sizes.Past = -1;
            return Done.error();
          }
    }
    if (Status Reserved = reserve(*Kept); !Reserved)
      return Reserved.error();
    return Kept.get();
  }

  Result<std::unique_ptr<Binding>> Made = makeBinding(Entry, Sizes);
  if (!Made)
    return Made.error();
  if (Status Reserved = reserve(**Made); !Reserved)
    return Reserved.error();
  if (Bindings.size() == MaxBindings)
    Bindings.erase(std::min_element(
        Bindings.begin(), Bindings.end(),
        [](const auto &A, const auto &B) { return A->LastUse < B->LastUse; }));
  Bindings.push_back(std::move(*Made));
  return Bindings.back().get();
}

Result<std::unique_ptr<Binding>>
Executor::makeBinding(const PackageEntry &Entry, const Symbols &Sizes) const {
  auto Made = std::make_unique<Binding>();
  Made->Number = Calls;
  Made->Entry = &Entry;
  Made->Sizes = Sizes;
  for (const PackageBuffer &Buffer : Entry.Buffers) {
    Result<uint64_t> Bytes = byteSize(Buffer.Type, Buffer.Shape, Sizes);
    if (!Bytes)
      return makeError(From.sourceName(), ": entry '", Entry.Name,
                       "', buffer '", Buffer.Name, "': ", Bytes.message());
    Made->Bytes.push_back(*Bytes);
  }
  if (Status Placed = placeBuffers(*Made); !Placed)
    return Placed.error();
  if (Status Checked = checkInterface(*Made); !Checked)
    return Checked.error();

  size_t NumOperands = 0;
  for (const PackageLaunch &Launch : Entry.Launches) {
    Binding::BoundLaunch Bound;
    Bound.From = &Launch;
    Bound.First = Made->Values.size();
    Bound.FirstOperand = NumOperands;
    Bound.DependsOnPast = launchUsesPast(Launch);
    Made->Values.resize(Bound.First + 3 + Launch.Sizes.size());
    if (Status Done = evaluateLaunch(*Made, Bound); !Done)
      return Done.error();
    Made->Launches.push_back(Bound);
    NumOperands += Launch.Operands.size();
  }
  Made->Operands.resize(NumOperands);
  return Made;
}

/// Temporaries share the arena over time; inputs, then outputs, lie side by
/// side, so that each are copied at once.
Status Executor::placeBuffers(Binding &Bound) const {
  const std::vector<PackageBuffer> &Buffers = Bound.Entry->Buffers;
  Bound.Offsets.assign(Buffers.size(), 0);
  Bound.Pointers.assign(Buffers.size(), nullptr);
  std::vector<ArenaRequest> Requests;
  std::vector<size_t> Owners;
  for (size_t I = 0; I < Buffers.size(); ++I) {
    if (Buffers[I].Kind == BufferKind::Temporary) {
      Requests.push_back(
          {Bound.Bytes[I], Buffers[I].FirstUse, Buffers[I].LastUse});
      Owners.push_back(I);
    } else if (Buffers[I].Kind == BufferKind::Input) {
      Bound.Offsets[I] = Bound.InputBytes;
      Bound.InputBytes += alignUp(Bound.Bytes[I]);
    }
  }
  for (size_t I = 0; I < Buffers.size(); ++I)
    if (Buffers[I].Kind == BufferKind::Output) {
      Bound.Offsets[I] = Bound.InputBytes + Bound.OutputBytes;
      Bound.OutputBytes += alignUp(Bound.Bytes[I]);
    }
  ArenaPlan Plan = planArena(Requests);
  Bound.ArenaBytes = Plan.PeakBytes;
  for (size_t R = 0; R < Owners.size(); ++R) {
    size_t I = Owners[R];
    Bound.Offsets[I] = Plan.Offsets[R];
    if (Plan.Offsets[R] > Plan.PeakBytes ||
        Bound.Bytes[I] > Plan.PeakBytes - Plan.Offsets[R])
      return makeError(From.sourceName(), ": entry '", Bound.Entry->Name,
                       "', buffer '", Buffers[I].Name, "': ", Bound.Bytes[I],
                       " bytes at ", Plan.Offsets[R],
                       " lie outside the arena of ", Plan.PeakBytes);
  }
  return {};
}

/// Buffers that the runtime fills or reads must have the size that it expects,
/// and a view of a state the size of that state.
Status Executor::checkInterface(const Binding &Bound) const {
  const ModelConfig &Config = From.config();
  uint64_t Tokens = uint64_t(Bound.Sizes.Batch) * uint64_t(Bound.Sizes.Seq);
  uint64_t Row = uint64_t(Bound.Sizes.Seq) * uint64_t(Config.headSize() / 2);
  uint64_t Batch = uint64_t(Bound.Sizes.Batch);
  bool Classifies = Config.SequenceClassification;
  bool OneRow = Bound.Entry->Name == "prefill" || Classifies;
  uint64_t Logits = (OneRow ? Batch : Tokens) * uint64_t(Config.logitsWidth());
  const std::pair<const char *, uint64_t> Known[] = {
      {"input_ids", Tokens * 4},
      {"attention_mask", Tokens * 4},
      {"labels", (Classifies ? Batch : Tokens) * 4},
      {"rope_cos", Row * 4},
      {"rope_sin", Row * 4},
      {"hyperparameters", 8 * 4},
      {"seed", 2 * 4},
      {"sampling", 2 * 4},
      {"draw", 5 * 4},
      {"logits", Logits * 4},
      {"tokens", Batch * 4},
      {"loss", 4},
      {"grad_norm", 4}};
  for (size_t I = 0; I < Bound.Bytes.size(); ++I) {
    const PackageBuffer &Buffer = Bound.Entry->Buffers[I];
    uint64_t Expected = Bound.Bytes[I];
    if (isTransfer(Buffer.Kind))
      for (const auto &[Name, Bytes] : Known)
        if (Buffer.Name == Name)
          Expected = Bytes;
    if (Buffer.Kind == BufferKind::State) {
      const PackageState &State = From.states()[Buffer.Index];
      Result<uint64_t> Bytes = byteSize(State.Type, State.Shape, Bound.Sizes);
      if (!Bytes)
        return Bytes.error();
      Expected = *Bytes;
    }
    if (Expected != Bound.Bytes[I])
      return makeError(From.sourceName(), ": entry '", Bound.Entry->Name,
                       "', buffer '", Buffer.Name, "': expected ", Expected,
                       " bytes, got ", Bound.Bytes[I]);
  }
  return {};
}

Status Executor::evaluateLaunch(Binding &Bound,
                                Binding::BoundLaunch &Launch) const {
  auto Fail = [&](const char *What, const Expression &Value) {
    return makeError(From.sourceName(), ": entry '", Bound.Entry->Name,
                     "', kernel '", From.kernels()[Launch.From->Kernel].Name,
                     "': ", What, " ", Value.str(),
                     " is undefined or too large");
  };
  Launch.Skipped = false;
  for (const Expression &Guard : Launch.From->Guards) {
    int64_t Value = 0;
    if (!Guard.evaluate(Bound.Sizes, Value))
      return Fail("guard", Guard);
    Launch.Skipped |= Value < 0;
  }
  if (Launch.Skipped)
    return {};
  int64_t *Into = Bound.Values.data() + Launch.First;
  int64_t Cells = 1;
  for (size_t D = 0; D < 3; ++D) {
    Into[D] = 1;
    if (D >= Launch.From->Grid.size())
      continue;
    const Expression &Extent = Launch.From->Grid[D];
    if (!Extent.evaluate(Bound.Sizes, Into[D]) || Into[D] < 0 ||
        __builtin_mul_overflow(Cells, Into[D], &Cells) || Cells > MaxCells)
      return Fail("grid extent", Extent);
  }
  Launch.Skipped = Cells == 0;
  for (size_t I = 0; I < Launch.From->Sizes.size(); ++I)
    if (!Launch.From->Sizes[I].evaluate(Bound.Sizes, Into[3 + I]))
      return Fail("size", Launch.From->Sizes[I]);
  return {};
}

/// Replaces a block that is too small.
Status Executor::reserveBlock(MemoryBlock &Block, uint64_t Bytes,
                              const SharedSpace &Space,
                              const Binding &For) const {
  if (Block.data() && Block.size() >= Bytes)
    return {};
  Block = MemoryBlock(); // first give back what is too small
  Result<MemoryBlock> Made = MemoryBlock::allocate(
      Bytes,
      "entry '" + For.Entry->Name + "' with batch " +
          std::to_string(For.Sizes.Batch) + " and sequence " +
          std::to_string(For.Sizes.Seq),
      Space);
  if (!Made)
    return Made.error();
  Block = std::move(*Made);
  return {};
}

/// Makes the blocks large enough for the call and points inputs and outputs
/// into them.
Status Executor::reserve(Binding &Bound) {
  Bound.LastUse = Calls;
  uint64_t TransferBytes = Bound.InputBytes + Bound.OutputBytes;
  if (Status Done = reserveBlock(Arena, Bound.ArenaBytes, On->memory(), Bound);
      !Done)
    return Done;
  if (Status Done = reserveBlock(Staging, TransferBytes, On->staging(), Bound);
      !Done)
    return Done;
  if (On->memory())
    if (Status Done =
            reserveBlock(Transfer, TransferBytes, On->memory(), Bound);
        !Done)
      return Done;
  Bound.Staging = Staging.data();
  uint8_t *Base = On->memory() ? Transfer.data() : Staging.data();
  for (size_t I = 0; I < Bound.Pointers.size(); ++I)
    if (isTransfer(Bound.Entry->Buffers[I].Kind))
      Bound.Pointers[I] = Base + Bound.Offsets[I];
  return {};
}

Status Executor::setPointers(Binding &Bound,
                             const PersistentBuffers &Persistent) const {
  for (size_t I = 0; I < Bound.Pointers.size(); ++I) {
    const PackageBuffer &Buffer = Bound.Entry->Buffers[I];
    const std::vector<void *> *Table = nullptr;
    switch (Buffer.Kind) {
    case BufferKind::Input:
    case BufferKind::Output:
      continue;
    case BufferKind::Temporary:
      Bound.Pointers[I] = Arena.data() + Bound.Offsets[I];
      continue;
    case BufferKind::Parameter:
      Table = Persistent.Parameters;
      break;
    case BufferKind::Gradient:
      Table = Persistent.Gradients;
      break;
    case BufferKind::Moment1:
      Table = Persistent.Moments1;
      break;
    case BufferKind::Moment2:
      Table = Persistent.Moments2;
      break;
    case BufferKind::State:
      Table = Persistent.States;
      break;
    case BufferKind::Master:
      Table = Persistent.Masters;
      break;
    }
    if (!Table || Buffer.Index >= Table->size())
      return makeError(From.sourceName(), ": entry '", Bound.Entry->Name,
                       "': no memory for buffer '", Buffer.Name, "'");
    Bound.Pointers[I] = (*Table)[Buffer.Index];
  }
  return {};
}

/// Writes down the launches of this call that are not skipped.
void Executor::makeReady(Binding &Bound) const {
  Bound.Ready.clear();
  for (const Binding::BoundLaunch &Launch : Bound.Launches) {
    if (Launch.Skipped)
      continue;
    void **Operands = Bound.Operands.data() + Launch.FirstOperand;
    const std::vector<uint32_t> &Numbers = Launch.From->Operands;
    for (size_t I = 0; I < Numbers.size(); ++I)
      Operands[I] = Bound.Pointers[Numbers[I]];
    const int64_t *Values = Bound.Values.data() + Launch.First;
    Bound.Ready.push_back({Bound.Entry, Launch.From, Values, Values + 3,
                           Operands, Bound.Bytes.data()});
  }
}

/// One launch after the other, measured or observed.
Status Executor::runSingly(Binding &Bound) {
  for (const DeviceLaunch &Launch : Bound.Ready) {
    if (Profile.empty()) {
      if (Status Done = On->launch(Launch); !Done)
        return Done;
    } else {
      Result<double> Seconds = On->launchTimed(Launch);
      if (!Seconds)
        return Seconds.error();
      KernelProfile &Into = Profile[Launch.From->Kernel];
      Into.Seconds += *Seconds;
      ++Into.Launches;
      for (uint32_t Index : Launch.From->Operands)
        Into.Bytes += Bound.Bytes[Index];
      int64_t Flops = 0;
      for (const Expression &Of : Launch.From->Flops)
        if (Of.evaluate(Bound.sizes(), Flops) && Flops > 0)
          Into.Flops += uint64_t(Flops);
    }
    if (Observer)
      if (Status Done = observe(Bound, Launch); !Done)
        return Done;
  }
  return {};
}

/// Shows the buffers, those of the launch as copies where the host does not
/// reach them.
Status Executor::observe(const Binding &Bound,
                         const DeviceLaunch &Launch) const {
  size_t Number = size_t(Launch.From - Bound.Entry->Launches.data());
  if (!On->memory()) {
    Observer({*Bound.Entry, Number, Bound.Pointers, Bound.Bytes});
    return {};
  }
  std::vector<void *> Pointers(Bound.Pointers.size(), nullptr);
  std::vector<std::vector<uint8_t>> Copies;
  for (uint32_t Index : Launch.From->Operands) {
    Copies.emplace_back(std::max<uint64_t>(Bound.Bytes[Index], 1));
    if (Status Done = On->memory()->copyOut(
            Copies.back().data(), Bound.Pointers[Index], Bound.Bytes[Index]);
        !Done)
      return Done;
    Pointers[Index] = Copies.back().data();
  }
  Observer({*Bound.Entry, Number, Pointers, Bound.Bytes});
  return {};
}

void Executor::startProfile() {
  Profile.clear();
  for (const PackageKernel &Kernel : From.kernels())
    Profile.push_back({Kernel.Name});
}

Status Executor::run(Binding &Bound, const PersistentBuffers &Persistent,
                     const std::string &Output) {
  if (Status Set = setPointers(Bound, Persistent); !Set)
    return Set;
  makeReady(Bound);
  DeviceCall Call{Bound.Number,     Bound.Ready,
                  Staging.data(),   On->memory() ? Transfer.data() : nullptr,
                  Bound.InputBytes, Bound.InputBytes,
                  Bound.OutputBytes};
  for (size_t I = 0; I < Bound.Bytes.size(); ++I)
    if (const PackageBuffer &Buffer = Bound.Entry->Buffers[I];
        Buffer.Kind == BufferKind::Output && Buffer.Name == Output) {
      Call.OutputFirst = Bound.Offsets[I];
      Call.OutputBytes = Bound.Bytes[I];
    }
  bool Singly = Observer || !Profile.empty();
  Status Done = On->beginCall(Call);
  if (Done)
    Done = Singly ? runSingly(Bound) : On->runCall(Call);
  if (Done)
    Done = On->endCall(Call);
  if (!Done)
    return makeError(From.sourceName(), ": entry '", Bound.Entry->Name,
                     "': ", Done.message());
  return {};
}
