#pragma once

#include <string>
#include <utility>
#include <vector>

#include "aws/files.h"
#include "http/message.h"
#include "http/outbound.h"
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

/// HTTP to AWS's endpoints. Trusts AWS_CA_BUNDLE, SSL_CERT_FILE, or what the system trusts; HTTPS_PROXY and
/// NO_PROXY count (http/proxy.h).
class Transport {
 public:
  /// `network` outlives it.
  Transport(const Environment& environment, net::Network& network);

  /// unavailable, deadline_exceeded, permission_denied (TLS, a proxy), resource_exhausted (an answer over
  /// answer_bytes_max).
  Task<Result<http::Response>> send(Outgoing request);

  Clock& clock() { return network_.clock(); }

 private:
  net::Network& network_;
  http::Outbound outbound_;
};

}  // namespace berth::aws
