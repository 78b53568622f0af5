#include "task/runtime/peer_clients.h"

namespace berth::task {

namespace {
using namespace std::chrono_literals;
/// Sisters that were replaced leave clients behind; beyond this many all are let go and made anew.
constexpr std::size_t clients_max = 256;
}  // namespace

Result<std::shared_ptr<http::Client>> PeerClients::at(const std::string& address) {
  const auto known = clients_.find(address);
  if (known != clients_.end()) return known->second;
  auto endpoint = net::parse_endpoint(address);
  if (!endpoint) return Failure(endpoint.error());
  if (clients_.size() >= clients_max) clients_.clear();
  http::ClientOptions options;
  options.endpoint = *endpoint;
  options.tls = tls_;
  options.connect_timeout = 2s;
  const std::shared_ptr<http::Client> made = http::make_client(network_, std::move(options));
  clients_.emplace(address, made);
  return made;
}

}  // namespace berth::task
