#include "deploy/logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "aws/time_text.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using std::chrono::hours;
using std::chrono::minutes;

constexpr std::array<Duration, 4> windows{minutes(15), hours(2), hours(24), hours(24 * 7)};
/// How late a line may come and still be shown by `logs -f`.
constexpr std::int64_t late_ms = 15'000;
constexpr std::size_t known_max = 50'000;
constexpr std::size_t pages_max = 500;

LogLine line_of(const json::object& event) {
  LogLine line;
  line.id = aws::text(event, "eventId");
  const json::value* const time = event.if_contains("timestamp");
  if (time != nullptr && time->is_number()) line.time_ms = time->to_number<std::int64_t>();
  const std::string stream = aws::text(event, "logStreamName");
  line.task = stream.substr(stream.rfind('/') + 1);
  line.text = aws::text(event, "message");
  while (line.text.ends_with('\n') || line.text.ends_with('\r')) line.text.pop_back();
  return line;
}

/// Events from `from_ms` on, oldest first; the newest log_lines_max of them.
Task<aws::Reply<std::vector<LogLine>>> filter(aws::Client& client, LogQuery query, std::int64_t from_ms) {
  std::deque<LogLine> lines;
  json::object input{{"logGroupName", query.group}, {"startTime", from_ms}};
  if (!query.task.empty()) input["logStreamNamePrefix"] = std::string(log_stream_prefix) + query.task;
  for (std::size_t page = 0; page < pages_max; ++page) {
    const auto answer = co_await client.call("logs", "FilterLogEvents", input);
    if (!answer) co_return std::unexpected(answer.error());
    for (const json::value& event : aws::array(*answer, "events")) {
      if (event.is_object()) lines.push_back(line_of(event.get_object()));
    }
    while (lines.size() > log_lines_max) lines.pop_front();
    const std::string token = aws::text(*answer, "nextToken");
    if (token.empty()) break;
    input["nextToken"] = token;
  }
  std::vector<LogLine> out(std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
  std::ranges::stable_sort(out, {}, &LogLine::time_ms);
  co_return out;
}

void keep_last(std::vector<LogLine>& lines, std::size_t count) {
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
}

}  // namespace

Result<std::int64_t> parse_since(std::string_view text, WallTime now) {
  if (const auto moment = aws::parse_rfc3339(text)) return to_unix_ms(*moment);
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const std::int64_t unit_s = unit == "s"   ? 1
                              : unit == "m" ? 60
                              : unit == "h" ? 3600
                              : unit == "d" ? 86'400
                                            : 0;
  const bool fits = error == std::errc{} && unit_s > 0 && count >= 0 && count <= 366 * 86'400 / unit_s;
  if (fits) return to_unix_ms(now) - count * unit_s * 1000;
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("--since is \"{}\"; it takes a time before now (30s, 15m, 2h, 3d; at most a year) or a "
                  "moment such as 2026-11-22T15:04:05Z.",
                  text));
}

Task<aws::Reply<std::vector<LogLine>>> read_lines(aws::Client& client, Clock& clock, LogQuery query) {
  if (query.since_ms) {
    auto lines = co_await filter(client, query, *query.since_ms);
    if (lines && query.lines > 0) keep_last(*lines, query.lines);
    co_return lines;
  }
  const std::int64_t now_ms = to_unix_ms(clock.wall());
  std::vector<LogLine> lines;
  for (const Duration window : windows) {
    const std::int64_t window_ms = std::chrono::duration_cast<std::chrono::milliseconds>(window).count();
    auto found = co_await filter(client, query, now_ms - window_ms);
    if (!found) co_return std::unexpected(found.error());
    lines = std::move(*found);
    if (lines.size() >= query.lines) break;
  }
  keep_last(lines, query.lines);
  co_return lines;
}

LogFollower::LogFollower(aws::Client& client, LogQuery query, const std::vector<LogLine>& shown, WallTime now)
    : client_(client), query_(std::move(query)), newest_ms_(to_unix_ms(now)) {
  if (query_.lines == 0 && !query_.since_ms) oldest_ms_ = newest_ms_;
  if (!shown.empty()) newest_ms_ = shown.back().time_ms;
  if (query_.lines > 0 && shown.size() >= query_.lines) oldest_ms_ = shown.front().time_ms;
  for (const LogLine& line : shown) remember(line);
}

void LogFollower::remember(const LogLine& line) {
  if (!known_.insert(line.id).second) return;
  order_.push_back(line.id);
  if (order_.size() > known_max) {
    known_.erase(order_.front());
    order_.pop_front();
  }
}

Task<aws::Reply<std::vector<LogLine>>> LogFollower::next() {
  auto found = co_await filter(client_, query_, newest_ms_ - late_ms);
  if (!found && is_passing(found.error())) co_return std::vector<LogLine>();
  if (!found) co_return found;
  std::vector<LogLine> fresh;
  for (LogLine& line : *found) {
    if (line.time_ms < oldest_ms_ || known_.contains(line.id)) continue;
    remember(line);
    newest_ms_ = std::max(newest_ms_, line.time_ms);
    fresh.push_back(std::move(line));
  }
  co_return fresh;
}

bool is_metrics(std::string_view line) {
  return line.starts_with('{') && line.find("\"_aws\":") != std::string_view::npos &&
         line.find("\"CloudWatchMetrics\"") != std::string_view::npos;
}

}  // namespace berth::deploy
