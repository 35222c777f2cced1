//===- Options.cpp - The command line of transxssm-compile ----------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//
//
// The only file of the compiler that is built with exceptions: CLI11 reports
// errors by throwing.
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "runtime/support/Printable.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <iostream>

using namespace transxssm;

static const char *const Description =
    "Compiles a TransXSSM config.json into one package that trains the model\n"
    "and decodes from it. The package serves every batch and sequence length "
    "up\n"
    "to its limits; transxssm-run and the Python module run it without LLVM.";

static const char *const Examples =
    "examples:\n"
    "  # everything, for up to 8 sequences of up to max_position_embeddings\n"
    "  transxssm-compile config.json -o model.txpkg\n\n"
    "  # a small package that only generates text\n"
    "  transxssm-compile checkpoint/ -o model.txpkg --entry=decode \\\n"
    "                    --max-batch 1 --max-seq-len 4096\n\n"
    "  # train within half a gibibyte of activations\n"
    "  transxssm-compile config.json -o model.txpkg --entry=train \\\n"
    "                    --max-batch 16 --max-seq-len 512 \\\n"
    "                    --activation-memory 512MiB --print-memory\n\n"
    "  # look at a stage: the model, its kernels, its launch plan\n"
    "  transxssm-compile config.json --emit=txs --entry=forward\n"
    "  transxssm-compile config.json --emit=tile --entry=forward\n"
    "  transxssm-compile config.json --emit=plan --entry=decode\n\n"
    "exit status: 0 done, 1 error, 2 wrong usage";

std::optional<uint64_t> transxssm::parseSize(const std::string &Text) {
  char *End = nullptr;
  double Number = std::strtod(Text.c_str(), &End);
  // strtod also reads hexadecimal, infinities and leading blanks.
  if (Text.empty() || !(Text[0] >= '0' && Text[0] <= '9') ||
      Text.find_first_of("xXpPeE") != std::string::npos)
    return std::nullopt;
  std::string Unit = End;
  double Factor = Unit.empty() || Unit == "B" ? 1.0
                  : Unit == "KiB"             ? 0x1p10
                  : Unit == "MiB"             ? 0x1p20
                  : Unit == "GiB"             ? 0x1p30
                                              : 0.0;
  double Bytes = std::floor(Number * Factor);
  if (Factor == 0.0 || !(Bytes >= 1.0 && Bytes < 0x1p62))
    return std::nullopt;
  return static_cast<uint64_t>(Bytes);
}

std::string transxssm::formatSize(uint64_t Bytes) {
  static const char *const Units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double Number = Bytes;
  int Unit = 0;
  for (; Number >= 1024.0 && Unit < 4; ++Unit)
    Number /= 1024.0;
  char Text[32];
  std::snprintf(Text, sizeof(Text), Unit ? "%.1f %s" : "%.0f %s", Number,
                Units[Unit]);
  return Text;
}

static int usageError(const std::string &Message) {
  std::cerr << "transxssm-compile: error: "
            << printable(Message.substr(0, Message.find('\n'))) << "\n";
  return 2;
}

/// One of the names, listed by the error and, as the type, by --help.
static void restrictTo(CLI::Option *Option,
                       const std::vector<std::string> &Names) {
  std::string List = CLI::detail::join(Names, ", ");
  Option->type_name(CLI::detail::join(Names, "|"));
  Option->check(CLI::Validator(
      [=](std::string &Given) {
        for (const std::string &Name : Names)
          if (Given == Name)
            return std::string();
        return "expected one of " + List + ", got '" + Given + "'";
      },
      ""));
}

/// A number that the package's limits can hold.
static void restrictToLimit(CLI::Option *Option) {
  Option->type_name("N");
  Option->check(CLI::Validator(
      [](std::string &Given) {
        int64_t Number = 0;
        if (CLI::detail::lexical_cast(Given, Number) && Number >= 1 &&
            Number <= int64_t(1) << 31)
          return std::string();
        return "expected 1 to 2147483648, got '" + Given + "'";
      },
      ""));
}

static void declareOptions(CLI::App &App, Options &O, std::string &Size) {
  App.add_option("CONFIG", O.Config,
                 "config.json, or the directory that holds it")
      ->required();
  App.add_option("-o,--output", O.Output,
                 "file to write; what --emit shows goes to standard output "
                 "when it is left out")
      ->type_name("FILE");
  restrictTo(App.add_option("--target", O.Target, "device to compile for")
                 ->capture_default_str(),
             {"cpu", "nvptx", "sim"});
  App.add_option("--gpu-arch,--sim-arch", O.GpuArch,
                 "architectures for --target=nvptx and sim, such as "
                 "sm_80,sm_90a")
      ->type_name("LIST");
  restrictTo(App.add_option("--product-tiles", O.ProductTiles,
                            "tiles of a GPU's products in decode and prefill: "
                            "by-size, or always large or small, to time both")
                 ->capture_default_str(),
             {"by-size", "large", "small"});
  restrictTo(
      App.add_option("--dtype", O.DType, "type of weights and activations")
          ->capture_default_str(),
      {"f32", "bf16"});
  App.add_option("--entry", O.Entries,
                 "what the package can do, any of forward, decode (with "
                 "prefill), train (with gradients); everything by default")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  restrictToLimit(
      App.add_option("--max-batch", O.MaxBatch, "most sequences in one call")
          ->capture_default_str());
  restrictToLimit(App.add_option("--max-seq-len", O.MaxSeqLen,
                                 "most tokens of a sequence, also in a cache; "
                                 "max_position_embeddings by default"));
  App.add_option("--activation-memory", Size,
                 "recompute as few blocks as needed in training to keep its "
                 "temporaries within SIZE at --max-batch and --max-seq-len: "
                 "bytes, or with KiB, MiB, GiB")
      ->type_name("SIZE");
  restrictTo(App.add_option("--emit", O.Emit,
                            "what to write: the package, or a stage on the "
                            "way there as text")
                 ->capture_default_str(),
             {"package", "txs", "tile", "plan", "llvm", "ptx", "asm"});
  App.add_flag("--print-memory", O.PrintMemory,
               "print what parameters, optimizer, cache and every entry need, "
               "by batch and sequence length");
  App.add_flag("--print-kernels", O.PrintKernels,
               "print every kernel with its code and scratch bytes");
  App.add_flag("--debug-names", O.DebugNames,
               "note in the package which values of the model its launches "
               "write, for transxssm-opt --txs-probe --package");
  App.add_flag("--time-passes", O.TimePasses,
               "say at the end how long each pass took, on standard error");
  App.add_flag("-q,--quiet", O.Quiet, "no progress on standard error");
}

/// Checks what CLI11 cannot: options that need one another.
static std::optional<int> checkOptions(Options &O, const std::string &Size) {
  if (O.Output == "-") // standard output, which a package is never written to
    O.Output.clear();
  if (!Size.empty()) {
    O.ActivationMemory = parseSize(Size);
    if (!O.ActivationMemory)
      return usageError("--activation-memory: expected a size such as 512MiB "
                        "or 2GiB, got '" +
                        Size + "'");
  }
  if (!O.GpuArch.empty() && O.Target == "cpu")
    return usageError("--gpu-arch: expected --target=nvptx or --target=sim "
                      "with it, got --target=cpu");
  if (O.ProductTiles != "by-size" && O.Target == "cpu")
    return usageError("--product-tiles: expected --target=nvptx or "
                      "--target=sim with it, got --target=cpu");
  if (O.Emit == "package" && O.Output.empty() && !O.PrintMemory &&
      !O.PrintKernels)
    return usageError("-o: expected the file of the package, got nothing");
  return std::nullopt;
}

std::optional<int> transxssm::parseOptions(int Argc, char **Argv,
                                           const std::string &Version,
                                           Options &Into) {
  CLI::App App(Description, "transxssm-compile");
  App.footer(Examples);
  App.set_version_flag("--version", Version);
  App.get_formatter()->column_width(28);
  std::string Size;
  declareOptions(App, Into, Size);
  try {
    App.parse(Argc, Argv);
  } catch (const CLI::Success &Request) { // --help, --version
    return App.exit(Request);
  } catch (const CLI::ParseError &Why) {
    return usageError(std::string(Why.what()) + "; see --help");
  }
  return checkOptions(Into, Size);
}
