#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "http/client.h"
#include "http/url.h"

namespace berth::http {

/// Clients of hosts out in the world, one a scheme, name and port: each with its keep-alive connections, to
/// the address that the name had when first needed, by way of the proxy where there is one (http/proxy.h).
class Outbound {
 public:
  struct Options {
    std::map<std::string, std::string> environment;  ///< HTTPS_PROXY, NO_PROXY
    /// The authorities to trust as PEM (empty: the system's); asked when TLS is first needed.
    std::function<Result<std::string>()> trusted = {};
    std::shared_ptr<net::TlsContext> tls = {};  ///< in place of `trusted`, where there is one already
    std::size_t idle_connections_max = 32;
  };
  /// `network` outlives it.
  Outbound(net::Network& network, Options options);

  /// unavailable for a name without an address; the errors of `trusted` and find_proxy.
  Task<Result<std::shared_ptr<Client>>> client_of(UrlAddress address, Duration connect_timeout);
  /// The name behind a client that could not be reached may stand for another address by now.
  void forget(const std::shared_ptr<Client>& client);

 private:
  Result<std::shared_ptr<net::TlsContext>> tls();

  net::Network& network_;
  Options options_;
  std::shared_ptr<net::TlsContext> tls_;
  std::map<std::string, std::shared_ptr<Client>> clients_;
};

}  // namespace berth::http
