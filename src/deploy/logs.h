#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"

/// The lines of a service's tasks, as CloudWatch Logs keeps them.
namespace berth::deploy {

struct LogLine {
  std::string id;  ///< of the event
  std::int64_t time_ms = 0;
  std::string task;  ///< the stream's last part: the task's id
  std::string text;  ///< without the line break
  bool operator==(const LogLine&) const = default;
};

struct LogQuery {
  std::string group;
  std::string task;                      ///< the beginning of a task's id; empty: of all
  std::optional<std::int64_t> since_ms;  ///< nullopt: the last `lines` of the past week
  std::size_t lines = 50;                ///< at most; with `since_ms` 0 stands for all
};

/// What stands before the task's id in the name of its stream (infra/task-definition.yaml).
inline constexpr std::string_view log_stream_prefix = "task/berth/";
/// Lines that one reading keeps at most.
inline constexpr std::size_t log_lines_max = 100'000;

/// "15m", "2h", "3d", "90s" before `now`, or an RFC 3339 moment; invalid_argument for anything else.
Result<std::int64_t> parse_since(std::string_view text, WallTime now);

/// Lines of all tasks by time. Without `since_ms` ever longer windows are read until there are enough.
Task<aws::Reply<std::vector<LogLine>>> read_lines(aws::Client& client, Clock& clock, LogQuery query);

/// Lines as they come. CloudWatch takes lines in late and out of order, so each look reaches back a few
/// seconds and what was already given is left out by its id.
class LogFollower {
 public:
  /// Begins behind `shown`, which were given already. `client` outlives it.
  LogFollower(aws::Client& client, LogQuery query, const std::vector<LogLine>& shown, WallTime now);

  /// What has come since the last call; a passing fault (the network, throttling) gives nothing.
  Task<aws::Reply<std::vector<LogLine>>> next();

 private:
  void remember(const LogLine& line);

  aws::Client& client_;
  LogQuery query_;
  std::int64_t newest_ms_;
  std::int64_t oldest_ms_ = 0;  ///< older lines were there before, and were not asked for
  std::set<std::string> known_;
  std::deque<std::string> order_;  ///< of known_, so that the oldest is forgotten first
};

/// Whether the line holds metrics for CloudWatch (embedded metric format) and nothing for people.
bool is_metrics(std::string_view line);

}  // namespace berth::deploy
