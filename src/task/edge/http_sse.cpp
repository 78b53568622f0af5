#include "task/edge/http_sse.h"

#include <algorithm>
#include <list>
#include <utility>
#include <vector>

#include "base/random.h"
#include "codec/json.h"
#include "codec/sse.h"
#include "task/edge/answers.h"
#include "task/edge/forwarding.h"
#include "task/edge/listen.h"
#include "task/edge/request_body.h"
#include "task/edge/sse_stream.h"

namespace berth::task::edge {
namespace {

/// Messages of one connection that wait for their answers.
constexpr std::size_t messages_max = 128;
/// Before the stream of what the server says outside calls is asked for again.
constexpr Duration listen_retry = std::chrono::seconds(1);
constexpr std::string_view token_parameter = "session=";

std::string_view token_of(std::string_view query) {
  if (!query.starts_with(token_parameter)) return {};
  query.remove_prefix(token_parameter.size());
  return query.substr(0, query.find('&'));
}

/// Where the messages of a stream at `path` (…/sse) go.
std::string endpoint_event(std::string_view path, std::string_view token) {
  sse::Event event;
  event.event = "endpoint";
  event.data = path.substr(0, path.rfind('/') + 1);
  event.data.append("messages?").append(token_parameter).append(token);
  return sse::write(event);
}

mcp::RpcError connection_gone() {
  return {mcp::code::session_not_found,
          "Session not found: its stream has ended or belongs to another caller; open another one.",
          {}};
}

}  // namespace

/// One client's stream, and what is under way for it.
class HttpSse::Connection final : public Waiter {
 public:
  Connection(Shared& shared, const RequestContext& context, MemoryAccount::Charge counted)
      : key(random_hex(16)),
        shared_(shared),
        memory_(std::move(counted)),
        wake_(shared.world.clock.executor()),
        last_write_(shared.now()) {
    who.principal = context.principal;
    who.client = context.client;
    who.request_id = context.request_id;
    shared.ticker.add(*this);
  }

  const std::string key;
  RequestContext who;
  std::string session;            ///< Mcp-Session-Id, once the client has initialized
  bool is_listening = false;      ///< to what the server says outside calls
  std::list<Relayed*> under_way;  ///< requests to the endpoint
  std::size_t messages = 0;       ///< those of them that the client has posted

  /// Puts a message on the stream. A client that does not read loses its connection.
  void say(std::string message) {
    if (is_gone_) return;
    if (memory_.bytes() > shared_.world.limits.stream_buffer_bytes_max) return leave();
    memory_.add(message.size());
    unsent_.push_back(std::move(message));
    wake_.notify();
  }
  Task<void> wait() {
    while (unsent_.empty() && !is_gone_ && !is_silent_ && !has_ended()) co_await wake_.wait();
  }
  struct Unsent {
    std::vector<std::string> messages;
    MemoryAccount::Charge memory;  ///< of them, until they are sent
  };
  Unsent take_unsent() { return {std::exchange(unsent_, {}), memory_.take()}; }
  bool take_silence() { return std::exchange(is_silent_, false); }
  void note_write(TimePoint when) { last_write_ = when; }
  bool is_gone() const { return is_gone_; }
  /// The endpoint drains, and the client has all it waits for.
  bool has_ended() const { return is_ending_ && messages == 0 && unsent_.empty(); }

  Task<void> wait_until_idle() {
    while (!under_way.empty()) co_await wake_.wait();
  }
  void wake() { wake_.notify(); }
  void leave() {
    is_gone_ = true;
    wake_.notify();
  }
  void on_tick(TimePoint now) override {
    if (now - last_write_ < shared_.world.limits.keep_alive_interval) return;
    is_silent_ = true;
    wake_.notify();
  }
  void on_drain() override {
    is_ending_ = true;
    wake_.notify();
  }
  /// Its messages are cut as well, and what they are told still goes out.
  void on_cut() override { on_drain(); }

 private:
  Shared& shared_;
  MemoryAccount::Charge memory_;
  Signal wake_;
  std::vector<std::string> unsent_;
  TimePoint last_write_;
  bool is_gone_ = false;
  bool is_ending_ = false;
  bool is_silent_ = false;
};

/// A request of Streamable HTTP on behalf of a connection, whose answer goes on the connection's stream.
class HttpSse::Relayed final : public http::Exchange {
 public:
  Relayed(std::shared_ptr<Connection> connection, std::string method, net::Endpoint remote,
          std::size_t message_bytes_max)
      : connection_(std::move(connection)), remote_(std::move(remote)), parser_(message_bytes_max) {
    head_.method = std::move(method);
    head_.target = "/mcp";
    head_.headers.add("Accept",
                      head_.method == "GET" ? "text/event-stream" : "application/json, text/event-stream");
    if (!connection_->session.empty()) head_.headers.add("Mcp-Session-Id", connection_->session);
    place_ = connection_->under_way.insert(connection_->under_way.end(), this);
  }
  ~Relayed() override {
    connection_->under_way.erase(place_);
    connection_->wake();
  }

  /// The message of a client; the endpoint counts it.
  void carry(std::string body, const http::Headers& headers) {
    head_.headers.add("Content-Type", "application/json");
    head_.headers.add("Content-Length", std::to_string(body.size()));
    for (const std::string_view name : {"MCP-Protocol-Version", "traceparent"}) {
      if (const auto value = headers.get(name)) head_.headers.add(name, *value);
    }
    body_ = std::move(body);
  }
  void client_left() {
    if (on_left_) on_left_();
  }
  void served() { on_left_ = nullptr; }
  int status() const { return status_; }

  const http::RequestHead& head() const override { return head_; }
  net::Endpoint remote() const override { return remote_; }
  Task<Result<std::string>> read_body(std::size_t) override { co_return std::move(body_); }
  Task<Result<std::size_t>> read_body_some(std::span<char> into) override {
    const std::size_t count = std::min(into.size(), body_.size() - read_);
    std::copy_n(body_.data() + read_, count, into.data());
    read_ += count;
    co_return count;
  }
  void on_disconnect(std::function<void()> callback) override { on_left_ = std::move(callback); }
  Task<Result<void>> respond(http::Response response) override {
    take_head(response.status, response.headers);
    if (!response.body.empty() && says_answers()) say(std::move(response.body));
    co_return Result<void>();
  }
  Task<Result<void>> begin(http::ResponseHead head) override {
    take_head(head.status, head.headers);
    is_events_ = head.headers.get("Content-Type").value_or("").starts_with("text/event-stream");
    co_return Result<void>();
  }
  Task<Result<void>> write(std::string_view part) override {
    if (connection_->is_gone()) co_return fail(ErrorCode::unavailable, "the client has gone");
    if (!is_events_) {
      collected_.append(part);
      co_return Result<void>();
    }
    auto fed = parser_.feed(part);
    if (!fed) co_return fed;
    while (auto event = parser_.next()) {
      const bool is_message = event->event.empty() || event->event == "message";
      if (is_message && !event->data.empty()) say(std::move(event->data));
    }
    co_return Result<void>();
  }
  Task<Result<void>> finish() override {
    if (!collected_.empty() && says_answers()) say(std::move(collected_));
    co_return Result<void>();
  }
  bool answered() const override { return status_ != 0; }

 private:
  /// Of the other requests, which are Berth's own, the client knows nothing.
  bool says_answers() const { return head_.method == "POST"; }
  void take_head(int status, const http::Headers& headers) {
    status_ = status;
    if (const auto session = headers.get("Mcp-Session-Id")) connection_->session = *session;
  }
  /// Message by message: a stream has no batches.
  void say(std::string text) {
    const auto value = json::parse(text);
    if (!value || !value->is(json::Kind::array)) return connection_->say(std::move(text));
    for (json::Elements each(*value); each.next();) connection_->say(std::string(each.value().text()));
  }

  std::shared_ptr<Connection> connection_;
  std::list<Relayed*>::iterator place_;
  http::RequestHead head_;
  net::Endpoint remote_;
  std::string body_;
  std::size_t read_ = 0;
  std::function<void()> on_left_;
  int status_ = 0;
  bool is_events_ = false;
  std::string collected_;
  sse::Parser parser_;
};

HttpSse::HttpSse(Shared& shared, Serve serve)
    : shared_(shared), serve_(std::move(serve)), scope_(shared.world.clock.executor()) {}

HttpSse::~HttpSse() = default;

Task<void> HttpSse::stop() {
  scope_.cancel();
  co_await scope_.join();
}

Task<void> HttpSse::open(const Incoming& incoming) {
  if (!mcp::accepts(incoming.headers, "text/event-stream")) {
    mcp::RpcError error{
        mcp::code::server_error, "Not Acceptable: this URL answers with text/event-stream only.", {}};
    co_await answer_error(incoming.exchange, 406, {}, std::move(error));
    co_return;
  }
  const auto place = co_await admit_stream(shared_, incoming);
  if (!place) co_return;
  const auto connection = std::make_shared<Connection>(shared_, incoming.context,
                                                       incoming.memory.sibling(MemoryAccount::Kind::answer));
  mcp::Handle handle = shared_.handle(mcp::HandleKind::http_sse, incoming.context.principal);
  handle.local = connection->key;
  connections_[connection->key] = connection;
  incoming.exchange.on_disconnect([connection] { connection->leave(); });
  co_await stream(incoming, connection, shared_.world.sealer.seal(handle));
  connections_.erase(connection->key);
  connection->leave();
  scope_.spawn(end(connection));
}

Task<void> HttpSse::stream(const Incoming& incoming, const std::shared_ptr<Connection>& connection,
                           std::string token) {
  SseStream out(shared_, incoming.exchange);
  bool there = co_await out.open();
  const std::string endpoint = endpoint_event(incoming.exchange.head().path(), token);
  if (there) there = co_await out.raw(endpoint);
  while (there && !connection->is_gone()) {
    connection->note_write(out.last_write());
    co_await connection->wait();
    const Connection::Unsent unsent = connection->take_unsent();
    for (const std::string& message : unsent.messages) {
      if (there) there = co_await out.message(message);
    }
    if (there && connection->take_silence()) there = co_await out.keep_alive();
    if (!there || !connection->has_ended()) continue;
    co_await out.finish();
    co_return;
  }
  if (!there || connection->is_gone()) ++shared_.counters.disconnected;
}

/// The session goes with the stream, also one that is just being made.
Task<void> HttpSse::end(std::shared_ptr<Connection> connection) {
  for (Relayed* const exchange : connection->under_way) exchange->client_left();
  co_await connection->wait_until_idle();
  if (connection->session.empty()) co_return;
  const auto farewell = std::make_shared<Relayed>(connection, "DELETE", net::Endpoint{}, 1);
  co_await relay(connection, farewell);
}

Task<void> HttpSse::relay(std::shared_ptr<Connection> connection, std::shared_ptr<Relayed> exchange) {
  co_await serve_(*exchange, connection->who);
  exchange->served();
}

Task<void> HttpSse::answer(std::shared_ptr<Connection> connection, std::shared_ptr<Relayed> exchange) {
  co_await relay(connection, exchange);
  --connection->messages;
  exchange.reset();
  const bool has_begun = !connection->session.empty() && !connection->is_gone();
  if (has_begun && !std::exchange(connection->is_listening, true)) scope_.spawn(listen(connection));
}

Task<void> HttpSse::listen(std::shared_ptr<Connection> connection) {
  while (!connection->is_gone() && !shared_.draining) {
    const auto exchange =
        std::make_shared<Relayed>(connection, "GET", net::Endpoint{}, shared_.world.spec.message_bytes_max);
    co_await relay(connection, exchange);
    if (exchange->status() != 200) co_return;
    if (!connection->is_gone()) co_await shared_.world.clock.sleep_for(listen_retry);
  }
}

Task<void> HttpSse::post(Incoming& incoming) {
  const auto body =
      co_await read_request_body(incoming.exchange, shared_.world.limits.body_bytes_max, incoming.memory);
  if (!body || !*body) {
    ++shared_.counters.refused;
    co_await answer_refusal(incoming.exchange, {},
                            body ? refusal_of_memory(incoming.memory) : refusal_of_body(body.error()));
    co_return;
  }
  incoming.body = **body;
  const auto handle =
      shared_.world.sealer.open(mcp::HandleKind::http_sse, token_of(incoming.exchange.head().query()),
                                incoming.context.principal, shared_.wall());
  std::shared_ptr<Connection> connection;
  if (handle && shared_.is_own(*handle)) {
    if (const auto at = connections_.find(handle->local); at != connections_.end())
      connection = at->second.lock();
  } else if (handle) {
    const bool forwarded = co_await forward_to_owner(shared_, *handle, incoming);
    if (forwarded) co_return;
  }
  if (!connection || connection->is_gone()) {
    ++shared_.counters.refused;
    co_await answer_error(incoming.exchange, 404, {}, connection_gone());
    co_return;
  }
  if (connection->messages >= messages_max) {
    ++shared_.counters.refused;
    mcp::RpcError error{
        mcp::code::server_error, "Too many messages wait for their answers; try again later.", {}};
    co_await answer_error(incoming.exchange, 429, {}, std::move(error));
    co_return;
  }
  auto exchange = std::make_shared<Relayed>(connection, "POST", incoming.exchange.remote(),
                                            shared_.world.spec.message_bytes_max);
  exchange->carry(std::move(**body), incoming.exchange.head().headers);
  ++connection->messages;
  scope_.spawn(answer(std::move(connection), std::move(exchange)));
  co_await answer_empty(incoming.exchange, 202);
}

}  // namespace berth::task::edge
