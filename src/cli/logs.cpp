#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/files.h"
#include "cli/log_lines.h"
#include "cli/spec_file.h"

namespace berth::cli {
namespace {

constexpr std::size_t lines_default = 50;
constexpr std::size_t lines_max = 100'000;
constexpr std::size_t log_bytes_max = 64u << 20;

class Printer {
 public:
  Printer(Context& context, bool json) : context_(context), json_(json) {}
  void line(std::string_view line) {
    if (line.empty()) return;
    std::string shown = json_ ? std::string(line) : format_log_line(line, context_.terminal.colour());
    context_.terminal.out(shown + "\n");
  }

 private:
  Context& context_;
  bool json_;
};

/// The value of "time" in a log line, by which lines of several tasks are put in order; it is always the
/// first member.
std::string_view time_of(std::string_view line) {
  constexpr std::string_view start = "{\"time\":\"";
  if (!line.starts_with(start)) return {};
  line.remove_prefix(start.size());
  return line.substr(0, line.find('"'));
}

/// The log files of the service, of one task if `task` is given: the rotated ones first.
std::vector<std::string> log_files(const std::string& folder, const std::optional<std::string>& task) {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    bool wanted = !task || name.starts_with(fmt::format("task-{}.", *task));
    if (wanted && name.starts_with("task-") && name.find(".jsonl") != std::string::npos)
      out.push_back(entry.path().string());
  }
  std::ranges::sort(out, std::greater());
  return out;
}

/// What the files of a service that does not run hold: its last lines, in the order of time. False where
/// there are none.
bool print_from_files(Context& context, const std::string& folder, const Arguments& arguments,
                      std::size_t lines) {
  std::vector<std::string> all;
  for (const std::string& path : log_files(folder, arguments.get("task"))) {
    Result<std::string> text = read_file(path, log_bytes_max);
    if (!text) continue;
    LineBuffer buffer;
    buffer.feed(*text);
    for (std::string line; buffer.next(line);) all.push_back(line);
  }
  if (all.empty()) return false;
  std::ranges::stable_sort(all, {}, [](const std::string& line) { return time_of(line); });
  Printer printer(context, arguments.has("json"));
  for (std::size_t i = all.size() - std::min(all.size(), lines); i < all.size(); ++i) printer.line(all[i]);
  return true;
}

}  // namespace

Task<ExitCode> run_logs(Context& context, const Arguments& arguments) {
  Result<std::optional<std::size_t>> lines = arguments.number("lines", 0, lines_max);
  if (!lines) {
    co_return report(context, "logs", lines.error(), Cause::command_line);
  }
  Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::service);
  if (!location) {
    co_return report(context, "logs", location.error(), Cause::spec);
  }
  std::size_t count = lines->value_or(lines_default);
  std::string target = fmt::format("/logs?lines={}", count);
  if (arguments.has("follow")) target += "&follow=1";
  if (arguments.has("task")) target += fmt::format("&task={}", *arguments.get("task"));
  Control control(context, location->state_directory);
  Result<std::unique_ptr<http::ClientResponse>> response = co_await control.logs(target);
  if (!response) {
    const bool is_running = response.error().code() != ErrorCode::unavailable;
    const std::string folder = cluster::StatePaths{location->state_directory}.logs();
    if (is_running || !print_from_files(context, folder, arguments, count))
      co_return report(context, "logs", response.error(), Cause::service);
    if (arguments.has("follow")) context.terminal.err("The service is not running; this was its log.\n");
    co_return ExitCode::ok;
  }
  Printer printer(context, arguments.has("json"));
  LineBuffer buffer;
  (*response)->set_deadline(std::nullopt);
  std::string part(16 * 1024, '\0');
  while (!context.terminal.broken()) {
    Result<std::size_t> got = co_await (*response)->read_some(part);
    if (!got || *got == 0) break;
    buffer.feed(std::string_view(part).substr(0, *got));
    for (std::string line; buffer.next(line);) printer.line(line);
  }
  printer.line(buffer.rest());
  co_return ExitCode::ok;
}

}  // namespace berth::cli
