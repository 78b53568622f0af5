#include "http/outbound.h"

#include "http/proxy.h"

namespace berth::http {

namespace {

/// A client with the tunnels it speaks through.
struct Tunnelled {
  std::unique_ptr<net::Network> tunnels;
  std::unique_ptr<Client> client;
};

}  // namespace

Outbound::Outbound(net::Network& network, Options options)
    : network_(network), options_(std::move(options)), tls_(options_.tls) {}

Result<std::shared_ptr<net::TlsContext>> Outbound::tls() {
  if (tls_) return tls_;
  const auto pem = options_.trusted ? options_.trusted() : Result<std::string>(std::string());
  if (!pem) return Failure(pem.error());
  auto made = net::make_tls_client(*pem);
  if (made) tls_ = *made;
  return made;
}

Task<Result<std::shared_ptr<Client>>> Outbound::client_of(UrlAddress address, Duration connect_timeout) {
  const std::string key = (address.tls ? "https://" : "http://") + address.host_header();
  const auto known = clients_.find(key);
  if (known != clients_.end()) co_return known->second;
  ClientOptions options;
  options.host_header = address.host_header();
  options.connect_timeout = connect_timeout;
  options.idle_connections_max = options_.idle_connections_max;
  if (address.tls) {
    auto context = tls();
    if (!context) co_return Failure(context.error());
    options.tls = std::move(*context);
    options.tls_host_name = address.host;
  }
  auto proxy = find_proxy(options_.environment, address);
  if (!proxy) co_return Failure(proxy.error());
  const UrlAddress& first = *proxy ? (*proxy)->address : address;
  auto endpoint = co_await resolve(network_.clock().executor(), first.host, first.port);
  if (!endpoint) co_return Failure(endpoint.error());
  options.endpoint = std::move(*endpoint);
  const auto made = std::make_shared<Tunnelled>();
  if (*proxy) made->tunnels = make_tunnels(network_, std::move(**proxy), address, options.tls);
  made->client = make_client(made->tunnels ? *made->tunnels : network_, std::move(options));
  const std::shared_ptr<Client> client(made, made->client.get());
  clients_[key] = client;
  co_return client;
}

void Outbound::forget(const std::shared_ptr<Client>& client) {
  std::erase_if(clients_, [&client](const auto& entry) { return entry.second == client; });
}

}  // namespace berth::http
