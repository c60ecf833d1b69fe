#include "model/base/result.h"

#include <cerrno>
#include <cstring>

namespace lanwright {

namespace {

ErrorKind kind_of_errno(int number) {
  switch (number) {
    case EPERM:
    case EACCES:
    case EROFS:
      return ErrorKind::denied;
    case EBUSY:
    case EAGAIN:
    case EINTR:
      return ErrorKind::busy;
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
      return ErrorKind::exhausted;
    case EEXIST:
      return ErrorKind::conflict;
    case ENODEV:
    case ENOENT:
    case ESRCH:
    case ENXIO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTUNREACH:
      return ErrorKind::waiting;
    case ETIMEDOUT:
      return ErrorKind::timeout;
    // What the kernel refuses today (a parent of another kind, a module that is not loaded) may work
    // tomorrow.
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EINVAL:
    case ERANGE:
    case ENOSYS:
      return ErrorKind::unsupported;
    default:
      return ErrorKind::internal;
  }
}

// strerror() shares a buffer between threads, this does not.
std::string words_of_errno(int number) {
  const char* words = strerrordesc_np(number);
  return words != nullptr ? words : "Unknown error";
}

}  // namespace

const char* name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::waiting:
      return "waiting";
    case ErrorKind::unsupported:
      return "unsupported";
    case ErrorKind::denied:
      return "denied";
    case ErrorKind::busy:
      return "busy";
    case ErrorKind::exhausted:
      return "exhausted";
    case ErrorKind::timeout:
      return "timeout";
    case ErrorKind::internal:
      break;
  }
  return "internal";
}

std::string Error::text() const {
  std::string text;
  const auto add = [&text](const char* separator, const std::string& part) {
    if (part.empty()) return;
    if (!text.empty()) text += separator;
    text += part;
  };
  add("", tried);
  add(" ", object);
  if (number != 0) add(": ", words_of_errno(number) + " (errno " + std::to_string(number) + ")");
  add(": ", words);
  if (number == 0 && words.empty()) add(": ", name_of(kind));
  add("; ", hint);
  return text;
}

Error error_from_errno(int number, std::string tried, std::string object, std::string words) {
  Error error;
  error.kind = kind_of_errno(number);
  error.tried = std::move(tried);
  error.object = std::move(object);
  error.number = number;
  error.words = std::move(words);
  return error;
}

}  // namespace lanwright
