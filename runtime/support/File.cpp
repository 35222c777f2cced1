//===- File.cpp - Reading, mapping and replacing files -------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

#include "runtime/support/File.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace transxssm;

namespace {

/// A file descriptor that closes itself.
struct Descriptor {
  int Number;
  explicit Descriptor(int Number) : Number(Number) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (Number >= 0)
      ::close(Number);
  }
};

Error systemError(const std::string &Path, const char *Action) {
  return makeError(Path, ": cannot ", Action, ": ", std::strerror(errno));
}

bool writeAll(int File, const void *Data, size_t Bytes) {
  const char *From = static_cast<const char *>(Data);
  while (Bytes > 0) {
    ssize_t Written = ::write(File, From, Bytes);
    if (Written < 0 && errno == EINTR)
      continue;
    if (Written <= 0)
      return false;
    From += Written;
    Bytes -= size_t(Written);
  }
  return true;
}

std::string parentOf(const std::string &Path) {
  size_t Slash = Path.rfind('/');
  return Slash == std::string::npos ? "."
         : Slash == 0               ? "/"
                                    : Path.substr(0, Slash);
}

/// Makes the rename itself durable; not every file system offers it, so its
/// failure is not an error.
void syncParent(const std::string &Path) {
  Descriptor Directory(::open(parentOf(Path).c_str(), O_RDONLY | O_DIRECTORY));
  if (Directory.Number >= 0)
    (void)::fsync(Directory.Number);
}

} // namespace

bool transxssm::isDirectory(const std::string &Path) {
  struct stat Info;
  return ::stat(Path.c_str(), &Info) == 0 && S_ISDIR(Info.st_mode);
}

bool transxssm::isFile(const std::string &Path) {
  struct stat Info;
  return ::stat(Path.c_str(), &Info) == 0 && S_ISREG(Info.st_mode);
}

Status transxssm::makeDirectories(const std::string &Path) {
  for (size_t Slash = Path.find('/', 1);; Slash = Path.find('/', Slash + 1)) {
    std::string Part = Path.substr(0, Slash);
    if (!Part.empty() && ::mkdir(Part.c_str(), 0777) != 0 && errno != EEXIST &&
        !isDirectory(Part))
      return systemError(Part, "create directory");
    if (Slash == std::string::npos)
      break;
  }
  if (!isDirectory(Path))
    return makeError(Path, ": expected a directory");
  return {};
}

Result<std::string> transxssm::readFile(const std::string &Path) {
  Result<std::shared_ptr<MappedFile>> File = MappedFile::open(Path);
  if (!File)
    return File.error();
  return std::string(reinterpret_cast<const char *>((*File)->data()),
                     (*File)->size());
}

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::string &Path) {
  if (Path.empty())
    return makeError("expected the name of a file, got an empty one");
  // Without O_NONBLOCK opening a pipe would wait for somebody to write to it.
  Descriptor File(::open(Path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (File.Number < 0)
    return systemError(Path, "open");
  struct stat Info;
  if (::fstat(File.Number, &Info) != 0)
    return systemError(Path, "inspect");
  if (!S_ISREG(Info.st_mode))
    return makeError(Path, ": expected a regular file, got ",
                     S_ISDIR(Info.st_mode)    ? "a directory"
                     : S_ISFIFO(Info.st_mode) ? "a pipe"
                                              : "a device");
  std::shared_ptr<MappedFile> Mapped(new MappedFile);
  if (Info.st_size == 0)
    return Mapped;
  void *Memory = ::mmap(nullptr, size_t(Info.st_size), PROT_READ, MAP_PRIVATE,
                        File.Number, 0);
  if (Memory == MAP_FAILED)
    return systemError(Path, "map");
  Mapped->Data = static_cast<const uint8_t *>(Memory);
  Mapped->Bytes = size_t(Info.st_size);
  return Mapped;
}

MappedFile::~MappedFile() {
  if (Data)
    ::munmap(const_cast<uint8_t *>(Data), Bytes);
}

Status transxssm::checkOutputPath(const std::string &Path) {
  struct stat Info;
  if (::stat(Path.c_str(), &Info) == 0 && !S_ISREG(Info.st_mode))
    return makeError(Path, ": expected a regular file, or a name for a new one",
                     S_ISDIR(Info.st_mode) ? ", got a directory" : "");
  std::string Parent = parentOf(Path);
  if (!isDirectory(Parent))
    return makeError(Path, ": cannot create: there is no directory ", Parent);
  if (::access(Parent.c_str(), W_OK) != 0)
    return systemError(Path, "create");
  return {};
}

Status transxssm::writeFileAtomically(const std::string &Path,
                                      const std::vector<FilePiece> &Pieces) {
  if (Status Checked = checkOutputPath(Path); !Checked)
    return Checked;
  std::string Temporary = Path + ".tmp." + std::to_string(::getpid());
  {
    Descriptor File(::open(Temporary.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (File.Number < 0)
      return systemError(Path, "create");
    bool Written = true;
    for (const FilePiece &Piece : Pieces)
      Written = Written && writeAll(File.Number, Piece.Data, Piece.Bytes);
    if (!Written || ::fsync(File.Number) != 0) {
      Error Why = systemError(Path, "write");
      ::unlink(Temporary.c_str());
      return Why;
    }
  }
  if (::rename(Temporary.c_str(), Path.c_str()) != 0) {
    Error Why = systemError(Path, "replace");
    ::unlink(Temporary.c_str());
    return Why;
  }
  syncParent(Path);
  return {};
}
