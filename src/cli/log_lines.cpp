#include "cli/log_lines.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/text.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t task_columns = 8;

std::string take_text(json::object& object, std::string_view name) {
  json::value* value = object.if_contains(name);
  if (value == nullptr) return {};
  std::string text = value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
  object.erase(name);
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
  std::string time = time_of_day(take_text(object, "time"));
  std::string level = take_text(object, "level");
  std::string event = take_text(object, "event");
  std::string task = take_text(object, "task");
  std::string zone = take_text(object, "zone");
  std::string message = take_text(object, "message");
  if (!message.empty()) event += ": " + message;
  // A task of AWS is an id of 32 digits; its first ones are what `berth status` shows, too.
  if (task.size() > task_columns) task.resize(task_columns);
  std::string who = task.empty() ? "" : fmt::format("{}{}{} ", task, zone.empty() ? "" : "/", zone);
  std::string fields;
  for (const auto& field : object) {
    std::string text =
        field.value().is_string() ? std::string(field.value().get_string()) : json::serialize(field.value());
    bool blank = text.empty() || text.find_first_of(" \"\n") != std::string::npos;
    std::string shown = printable(blank ? json::serialize(json::string_view(text)) : text);
    fields += fmt::format(" {}={}", paint(Paint::dim, printable(field.key()), colour), shown);
  }
  return fmt::format("{} {}{} {}{}", paint(Paint::dim, printable(time), colour), printable(who),
                     paint(level_paint(level), fmt::format("{:<7}", printable(level)), colour),
                     paint(Paint::bold, printable(event), colour), fields);
}

}  // namespace berth::cli
