#include "task/edge/answers.h"

#include <fmt/format.h>

#include "mcp/message.h"

namespace berth::task::edge {

Task<void> answer_json(http::Exchange& exchange, int status, std::string body) {
  http::Response response = http::json_response(status, std::move(body));
  co_await exchange.respond(std::move(response));
}

Task<void> answer_error(http::Exchange& exchange, int status, std::string_view id, mcp::RpcError error) {
  http::Response response = http::json_response(status, mcp::write_error(id, error));
  if (status == 429 || status == 503) {
    response.headers.add("Retry-After", std::to_string(mcp::retry_after_s(error).value_or(1)));
  }
  co_await exchange.respond(std::move(response));
}

Task<void> answer_refusal(http::Exchange& exchange, std::string_view id, mcp::Refusal refusal) {
  return answer_error(exchange, refusal.http_status, id, std::move(refusal.error));
}

Task<void> answer_empty(http::Exchange& exchange, int status) {
  http::Response response;
  response.status = status;
  co_await exchange.respond(std::move(response));
}

Task<void> answer_not_allowed(http::Exchange& exchange, std::string_view allowed) {
  http::Response response = http::json_response(
      405,
      mcp::write_error({}, {mcp::code::server_error, "Method not allowed: send messages with POST.", {}}));
  response.headers.add("Allow", allowed);
  co_await exchange.respond(std::move(response));
}

mcp::Refusal refusal_of_host(const Error& error) {
  if (error.code() == ErrorCode::resource_exhausted) {
    return {429, {mcp::code::server_error, error.message(), R"({"retryAfter":1})"}};
  }
  return {503, {mcp::code::internal_error, error.message(), {}}};
}

mcp::Refusal refusal_of_body(const Error& error) {
  const int status = error.code() == ErrorCode::resource_exhausted  ? 413
                     : error.code() == ErrorCode::deadline_exceeded ? 408
                                                                    : 400;
  return {status, {mcp::code::invalid_request, "Invalid Request: " + error.message(), {}}};
}

mcp::Refusal refusal_of_memory(const MemoryAccount::Charge& memory) {
  return {429,
          {mcp::code::server_error,
           fmt::format("This task holds {} bytes for this caller's requests, sessions and unread answers, of "
                       "{} that are its share (tasks.memory); try again in a second.",
                       memory.held(), memory.share()),
           R"({"retryAfter":1})"}};
}

mcp::RpcError unkept_answer(std::size_t bytes, const MemoryAccount::Charge& memory) {
  return {
      mcp::code::internal_error,
      fmt::format("The call has run, but its answer of {} bytes was dropped: this task holds {} bytes for "
                  "this caller's requests, sessions and unread answers, of {} that are its share "
                  "(tasks.memory).",
                  bytes, memory.held(), memory.share()),
      {}};
}

http::ResponseHead event_stream_head() {
  http::ResponseHead head;
  head.headers.add("Content-Type", "text/event-stream");
  head.headers.add("Cache-Control", "no-cache, no-transform");
  head.headers.add("X-Accel-Buffering", "no");
  return head;
}

}  // namespace berth::task::edge
