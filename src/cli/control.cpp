#include "cli/control.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/files.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "codec/json.h"
#include "model/parse.h"

namespace berth::cli {
namespace {

constexpr std::size_t answer_bytes_max = 8u << 20;
constexpr Duration answer_timeout = std::chrono::seconds(10);

Error not_running(const std::string& state_directory) {
  std::string folder = state_directory.substr(0, state_directory.rfind('/'));
  return Error(ErrorCode::unavailable,
               fmt::format("The service in {} is not running; start it with `berth up`.", folder));
}

/// The sentence inside an answer like {"error":"conflict","message":"…"}.
std::string message_of(const http::Response& response) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(response.body, error);
  const boost::json::object* object = error ? nullptr : value.if_object();
  const boost::json::value* message = object == nullptr ? nullptr : object->if_contains("message");
  if (message != nullptr && message->is_string()) return std::string(message->get_string());
  return fmt::format("The service answered {} {}.", response.status, http::reason_phrase(response.status));
}

}  // namespace

Control::Control(Context& context, std::string state_directory)
    : context_(context), state_directory_(std::move(state_directory)) {
  http::ClientOptions options;
  options.endpoint = cluster::control_endpoint(state_directory_);
  options.host_header = "localhost";
  client_ = http::make_client(context.network, options);
}

Task<Result<http::Response>> Control::fetch(http::ClientRequest request) {
  request.deadline = context_.clock.now() + answer_timeout;
  Result<http::Response> response = co_await client_->fetch(std::move(request), answer_bytes_max);
  if (!response && response.error().code() != ErrorCode::deadline_exceeded)
    co_return Failure(not_running(state_directory_));
  if (!response) {
    co_return fail(ErrorCode::deadline_exceeded,
                   "The service did not answer within 10 s; `berth doctor` finds out more.");
  }
  if (response->status / 100 == 2) co_return response;
  ErrorCode code = response->status == 400   ? ErrorCode::invalid_argument
                   : response->status == 404 ? ErrorCode::not_found
                   : response->status == 409 ? ErrorCode::conflict
                                             : ErrorCode::internal;
  co_return fail(code, message_of(*response));
}

Task<Result<cluster::ServiceStatus>> Control::status() {
  http::ClientRequest request;
  request.target = "/status";
  Result<http::Response> response = co_await fetch(std::move(request));
  if (!response) co_return Failure(response.error());
  co_return cluster::parse_service_status(response->body);
}

Task<Result<std::vector<std::string>>> Control::differing_keys(const model::Spec& spec) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = "/differences";
  request.body = model::write_spec(spec);
  Result<http::Response> response = co_await fetch(std::move(request));
  if (!response) co_return Failure(response.error());
  std::vector<std::string> keys;
  const Result<berth::json::Slice> answer = berth::json::parse(response->body);
  if (!answer) co_return Failure(answer.error());
  for (berth::json::Elements each(answer->find("keys")); each.next();)
    keys.push_back(each.value().as_string().value_or(""));
  co_return keys;
}

Task<Result<void>> Control::post(std::string target, std::string body) {
  http::ClientRequest request;
  request.method = "POST";
  request.target = std::move(target);
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  Result<http::Response> response = co_await fetch(std::move(request));
  if (!response) co_return Failure(response.error());
  co_return Result<void>();
}

Task<Result<std::unique_ptr<http::ClientResponse>>> Control::logs(std::string target) {
  http::ClientRequest request;
  request.target = std::move(target);
  request.deadline = context_.clock.now() + answer_timeout;
  Result<std::unique_ptr<http::ClientResponse>> response = co_await client_->send(std::move(request));
  if (!response) co_return Failure(not_running(state_directory_));
  int status = (*response)->head().status;
  if (status != 200) {
    http::Response answer{.status = status, .headers = {}, .body = {}};
    Result<std::string> body = co_await (*response)->read_all(answer_bytes_max);
    if (body) answer.body = *body;
    co_return fail(status == 404 ? ErrorCode::not_found : ErrorCode::internal, message_of(answer));
  }
  co_return response;
}

Cause cause_of(const Error& error) {
  switch (error.code()) {
    case ErrorCode::not_found:
    case ErrorCode::invalid_argument: return Cause::spec;
    case ErrorCode::unavailable: return Cause::service;
    default: return Cause::other;
  }
}

ExitCode report(Context& context, std::string_view verb, const Error& error, Cause cause) {
  const std::string text = fmt::format("berth {}: {}\n", verb, printable(error.message()));
  context.terminal.err(fitted(context.terminal, text));
  switch (cause) {
    case Cause::command_line: return ExitCode::usage;
    case Cause::spec: return ExitCode::invalid_spec;
    case Cause::service:
      if (error.code() == ErrorCode::unavailable) return ExitCode::not_running;
      // What it knows nothing of, or does not take, was given on the command line.
      if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::invalid_argument)
        return ExitCode::usage;
      return ExitCode::failed;
    case Cause::deployment:
      return error.code() == ErrorCode::not_found ? ExitCode::not_running : ExitCode::failed;
    case Cause::other: return ExitCode::failed;
  }
  return ExitCode::failed;
}

}  // namespace berth::cli
