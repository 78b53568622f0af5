#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/task.h"
#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// HTTP+SSE, the transport of 2024-11-05: a client opens a stream with GET …/sse, is told by its first event
/// where to POST its messages (…/messages), and gets every answer on the stream. Each posted message goes on
/// as a POST of Streamable HTTP, and what that is answered with is put on the stream; the session in between
/// ends with the stream. The stream belongs to one task: a message that arrives elsewhere is forwarded there.
class HttpSse {
 public:
  /// The endpoint's own Endpoint::serve.
  using Serve = std::function<Task<void>(http::Exchange&, RequestContext)>;
  HttpSse(Shared& shared, Serve serve);
  ~HttpSse();

  /// GET …/sse. Returns when the client has left, or the endpoint drains and every message has its answer.
  Task<void> open(const Incoming& incoming);
  /// POST …/messages?session=TOKEN: 202, or why not. `incoming` has no message yet.
  Task<void> post(Incoming& incoming);
  /// Ends what runs; await it before destruction.
  Task<void> stop();

 private:
  class Connection;
  class Relayed;

  Task<void> stream(const Incoming& incoming, const std::shared_ptr<Connection>& connection,
                    std::string token);
  Task<void> relay(std::shared_ptr<Connection> connection, std::shared_ptr<Relayed> exchange);
  Task<void> answer(std::shared_ptr<Connection> connection, std::shared_ptr<Relayed> exchange);
  Task<void> listen(std::shared_ptr<Connection> connection);
  Task<void> end(std::shared_ptr<Connection> connection);

  Shared& shared_;
  Serve serve_;
  std::unordered_map<std::string, std::weak_ptr<Connection>> connections_;
  TaskScope scope_;
};

}  // namespace berth::task::edge
