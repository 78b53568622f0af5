#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "aws/files.h"
#include "http/client.h"
#include "http/url.h"

namespace berth::aws {

inline constexpr std::size_t answer_bytes_max = std::size_t{64} << 20;

/// One exchange with an endpoint.
struct Outgoing {
  http::UrlAddress address;  ///< its target is not used
  std::string method = "POST";
  std::string target = "/";  ///< on the wire
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Duration connect_timeout = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(60);  ///< for the whole answer
};

/// HTTP to AWS's endpoints: a keep-alive client for each host, whose name is resolved when first needed and
/// again after it could not be reached. Trusts AWS_CA_BUNDLE, SSL_CERT_FILE, or what the system trusts (the
/// usual places of distributions, since a static program knows no place of its own).
class Transport {
 public:
  /// `network` outlives it.
  Transport(Environment environment, net::Network& network);

  /// unavailable, deadline_exceeded, permission_denied (TLS), resource_exhausted (an answer over
  /// answer_bytes_max).
  Task<Result<http::Response>> send(Outgoing request);

  Clock& clock() { return network_.clock(); }

 private:
  Task<Result<std::shared_ptr<http::Client>>> client_of(const http::UrlAddress& address,
                                                        Duration connect_timeout);
  Result<std::shared_ptr<net::TlsContext>> tls();

  Environment environment_;
  net::Network& network_;
  std::shared_ptr<net::TlsContext> tls_;
  std::map<std::string, std::shared_ptr<http::Client>> clients_;
};

}  // namespace berth::aws
