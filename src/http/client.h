#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "http/message.h"
#include "net/network.h"
#include "net/tls.h"

namespace berth::http {

/// How far a request got, for a caller that must know whether it may have been acted on.
struct Delivery {
  bool timed_out = false;    ///< the endpoint did not let a connection in before the deadline
  bool handed_over = false;  ///< all of the request went out: whatever happened next, it may have run
};

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;  ///< Host and Content-Length are added when absent
  std::string body;
  TimePoint deadline;  ///< for the head of the answer
  /// A body too large for memory, instead of `body`: asked for part by part with the offset of the next one,
  /// and from 0 again when the request is sent again. A part is valid until the next is asked for. The
  /// deadline then counts anew from each part. An empty part before `body_bytes` fails the request.
  std::function<Result<std::string_view>(std::uint64_t offset)> body_part;
  std::uint64_t body_bytes = 0;
  /// As often as an answer sends it elsewhere on the same origin, it is sent there; see redirected() for what
  /// fails with invalid_argument instead, as does one redirect more.
  int redirects_max = 0;
  /// A body in gzip or deflate is decoded on the way, whoever asked for it; any other coding fails with
  /// invalid_argument. The head then has no Content-Encoding and no Content-Length.
  bool decodes_body = false;
  Delivery* delivery = nullptr;  ///< filled in as the request goes out, when not null
};

/// An answer whose head has arrived. Destroying it before the end of the body closes the connection (which
/// cancels a streamed MCP call); otherwise the connection returns to the pool.
class ClientResponse {
 public:
  virtual ~ClientResponse() = default;
  virtual const ResponseHead& head() const = 0;
  /// A part of the body; 0 at its end.
  virtual Task<Result<std::size_t>> read_some(std::span<char> into) = 0;
  virtual Task<Result<std::string>> read_all(std::size_t bytes_max) = 0;
  virtual void set_deadline(std::optional<TimePoint> when) = 0;
};

struct ClientOptions {
  net::Endpoint endpoint;
  /// Other addresses of the same host, tried in order where those before let no connection in.
  std::vector<net::Endpoint> alternatives;
  std::string host_header;               ///< default: the endpoint
  std::shared_ptr<net::TlsContext> tls;  ///< null: clear
  std::string tls_host_name;
  std::size_t idle_connections_max = 32;
  Duration idle_timeout = std::chrono::seconds(60);
  Duration connect_timeout = std::chrono::seconds(5);  ///< of each address
};

/// HTTP/1.1 client of one host with a keep-alive pool. A request on a pooled connection that dies before
/// a byte of the answer is sent again on another one only when it is GET or HEAD: of any other a byte may
/// have been handed over, and a peer may act on what it has, also on half of a body. (A connection that is
/// known to be dead is not taken from the pool.) Failures to connect are `unavailable`.
class Client {
 public:
  virtual ~Client() = default;
  virtual Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request) = 0;
  /// Convenience: the whole answer.
  Task<Result<Response>> fetch(ClientRequest request, std::size_t body_bytes_max);
};

std::unique_ptr<Client> make_client(net::Network& network, ClientOptions options);

}  // namespace berth::http
