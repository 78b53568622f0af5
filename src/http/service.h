#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/task.h"
#include "http/message.h"
#include "net/stream.h"

namespace berth::http {

/// One request being answered, on either side of a test double. Valid until Service::serve returns.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& head() const = 0;
  virtual net::Endpoint remote() const = 0;

  /// The whole body. resource_exhausted above `bytes_max` (answer 413), invalid_argument on broken
  /// framing, deadline_exceeded when the client is too slow (408).
  virtual Task<Result<std::string>> read_body(std::size_t bytes_max) = 0;

  /// A part of the body into `into`; 0 at its end. For services that stream.
  virtual Task<Result<std::size_t>> read_body_some(std::span<char> into) = 0;

  /// Calls back once if the client goes away before serve() returns. Cheap; see Stream::watch_peer_close.
  virtual void on_disconnect(std::function<void()> callback) = 0;

  /// A whole answer, once. Sets Content-Length.
  virtual Task<Result<void>> respond(Response response) = 0;

  /// Starts a streamed answer (chunked, or close-delimited for HTTP/1.0), once; then write_some parts and
  /// finish(). Each write is flushed: an SSE event leaves at once. An error means the client has gone.
  virtual Task<Result<void>> begin(ResponseHead head) = 0;
  virtual Task<Result<void>> write(std::string_view part) = 0;
  virtual Task<Result<void>> finish() = 0;

  /// True once respond or begin was called.
  virtual bool answered() const = 0;
};

/// Something that answers requests: an endpoint, a router, a filter around another service.
class Service {
 public:
  virtual ~Service() = default;
  /// Answers exactly once. An exchange left unanswered becomes 500. May be cancelled when the server stops.
  virtual Task<void> serve(Exchange& exchange) = 0;
};

}  // namespace berth::http
