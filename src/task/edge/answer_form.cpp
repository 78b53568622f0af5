#include "task/edge/answer_form.h"

#include <utility>

#include "codec/json.h"
#include "task/edge/answers.h"

namespace berth::task::edge {

namespace {

bool has_type(const http::Headers& headers, std::string_view type) {
  return http::equals_ignoring_case(headers.get("Content-Type").value_or("").substr(0, type.size()), type);
}

mcp::RpcError stream_wanted() {
  return {mcp::code::server_error,
          "Not Acceptable: the server asks the user, which takes an event stream; list text/event-stream in "
          "Accept as well.",
          {}};
}

}  // namespace

Task<Result<void>> JsonForm::begin(http::ResponseHead head) {
  collecting_ = has_type(head.headers, "text/event-stream");
  if (collecting_) co_return Result<void>();
  co_return co_await inner_.begin(std::move(head));
}

Task<Result<void>> JsonForm::write(std::string_view part) {
  if (!collecting_) co_return co_await inner_.write(part);
  if (inner_.answered()) co_return fail(ErrorCode::unavailable, "the client was refused already");
  auto fed = parser_.feed(part);
  if (!fed) co_return fed;
  while (auto event = parser_.next()) {
    if (event->data.empty()) continue;
    const json::Slice message = json::Slice::trusted(event->data);
    if (!message.find("method").exists()) {
      answers_.push_back(std::move(event->data));
    } else if (message.find("id").exists()) {
      co_await answer_error(inner_, 406, {}, stream_wanted());
      co_return fail(ErrorCode::unavailable, "the client cannot be asked");
    }
  }
  co_return Result<void>();
}

Task<Result<void>> JsonForm::finish() {
  if (!collecting_) co_return co_await inner_.finish();
  if (inner_.answered()) co_return Result<void>();
  std::string body;
  for (const std::string& answer : answers_) body.append(body.empty() ? "" : ",").append(answer);
  if (answers_.size() > 1) body = "[" + body + "]";
  http::Response response = http::json_response(200, std::move(body));
  if (answers_.empty()) response.status = 202;
  co_return co_await inner_.respond(std::move(response));
}

Task<Result<void>> EventForm::respond(http::Response response) {
  const bool changes = response.status == 200 && has_type(response.headers, "application/json");
  if (!changes) co_return co_await inner_.respond(std::move(response));
  http::ResponseHead head = event_stream_head();
  for (const auto field : response.headers.fields()) {
    if (!head.headers.get(field.name)) head.headers.add(field.name, field.value);
  }
  auto sent = co_await inner_.begin(std::move(head));
  if (!sent) co_return sent;
  std::string event;
  sse::append_message(event, response.body);
  sent = co_await inner_.write(event);
  if (!sent) co_return sent;
  co_return co_await inner_.finish();
}

}  // namespace berth::task::edge
