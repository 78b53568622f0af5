#include "model/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace berth::model {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<Unit, 4> duration_units{{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 5> byte_units{{{"TB", std::uint64_t{1} << 40},
                                          {"GB", std::uint64_t{1} << 30},
                                          {"MB", std::uint64_t{1} << 20},
                                          {"KB", std::uint64_t{1} << 10},
                                          {"B", 1}}};
// A century: far above any wait, far below overflow.
constexpr std::uint64_t duration_ms_max = std::uint64_t{3'155'760'000'000};
constexpr std::uint64_t bytes_max = std::uint64_t{1} << 52;

std::string_view take_while(std::string_view& text, auto accept) {
  std::size_t n = 0;
  while (n < text.size() && accept(text[n])) ++n;
  std::string_view taken = text.substr(0, n);
  text.remove_prefix(n);
  return taken;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((a[i] | 0x20) != (b[i] | 0x20)) return false;
  }
  return true;
}

Failure bad(std::string message) { return fail(ErrorCode::invalid_argument, std::move(message)); }

const Unit* find_duration_unit(std::string_view name) {
  for (const Unit& unit : duration_units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

const Unit* find_byte_unit(std::string_view name) {
  std::string plain(name);
  if (plain.size() == 3 && (plain[1] == 'i' || plain[1] == 'I')) plain.erase(1, 1);
  if (plain.size() == 1 && plain != "B" && plain != "b") plain += 'B';
  for (const Unit& unit : byte_units) {
    if (same_ignoring_case(unit.name, plain)) return &unit;
  }
  return nullptr;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return milliseconds(0);
  if (text.empty()) return bad("is empty");
  std::uint64_t total = 0;
  std::uint64_t unit_before = UINT64_MAX;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view digits = take_while(rest, is_digit);
    if (digits.empty()) return bad("is not a duration");
    std::string_view name = take_while(rest, [](char c) { return c >= 'a' && c <= 'z'; });
    if (name.empty() && rest.empty()) return bad("has no unit");
    const Unit* unit = find_duration_unit(name);
    if (unit == nullptr) return bad("has a unit that is none of ms, s, m and h");
    if (unit->size >= unit_before) return bad("names its units in the wrong order");
    unit_before = unit->size;
    Result<std::uint64_t> count = parse_count(digits);
    if (!count || *count > duration_ms_max / unit->size) return bad("is too long");
    total += *count * unit->size;
  }
  if (total > duration_ms_max) return bad("is too long");
  return milliseconds(static_cast<std::int64_t>(total));
}

std::string format_duration(milliseconds duration) {
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (rest == 0) return "0s";
  std::string out;
  for (const Unit& unit : duration_units) {
    if (rest < unit.size) continue;
    out += fmt::format("{}{}", rest / unit.size, unit.name);
    rest %= unit.size;
  }
  return out;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  std::string_view rest = text;
  std::string_view digits = take_while(rest, [](char c) { return is_digit(c) || c == '.'; });
  if (digits.empty()) return bad("is not a size");
  Result<double> number = parse_number(digits);
  if (!number) return bad("is not a size");
  if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const Unit* unit = rest.empty() ? &byte_units.back() : find_byte_unit(rest);
  if (unit == nullptr) return bad("has a unit that is none of KB, MB, GB and TB");
  double bytes = *number * static_cast<double>(unit->size);
  if (bytes > static_cast<double>(bytes_max)) return bad("is too large");
  if (bytes != std::floor(bytes)) return bad("is not a whole number of bytes");
  return static_cast<std::uint64_t>(bytes);
}

std::string format_bytes(std::uint64_t bytes) {
  for (const Unit& unit : byte_units) {
    if (bytes >= unit.size && bytes % unit.size == 0 && unit.size > 1)
      return fmt::format("{}{}", bytes / unit.size, unit.name);
  }
  return fmt::format("{}", bytes);
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  std::from_chars_result result = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  bool whole = result.ec == std::errc() && result.ptr == end && !text.empty();
  if (!whole || !is_digit(text.front()) || !std::isfinite(value)) return bad("is not a number");
  return value;
}

std::string format_number(double number) { return fmt::format("{}", number); }

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  std::from_chars_result result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ptr != end) return bad("is not a whole number");
  if (result.ec != std::errc()) return bad("is too large");
  return value;
}

}  // namespace berth::model
