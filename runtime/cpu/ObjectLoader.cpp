//===- ObjectLoader.cpp - Loading an x86-64 object into memory -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/cpu/ObjectLoader.h"

#include "runtime/support/HalfFloats.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace transxssm;

namespace {

constexpr uint64_t PageBytes = 4096;
/// Code, constants, stubs and slots must reach each other in 31 bits.
constexpr uint64_t MaxImageBytes = uint64_t(1) << 30;
constexpr uint64_t StubBytes = 16;

uint64_t alignTo(uint64_t Value, uint64_t Alignment) {
  return (Value + Alignment - 1) / Alignment * Alignment;
}

/// float to bfloat16, nearest even: what LLVM calls where the processor has no
/// instruction for it. The result is in the low half of an XMM register, so
/// returning a float with these bits matches the calling convention.
float truncateToBFloat16(float Value) {
  uint32_t Bits = floatToBFloat(Value);
  float Result;
  std::memcpy(&Result, &Bits, 4);
  return Result;
}

using UnaryFloat = float (*)(float);

uint64_t addressOf(UnaryFloat Function) {
  return reinterpret_cast<uint64_t>(Function);
}

/// The only symbols that an object may take from outside; 0 for any other.
uint64_t externalAddress(std::string_view Name) {
  struct External {
    std::string_view Name;
    uint64_t Address;
  };
  static const External Table[] = {
      {"memcpy", reinterpret_cast<uint64_t>(&std::memcpy)},
      {"memmove", reinterpret_cast<uint64_t>(&std::memmove)},
      {"memset", reinterpret_cast<uint64_t>(&std::memset)},
      {"expf", addressOf(&::expf)},
      {"exp2f", addressOf(&::exp2f)},
      {"logf", addressOf(&::logf)},
      {"log1pf", addressOf(&::log1pf)},
      {"tanhf", addressOf(&::tanhf)},
      {"erff", addressOf(&::erff)},
      {"sqrtf", addressOf(&::sqrtf)},
      {"__truncsfbf2", addressOf(&truncateToBFloat16)},
  };
  for (const External &Known : Table)
    if (Known.Name == Name)
      return Known.Address;
  return 0;
}

/// Memory protection that a section ends up with.
enum Region : unsigned { Executable, ReadOnly, Writable, NumRegions };

struct LoadedSection {
  bool Loaded = false;
  Region Where = ReadOnly;
  uint64_t Offset = 0; ///< within its region, then within the image
};

} // namespace

namespace transxssm {

/// One run of the loader: parse, lay out, copy, relocate, protect.
class ObjectLinker {
public:
  ObjectLinker(const uint8_t *Object, size_t Bytes, const std::string &Source,
               const HostSymbols &Extra)
      : Object(Object), Bytes(Bytes), Source(Source), Extra(Extra) {}

  Result<std::unique_ptr<LoadedObject>> link();

private:
  template <typename... Parts> Error fail(const Parts &...Pieces) const {
    return makeError(Source, ": object code: ", Pieces...);
  }

  bool inFile(uint64_t Offset, uint64_t Size) const {
    return Offset <= Bytes && Size <= Bytes - Offset;
  }
  template <typename T> T read(uint64_t Offset) const {
    T Value;
    std::memcpy(&Value, Object + Offset, sizeof(T));
    return Value;
  }

  Result<std::string_view> stringAt(uint32_t Table, uint64_t Offset) const;
  Status readSections();
  Status selectSection(uint32_t Index);
  Status readSymbols();
  Status collectReferences();
  Status collectReference(const Elf64_Rela &Entry);
  Status layOut();
  Status mapImage();
  Status relocate();
  Status applyRelocation(const Elf64_Rela &Entry, uint32_t Target);
  Result<uint64_t> symbolAddress(uint32_t Symbol);
  void fillSlots();
  Status protect();
  Status collectFunctions();

  template <typename Visitor> Status forEachRelocation(Visitor Visit);

  const uint8_t *Object;
  size_t Bytes;
  const std::string &Source;
  const HostSymbols &Extra;

  std::vector<Elf64_Shdr> Sections;
  std::vector<LoadedSection> Loaded;
  std::vector<Elf64_Sym> Symbols;
  std::vector<std::string_view> SymbolNames;
  /// Per symbol: number of its slot in the offset table, or -1. A symbol from
  /// outside has a stub of the same number.
  std::vector<int64_t> Slots;
  uint64_t NumSlots = 0;
  uint64_t RegionBytes[NumRegions] = {};
  uint64_t RegionStart[NumRegions] = {};
  uint64_t StubStart = 0, SlotStart = 0;
  std::unique_ptr<LoadedObject> Image;
};

} // namespace transxssm

Result<std::string_view> ObjectLinker::stringAt(uint32_t Table,
                                                uint64_t Offset) const {
  const Elf64_Shdr &Strings = Sections[Table];
  if (Strings.sh_type != SHT_STRTAB || Offset >= Strings.sh_size)
    return fail("bad string offset ", Offset);
  const char *Begin =
      reinterpret_cast<const char *>(Object) + Strings.sh_offset + Offset;
  const void *End = std::memchr(Begin, 0, Strings.sh_size - Offset);
  if (!End)
    return fail("unterminated string at offset ", Offset);
  return std::string_view(Begin, static_cast<const char *>(End) - Begin);
}

Status ObjectLinker::readSections() {
  if (Bytes < sizeof(Elf64_Ehdr) || std::memcmp(Object, ELFMAG, SELFMAG) != 0)
    return fail("not an ELF file");
  Elf64_Ehdr Header = read<Elf64_Ehdr>(0);
  if (Header.e_ident[EI_CLASS] != ELFCLASS64 ||
      Header.e_ident[EI_DATA] != ELFDATA2LSB || Header.e_type != ET_REL ||
      Header.e_machine != EM_X86_64)
    return fail("expected a relocatable x86-64 ELF file");
  if (Header.e_shentsize != sizeof(Elf64_Shdr) || Header.e_shnum == 0 ||
      Header.e_shstrndx >= Header.e_shnum ||
      !inFile(Header.e_shoff, uint64_t(Header.e_shnum) * sizeof(Elf64_Shdr)))
    return fail("bad section table");
  for (uint32_t I = 0; I < Header.e_shnum; ++I) {
    Sections.push_back(
        read<Elf64_Shdr>(Header.e_shoff + I * sizeof(Elf64_Shdr)));
    const Elf64_Shdr &Section = Sections.back();
    if (Section.sh_type != SHT_NOBITS && Section.sh_type != SHT_NULL &&
        !inFile(Section.sh_offset, Section.sh_size))
      return fail("section ", I, " lies outside the file");
  }
  Loaded.resize(Sections.size());
  for (uint32_t I = 0; I < Sections.size(); ++I) {
    Result<std::string_view> Name =
        stringAt(Header.e_shstrndx, Sections[I].sh_name);
    if (!Name)
      return Name.error();
    // Unwind tables would only serve exceptions, which kernels do not throw.
    if (*Name == ".eh_frame")
      continue;
    if (Status Selected = selectSection(I); !Selected)
      return Selected;
    if (Name->substr(0, 12) == ".data.rel.ro")
      Loaded[I].Where = ReadOnly;
  }
  return {};
}

Status ObjectLinker::selectSection(uint32_t Index) {
  const Elf64_Shdr &Section = Sections[Index];
  if (!(Section.sh_flags & SHF_ALLOC) || Section.sh_type == SHT_NOTE ||
      Section.sh_type == SHT_X86_64_UNWIND || Section.sh_size == 0)
    return {};
  if (Section.sh_type != SHT_PROGBITS && Section.sh_type != SHT_NOBITS)
    return fail("section ", Index, " has unsupported type ", Section.sh_type);
  if (Section.sh_flags & SHF_TLS)
    return fail("thread-local data is not supported");
  uint64_t Alignment = std::max<uint64_t>(Section.sh_addralign, 1);
  if ((Alignment & (Alignment - 1)) != 0 || Alignment > PageBytes)
    return fail("section ", Index, " has unsupported alignment ", Alignment);
  if (Section.sh_size > MaxImageBytes)
    return fail("section ", Index, " is too large: ", Section.sh_size,
                " bytes");
  bool Exec = Section.sh_flags & SHF_EXECINSTR;
  bool Write = Section.sh_flags & SHF_WRITE;
  if (Exec && Write)
    return fail("section ", Index, " is writable and executable");
  if (Exec && Section.sh_type == SHT_NOBITS)
    return fail("section ", Index, " is executable without content");
  Loaded[Index].Loaded = true;
  Loaded[Index].Where = Exec ? Executable : Write ? Writable : ReadOnly;
  return {};
}

Status ObjectLinker::readSymbols() {
  for (const Elf64_Shdr &Section : Sections) {
    if (Section.sh_type != SHT_SYMTAB)
      continue;
    if (!Symbols.empty())
      return fail("more than one symbol table");
    if (Section.sh_entsize != sizeof(Elf64_Sym) ||
        Section.sh_link >= Sections.size())
      return fail("bad symbol table");
    uint64_t Count = Section.sh_size / sizeof(Elf64_Sym);
    for (uint64_t I = 0; I < Count; ++I) {
      Symbols.push_back(
          read<Elf64_Sym>(Section.sh_offset + I * sizeof(Elf64_Sym)));
      Result<std::string_view> Name =
          stringAt(Section.sh_link, Symbols.back().st_name);
      if (!Name)
        return Name.error();
      SymbolNames.push_back(*Name);
    }
  }
  Slots.assign(Symbols.size(), -1);
  return {};
}

/// Visits the relocations of loaded sections, with every index checked.
template <typename Visitor>
Status ObjectLinker::forEachRelocation(Visitor Visit) {
  for (const Elf64_Shdr &Section : Sections) {
    bool Addends = Section.sh_type == SHT_RELA;
    if (!Addends && Section.sh_type != SHT_REL)
      continue;
    uint32_t Target = Section.sh_info;
    if (Target >= Sections.size())
      return fail("relocations for section ", Target, " of ", Sections.size());
    if (!Loaded[Target].Loaded)
      continue;
    if (!Addends || Section.sh_entsize != sizeof(Elf64_Rela) ||
        Sections[Target].sh_type == SHT_NOBITS)
      return fail("unsupported relocation table for section ", Target);
    uint64_t Count = Section.sh_size / sizeof(Elf64_Rela);
    for (uint64_t I = 0; I < Count; ++I) {
      auto Entry = read<Elf64_Rela>(Section.sh_offset + I * sizeof(Elf64_Rela));
      if (ELF64_R_TYPE(Entry.r_info) == R_X86_64_NONE)
        continue;
      if (ELF64_R_SYM(Entry.r_info) >= Symbols.size())
        return fail("relocation with symbol ", ELF64_R_SYM(Entry.r_info),
                    " of ", Symbols.size());
      if (Status Visited = Visit(Entry, Target); !Visited)
        return Visited;
    }
  }
  return {};
}

/// Gives a slot to every symbol that is reached through one.
Status ObjectLinker::collectReference(const Elf64_Rela &Entry) {
  uint32_t Symbol = ELF64_R_SYM(Entry.r_info);
  bool NeedsSlot = Symbols[Symbol].st_shndx == SHN_UNDEF;
  switch (ELF64_R_TYPE(Entry.r_info)) {
  case R_X86_64_64:
  case R_X86_64_PC32:
  case R_X86_64_PLT32:
    break;
  case R_X86_64_GOTPCREL:
  case R_X86_64_GOTPCRELX:
  case R_X86_64_REX_GOTPCRELX:
    NeedsSlot = true;
    break;
  default:
    return fail("unsupported relocation type ", ELF64_R_TYPE(Entry.r_info),
                " against symbol '", SymbolNames[Symbol], "'");
  }
  if (NeedsSlot && Slots[Symbol] < 0)
    Slots[Symbol] = int64_t(NumSlots++);
  return {};
}

Status ObjectLinker::collectReferences() {
  return forEachRelocation([&](const Elf64_Rela &Entry, uint32_t) {
    return collectReference(Entry);
  });
}

/// Image: executable pages, read-only pages, writable pages.
Status ObjectLinker::layOut() {
  for (size_t I = 0; I < Sections.size(); ++I) {
    if (!Loaded[I].Loaded)
      continue;
    uint64_t &End = RegionBytes[Loaded[I].Where];
    Loaded[I].Offset =
        alignTo(End, std::max<uint64_t>(Sections[I].sh_addralign, 1));
    End = Loaded[I].Offset + Sections[I].sh_size;
    if (End > MaxImageBytes)
      return fail("more than ", MaxImageBytes, " bytes of sections");
  }
  StubStart = alignTo(RegionBytes[Executable], StubBytes);
  RegionBytes[Executable] = StubStart + NumSlots * StubBytes;
  SlotStart = alignTo(RegionBytes[ReadOnly], 8);
  RegionBytes[ReadOnly] = SlotStart + NumSlots * 8;

  uint64_t Total = 0;
  for (unsigned R = 0; R < NumRegions; ++R) {
    RegionStart[R] = Total;
    RegionBytes[R] = alignTo(RegionBytes[R], PageBytes);
    Total += RegionBytes[R];
  }
  if (Total > MaxImageBytes)
    return fail("more than ", MaxImageBytes, " bytes of sections");
  StubStart += RegionStart[Executable];
  SlotStart += RegionStart[ReadOnly];
  for (LoadedSection &Section : Loaded)
    Section.Offset += RegionStart[Section.Where];
  Image->MappedBytes = Total;
  return {};
}

Status ObjectLinker::mapImage() {
  if (Image->MappedBytes == 0)
    return fail("no code");
  void *Memory = ::mmap(nullptr, Image->MappedBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (Memory == MAP_FAILED)
    return fail("cannot map ", Image->MappedBytes, " bytes");
  Image->Base = static_cast<uint8_t *>(Memory);
  for (size_t I = 0; I < Sections.size(); ++I)
    if (Loaded[I].Loaded && Sections[I].sh_type != SHT_NOBITS)
      std::memcpy(Image->Base + Loaded[I].Offset,
                  Object + Sections[I].sh_offset, Sections[I].sh_size);
  return {};
}

/// Where a symbol is: in a loaded section or, for one from the table of
/// externals, the function itself.
Result<uint64_t> ObjectLinker::symbolAddress(uint32_t Index) {
  const Elf64_Sym &Symbol = Symbols[Index];
  std::string_view Name = SymbolNames[Index];
  unsigned Type = ELF64_ST_TYPE(Symbol.st_info);
  if (Type == STT_TLS || Type == STT_GNU_IFUNC)
    return fail("symbol '", Name, "' has unsupported type ", Type);
  if (Symbol.st_shndx == SHN_UNDEF) {
    if (uint64_t Address = externalAddress(Name))
      return Address;
    if (auto Found = Extra.find(std::string(Name)); Found != Extra.end())
      return reinterpret_cast<uint64_t>(Found->second);
    return fail("undefined symbol '", Name, "'");
  }
  if (Symbol.st_shndx >= Sections.size() || !Loaded[Symbol.st_shndx].Loaded ||
      Symbol.st_value > Sections[Symbol.st_shndx].sh_size)
    return fail("symbol '", Name, "' is not in a loaded section");
  return reinterpret_cast<uint64_t>(Image->Base) +
         Loaded[Symbol.st_shndx].Offset + Symbol.st_value;
}

Status ObjectLinker::applyRelocation(const Elf64_Rela &Entry, uint32_t Target) {
  uint32_t Symbol = ELF64_R_SYM(Entry.r_info);
  uint32_t Type = ELF64_R_TYPE(Entry.r_info);
  uint64_t Width = Type == R_X86_64_64 ? 8 : 4;
  uint64_t Size = Sections[Target].sh_size;
  if (Entry.r_offset > Size || Width > Size - Entry.r_offset)
    return fail("relocation at offset ", Entry.r_offset, " of a section of ",
                Size, " bytes");
  Result<uint64_t> Address = symbolAddress(Symbol);
  if (!Address)
    return Address.error();
  uint64_t Base = reinterpret_cast<uint64_t>(Image->Base);
  uint8_t *Place = Image->Base + Loaded[Target].Offset + Entry.r_offset;
  if (Type == R_X86_64_64) {
    uint64_t Value = *Address + uint64_t(Entry.r_addend);
    std::memcpy(Place, &Value, 8);
    return {};
  }
  uint64_t From = *Address;
  if (Type != R_X86_64_PC32 && Type != R_X86_64_PLT32)
    From = Base + SlotStart + uint64_t(Slots[Symbol]) * 8;
  else if (Symbols[Symbol].st_shndx == SHN_UNDEF)
    From = Base + StubStart + uint64_t(Slots[Symbol]) * StubBytes;
  int64_t Value = int64_t(From + uint64_t(Entry.r_addend) -
                          reinterpret_cast<uint64_t>(Place));
  if (Value != int64_t(int32_t(Value)))
    return fail("relocation against '", SymbolNames[Symbol],
                "' does not fit 32 bits");
  int32_t Narrow = int32_t(Value);
  std::memcpy(Place, &Narrow, 4);
  return {};
}

Status ObjectLinker::relocate() {
  Status Done =
      forEachRelocation([&](const Elf64_Rela &Entry, uint32_t Target) {
        return applyRelocation(Entry, Target);
      });
  if (Done)
    fillSlots();
  return Done;
}

/// Every slot holds its symbol's address; its stub jumps there. Relocation has
/// resolved all of these symbols before.
void ObjectLinker::fillSlots() {
  for (uint32_t I = 0; I < Symbols.size(); ++I) {
    if (Slots[I] < 0)
      continue;
    uint64_t Address = *symbolAddress(I);
    uint8_t *Slot = Image->Base + SlotStart + Slots[I] * 8;
    std::memcpy(Slot, &Address, 8);
    uint8_t *Stub = Image->Base + StubStart + Slots[I] * StubBytes;
    int32_t Distance = int32_t(Slot - (Stub + 6));
    const uint8_t JumpIndirect[2] = {0xff, 0x25};
    std::memcpy(Stub, JumpIndirect, 2);
    std::memcpy(Stub + 2, &Distance, 4);
  }
}

Status ObjectLinker::protect() {
  const int Protection[NumRegions] = {PROT_READ | PROT_EXEC, PROT_READ,
                                      PROT_READ | PROT_WRITE};
  for (unsigned R = 0; R < NumRegions; ++R)
    if (RegionBytes[R] != 0 && ::mprotect(Image->Base + RegionStart[R],
                                          RegionBytes[R], Protection[R]) != 0)
      return fail("cannot protect memory; is executable memory forbidden?");
  return {};
}

Status ObjectLinker::collectFunctions() {
  for (uint32_t I = 0; I < Symbols.size(); ++I) {
    const Elf64_Sym &Symbol = Symbols[I];
    if (ELF64_ST_BIND(Symbol.st_info) != STB_GLOBAL ||
        ELF64_ST_TYPE(Symbol.st_info) != STT_FUNC ||
        Symbol.st_shndx == SHN_UNDEF)
      continue;
    Result<uint64_t> Address = symbolAddress(I);
    if (!Address)
      return Address.error();
    const LoadedSection &Section = Loaded[Symbol.st_shndx];
    if (Section.Where != Executable ||
        Symbol.st_value >= Sections[Symbol.st_shndx].sh_size)
      return fail("function '", SymbolNames[I], "' is not in code");
    if (!Image->Functions.emplace(SymbolNames[I], *Address).second)
      return fail("function '", SymbolNames[I], "' is defined twice");
  }
  return {};
}

Result<std::unique_ptr<LoadedObject>> ObjectLinker::link() {
  Image.reset(new LoadedObject);
  Status (ObjectLinker::*const Steps[])() = {
      &ObjectLinker::readSections,      &ObjectLinker::readSymbols,
      &ObjectLinker::collectReferences, &ObjectLinker::layOut,
      &ObjectLinker::mapImage,          &ObjectLinker::relocate,
      &ObjectLinker::protect,           &ObjectLinker::collectFunctions};
  for (auto Step : Steps)
    if (Status Done = (this->*Step)(); !Done)
      return Done.error();
  return std::move(Image);
}

Result<std::unique_ptr<LoadedObject>>
LoadedObject::load(const uint8_t *Object, size_t Bytes,
                   const std::string &SourceName, const HostSymbols &Extra) {
  return ObjectLinker(Object, Bytes, SourceName, Extra).link();
}

LoadedObject::~LoadedObject() {
  if (Base)
    ::munmap(Base, MappedBytes);
}

uint64_t LoadedObject::findFunction(const std::string &Symbol) const {
  auto Found = Functions.find(Symbol);
  return Found == Functions.end() ? 0 : Found->second;
}

TransXSSMCpuKernel LoadedObject::findKernel(const std::string &Symbol) const {
  return reinterpret_cast<TransXSSMCpuKernel>(findFunction(Symbol));
}
