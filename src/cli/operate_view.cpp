#include "cli/operate_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/log_lines.h"
#include "cli/text.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t id_columns = 8;
constexpr std::size_t digest_columns = 12;

Duration since(double start_s, WallTime now) {
  const std::int64_t ms = to_unix_ms(now) - static_cast<std::int64_t>(start_s * 1000);
  return std::chrono::milliseconds(std::max<std::int64_t>(ms, 0));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
  });
  return text;
}

/// "…/files@sha256:0123456789ab…" → "0123456789ab", a tag as it is.
std::string short_image(const std::string& image) {
  const std::size_t digest = image.find("@sha256:");
  if (digest != std::string::npos) return image.substr(digest + 8, digest_columns);
  return image.substr(image.rfind('/') + 1);
}

Paint target_paint(const std::string& target) {
  if (target == "healthy") return Paint::green;
  if (target == "unhealthy") return Paint::red;
  return target == "draining" ? Paint::dim : Paint::yellow;
}

std::string task_table(const deploy::LiveService& live, WallTime now, bool colour) {
  std::vector<std::vector<Cell>> rows{{{"TASK", Paint::dim},
                                       {"ZONE", Paint::dim},
                                       {"STATE", Paint::dim},
                                       {"HEALTH", Paint::dim},
                                       {"CAPACITY", Paint::dim},
                                       {"IMAGE", Paint::dim},
                                       {"UP", Paint::dim}}};
  for (const deploy::LiveTask& task : live.tasks) {
    rows.push_back({{task.id.substr(0, id_columns)},
                    {task.zone},
                    {lower(task.status)},
                    {task.target.empty() ? "–" : task.target, target_paint(task.target)},
                    {task.capacity == "FARGATE_SPOT" ? "Spot" : "on demand"},
                    {short_image(task.image)},
                    {task.started_at > 0 ? age(since(task.started_at, now)) : "–"}});
  }
  std::string out = table(rows, 2, colour);
  for (const deploy::LiveTask& task : live.tasks) {
    if (task.target == "healthy" || task.target_reason.empty()) continue;
    out += fmt::format("  task {}: {}\n", task.id.substr(0, id_columns), printable(task.target_reason));
  }
  return out;
}

std::string deployment_text(const deploy::LiveService& live, WallTime now) {
  if (live.service.deployments.empty()) return "none";
  const deploy::ServiceDeployment& newest = live.service.deployments.front();
  const std::string state = newest.rollout.empty() ? lower(newest.status) : lower(newest.rollout);
  std::string out = state == "in_progress" ? "in progress" : state;
  if (newest.created_at > 0) out += fmt::format(", begun {} ago", age(since(newest.created_at, now)));
  out += fmt::format(", {}", newest.task_definition.substr(newest.task_definition.rfind('/') + 1));
  if (newest.failed > 0) out += fmt::format(", {} tasks failed", newest.failed);
  if (state == "failed" && !newest.reason.empty()) out += ": " + newest.reason;
  return out;
}

std::string scaling_text(const deploy::LiveService& live) {
  if (!live.scaling) return "by hand";
  std::string out = fmt::format("{} to {} tasks", live.scaling->min, live.scaling->max);
  if (live.scaling->suspended) out += ", suspended";
  for (const std::string& schedule : live.scaling->schedules) out += "; " + schedule;
  return out;
}

std::string alarm_text(const deploy::LiveService& live) {
  if (live.alarms.empty()) return "none";
  std::string ringing;
  for (const deploy::LiveAlarm& alarm : live.alarms) {
    // One that scales rings as a matter of course.
    if (alarm.state != "ALARM" || alarm.scales) continue;
    ringing += fmt::format("{}{}", ringing.empty() ? "" : "; ",
                           alarm.description.empty() ? alarm.name : alarm.description);
  }
  return ringing.empty() ? fmt::format("none of {} tells of a fault", live.alarms.size()) : ringing;
}

}  // namespace

std::string aws_status_text(const deploy::LiveService& live,
                            const std::vector<std::pair<std::string, std::string>>& urls, WallTime now,
                            std::size_t columns, bool colour) {
  const bool good = deploy::is_healthy(live);
  const std::string count = live.service.exists()
                                ? fmt::format("{} of {} tasks healthy", live.healthy(), live.service.desired)
                                : std::string("no service");
  std::string out = fmt::format("{}  {}  {}\n", paint(Paint::bold, live.stack.name, colour),
                                paint(good ? Paint::green : Paint::yellow, count, colour),
                                paint(Paint::dim, live.region, colour));
  std::vector<std::vector<Cell>> addresses;
  for (const auto& [name, url] : urls) addresses.push_back({{name}, {url, Paint::cyan}});
  out += table(addresses, 2, colour);
  if (!live.tasks.empty()) out += "\n" + task_table(live, now, colour);
  std::vector<std::vector<Cell>> rows{{{"deployment", Paint::dim}, {deployment_text(live, now)}},
                                      {{"scaling", Paint::dim}, {scaling_text(live)}},
                                      {{"alarms", Paint::dim}, {alarm_text(live)}},
                                      {{"stack", Paint::dim}, {lower(live.stack.status)}}};
  for (const std::string& gap : live.gaps) rows.push_back({{"not asked", Paint::dim}, {gap, Paint::yellow}});
  for (std::vector<Cell>& row : rows)
    row[1].text = clip(printable(row[1].text), std::max<std::size_t>(columns, 40) - 16);
  return out + "\n" + table(rows, 2, colour);
}

std::string aws_log_line(const deploy::LogLine& line, bool colour) {
  if (line.text.starts_with('{')) {
    json::error_code broken;
    const json::value value = json::parse(line.text, broken);
    if (!broken && value.is_object()) return format_log_line(line.text, colour);
  }
  const std::string time = to_rfc3339(WallTime(std::chrono::milliseconds(line.time_ms))).substr(11, 12);
  return fmt::format("{} {} {}", paint(Paint::dim, time, colour),
                     paint(Paint::dim, printable(line.task.substr(0, id_columns)), colour),
                     printable(line.text));
}

std::string aws_log_json(const deploy::LogLine& line) {
  json::error_code broken;
  const json::value value = json::parse(line.text, broken);
  if (!broken && value.is_object()) return line.text;
  return json::serialize(json::object{{"time", to_rfc3339(WallTime(std::chrono::milliseconds(line.time_ms)))},
                                      {"task", line.task},
                                      {"message", line.text}});
}

std::string trace_table(const std::vector<deploy::Trace>& traces, WallTime now, bool colour) {
  std::vector<std::vector<Cell>> rows{{{"TRACE", Paint::dim},
                                       {"AGO", Paint::dim},
                                       {"TOOK", Paint::dim},
                                       {"SPANS", Paint::dim},
                                       {"", Paint::dim},
                                       {"NAME", Paint::dim}}};
  for (const deploy::Trace& trace : traces) {
    const auto took = std::chrono::microseconds(static_cast<std::int64_t>(trace.duration_s() * 1e6));
    rows.push_back({{trace.id.substr(0, 16), Paint::cyan},
                    {age(since(trace.start_s(), now))},
                    {age(took)},
                    {fmt::format("{}", trace.spans.size())},
                    {trace.failed() ? "✗" : "✓", trace.failed() ? Paint::red : Paint::green},
                    {printable(trace.name())}});
  }
  return table(rows, 2, colour);
}

std::string doctor_text(const std::vector<deploy::Link>& links, std::size_t columns, bool colour) {
  std::string out;
  std::size_t width = 0;
  for (const deploy::Link& link : links) width = std::max(width, display_width(link.name));
  for (const deploy::Link& link : links) {
    const bool good = link.state == deploy::Link::State::good;
    const bool skipped = link.state == deploy::Link::State::skipped;
    const Paint mark = good ? Paint::green : skipped ? Paint::dim : Paint::red;
    const std::string pad(width - display_width(link.name), ' ');
    out += fmt::format("{} {}{}  {}\n",
                       paint(mark,
                             good      ? "✓"
                             : skipped ? "–"
                                       : "✗",
                             colour),
                       link.name, pad, printable(link.detail));
    for (const std::string& line : link.evidence) {
      const std::string shown = clip(printable(line), std::max<std::size_t>(columns, 40) - 6);
      out += fmt::format("    {}\n", paint(Paint::dim, "│ " + shown, colour));
    }
  }
  return out;
}

}  // namespace berth::cli
