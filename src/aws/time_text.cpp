#include "aws/time_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>

namespace berth::aws {

namespace {

/// `count` decimal digits at the front of `rest`, taken off it.
std::optional<int> take_digits(std::string_view& rest, std::size_t count) {
  int number = 0;
  if (rest.size() < count) return std::nullopt;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + count, number);
  if (error != std::errc{} || end != rest.data() + count || number < 0) return std::nullopt;
  rest.remove_prefix(count);
  return number;
}

bool take(std::string_view& rest, std::string_view what) {
  if (!rest.starts_with(what)) return false;
  rest.remove_prefix(what.size());
  return true;
}

struct Civil {
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

std::optional<WallTime> to_wall(const Civil& civil) {
  const std::chrono::year_month_day date(std::chrono::year(civil.year),
                                         std::chrono::month(static_cast<unsigned>(civil.month)),
                                         std::chrono::day(static_cast<unsigned>(civil.day)));
  const bool is_time = civil.hour < 24 && civil.minute < 60 && civil.second <= 60;
  // Beyond 2261 the nanoseconds of a WallTime overflow.
  if (!date.ok() || !is_time || civil.year < 1970 || civil.year > 2261) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(civil.hour) +
         std::chrono::minutes(civil.minute) + std::chrono::seconds(civil.second);
}

/// Reads "15:04:05".
bool take_clock(std::string_view& rest, Civil& civil) {
  const auto hour = take_digits(rest, 2);
  const bool first_colon = hour && take(rest, ":");
  const auto minute = first_colon ? take_digits(rest, 2) : std::nullopt;
  const bool second_colon = minute && take(rest, ":");
  const auto second = second_colon ? take_digits(rest, 2) : std::nullopt;
  if (!second) return false;
  civil.hour = *hour;
  civil.minute = *minute;
  civil.second = *second;
  return true;
}

/// Minutes east of UTC; nullopt for text that is no offset.
std::optional<int> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z" || text == "UTC" || text == " UTC") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  std::string_view hours = text.substr(1, 2);
  std::string_view minutes = text.substr(4, 2);
  const auto hour = take_digits(hours, 2);
  const auto minute = take_digits(minutes, 2);
  if (!hour || !minute) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (*hour * 60 + *minute);
}

}  // namespace

std::string to_basic_time(WallTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - days));
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  std::string_view rest = text;
  Civil civil;
  const auto year = take_digits(rest, 4);
  const bool first_dash = year && take(rest, "-");
  const auto month = first_dash ? take_digits(rest, 2) : std::nullopt;
  const bool second_dash = month && take(rest, "-");
  const auto day = second_dash ? take_digits(rest, 2) : std::nullopt;
  if (!day || (!take(rest, "T") && !take(rest, " ") && !take(rest, "t"))) return std::nullopt;
  civil.year = *year;
  civil.month = *month;
  civil.day = *day;
  if (!take_clock(rest, civil)) return std::nullopt;
  if (take(rest, ".")) rest.remove_prefix(std::min(rest.find_first_not_of("0123456789"), rest.size()));
  const auto offset_minutes = parse_offset(rest);
  const auto wall = to_wall(civil);
  if (!offset_minutes || !wall) return std::nullopt;
  return *wall - std::chrono::minutes(*offset_minutes);
}

std::optional<WallTime> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::size_t comma = text.find(", ");
  if (comma == std::string_view::npos) return std::nullopt;
  std::string_view rest = text.substr(comma + 2);
  Civil civil;
  const auto day = take_digits(rest, 2);
  if (!day || !take(rest, " ")) return std::nullopt;
  civil.day = *day;
  for (std::size_t index = 0; index < months.size() && civil.month == 0; ++index) {
    if (take(rest, months[index])) civil.month = static_cast<int>(index) + 1;
  }
  if (civil.month == 0 || !take(rest, " ")) return std::nullopt;
  const auto year = take_digits(rest, 4);
  if (!year || !take(rest, " ") || !take_clock(rest, civil) || rest != " GMT") return std::nullopt;
  civil.year = *year;
  return to_wall(civil);
}

}  // namespace berth::aws
