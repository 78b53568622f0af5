#pragma once

#include <cstdint>
#include <optional>

#include "aws/client.h"
#include "base/clock.h"

/// When a failed call is made again: the SDKs' standard mode
/// (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html) with full jitter.
namespace berth::aws {

enum class Remedy : std::uint8_t {
  none,      ///< the caller's mistake, or nothing that time mends
  wait,      ///< again after a pause
  new_time,  ///< again with the server's clock
  new_keys,  ///< again with fresh credentials
};

/// What would help. `server_time` is the answer's Date, `signed_time` what the request was signed with; apart
/// by more than four minutes, a refused signature means a wrong clock.
Remedy find_remedy(const Fault& fault, std::optional<WallTime> server_time, WallTime signed_time);

bool is_throttling(const Fault& fault);

/// The pause before attempt `attempt` (2 is the second): up to 0.5 s, 1 s, 2 s … 20 s, twice that when
/// throttled, scaled by `random` (0 … 2^64-1). What the server asked for wins, up to 20 s.
Duration retry_delay(int attempt, bool throttled, std::uint64_t random, std::optional<Duration> asked);

/// Retry-After in seconds, or x-amz-retry-after in milliseconds.
std::optional<Duration> asked_delay(const http::Headers& headers);

}  // namespace berth::aws
