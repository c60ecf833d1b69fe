// Errors as values: what was tried, on which object, the kernel's own words, and what to do next.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace lanwright {

// What kind of failure it is decides what happens next; nobody parses texts.
enum class ErrorKind {
  invalid,      // the request or file is wrong; repeating it will not help
  conflict,     // somebody else owns what is wanted, or a generation moved
  not_found,    // the named object does not exist
  waiting,      // something that it needs is not there yet; an event will tell
  unsupported,  // this kernel cannot do it (a missing module may be loaded later)
  denied,       // missing privilege
  busy,         // the kernel or a peer says "not now"
  exhausted,    // no room: disk, memory, file descriptors, buffers
  timeout,      // a deadline passed
  internal,     // an invariant of ours does not hold
};

const char* name_of(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string tried;   // "create link"
  std::string object;  // "br0 of network lab"
  int number = 0;      // errno, 0 when there is none
  std::string words;   // the kernel's extended-ack text, or the peer's words, verbatim
  std::string hint;    // what the user can do next; may be empty

  bool operator==(const Error&) const = default;

  // "create link br0 of network lab: Operation not supported (errno 95): Unknown device type; load module
  // ..."
  std::string text() const;
};

// An Error from an errno value; `kind` follows from the number.
Error error_from_errno(int number, std::string tried, std::string object, std::string words = {});

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : content_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return content_.index() == 0; }
  bool ok() const { return content_.index() == 0; }
  T& value() & {
    assert(ok());
    return std::get<0>(content_);
  }
  const T& value() const& {
    assert(ok());
    return std::get<0>(content_);
  }
  T&& value() && {
    assert(ok());
    return std::move(std::get<0>(content_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    assert(!ok());
    return std::get<1>(content_);
  }

 private:
  std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const { return !failed_; }
  bool ok() const { return !failed_; }
  const Error& error() const {
    assert(failed_);
    return error_;
  }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace lanwright
