#include "task/host/url_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace berth::task::host {

namespace {

constexpr std::string_view subscribe_method = "resources/subscribe";
constexpr Duration post_timeout = std::chrono::seconds(30);
constexpr Duration goodbye_timeout = std::chrono::seconds(2);
constexpr Duration stream_retry_min = std::chrono::seconds(1);
constexpr Duration stream_retry_max = std::chrono::seconds(30);
/// The head of a GET stream comes at once; its body never ends.
constexpr Duration stream_head_timeout = std::chrono::seconds(30);

}  // namespace

void UrlSession::open() { world_.branches.spawn(handshake(shared_from_this())); }

Task<void> UrlSession::opened() {
  if (state_ != State::opening) co_return;
  Signal over(world_.clock.executor());
  const auto at = waiters_.insert(waiters_.end(), &over);
  const std::unique_ptr<void, std::function<void(void*)>> guard(this,
                                                                [this, at](void*) { waiters_.erase(at); });
  co_await over.wait();
}

Task<void> UrlSession::handshake(std::shared_ptr<UrlSession> self) {
  const Result<void> done = co_await self->initialize();
  if (done) {
    self->state_ = State::ready;
  } else {
    self->state_ = State::failed;
    self->failure_ = done.error();
  }
  for (Signal* waiter : self->waiters_) waiter->notify();
  if (!done) co_return;
  std::string initialized;
  append_notification(initialized, "notifications/initialized", {});
  self->post(std::move(initialized));
  for (const std::string& uri : self->watched_) self->write_subscription(subscribe_method, uri);
  self->stream_ = self->world_.branches.spawn(read_stream(self));
}

Task<Result<void>> UrlSession::initialize() {
  http::Headers headers;
  add_post_headers(headers);
  std::string body;
  append_request(body, world_.next_number++, "initialize",
                 initialize_params(key_.capabilities, key_.client_info), {}, {});
  const TimePoint deadline = world_.clock.now() + world_.spec.start_timeout;
  auto response = co_await world_.upstream.fetch("POST", headers, body, deadline);
  if (response && may_speak_http_sse(response->status) && !world_.upstream.speaks_http_sse()) {
    auto older =
        co_await world_.upstream.fetch_by_http_sse("POST", std::move(headers), std::move(body), deadline);
    if (older) response = std::move(older);
  }
  if (!response) co_return std::unexpected(response.error());
  if (response->status != 200) {
    const mcp::Outcome outcome =
        status_outcome(response->status, response->headers, response->body, world_.upstream.name());
    co_return fail(ErrorCode::unavailable,
                   fmt::format("The upstream {} answered initialize with HTTP {}: {}", world_.upstream.name(),
                               response->status, outcome.error.message));
  }
  if (const auto error = body_error(response->body)) {
    co_return fail(ErrorCode::unavailable, fmt::format("The upstream {} refused initialize: {}",
                                                       world_.upstream.name(), error->message));
  }
  const Result<json::Slice> parsed = json::parse(response->body);
  if (!parsed) co_return std::unexpected(parsed.error().within("The upstream's answer to initialize"));
  const json::Slice result = parsed->find("result");
  auto description = read_initialize_result(result);
  if (!description) co_return std::unexpected(description.error());
  description_ = std::move(*description);
  version_ = result.find("protocolVersion").as_string().value_or("");
  id_ = response->headers.get("Mcp-Session-Id").value_or("");
  const json::Slice capabilities = json::Slice::trusted(description_.capabilities);
  can_log_ = capabilities.find("logging").exists();
  can_subscribe_ = capabilities.find("resources").find("subscribe").as_bool().value_or(false);
  co_return Result<void>();
}

void UrlSession::add_headers(http::Headers& headers) const {
  if (!id_.empty()) headers.set("Mcp-Session-Id", id_);
  if (!version_.empty()) headers.set("MCP-Protocol-Version", version_);
}

void UrlSession::post_and_hear(std::string message, std::string watched_uri) {
  if (closed_) return;
  if (!watched_uri.empty()) subscribing_.insert(watched_uri);
  posts_.push_back({std::move(message), std::move(watched_uri)});
  if (std::exchange(posting_, true)) return;
  world_.branches.spawn(write_posts(shared_from_this()));
}

Task<void> UrlSession::write_posts(std::shared_ptr<UrlSession> self) {
  while (!self->posts_.empty()) {
    Post post = std::move(self->posts_.front());
    self->posts_.pop_front();
    http::Headers headers;
    add_post_headers(headers);
    self->add_headers(headers);
    const TimePoint deadline = self->world_.clock.now() + post_timeout;
    const auto response =
        co_await self->world_.upstream.fetch("POST", std::move(headers), std::move(post.message), deadline);
    if (!post.watched_uri.empty()) {
      self->subscribing_.erase(post.watched_uri);
      const auto refusal = response ? body_error(response->body) : std::nullopt;
      self->world_.on_watch_answered(*self, post.watched_uri, refusal);
    }
    if (response && response->status < 300) continue;
    self->world_.log.warning(
        "upstream_post_failed",
        {{"server", self->world_.spec.name},
         {"reason", response ? fmt::format("HTTP {}", response->status) : response.error().message()}});
  }
  self->posting_ = false;
}

void UrlSession::want_level(mcp::LoggingLevel level) {
  if (!can_log_ || (level_ && *level_ <= level)) return;
  level_ = level;
  std::string request;
  append_request(request, world_.next_number++, "logging/setLevel",
                 fmt::format(R"({{"level":"{}"}})", mcp::to_string(level)), {}, {});
  post(std::move(request));
}

void UrlSession::write_subscription(std::string_view method, const std::string& uri) {
  if (!can_subscribe_) return;
  std::string request;
  append_request(request, world_.next_number++, method, fmt::format(R"({{"uri":{}}})", json_quote(uri)), {},
                 {});
  post_and_hear(std::move(request), method == subscribe_method ? uri : std::string());
}

void UrlSession::watch(std::set<std::string> uris) {
  const std::set<std::string> before = std::exchange(watched_, std::move(uris));
  if (state_ != State::ready) return;
  for (const std::string& uri : watched_) {
    if (!before.contains(uri)) write_subscription(subscribe_method, uri);
  }
  for (const std::string& uri : before) {
    if (!watched_.contains(uri)) write_subscription("resources/unsubscribe", uri);
  }
}

Task<void> UrlSession::read_stream(std::shared_ptr<UrlSession> self) {
  std::string last_event_id;
  Duration retry = stream_retry_min;
  while (!self->closed_) {
    http::Headers headers;
    headers.set("Accept", "text/event-stream");
    self->add_headers(headers);
    if (!last_event_id.empty()) headers.set("Last-Event-ID", last_event_id);
    const TimePoint deadline = self->world_.clock.now() + stream_head_timeout;
    auto response = co_await self->world_.upstream.send("GET", std::move(headers), {}, deadline);
    const int status = response ? (*response)->head().status : 0;
    if (response && status != 200 && !may_stream_later(status)) co_return;  // 405: it has no such stream
    if (status == 200) {
      MessageStream messages(std::move(*response), self->world_.spec.message_bytes_max);
      for (;;) {
        const auto message = co_await messages.next();
        if (!message || !*message) break;
        retry = stream_retry_min;
        self->take(**message);
      }
      last_event_id = messages.last_event_id();
      if (messages.retry_ms())
        retry = std::max<Duration>(retry, std::chrono::milliseconds(*messages.retry_ms()));
    }
    co_await self->world_.clock.sleep_for(retry);
    retry = std::min(retry * 2, stream_retry_max);
  }
}

void UrlSession::take(const std::string& text) {
  const Result<json::Slice> parsed = json::parse(text);
  const Message message = parsed ? read_message(*parsed) : Message{};
  if (message.kind == Message::Kind::request) {
    if (is_question(message.method)) return world_.on_question(*this, message);
    std::string answer;
    append_unasked_answer(answer, message);
    post(std::move(answer));
  } else if (message.kind == Message::Kind::notification) {
    if (auto change = read_change(message)) return world_.on_change(*this, std::move(*change));
    world_.on_notification(*this, message);
  }
}

Task<void> UrlSession::close(std::shared_ptr<UrlSession> self, Goodbye goodbye) {
  self->closed_ = true;
  if (self->stream_) self->stream_->cancel();
  if (goodbye == Goodbye::quietly || self->id_.empty() || self->state_ != State::ready) co_return;
  http::Headers headers;
  self->add_headers(headers);
  const TimePoint deadline = self->world_.clock.now() + goodbye_timeout;
  const auto response = co_await self->world_.upstream.fetch("DELETE", std::move(headers), {}, deadline);
  if (!response) self->world_.log.debug("upstream_goodbye_failed", {{"reason", response.error().message()}});
}

}  // namespace berth::task::host
