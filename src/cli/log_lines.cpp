#include "cli/log_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/text.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t task_columns = 8;

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  return value.is_double() ? plain_number(value.get_double()) : json::serialize(value);
}

std::string take_text(json::object& object, std::string_view name) {
  json::value* value = object.if_contains(name);
  if (value == nullptr) return {};
  std::string text = text_of(*value);
  object.stable_erase(name);  // the order of the others is the writer's
  return text;
}

Paint level_paint(std::string_view level) {
  if (level == "error") return Paint::red;
  return level == "warning" ? Paint::yellow : Paint::dim;
}

/// "2026-11-22T15:04:05.123Z" as "15:04:05.123".
std::string time_of_day(const std::string& time) {
  std::size_t start = time.find('T');
  if (start == std::string::npos) return time;
  std::string day = time.substr(start + 1);
  if (day.ends_with('Z')) day.pop_back();
  return day;
}

/// The head of what a task writes from its start on, with the day, which the lines below leave out.
std::string start_of_run(const std::string& moment, const std::string& task, const std::string& message,
                         bool colour) {
  std::string when = moment.substr(0, 19);
  std::ranges::replace(when, 'T', ' ');
  return paint(Paint::bold, printable(fmt::format("── {} task {} starts: {} ──", when, task, message)),
               colour);
}

}  // namespace

bool LineBuffer::next(std::string& line) {
  std::size_t end = text_.find('\n', at_);
  if (end == std::string::npos) {
    text_.erase(0, at_);
    at_ = 0;
    return false;
  }
  line = text_.substr(at_, end - at_);
  at_ = end + 1;
  return true;
}

std::vector<std::string> summarize(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  for (const std::string& line : lines) {
    json::error_code error;
    json::value value = json::parse(line, error);
    std::string text = line;
    if (!error && value.is_object()) {
      json::object& object = value.get_object();
      std::string event = take_text(object, "event");
      text = take_text(object, "message");
      if (text.empty()) text = take_text(object, "reason");
      if (text.empty()) text = take_text(object, "line");
      if (text.empty()) text = event;
    }
    std::erase(out, text);
    out.push_back(std::move(text));
  }
  return out;
}

std::string format_log_line(std::string_view line, bool colour) {
  json::error_code error;
  json::value value = json::parse(line, error);
  if (error || !value.is_object()) return printable(line);
  json::object& object = value.get_object();
  const std::string moment = take_text(object, "time");
  std::string time = time_of_day(moment);
  std::string level = take_text(object, "level");
  std::string event = take_text(object, "event");
  std::string task = take_text(object, "task");
  std::string zone = take_text(object, "zone");
  std::string message = take_text(object, "message");
  if (event == "task_started") return start_of_run(moment, task, message, colour);
  if (!message.empty()) event += ": " + message;
  // A task of AWS is an id of 32 digits; its first ones are what `berth status` shows, too.
  if (task.size() > task_columns) task.resize(task_columns);
  std::string who = task.empty() ? "" : fmt::format("{}{}{} ", task, zone.empty() ? "" : "/", zone);
  std::string fields;
  for (const auto& field : object) {
    std::string text = text_of(field.value());
    bool blank = text.empty() || text.find_first_of(" \"\n") != std::string::npos;
    std::string shown = printable(blank ? json::serialize(json::string_view(text)) : text);
    fields += fmt::format(" {}={}", paint(Paint::dim, printable(field.key()), colour), shown);
  }
  return fmt::format("{} {}{} {}{}", paint(Paint::dim, printable(time), colour), printable(who),
                     paint(level_paint(level), fmt::format("{:<7}", printable(level)), colour),
                     paint(Paint::bold, printable(event), colour), fields);
}

}  // namespace berth::cli
