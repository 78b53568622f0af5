// Calls AWS as each line of its input says, for tests against an emulator: a JSON object with "environment"
// and either {"service", "operation", "input"} (and "items", for a list) or {"service", "operation",
// "method", "bucket", "path", "query", "body"}. Prints a line for each: {"answer": …} or {"fault": {…}}. For
// {"endpoint": service, "region": …} prints how that service is spoken to, and asks nobody.

#include <cstdio>
#include <iostream>

#include "aws/client.h"
#include "aws/services.h"
#include "net/network.h"

namespace berth::aws {
namespace {

Client::RestRequest to_rest(const boost::json::object& line) {
  Client::RestRequest request;
  request.service = text(line, "service");
  request.operation = text(line, "operation");
  request.method = text(line, "method");
  request.bucket = text(line, "bucket");
  request.path = text(line, "path");
  for (const auto& member : object(line, "query")) {
    request.query.emplace_back(member.key(), member.value().as_string());
  }
  request.body = text(line, "body");
  return request;
}

boost::json::object to_json(const Fault& fault) {
  return {{"code", fault.code},       {"message", fault.message},
          {"status", fault.status},   {"request_id", fault.request_id},
          {"denied", fault.denied()}, {"denied_action", fault.denied_action()}};
}

template <class T>
boost::json::object to_json(const Reply<T>& reply) {
  if (!reply) return {{"fault", to_json(reply.error())}};
  if constexpr (std::is_same_v<T, http::Response>) {
    return {{"answer", reply->body}};
  } else {
    return {{"answer", *reply}};
  }
}

Task<void> run(Client& client, const boost::json::object& line, std::string& out) {
  const std::string service = text(line, "service");
  const std::string operation = text(line, "operation");
  boost::json::object input = object(line, "input");
  boost::json::object shown;
  if (line.contains("method")) {
    auto request = to_rest(line);
    const auto reply = co_await client.rest(std::move(request));
    shown = to_json(reply);
  } else if (line.contains("items")) {
    const auto reply = co_await client.list(service, operation, std::move(input), text(line, "items"));
    shown = to_json(reply);
  } else {
    const auto reply = co_await client.call(service, operation, std::move(input));
    shown = to_json(reply);
  }
  out = boost::json::serialize(shown);
}

boost::json::object endpoint(const boost::json::object& line) {
  const Service* const service = find_service(text(line, "endpoint"));
  if (service == nullptr) return {};
  std::map<std::string, std::string> environment;
  for (const auto& member : object(line, "environment"))
    environment[member.key()] = member.value().as_string();
  const ServiceEndpoint found = find_endpoint(*service, text(line, "region"), environment);
  return {{"url", found.url},
          {"signing_region", found.signing_region},
          {"protocol", static_cast<int>(service->protocol)},
          {"version", service->version},
          {"variable", service->variable}};
}

void answer(const boost::json::object& line) {
  if (line.contains("endpoint")) {
    std::puts(boost::json::serialize(endpoint(line)).c_str());
    std::fflush(stdout);
    return;
  }
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto network = net::make_network(*clock);
  const auto launcher = net::make_process_launcher(*clock);
  CredentialsOptions credentials;
  for (const auto& member : object(line, "environment")) {
    credentials.environment[member.key()] = member.value().as_string();
  }
  credentials.region = "us-east-1";
  ClientOptions options{"us-east-1", credentials.environment,
                        make_credentials(credentials, *network, *launcher)};
  const auto client = make_client(std::move(options), *network, null_log());
  std::string out;
  TaskScope scope(loop.get_executor());
  scope.spawn(run(*client, line, out));
  loop.run();
  std::puts(out.c_str());
  std::fflush(stdout);
}

}  // namespace
}  // namespace berth::aws

int main() {
  for (std::string line; std::getline(std::cin, line);)
    berth::aws::answer(boost::json::parse(line).as_object());
}
