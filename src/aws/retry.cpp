#include "aws/retry.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::aws {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds base_delay{500};
constexpr seconds delay_max{20};
constexpr minutes skew_tolerated{4};

template <std::size_t Count>
bool is_one_of(std::string_view code, const std::array<std::string_view, Count>& codes) {
  return std::ranges::find(codes, code) != codes.end();
}

constexpr std::array<std::string_view, 13> throttling_codes{"Throttling",
                                                            "ThrottlingException",
                                                            "ThrottledException",
                                                            "RequestThrottledException",
                                                            "RequestThrottled",
                                                            "TooManyRequestsException",
                                                            "TransactionInProgressException",
                                                            "RequestLimitExceeded",
                                                            "BandwidthLimitExceeded",
                                                            "SlowDown",
                                                            "PriorRequestNotComplete",
                                                            "EC2ThrottledException",
                                                            "ProvisionedThroughputExceededException"};

constexpr std::array<std::string_view, 6> transient_codes{"NetworkError",   "Deadline",
                                                          "RequestTimeout", "RequestTimeoutException",
                                                          "InternalError",  "IDPCommunicationError"};

/// Refusals that a wrong clock can cause.
constexpr std::array<std::string_view, 7> clock_codes{
    "RequestTimeTooSkewed",  "RequestInTheFuture", "RequestExpired", "InvalidSignatureException",
    "SignatureDoesNotMatch", "InvalidSignature",   "AuthFailure"};

constexpr std::array<std::string_view, 4> expired_codes{"ExpiredToken", "ExpiredTokenException",
                                                        "RequestExpired", "TokenRefreshRequired"};

std::optional<std::int64_t> number(std::optional<std::string_view> text) {
  std::int64_t value = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value < 0) return std::nullopt;
  return std::min<std::int64_t>(value, 1'000'000);
}

}  // namespace

bool is_throttling(const Fault& fault) {
  return is_one_of(fault.code, throttling_codes) || fault.status == 429;
}

Remedy find_remedy(const Fault& fault, std::optional<WallTime> server_time, WallTime signed_time) {
  if (is_one_of(fault.code, clock_codes) && server_time) {
    const Duration apart =
        *server_time > signed_time ? *server_time - signed_time : signed_time - *server_time;
    if (apart > skew_tolerated) return Remedy::new_time;
  }
  if (is_one_of(fault.code, expired_codes)) return Remedy::new_keys;
  const bool is_server_side = fault.status == 500 || (fault.status >= 502 && fault.status <= 504);
  if (is_throttling(fault) || is_one_of(fault.code, transient_codes) || is_server_side) return Remedy::wait;
  return Remedy::none;
}

Duration retry_delay(int attempt, bool throttled, std::uint64_t random, std::optional<Duration> asked) {
  if (asked) return std::min<Duration>(*asked, delay_max);
  const int doublings = std::clamp(attempt - 2, 0, 10) + (throttled ? 1 : 0);
  const Duration most = std::min<Duration>(base_delay * (1 << doublings), delay_max);
  const auto steps = static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(most).count()) + 1;
  return milliseconds(static_cast<std::int64_t>(random % steps));
}

std::optional<Duration> asked_delay(const http::Headers& headers) {
  if (const auto asked_ms = number(headers.get("x-amz-retry-after"))) return milliseconds(*asked_ms);
  if (const auto asked_s = number(headers.get("retry-after"))) return seconds(*asked_s);
  return std::nullopt;
}

}  // namespace berth::aws
