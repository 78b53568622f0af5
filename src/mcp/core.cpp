#include "mcp/core.h"

#include <array>

namespace berth::mcp {
namespace {

constexpr std::array<std::string_view, 8> level_names{"debug", "info",     "notice", "warning",
                                                      "error", "critical", "alert",  "emergency"};

}  // namespace

std::optional<LoggingLevel> parse_logging_level(std::string_view text) {
  for (std::size_t i = 0; i < level_names.size(); ++i) {
    if (level_names[i] == text) return static_cast<LoggingLevel>(i);
  }
  return std::nullopt;
}

std::string_view to_string(LoggingLevel level) { return level_names[static_cast<std::size_t>(level)]; }

Outcome Outcome::success(std::string result) {
  Outcome outcome;
  outcome.result = std::move(result);
  return outcome;
}

Outcome Outcome::failure(RpcError error) {
  Outcome outcome;
  outcome.kind = Kind::error;
  outcome.error = std::move(error);
  return outcome;
}

Outcome Outcome::failure(int code, std::string message, std::string data) {
  return failure(RpcError{code, std::move(message), std::move(data)});
}

Outcome Outcome::lost(RpcError error) {
  Outcome outcome = failure(std::move(error));
  outcome.is_lost = true;
  return outcome;
}

Outcome Outcome::ask(InputRequired input) {
  Outcome outcome;
  outcome.kind = Kind::input_required;
  outcome.input = std::move(input);
  return outcome;
}

std::string_view notification_method(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::tools_list: return "notifications/tools/list_changed";
    case Change::Kind::prompts_list: return "notifications/prompts/list_changed";
    case Change::Kind::resources_list: return "notifications/resources/list_changed";
    case Change::Kind::resource_updated: return "notifications/resources/updated";
    case Change::Kind::message: break;
  }
  return "notifications/message";
}

}  // namespace berth::mcp
