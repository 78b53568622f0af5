#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "codec/sse.h"
#include "http/client.h"
#include "http/url.h"
#include "model/spec.h"

namespace berth::task::host {

/// Coroutines that can be cancelled one by one. The owner cancels all and joins before it dies.
class Branches {
 public:
  /// One of them; cancel() makes it unwind at its next await, and does nothing once it has ended.
  class Branch {
   public:
    void cancel();
    bool ended() const { return ended_; }

   private:
    friend class Branches;
    TaskScope* scope_ = nullptr;
    bool cancelled_ = false;
    bool ended_ = false;
  };

  explicit Branches(Executor executor) : scope_(executor) {}
  std::shared_ptr<Branch> spawn(Task<void> task);
  void cancel_all();
  Task<void> join() { co_await scope_.join(); }

 private:
  Task<void> run(std::shared_ptr<Branch> branch, Task<void> task);

  std::list<std::weak_ptr<Branch>> branches_;
  TaskScope scope_;
};

/// The JSON-RPC messages in the body of an answer, be it JSON or an event stream.
class MessageStream {
 public:
  MessageStream(std::unique_ptr<http::ClientResponse> response, std::size_t message_bytes_max);

  /// The next message's text; nullopt at the end of the body.
  Task<Result<std::optional<std::string>>> next();
  /// Whether next() has a message at hand without reading.
  bool has_more() const { return !ready_.empty(); }
  /// For going on after the stream broke: empty when the server gave no event ids.
  const std::string& last_event_id() const { return last_event_id_; }
  std::optional<std::int64_t> retry_ms() const { return retry_ms_; }

 private:
  std::unique_ptr<http::ClientResponse> response_;
  std::size_t message_bytes_max_;
  bool is_events_ = false;
  bool ended_ = false;
  sse::Parser parser_;
  std::list<std::string> ready_;
  std::string last_event_id_;
  std::optional<std::int64_t> retry_ms_;
  std::string buffer_;
};

/// HTTP to one upstream: resolves its name when first needed (and again after it could not be reached at any
/// of its addresses), adds the spec's headers.
class Upstream {
 public:
  /// Everything passed outlives it.
  Upstream(const model::ServerSpec& spec, net::Network& network, Branches& branches);

  /// Sends a request; the answer's head has to come until `deadline`. `delivery`, when not null, outlives the
  /// sending and tells how far the request got.
  Task<Result<std::unique_ptr<http::ClientResponse>>> send(std::string method, http::Headers headers,
                                                           std::string body, TimePoint deadline,
                                                           http::Delivery* delivery = nullptr);
  /// The same with the body read (at most 1 MiB of it, for handshakes and errors); of an event stream, the
  /// first message that is an answer.
  Task<Result<http::Response>> fetch(std::string method, http::Headers headers, std::string body,
                                     TimePoint deadline);
  /// A first POST that was refused, once more for an upstream that may speak HTTP+SSE (2024-11-05): if it
  /// does, everything is sent to it so from now on.
  Task<Result<http::Response>> fetch_by_http_sse(std::string method, http::Headers headers, std::string body,
                                                 TimePoint deadline);
  bool speaks_http_sse() const { return speaks_http_sse_; }
  /// The URL without its query, for messages.
  const std::string& name() const { return name_; }

 private:
  Task<Result<void>> connect();
  std::shared_ptr<http::Client> by_http_sse(std::shared_ptr<http::Client> client);

  const model::ServerSpec& spec_;
  net::Network& network_;
  Branches& branches_;
  Result<http::UrlAddress> address_;
  std::string name_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<http::Client> client_;
  bool speaks_http_sse_ = false;
};

}  // namespace berth::task::host
