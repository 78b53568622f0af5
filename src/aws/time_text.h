#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

/// The ways in which AWS writes a moment. All UTC, to the second.
namespace berth::aws {

/// "20150830T123600Z", as signatures want it; the first eight characters are the date of a key's scope.
std::string to_basic_time(WallTime time);

/// "2026-11-22T15:04:05Z", with an optional fraction, and "+00:00" or "UTC" in place of the Z (the SSO cache
/// of older CLIs); other offsets are honoured.
std::optional<WallTime> parse_rfc3339(std::string_view text);

/// "Sun, 22 Nov 2026 15:04:05 GMT": the Date field of an answer (RFC 9110 §5.6.7, the preferred form alone).
std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace berth::aws
