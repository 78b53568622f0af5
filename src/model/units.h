#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

/// Amounts as people write them. Both directions are exact: parse(format(x)) == x.
namespace berth::model {

/// "250ms", "30s", "5m", "1h", "1m30s"; "0" needs no unit. invalid_argument names what is wrong with the
/// text.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
std::string format_duration(std::chrono::milliseconds duration);

/// "512", "64KB", "512MB", "1GB", "1.5GB" (also KiB, MiB, GiB, TB). As ECS and Docker count, 1KB is 1024
/// bytes.
Result<std::uint64_t> parse_bytes(std::string_view text);
std::string format_bytes(std::uint64_t bytes);

/// A finite decimal number such as "0.5"; no exponent, no sign of its own.
Result<double> parse_number(std::string_view text);
/// "0.5", "3": the shortest text that reads back as the same number.
std::string format_number(double number);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Decimal digits only.
Result<std::uint64_t> parse_count(std::string_view text);

}  // namespace berth::model
