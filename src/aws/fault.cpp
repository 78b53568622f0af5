#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "aws/client.h"
#include "aws/denial.h"

namespace berth::aws {

namespace {

bool ends_with_any(std::string_view code, std::initializer_list<std::string_view> ends) {
  return std::ranges::any_of(ends, [code](std::string_view end) { return code.ends_with(end); });
}

bool contains_any(std::string_view code, std::initializer_list<std::string_view> parts) {
  return std::ranges::any_of(
      parts, [code](std::string_view part) { return code.find(part) != std::string_view::npos; });
}

/// CloudFormation answers ValidationError for much; its text tells.
ErrorCode error_code(const Fault& fault) {
  const std::string_view code = fault.code;
  if (fault.denied() || code == "NoCredentials" || code.starts_with("ExpiredToken")) {
    return ErrorCode::permission_denied;
  }
  if (fault.status == 0) {
    return code == "Deadline" ? ErrorCode::deadline_exceeded : ErrorCode::unavailable;
  }
  const bool is_missing =
      contains_any(code, {"NotFound", "DoesNotExist", "NoSuch"}) || fault.status == 404 ||
      (code == "ValidationError" && contains_any(fault.message, {"does not exist", "not found"}));
  if (is_missing) return ErrorCode::not_found;
  if (contains_any(code, {"AlreadyExists", "Conflict", "InUse"})) return ErrorCode::conflict;
  if (contains_any(code, {"Throttl", "LimitExceeded", "TooManyRequests", "SlowDown"})) {
    return ErrorCode::resource_exhausted;
  }
  if (fault.status >= 500) return ErrorCode::unavailable;
  return ErrorCode::invalid_argument;
}

std::string iam_prefix(std::string_view service) {
  return std::string(service == "monitoring" ? "cloudwatch" : service);
}

}  // namespace

bool Fault::denied() const {
  static constexpr std::array<std::string_view, 9> codes{
      "AccessDenied",          "AccessDeniedException",
      "UnauthorizedOperation", "AuthorizationError",
      "NotAuthorized",         "AuthorizationErrorException",
      "UnauthorizedException", "Client.UnauthorizedOperation",
      "AccessDeniedFault"};
  return std::ranges::find(codes, code) != codes.end();
}

std::string Fault::denied_action() const {
  const auto denial = find_denial(message);
  if (denial && !denial->action.empty()) return denial->action;
  return denied() && !operation.empty() ? iam_prefix(service) + ":" + operation : std::string();
}

std::string Fault::denied_resource() const {
  const auto denial = find_denial(message);
  return denial ? denial->resource : std::string();
}

Error Fault::error() const {
  std::string said = message;
  while (!said.empty() && ends_with_any(said, {".", " ", "\n"})) said.pop_back();
  if (said.empty()) said = "it gave no message";
  if (status == 0) {
    const std::string what = service.empty() ? "AWS" : fmt::format("AWS {} {}", service, operation);
    return Error(error_code(*this), fmt::format("{}: {}.", what, said));
  }
  const std::string request = request_id.empty() ? std::string() : fmt::format(", request {}", request_id);
  return Error(error_code(*this), fmt::format("AWS {} {} failed: {} ({}, status {}{}).", service, operation,
                                              said, code, status, request));
}

}  // namespace berth::aws
