//===- SafeTensors.cpp - Reading and writing safetensors files -----------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/SafeTensors.h"

#include "runtime/support/File.h"
#include "runtime/support/HalfFloats.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

using namespace transxssm;
using nlohmann::json;

namespace {

/// The format's own bound on the header.
constexpr uint64_t MaxHeaderBytes = 100'000'000;

struct FormatType {
  const char *Name;
  DType Type;
};
constexpr FormatType FormatTypes[] = {
    {"F32", DType::F32}, {"BF16", DType::BF16}, {"F16", DType::F16},
    {"F64", DType::F64}, {"I32", DType::I32},   {"I64", DType::I64}};

const char *formatName(DType Type) {
  for (const FormatType &Known : FormatTypes)
    if (Known.Type == Type)
      return Known.Name;
  return "?";
}

/// Keeps nlohmann's exceptions inside this file.
Result<json> parseJson(const char *Begin, const char *End,
                       const std::string &Source, const char *What) {
  json Parsed = json::parse(Begin, End, nullptr, /*allow_exceptions=*/false);
  if (!Parsed.is_object())
    return makeError(Source, ": expected ", What, " to be a JSON object");
  return Parsed;
}

/// A non-negative integer that fits int64.
bool readCount(const json &Value, int64_t &Into) {
  if (!Value.is_number_unsigned() ||
      Value.get<uint64_t>() > uint64_t(INT64_MAX))
    return false;
  Into = Value.get<int64_t>();
  return true;
}

bool readShape(const json &Value, std::vector<int64_t> &Shape) {
  if (!Value.is_array())
    return false;
  for (const json &Extent : Value) {
    Shape.emplace_back();
    if (!readCount(Extent, Shape.back()))
      return false;
  }
  return true;
}

/// Reads one entry of the header and checks it against the data's size.
Result<SafeTensor> readTensor(const std::string &File, const std::string &Name,
                              const json &Entry, const uint8_t *Data,
                              uint64_t DataBytes) {
  auto Fail = [&](const auto &...Parts) {
    return makeError(File, ": tensor '", Name, "': ", Parts...);
  };
  SafeTensor Tensor;
  Tensor.Name = Name;
  Tensor.File = File;
  if (!Entry.is_object() || !Entry.contains("dtype") ||
      !Entry.contains("shape") || !Entry.contains("data_offsets"))
    return Fail("expected dtype, shape and data_offsets");
  const json &Type = Entry["dtype"];
  const FormatType *Known = nullptr;
  for (const FormatType &Candidate : FormatTypes)
    if (Type.is_string() &&
        Type.get_ref<const std::string &>() == Candidate.Name)
      Known = &Candidate;
  if (!Known)
    return Fail("expected dtype F32, BF16, F16, F64, I32 or I64, got ",
                Type.is_string() ? Type.get<std::string>() : "no string");
  Tensor.Type = Known->Type;
  if (!readShape(Entry["shape"], Tensor.Shape))
    return Fail("expected a list of extents as shape");
  const json &Offsets = Entry["data_offsets"];
  int64_t Begin = 0, End = 0;
  if (!Offsets.is_array() || Offsets.size() != 2 ||
      !readCount(Offsets[0], Begin) || !readCount(Offsets[1], End) ||
      Begin > End)
    return Fail("expected data_offsets [begin, end]");
  if (uint64_t(End) > DataBytes)
    return Fail("expected ", End, " bytes of data in the file, got ", DataBytes,
                "; the file is truncated");
  int64_t Expected = int64_t(sizeOf(Tensor.Type));
  for (int64_t Extent : Tensor.Shape)
    if (__builtin_mul_overflow(Expected, Extent, &Expected))
      return Fail("shape overflows");
  if (Expected != End - Begin)
    return Fail("expected ", Expected, " bytes for its shape, got ",
                End - Begin);
  Tensor.Data = Data + Begin;
  Tensor.Bytes = uint64_t(End - Begin);
  return Tensor;
}

template <typename T> T loadAt(const void *From, int64_t Index) {
  T Value;
  std::memcpy(&Value, static_cast<const uint8_t *>(From) + Index * sizeof(T),
              sizeof(T));
  return Value;
}

template <typename T> void storeAt(void *To, int64_t Index, T Value) {
  std::memcpy(static_cast<uint8_t *>(To) + Index * sizeof(T), &Value,
              sizeof(T));
}

/// Float64 to a half type: through float32 with the lost bits kept in the last
/// one (round to odd), so that the two roundings equal one.
float roundToOdd(double Value) {
  float Near = float(Value);
  if (!(Near == Near) || double(Near) == Value || Near - Near != 0)
    return Near;
  uint32_t Bits;
  std::memcpy(&Bits, &Near, 4);
  bool TooLarge = std::abs(double(Near)) > std::abs(Value);
  Bits = (TooLarge ? Bits - 1 : Bits) | 1;
  std::memcpy(&Near, &Bits, 4);
  return Near;
}

/// One conversion to and from float64 for each floating-point type.
template <DType Type> struct Element;
template <> struct Element<DType::F32> {
  static double load(const void *From, int64_t I) {
    return loadAt<float>(From, I);
  }
  static void store(void *To, int64_t I, double Value) {
    storeAt(To, I, float(Value));
  }
};
template <> struct Element<DType::F64> {
  static double load(const void *From, int64_t I) {
    return loadAt<double>(From, I);
  }
  static void store(void *To, int64_t I, double Value) {
    storeAt(To, I, Value);
  }
};
template <> struct Element<DType::BF16> {
  static double load(const void *From, int64_t I) {
    return bfloatToFloat(loadAt<uint16_t>(From, I));
  }
  static void store(void *To, int64_t I, double Value) {
    storeAt(To, I, floatToBFloat(roundToOdd(Value)));
  }
};
template <> struct Element<DType::F16> {
  static double load(const void *From, int64_t I) {
    return halfToFloat(loadAt<uint16_t>(From, I));
  }
  static void store(void *To, int64_t I, double Value) {
    storeAt(To, I, floatToHalf(roundToOdd(Value)));
  }
};

/// Calls Use with the Element of a type; false where it is no float type.
template <typename Function> bool withElement(DType Type, Function Use) {
  switch (Type) {
  case DType::F32:
    return Use(Element<DType::F32>()), true;
  case DType::BF16:
    return Use(Element<DType::BF16>()), true;
  case DType::F16:
    return Use(Element<DType::F16>()), true;
  case DType::F64:
    return Use(Element<DType::F64>()), true;
  case DType::I32:
  case DType::I64:
    break;
  }
  return false;
}

} // namespace

Result<SafeTensors> SafeTensors::open(const std::string &Path) {
  SafeTensors Opened;
  Opened.SourceName = Path;
  std::string File = Path;
  if (isDirectory(Path)) {
    File = Path + "/model.safetensors";
    if (!isFile(File))
      File += ".index.json";
    if (!isFile(File))
      return makeError(Path, ": expected model.safetensors or "
                             "model.safetensors.index.json in this directory");
  }
  bool IsIndex = File.size() > 5 && File.substr(File.size() - 5) == ".json";
  Status Added = IsIndex ? Opened.addShards(File) : Opened.addFile(File);
  if (!Added)
    return Added.error();
  return Opened;
}

Status SafeTensors::addFile(const std::string &Path) {
  Result<std::shared_ptr<MappedFile>> File = MappedFile::open(Path);
  if (!File)
    return File.error();
  const uint8_t *Begin = (*File)->data();
  uint64_t Size = (*File)->size(), HeaderBytes = 0;
  if (Size < 8)
    return makeError(Path,
                     ": not a safetensors file: expected at least 8 "
                     "bytes, got ",
                     Size);
  for (int I = 0; I < 8; ++I)
    HeaderBytes |= uint64_t(Begin[I]) << (8 * I);
  if (HeaderBytes > MaxHeaderBytes || HeaderBytes > Size - 8)
    return makeError(Path, ": expected a header of at most ",
                     std::min(MaxHeaderBytes, Size - 8), " bytes, got ",
                     HeaderBytes, "; the file is truncated or damaged");
  const char *Text = reinterpret_cast<const char *>(Begin + 8);
  Result<json> Header = parseJson(Text, Text + HeaderBytes, Path, "the header");
  if (!Header)
    return Header.error();
  Files.push_back(*File);
  for (const auto &[Name, Entry] : Header->items()) {
    if (Name == "__metadata__") {
      if (Entry.is_object())
        for (const auto &[Key, Value] : Entry.items())
          if (Value.is_string())
            Metadata[Key] = Value.get<std::string>();
      continue;
    }
    Result<SafeTensor> Tensor = readTensor(
        Path, Name, Entry, Begin + 8 + HeaderBytes, Size - 8 - HeaderBytes);
    if (!Tensor)
      return Tensor.error();
    auto [At, Inserted] = Tensors.emplace(Name, std::move(*Tensor));
    if (!Inserted)
      return makeError(Path, ": tensor '", Name, "' is also in ",
                       At->second.File);
  }
  return {};
}

Status SafeTensors::addShards(const std::string &IndexPath) {
  Result<std::string> Text = readFile(IndexPath);
  if (!Text)
    return Text.error();
  Result<json> Index = parseJson(Text->data(), Text->data() + Text->size(),
                                 IndexPath, "the index");
  if (!Index)
    return Index.error();
  if (!Index->contains("weight_map") || !(*Index)["weight_map"].is_object())
    return makeError(IndexPath,
                     ": key 'weight_map': expected an object, got nothing");
  size_t Slash = IndexPath.rfind('/');
  std::string Folder =
      Slash == std::string::npos ? "" : IndexPath.substr(0, Slash + 1);
  std::set<std::string> Shards;
  for (const auto &[Name, Shard] : (*Index)["weight_map"].items()) {
    // A shard lies beside its index; a path could lead anywhere.
    if (!Shard.is_string() || Shard.get<std::string>().empty() ||
        Shard.get<std::string>().find('/') != std::string::npos)
      return makeError(IndexPath, ": key 'weight_map.", Name,
                       "': expected a file name");
    Shards.insert(Shard.get<std::string>());
  }
  for (const std::string &Shard : Shards)
    if (Status Added = addFile(Folder + Shard); !Added)
      return Added;
  for (const auto &[Name, Shard] : (*Index)["weight_map"].items()) {
    const SafeTensor *Tensor = find(Name);
    if (!Tensor || Tensor->File != Folder + Shard.get<std::string>())
      return makeError(IndexPath, ": tensor '", Name, "': expected it in ",
                       Shard.get<std::string>(), ", got ",
                       Tensor ? Tensor->File : "nothing");
  }
  return {};
}

const SafeTensor *SafeTensors::find(const std::string &Name) const {
  auto Found = Tensors.find(Name);
  return Found == Tensors.end() ? nullptr : &Found->second;
}

Status transxssm::convertElements(DType From, const void *Source, DType To,
                                  void *Target, int64_t Count) {
  if (Count == 0)
    return {};
  if (From == To) {
    std::memcpy(Target, Source, size_t(Count) * sizeOf(From));
    return {};
  }
  bool Converted = false;
  withElement(From, [&](auto In) {
    Converted = withElement(To, [&](auto Out) {
      for (int64_t I = 0; I < Count; ++I)
        Out.store(Target, I, In.load(Source, I));
    });
  });
  if (!Converted)
    return makeError("cannot convert ", nameOf(From), " to ", nameOf(To));
  return {};
}

std::vector<double> transxssm::float64Values(const SafeTensor &From) {
  int64_t Count = From.numElements();
  std::vector<double> Values(static_cast<size_t>(Count));
  if (From.Type == DType::I32)
    for (int64_t I = 0; I < Count; ++I)
      Values[size_t(I)] = double(loadAt<int32_t>(From.Data, I));
  else if (From.Type == DType::I64)
    for (int64_t I = 0; I < Count; ++I)
      Values[size_t(I)] = double(loadAt<int64_t>(From.Data, I));
  else // every other type is one that this converts
    (void)convertElements(From.Type, From.Data, DType::F64, Values.data(),
                          Count);
  return Values;
}

Status transxssm::writeSafeTensors(
    const std::string &Path, const std::vector<TensorToWrite> &Tensors,
    const std::map<std::string, std::string> &Metadata) {
  nlohmann::ordered_json Header;
  if (!Metadata.empty())
    Header["__metadata__"] = Metadata;
  uint64_t Offset = 0;
  std::vector<FilePiece> Pieces(2);
  for (const TensorToWrite &Tensor : Tensors) {
    uint64_t Bytes = sizeOf(Tensor.Type);
    for (int64_t Extent : Tensor.Shape)
      Bytes *= uint64_t(Extent);
    Header[Tensor.Name] = {{"dtype", formatName(Tensor.Type)},
                           {"shape", Tensor.Shape},
                           {"data_offsets", {Offset, Offset + Bytes}}};
    Pieces.push_back({Tensor.Data, Bytes});
    Offset += Bytes;
  }
  std::string Text =
      Header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  // Spaces after the header align the data.
  Text.append((8 - Text.size() % 8) % 8, ' ');
  uint8_t Length[8];
  for (int I = 0; I < 8; ++I)
    Length[I] = uint8_t(uint64_t(Text.size()) >> (8 * I));
  Pieces[0] = {Length, 8};
  Pieces[1] = {Text.data(), Text.size()};
  return writeFileAtomically(Path, Pieces);
}
