//===- FileTest.cpp - Tests of file access --------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"

#include "SamplePackage.h"

#include <gtest/gtest.h>

#include <filesystem>

#include <sys/stat.h>

using namespace transxssm;
using transxssm::test::TemporaryFolder;

namespace {

TEST(File, ReplacesContentInOneStep) {
  TemporaryFolder Folder;
  std::string Path = Folder.path("a.txt");
  ASSERT_TRUE(bool(writeFileAtomically(Path, {{"old", 3}})));
  ASSERT_TRUE(bool(writeFileAtomically(Path, {{"ne", 2}, {"wer", 3}})));
  EXPECT_EQ(*readFile(Path), "newer");
  // No temporary file stays behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Folder.root()),
                          std::filesystem::directory_iterator()),
            1);
}

TEST(File, NamesWhatFails) {
  TemporaryFolder Folder;
  Result<std::string> Missing = readFile(Folder.path("none"));
  ASSERT_FALSE(bool(Missing));
  EXPECT_EQ(Missing.message(),
            Folder.path("none") + ": cannot open: No such file or directory");
  Result<std::string> Directory = readFile(Folder.root());
  ASSERT_FALSE(bool(Directory));
  EXPECT_EQ(Directory.message(),
            Folder.root() + ": expected a regular file, got a directory");
  EXPECT_EQ(readFile("/dev/null").message(),
            "/dev/null: expected a regular file, got a device");
  // Nobody writes to it, so whoever waited would wait for ever.
  std::string Pipe = Folder.path("pipe");
  ASSERT_EQ(::mkfifo(Pipe.c_str(), 0600), 0);
  EXPECT_EQ(readFile(Pipe).message(),
            Pipe + ": expected a regular file, got a pipe");
  auto Write = [](const std::string &Path) {
    return writeFileAtomically(Path, {{"a", 1}}).message();
  };
  EXPECT_EQ(Write(Folder.path("no/such/x")),
            Folder.path("no/such/x") +
                ": cannot create: there is no directory " +
                Folder.path("no/such"));
  EXPECT_EQ(Write(Folder.root()),
            Folder.root() + ": expected a regular file, or a name for a new "
                            "one, got a directory");
  EXPECT_EQ(Write("/dev/null"),
            "/dev/null: expected a regular file, or a name for a new one");
}

TEST(File, MakesNestedDirectories) {
  TemporaryFolder Folder;
  std::string Nested = Folder.path("a/b/c");
  ASSERT_TRUE(bool(makeDirectories(Nested)));
  ASSERT_TRUE(bool(makeDirectories(Nested)));
  EXPECT_TRUE(isDirectory(Nested));
  ASSERT_TRUE(bool(writeFileAtomically(Nested + "/f", {{"", 0}})));
  EXPECT_EQ(*readFile(Nested + "/f"), "");
  EXPECT_FALSE(bool(makeDirectories(Nested + "/f")));
}

} // namespace
