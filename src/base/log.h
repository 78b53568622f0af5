#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace berth {

/// One named value of a log line. Strings are borrowed for the call.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view n, std::string_view v) : name(n), value(v) {}
  LogField(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  LogField(std::string_view n, bool v) : name(n), value(v) {}
  LogField(std::string_view n, double v) : name(n), value(v) {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view n, T v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };
std::string_view to_string(LogLevel level);

/// Event name + fields. A class receives a Log& by its constructor. Implementations: JSON lines to a file
/// descriptor (production), and a recorder (tests).
class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) = 0;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (threshold_ <= LogLevel::debug) write(LogLevel::debug, event, fields);
  }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (threshold_ <= LogLevel::info) write(LogLevel::info, event, fields);
  }
  void warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
    if (threshold_ <= LogLevel::warning) write(LogLevel::warning, event, fields);
  }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
    write(LogLevel::error, event, fields);
  }

  LogLevel threshold() const { return threshold_; }
  void set_threshold(LogLevel level) { threshold_ = level; }

 private:
  LogLevel threshold_ = LogLevel::info;
};

/// Appends `text` as the inside of a JSON string (no quotes). Bytes that are not UTF-8 become U+FFFD.
void append_json_escaped(std::string& out, std::string_view text);
/// `text` as a JSON string, with quotes.
std::string json_quote(std::string_view text);

/// One JSON object per line: {"time":…,"level":…,"event":…, common fields, fields}.
class JsonLineLog final : public Log {
 public:
  /// Writes to `descriptor` with one write(2) a line (not owned). `common` is spliced into every line as it
  /// is: either empty or `"task":"1","zone":"a"`.
  JsonLineLog(int descriptor, std::string common);
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

 private:
  int descriptor_;
  std::string common_;
};

/// Discards everything (tests, short-lived verbs).
Log& null_log();

}  // namespace berth
