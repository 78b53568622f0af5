#pragma once

#include <map>
#include <memory>
#include <string>

#include "http/client.h"

namespace berth::task {

/// HTTP clients of the sister tasks, one an address, made when first needed.
class PeerClients {
 public:
  /// `tls` null: clear text (tests on an in-memory network).
  PeerClients(net::Network& network, std::shared_ptr<net::TlsContext> tls)
      : network_(network), tls_(std::move(tls)) {}

  /// Hold on to it while using it. invalid_argument when `address` is no endpoint.
  Result<std::shared_ptr<http::Client>> at(const std::string& address);
  net::Network& network() { return network_; }

 private:
  net::Network& network_;
  std::shared_ptr<net::TlsContext> tls_;
  std::map<std::string, std::shared_ptr<http::Client>> clients_;
};

}  // namespace berth::task
