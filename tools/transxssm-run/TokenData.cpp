//===- TokenData.cpp - Token files, mapped and checked --------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "TokenData.h"

#include <algorithm>
#include <cstring>

using namespace transxssm;
using namespace transxssm::run;

namespace {

bool endsWith(const std::string &Text, const char *Suffix) {
  size_t Length = std::strlen(Suffix);
  return Text.size() >= Length &&
         Text.compare(Text.size() - Length, Length, Suffix) == 0;
}

/// The text after `'Key':` in the dictionary of a .npy header.
std::string npyValue(const std::string &Header, const std::string &Key) {
  size_t At = Header.find("'" + Key + "'");
  if (At == std::string::npos)
    return "";
  At = Header.find(':', At);
  if (At == std::string::npos)
    return "";
  At = Header.find_first_not_of(' ', At + 1);
  if (At == std::string::npos)
    return "";
  char Close = Header[At] == '(' ? ')' : ',';
  size_t End = Header.find(Close, At);
  if (End == std::string::npos)
    return "";
  return Header.substr(At, End - At + (Close == ')'));
}

/// Product of the numbers in "(3, 4)"; false when it is not a shape.
bool npyCount(const std::string &Shape, int64_t &Count) {
  if (Shape.size() < 2 || Shape.front() != '(')
    return false;
  Count = 1;
  for (size_t At = 1; At < Shape.size() - 1;) {
    if (Shape[At] == ' ' || Shape[At] == ',') {
      ++At;
      continue;
    }
    int64_t Extent = 0;
    size_t Begin = At;
    while (At < Shape.size() && Shape[At] >= '0' && Shape[At] <= '9')
      if (__builtin_mul_overflow(Extent, int64_t(10), &Extent) ||
          __builtin_add_overflow(Extent, int64_t(Shape[At++] - '0'), &Extent))
        return false;
    if (At == Begin || __builtin_mul_overflow(Count, Extent, &Count))
      return false;
  }
  return true;
}

template <typename T> int64_t load(const uint8_t *Data, int64_t Index) {
  T Value;
  std::memcpy(&Value, Data + Index * int64_t(sizeof(T)), sizeof(T));
  return int64_t(Value);
}

} // namespace

int64_t TokenData::read(const Segment &From, int64_t Index) {
  switch (From.Stored) {
  case Width::U8:
    return load<uint8_t>(From.Data, Index);
  case Width::U16:
    return load<uint16_t>(From.Data, Index);
  case Width::U32:
    return load<uint32_t>(From.Data, Index);
  case Width::I32:
    return load<int32_t>(From.Data, Index);
  case Width::I64:
    return load<int64_t>(From.Data, Index);
  }
  return -1;
}

Status TokenData::setRaw(Segment &Into, Width Stored) {
  size_t Bytes = Stored == Width::U8 ? 1 : Stored == Width::U16 ? 2 : 4;
  if (Into.File->size() % Bytes != 0)
    return makeError(Into.Path, ": expected a multiple of ", Bytes,
                     " bytes, got ", Into.File->size());
  Into.Stored = Stored;
  Into.Data = Into.File->data();
  Into.Count = int64_t(Into.File->size() / Bytes);
  return {};
}

// Format: numpy.lib.format, "A simple file format for NumPy arrays".
Status TokenData::readNpyHeader(Segment &Into) {
  const uint8_t *Data = Into.File->data();
  size_t Size = Into.File->size();
  if (Size < 12 || std::memcmp(Data, "\x93NUMPY", 6) != 0)
    return makeError(Into.Path, ": expected a .npy file, its first bytes are "
                                "not those of NumPy's format");
  bool Short = Data[6] == 1;
  size_t Start = Short ? 10 : 12;
  size_t Length = Data[8] | size_t(Data[9]) << 8;
  if (!Short)
    Length |= size_t(Data[10]) << 16 | size_t(Data[11]) << 24;
  if (Length > Size - Start)
    return makeError(Into.Path, ": header of ", Length,
                     " bytes exceeds the file of ", Size, " bytes");
  std::string Header(reinterpret_cast<const char *>(Data) + Start, Length);
  std::string Type = npyValue(Header, "descr");
  static const struct {
    const char *Name;
    Width Stored;
    size_t Bytes;
  } Types[] = {{"'|u1'", Width::U8, 1},
               {"'<u2'", Width::U16, 2},
               {"'<u4'", Width::U32, 4},
               {"'<i4'", Width::I32, 4},
               {"'<i8'", Width::I64, 8}};
  auto Known = std::find_if(std::begin(Types), std::end(Types),
                            [&](auto &Entry) { return Type == Entry.Name; });
  if (Known == std::end(Types))
    return makeError(Into.Path,
                     ": expected element type uint8, uint16, uint32,"
                     " int32 or int64, got ",
                     Type.empty() ? "none" : Type);
  if (!npyCount(npyValue(Header, "shape"), Into.Count))
    return makeError(Into.Path, ": the .npy header has no valid shape");
  // Rows would be read as columns.
  if (npyValue(Header, "fortran_order") == "True")
    return makeError(Into.Path, ": expected an array in C order, got one in "
                                "Fortran order; save it through "
                                "numpy.ascontiguousarray");
  uint64_t Available = (Size - Start - Length) / Known->Bytes;
  if (uint64_t(Into.Count) > Available)
    return makeError(Into.Path, ": shape ", npyValue(Header, "shape"),
                     " needs ", Into.Count, " elements, the file has ",
                     Available);
  Into.Stored = Known->Stored;
  Into.Data = Data + Start + Length;
  return {};
}

Status TokenData::checkRange(const Segment &Of, int64_t VocabSize) {
  for (int64_t I = 0; I < Of.Count; ++I) {
    int64_t Token = read(Of, I);
    if (Token < 0 || Token >= VocabSize)
      return makeError(Of.Path, ": token ", I, " is ", Token,
                       ", expected 0 to ", VocabSize - 1,
                       " (key 'vocab_size' is ", VocabSize, ")");
  }
  return {};
}

Status TokenData::add(const std::string &Path, const std::string &Format,
                      const Package &For) {
  Segment Part;
  Part.Path = Path;
  Result<std::shared_ptr<MappedFile>> File = MappedFile::open(Path);
  if (!File)
    return File.error();
  Part.File = *File;
  Status Read;
  bool AreBytes = false;
  if (Format == "npy" || (Format == "auto" && endsWith(Path, ".npy"))) {
    Read = readNpyHeader(Part);
  } else if (Format == "uint16") {
    Read = setRaw(Part, Width::U16);
  } else if (Format == "uint32") {
    Read = setRaw(Part, Width::U32);
  } else if (Format == "auto" && endsWith(Path, ".bin")) {
    return makeError(Path, ": a .bin file does not say its element type; pass "
                           "--format uint16, uint32 or bytes");
  } else {
    Read = requireByteVocabulary(For);
    if (Read)
      Read = setRaw(Part, Width::U8);
    AreBytes = true;
  }
  if (Read && !AreBytes)
    Read = checkRange(Part, For.config().VocabSize);
  if (!Read)
    return Read;
  Bytes = Bytes && AreBytes;
  Part.First = Total;
  Total += Part.Count;
  Segments.push_back(std::move(Part));
  return {};
}

Result<TokenData> TokenData::open(const DataOptions &Options,
                                  const Package &For) {
  TokenData Data;
  for (const std::string &Path : Options.Files)
    if (Status Added = Data.add(Path, Options.Format, For); !Added)
      return Added.error();
  if (Data.Total < 2)
    return makeError(Options.Files.empty() ? "--data" : Options.Files.front(),
                     ": expected at least 2 tokens, got ", Data.Total);
  return Data;
}

void TokenData::copy(int64_t First, int64_t Count, int32_t *Out) const {
  auto At = std::upper_bound(
      Segments.begin(), Segments.end(), First,
      [](int64_t Position, const Segment &S) { return Position < S.First; });
  for (--At; Count > 0; ++At) {
    int64_t Begin = First - At->First;
    int64_t Here = std::min(Count, At->Count - Begin);
    for (int64_t I = 0; I < Here; ++I)
      *Out++ = int32_t(read(*At, Begin + I));
    First += Here;
    Count -= Here;
  }
}

uint64_t TokenData::fingerprint() const {
  // FNV-1a over the sizes and 64 Ki tokens at either end of each file.
  uint64_t Hash = 0xcbf29ce484222325u;
  auto Add = [&](int64_t Value) {
    for (int Byte = 0; Byte < 8; ++Byte)
      Hash = (Hash ^ (uint64_t(Value) >> (8 * Byte) & 0xff)) * 0x100000001b3u;
  };
  for (const Segment &Part : Segments) {
    Add(Part.Count);
    int64_t Edge = std::min<int64_t>(Part.Count, 65536);
    for (int64_t I = 0; I < Edge; ++I) {
      Add(read(Part, I));
      Add(read(Part, Part.Count - 1 - I));
    }
  }
  return Hash;
}
