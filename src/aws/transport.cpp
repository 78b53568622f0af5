#include "aws/transport.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

namespace berth::aws {

namespace {

/// Where distributions keep what they trust: Debian, Fedora, openSUSE, Alpine.
constexpr std::array<const char*, 4> trust_files{"/etc/ssl/certs/ca-certificates.crt",
                                                 "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                                 "/etc/ssl/cert.pem"};

/// The bundle to trust; empty for OpenSSL's own default.
Result<std::string> trusted(const Environment& environment) {
  for (const char* const name : {"AWS_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const std::string path = expand_home(environment, variable(environment, name));
    if (path.empty()) continue;
    auto pem = read_small_file(path);
    if (!pem) return Failure(pem.error().within(fmt::format("The certificates of {}", name)));
    return pem;
  }
  for (const char* const path : trust_files) {
    if (::access(path, R_OK) != 0) continue;
    auto pem = read_small_file(path);
    if (pem) return pem;
  }
  return std::string();
}

}  // namespace

Transport::Transport(Environment environment, net::Network& network)
    : environment_(std::move(environment)), network_(network) {}

Result<std::shared_ptr<net::TlsContext>> Transport::tls() {
  if (tls_) return tls_;
  const auto pem = trusted(environment_);
  if (!pem) return Failure(pem.error());
  auto made = net::make_tls_client(*pem);
  if (made) tls_ = *made;
  return made;
}

Task<Result<std::shared_ptr<http::Client>>> Transport::client_of(const http::UrlAddress& address,
                                                                 Duration connect_timeout) {
  const std::string key = (address.tls ? "https://" : "http://") + address.host_header();
  const auto known = clients_.find(key);
  if (known != clients_.end()) co_return known->second;
  http::ClientOptions options;
  options.host_header = address.host_header();
  options.connect_timeout = connect_timeout;
  if (address.tls) {
    auto context = tls();
    if (!context) co_return Failure(context.error());
    options.tls = std::move(*context);
    options.tls_host_name = address.host;
  }
  auto endpoint = co_await http::resolve(clock().executor(), address.host, address.port);
  if (!endpoint) co_return Failure(endpoint.error());
  options.endpoint = std::move(*endpoint);
  std::shared_ptr<http::Client> made = http::make_client(network_, std::move(options));
  clients_[key] = made;
  co_return made;
}

Task<Result<http::Response>> Transport::send(Outgoing request) {
  const auto client = co_await client_of(request.address, request.connect_timeout);
  if (!client) co_return Failure(client.error());
  const std::shared_ptr<http::Client> used = *client;
  http::ClientRequest outgoing;
  outgoing.method = std::move(request.method);
  outgoing.target = std::move(request.target);
  for (const auto& [name, value] : request.headers) outgoing.headers.add(name, value);
  outgoing.body = std::move(request.body);
  outgoing.deadline = clock().now() + request.timeout;
  auto response = co_await used->fetch(std::move(outgoing), answer_bytes_max);
  if (!response && response.error().code() == ErrorCode::unavailable) {
    // The name may stand for another address by now.
    std::erase_if(clients_, [&used](const auto& entry) { return entry.second == used; });
  }
  co_return response;
}

}  // namespace berth::aws
