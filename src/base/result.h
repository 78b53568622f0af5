#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

namespace berth {

/// The closed list of expected failures. Each boundary maps it once: `http/error_mapper` to a status,
/// `mcp` to a JSON-RPC error, `cli` to an exit code.
enum class ErrorCode : std::uint8_t {
  invalid_argument,
  not_found,
  conflict,
  unavailable,
  deadline_exceeded,
  resource_exhausted,
  permission_denied,
  cancelled,
  internal,
};

std::string_view to_string(ErrorCode code);

/// An expected failure: a code, a full sentence that names the thing, the value and the remedy, and
/// where it arose. Copies share the (immutable) detail.
class Error {
 public:
  Error(ErrorCode code, std::string message,
        std::source_location origin = std::source_location::current());

  ErrorCode code() const;
  const std::string& message() const;
  const std::source_location& origin() const;

  /// The same failure seen from one level up: "`context`: `message`". Keeps code and origin.
  Error within(std::string_view context) const;

 private:
  struct Detail;
  std::shared_ptr<const Detail> detail_;
};

template <class T = void>
using Result = std::expected<T, Error>;

using Failure = std::unexpected<Error>;

/// `return fail(ErrorCode::not_found, "no server named 'x'");` from any function returning Result.
[[nodiscard]] inline Failure fail(ErrorCode code, std::string message,
                                  std::source_location origin = std::source_location::current()) {
  return Failure(Error(code, std::move(message), origin));
}

/// The text and a fitting code for an errno value; `what` names the operation and its object.
[[nodiscard]] Error errno_error(int number, std::string_view what,
                                std::source_location origin = std::source_location::current());

}  // namespace berth
