#include "aws/transport.h"

#include <fmt/format.h>

namespace berth::aws {

namespace {

/// The bundle to trust; empty for the system's.
Result<std::string> trusted(const Environment& environment) {
  for (const char* const name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const std::string path = expand_home(environment, variable(environment, name));
    if (path.empty()) continue;
    auto pem = read_small_file(path);
    if (!pem) return Failure(pem.error().within(fmt::format("The certificates of {}", name)));
    return pem;
  }
  return std::string();
}

http::Outbound::Options outbound_options(const Environment& environment) {
  http::Outbound::Options options;
  options.environment = environment;
  options.trusted = [environment] { return trusted(environment); };
  return options;
}

}  // namespace

Transport::Transport(const Environment& environment, net::Network& network)
    : network_(network), outbound_(network, outbound_options(environment)) {}

Task<Result<http::Response>> Transport::send(Outgoing request) {
  const auto client = co_await outbound_.client_of(request.address, request.connect_timeout);
  if (!client) co_return Failure(client.error());
  http::ClientRequest outgoing;
  outgoing.method = std::move(request.method);
  outgoing.target = std::move(request.target);
  for (const auto& [name, value] : request.headers) outgoing.headers.add(name, value);
  outgoing.body = std::move(request.body);
  outgoing.deadline = clock().now() + request.timeout;
  auto response = co_await (*client)->fetch(std::move(outgoing), answer_bytes_max);
  if (!response && response.error().code() == ErrorCode::unavailable) outbound_.forget(*client);
  co_return response;
}

}  // namespace berth::aws
