#include "base/log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "base/clock.h"
#include "base/utf8.h"

namespace berth {

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "error";
}

void append_json_escaped(std::string& out, std::string_view text) {
  std::size_t plain = 0;
  std::size_t at = 0;
  const auto flush = [&] { out.append(text.substr(plain, at - plain)); };
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80) {
      const std::size_t length = utf8_sequence_length(text.substr(at));
      if (length > 0) {
        at += length;
        continue;
      }
      flush();
      out.append("\xEF\xBF\xBD");
      plain = ++at;
      continue;
    }
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      ++at;
      continue;
    }
    flush();
    switch (byte) {
      case '"': out.append("\\\""); break;
      case '\\': out.append("\\\\"); break;
      case '\n': out.append("\\n"); break;
      case '\r': out.append("\\r"); break;
      case '\t': out.append("\\t"); break;
      default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
    plain = ++at;
  }
  flush();
}

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  append_json_escaped(out, text);
  out.push_back('"');
  return out;
}

JsonLineLog::JsonLineLog(int descriptor, std::string common)
    : descriptor_(descriptor), common_(std::move(common)) {}

void JsonLineLog::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  std::string line = R"({"time":")";
  line += to_rfc3339(std::chrono::system_clock::now());
  line += R"(","level":")";
  line += to_string(level);
  line += R"(","event":")";
  append_json_escaped(line, event);
  line += '"';
  if (!common_.empty()) {
    line += ',';
    line += common_;
  }
  for (const LogField& field : fields) {
    line += ",\"";
    append_json_escaped(line, field.name);
    line += "\":";
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      line += '"';
      append_json_escaped(line, *text);
      line += '"';
    } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
      fmt::format_to(std::back_inserter(line), "{}", *integer);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      fmt::format_to(std::back_inserter(line), "{}", *number);
    } else {
      line += std::get<bool>(field.value) ? "true" : "false";
    }
  }
  line += "}\n";
  // A log that cannot be written must not take the service down with it.
  [[maybe_unused]] const auto written = ::write(descriptor_, line.data(), line.size());
}

namespace {
class NullLog final : public Log {
 public:
  NullLog() { set_threshold(LogLevel::error); }
  void write(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};
}  // namespace

Log& null_log() {
  static NullLog log;
  return log;
}

}  // namespace berth
