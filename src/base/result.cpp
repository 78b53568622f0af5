#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace berth {

struct Error::Detail {
  ErrorCode code;
  std::string message;
  std::source_location origin;
};

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid_argument";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::conflict: return "conflict";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::deadline_exceeded: return "deadline_exceeded";
    case ErrorCode::resource_exhausted: return "resource_exhausted";
    case ErrorCode::permission_denied: return "permission_denied";
    case ErrorCode::cancelled: return "cancelled";
    case ErrorCode::internal: return "internal";
  }
  return "internal";
}

Error::Error(ErrorCode code, std::string message, std::source_location origin)
    : detail_(std::make_shared<const Detail>(Detail{code, std::move(message), origin})) {}

ErrorCode Error::code() const { return detail_->code; }
const std::string& Error::message() const { return detail_->message; }
const std::source_location& Error::origin() const { return detail_->origin; }

Error Error::within(std::string_view context) const {
  return Error(code(), std::string(context) + ": " + message(), origin());
}

namespace {

ErrorCode code_of_errno(int number) {
  switch (number) {
    case ENOENT: return ErrorCode::not_found;
    case EEXIST:
    case EADDRINUSE: return ErrorCode::conflict;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorCode::permission_denied;
    case ETIMEDOUT: return ErrorCode::deadline_exceeded;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
    case EAGAIN: return ErrorCode::resource_exhausted;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH: return ErrorCode::unavailable;
    case EINVAL: return ErrorCode::invalid_argument;
    case ECANCELED: return ErrorCode::cancelled;
    default: return ErrorCode::internal;
  }
}

}  // namespace

Error errno_error(int number, std::string_view what, std::source_location origin) {
  return Error(code_of_errno(number), std::string(what) + ": " + std::strerror(number), origin);
}

}  // namespace berth
