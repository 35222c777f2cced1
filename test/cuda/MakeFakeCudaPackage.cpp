//===- MakeFakeCudaPackage.cpp - make-fake-cuda-package -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// make-fake-cuda-package IN OUT: the package of --target=sim with its code
// called machine code ("sim-sm_80" becomes "sm_80"), for the fake driver.
//
//===----------------------------------------------------------------------===//

#include "runtime/PackageFile.h"
#include "runtime/support/File.h"

#include "package_generated.h"

#include <cstdio>

using namespace transxssm;

int main(int Argc, char **Argv) {
  if (Argc != 3) {
    std::fprintf(stderr, "usage: make-fake-cuda-package IN OUT\n");
    return 2;
  }
  Result<std::string> File = readFile(Argv[1]);
  Status Done = File ? Status() : Status(File.error());
  if (Done)
    Done = checkPackageFrame(reinterpret_cast<const uint8_t *>(File->data()),
                             File->size(), Argv[1]);
  if (Done) {
    package::PackageT Content;
    package::GetPackage(File->data() + PackageHeaderBytes)->UnPackTo(&Content);
    for (const auto &Code : Content.code)
      if (Code->target.rfind("sim-", 0) == 0)
        Code->target.erase(0, 4);
    flatbuffers::FlatBufferBuilder Made;
    Made.Finish(package::Package::Pack(Made, &Content),
                package::PackageIdentifier());
    Done = writePackage(Argv[2], Made.GetBufferPointer(), Made.GetSize());
  }
  if (!Done)
    std::fprintf(stderr, "make-fake-cuda-package: error: %s\n",
                 Done.message().c_str());
  return Done ? 0 : 1;
}
