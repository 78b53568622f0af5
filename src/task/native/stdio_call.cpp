#include "task/native/stdio_call.h"

#include <algorithm>

#include "base/log.h"
#include "mcp/legacy.h"
#include "mcp/modern.h"

namespace berth::task {

StdioCall::StdioCall(StdioCallWorld& world, mcp::Caller caller, const mcp::Message& message,
                     std::optional<mcp::LoggingLevel> level)
    : world_(world),
      caller_(std::move(caller)),
      id_(message.id),
      method_(message.method),
      known_(message.known),
      log_level_(level),
      text_(message.params.exists() ? message.params.text() : std::string_view("{}")) {
  const auto params = json::Slice::trusted(text_);
  parts_ = mcp::split_params(params);
  params_ = mcp::strip_params(params, parts_);
  progress_token_ = parts_.progress_token.text();
  if (!modern()) return;
  responses_ = parts_.input_responses.text();
  state_ = parts_.request_state.as_string().value_or("");
  log_level_ = mcp::parse_logging_level(parts_.log_level.as_string().value_or(""));
}

void StdioCall::start() {
  const mcp::Call call{.caller = &caller_,
                       .method = method_,
                       .params = params_,
                       .wants_progress = !progress_token_.empty(),
                       .log_level = log_level_,
                       .input_responses = responses_,
                       .request_state = state_};
  active_ = world_.host.start(call, *this);
}

void StdioCall::on_notification(mcp::Notification notification) {
  if (notification.method == "notifications/progress") {
    notification.params = mcp::progress_params(notification.params, progress_token_);
  }
  world_.send(mcp::write_notification(notification.method, notification.params));
}

void StdioCall::on_outcome(mcp::Outcome outcome) {
  switch (outcome.kind) {
    case mcp::Outcome::Kind::result:
      if (modern()) {
        std::string result;
        mcp::append_modern_result(result, known_, outcome.result, world_.server_info, outcome.cache);
        return finish(mcp::write_result(id_, result));
      }
      return finish(mcp::write_result(id_, mcp::legacy_result(known_, std::move(outcome.result),
                                                              mcp::Era::modern, caller_.protocol_version)));
    case mcp::Outcome::Kind::error: {
      const mcp::RpcError error = modern()
                                      ? mcp::modern_error(std::move(outcome.error), known_, parts_)
                                      : mcp::legacy_error(std::move(outcome.error), known_, mcp::Era::modern);
      return finish(mcp::write_error(id_, error));
    }
    case mcp::Outcome::Kind::input_required:
      if (!modern()) return ask(std::move(outcome.input));
      return finish(mcp::write_result(
          id_, mcp::modern_input_required(outcome.input.requests, outcome.input.state, world_.server_info)));
  }
}

void StdioCall::ask(mcp::InputRequired input) {
  state_ = std::move(input.state);
  open_.clear();
  for (const mcp::InputRequest& request : input.requests) open_[request.key] = {};
  for (const mcp::InputRequest& request : input.requests) world_.ask(id_, request);
}

void StdioCall::answer(const std::string& key, std::string response) {
  const auto place = open_.find(key);
  if (place == open_.end()) return;
  place->second = std::move(response);
  if (std::ranges::any_of(open_, [](const auto& item) { return item.second.empty(); })) return;
  responses_ = "{";
  for (const auto& [name, text] : open_) {
    if (responses_.size() > 1) responses_ += ',';
    responses_ += json_quote(name) + ":" + text;
  }
  responses_ += '}';
  open_.clear();
  start();
}

void StdioCall::finish(std::string message) {
  world_.send(std::move(message));
  world_.ended(id_);
}

}  // namespace berth::task
