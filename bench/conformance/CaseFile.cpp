//===- CaseFile.cpp - The conformance set in a folder ---------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "bench/conformance/CaseFile.h"

#include "runtime/support/File.h"

#include <nlohmann/json.hpp>

#include <fstream>

using namespace transxssm;
using namespace transxssm::conformance;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char *Roles[] = {"input", "output", "size"};

/// Places in kernels.bin are [first byte, bytes].
class Writer {
public:
  Json place(const std::vector<uint8_t> &Bytes) {
    Json Made = {Data.size(), Bytes.size()};
    Data.append(Bytes.begin(), Bytes.end());
    return Made;
  }
  Json argument(const Argument &Of) {
    Json Made = {{"name", Of.Name}, {"role", Roles[size_t(Of.Kind)]}};
    if (Of.Kind == Argument::Role::Size) {
      Made["value"] = Of.Value;
      return Made;
    }
    Made["bytes"] = place(Of.Bytes);
    if (Of.Bound > 0)
      Made["bound"] = Of.Bound;
    if (Of.Map)
      Made["map"] = {{"element_bytes", Of.Map->ElementBytes},
                     {"extent", Of.Map->Extent},
                     {"stride", Of.Map->Stride},
                     {"box", Of.Map->Box},
                     {"swizzle", Of.Map->Swizzle}};
    return Made;
  }
  Json stored(const StoredCase &Of) {
    Json Made = {{"name", Of.Of.Name},          {"symbol", Of.Of.Symbol},
                 {"grid", Of.Of.Grid},          {"threads", Of.Of.Threads},
                 {"shared", Of.Of.SharedBytes}, {"arguments", Json::array()},
                 {"images", Json::object()}};
    for (const Argument &Each : Of.Of.Arguments)
      Made["arguments"].push_back(argument(Each));
    for (const auto &[Target, Image] : Of.Images)
      Made["images"][Target] = place(Image);
    return Made;
  }

  std::string Data;
};

class Reader {
public:
  explicit Reader(const std::string &Data) : Data(Data) {}

  std::vector<uint8_t> bytes(const Json &Place) {
    uint64_t First = Place.at(0), Count = Place.at(1);
    if (First > Data.size() || Count > Data.size() - First)
      throw std::out_of_range("a place behind the end of kernels.bin");
    auto Begin = Data.begin() + long(First);
    return {Begin, Begin + long(Count)};
  }
  Argument argument(const Json &From) {
    Argument Made;
    Made.Name = From.at("name");
    std::string Role = From.at("role");
    const auto *Found = std::find(std::begin(Roles), std::end(Roles), Role);
    if (Found == std::end(Roles))
      throw std::out_of_range("role '" + Role + "'");
    Made.Kind = Argument::Role(Found - std::begin(Roles));
    Made.Value = From.value("value", int64_t(0));
    Made.Bound = From.value("bound", 0.0);
    if (From.contains("bytes"))
      Made.Bytes = bytes(From["bytes"]);
    if (From.contains("map"))
      Made.Map = {From["map"].at("element_bytes"), From["map"].at("extent"),
                  From["map"].at("stride"), From["map"].at("box"),
                  From["map"].at("swizzle")};
    return Made;
  }
  StoredCase stored(const Json &From) {
    StoredCase Made;
    Made.Of.Name = From.at("name");
    Made.Of.Symbol = From.at("symbol");
    for (size_t D = 0; D < 3; ++D)
      Made.Of.Grid[D] = From.at("grid").at(D);
    Made.Of.Threads = From.at("threads");
    Made.Of.SharedBytes = From.at("shared");
    for (const Json &Each : From.at("arguments"))
      Made.Of.Arguments.push_back(argument(Each));
    for (const auto &[Target, Place] : From.at("images").items())
      Made.Images.emplace_back(Target, bytes(Place));
    return Made;
  }

private:
  const std::string &Data;
};

} // namespace

Status conformance::writeCases(const std::string &Folder,
                               const std::vector<StoredCase> &Cases) {
  Writer To;
  Json All = Json::array();
  for (const StoredCase &Each : Cases)
    All.push_back(To.stored(Each));
  const std::pair<const char *, std::string> Files[] = {
      {"/kernels.json", All.dump(1) + "\n"}, {"/kernels.bin", To.Data}};
  for (const auto &[Name, Text] : Files) {
    std::ofstream File(Folder + Name, std::ios::binary);
    File << Text;
    File.close();
    if (!File)
      return makeError(Folder, Name, ": cannot write");
  }
  return {};
}

Result<std::vector<StoredCase>>
conformance::readCases(const std::string &Folder) {
  std::string Name = Folder + "/kernels.json";
  Result<std::string> Text = readFile(Name);
  if (!Text)
    return Text.error();
  Result<std::string> Data = readFile(Folder + "/kernels.bin");
  if (!Data)
    return Data.error();
  try {
    Reader From(*Data);
    std::vector<StoredCase> Cases;
    for (const Json &Each : Json::parse(*Text))
      Cases.push_back(From.stored(Each));
    return Cases;
  } catch (const std::exception &Why) {
    return makeError(Name, ": ", Why.what());
  }
}
