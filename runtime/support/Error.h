//===- Error.h - Errors as values ----------------------------------------===//
//
// Part of the TransXSSM project, under the Apache License v2.0.
// See the LICENSE file for license information.
// SPDX-License-Identifier: Apache-2.0
//
//===----------------------------------------------------------------------===//

//
// No exception crosses an interface of the runtime: the compiler, which is
// built without exceptions, uses the same headers. A function that can fail
// returns Result<T>, which is true when it holds a value. Messages are one
// line, lower case, without a full stop, and state expected and actual values.
//
//===----------------------------------------------------------------------===//

#ifndef TRANSXSSM_RUNTIME_SUPPORT_ERROR_H
#define TRANSXSSM_RUNTIME_SUPPORT_ERROR_H

#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace transxssm {

/// What went wrong, in one line.
struct Error {
  std::string Message;
};

/// Builds an error from anything that can be streamed.
template <typename... Parts> Error makeError(const Parts &...Pieces) {
  std::ostringstream Stream;
  (Stream << ... << Pieces);
  return Error{Stream.str()};
}

/// A value or the error that stands in its way. True when it holds a value.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T Held) : Value(std::move(Held)) {}
  Result(Error Why) : Failure(std::move(Why)) {}

  explicit operator bool() const { return Value.has_value(); }
  T &operator*() & { return *Value; }
  const T &operator*() const & { return *Value; }
  T &&operator*() && { return std::move(*Value); }
  T *operator->() { return &*Value; }
  const T *operator->() const { return &*Value; }

  /// The error; only where there is no value.
  const Error &error() const { return Failure; }
  const std::string &message() const { return Failure.Message; }

private:
  std::optional<T> Value;
  Error Failure;
};

/// Success, or an error. True on success.
template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error Why) : Failure(std::move(Why)) {}

  explicit operator bool() const { return !Failure.has_value(); }
  const Error &error() const { return *Failure; }
  const std::string &message() const { return Failure->Message; }

private:
  std::optional<Error> Failure;
};

using Status = Result<void>;

} // namespace transxssm

#endif // TRANSXSSM_RUNTIME_SUPPORT_ERROR_H
