#include "aws/testing/fake_client.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "aws/pages.h"

namespace berth::aws::testing {

namespace {

std::string key_of(std::string_view service, std::string_view operation) {
  return std::string(service) + " " + std::string(operation);
}

Fault unscripted(const std::string& service, const std::string& operation) {
  Fault fault;
  fault.service = service;
  fault.operation = operation;
  fault.code = "NotScripted";
  fault.message = "The test has scripted no answer of " + key_of(service, operation) + ".";
  return fault;
}

/// What a program's tests ask and are answered, for test/aws/calls_test.py: a line of JSON each, behind
/// whatever the file BERTH_AWS_CALLS holds. Nothing without that variable.
void note(const boost::json::object& line) {
  const char* const path = std::getenv("BERTH_AWS_CALLS");
  std::FILE* const file = path == nullptr ? nullptr : std::fopen(path, "a");
  if (file == nullptr) return;
  std::fputs((boost::json::serialize(line) + "\n").c_str(), file);
  std::fclose(file);
}

boost::json::object line_of(const std::string& service, const std::string& operation) {
  return {{"service", service}, {"operation", operation}};
}

boost::json::object line_of(const Client::RestRequest& request) {
  boost::json::object line = line_of(request.service, request.operation);
  boost::json::object query;
  for (const auto& [name, value] : request.query) query[name] = value;
  line["method"] = request.method;
  line["path"] = (request.bucket.empty() ? "" : "/" + request.bucket) + request.path;
  line["query"] = std::move(query);
  line["body"] = request.body;
  return line;
}

}  // namespace

void FakeClient::answer(std::string_view service, std::string_view operation, std::string_view json) {
  auto output = boost::json::parse(json).as_object();
  handle(service, operation, [output](const boost::json::object&) { return output; });
}

void FakeClient::fail(std::string_view service, std::string_view operation, Fault fault) {
  fault.service = service;
  fault.operation = operation;
  handle(service, operation, [fault](const boost::json::object&) -> Reply<boost::json::object> {
    return std::unexpected(fault);
  });
  handle_rest(service, operation,
              [fault](const RestRequest&) -> Reply<http::Response> { return std::unexpected(fault); });
}

void FakeClient::fail(std::string_view service, std::string_view operation, std::string_view code,
                      std::string_view message, int status) {
  Fault fault;
  fault.code = code;
  fault.message = message;
  fault.status = status;
  fault.request_id = "fake-request";
  fail(service, operation, std::move(fault));
}

void FakeClient::handle(std::string_view service, std::string_view operation, Handler handler) {
  scripts_[key_of(service, operation)].handlers.push_back(std::move(handler));
}

void FakeClient::answer_rest(std::string_view service, std::string_view operation, http::Response response) {
  handle_rest(service, operation, [response](const RestRequest&) { return response; });
}

void FakeClient::handle_rest(std::string_view service, std::string_view operation, RestHandler handler) {
  rest_scripts_[key_of(service, operation)].handlers.push_back(std::move(handler));
}

std::vector<std::string> FakeClient::names() const {
  std::vector<std::string> names;
  for (const Call& call : calls_) names.push_back(key_of(call.service, call.operation));
  return names;
}

std::vector<boost::json::object> FakeClient::inputs(std::string_view service,
                                                    std::string_view operation) const {
  std::vector<boost::json::object> inputs;
  for (const Call& call : calls_) {
    if (call.service == service && call.operation == operation) inputs.push_back(call.input);
  }
  return inputs;
}

std::size_t FakeClient::count(std::string_view service, std::string_view operation) const {
  return inputs(service, operation).size();
}

Task<Reply<boost::json::object>> FakeClient::call(std::string service, std::string operation,
                                                  boost::json::object input) {
  calls_.push_back(Call{service, operation, input, {}});
  boost::json::object line = line_of(service, operation);
  line["input"] = input;
  const auto script = scripts_.find(key_of(service, operation));
  Reply<boost::json::object> reply = std::unexpected(unscripted(service, operation));
  if (script != scripts_.end()) reply = script->second.take()(input);
  if (reply) line["output"] = *reply;
  note(line);
  co_return reply;
}

Task<Reply<boost::json::array>> FakeClient::list(std::string service, std::string operation,
                                                 boost::json::object input, std::string items) {
  auto all = co_await collect_pages(*this, std::move(service), std::move(operation), std::move(input),
                                    std::move(items));
  co_return all;
}

Task<Reply<http::Response>> FakeClient::rest(RestRequest request) {
  calls_.push_back(Call{request.service, request.operation, {}, request});
  note(line_of(request));
  const auto script = rest_scripts_.find(key_of(request.service, request.operation));
  if (script == rest_scripts_.end()) {
    co_return std::unexpected(unscripted(request.service, request.operation));
  }
  co_return script->second.take()(request);
}

}  // namespace berth::aws::testing
