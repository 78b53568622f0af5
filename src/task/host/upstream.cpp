#include "task/host/upstream.h"

#include <fmt/format.h>

#include <utility>

#include "base/shown_url.h"
#include "codec/json.h"
#include "task/host/http_sse_client.h"

namespace berth::task::host {

namespace {

constexpr std::size_t small_body_bytes_max = 1u << 20;
constexpr std::size_t read_bytes = 16 * 1024;
constexpr int redirects_max = 5;

bool is_event_stream(const http::Headers& headers) {
  const auto type = headers.get("Content-Type");
  return type && http::equals_ignoring_case(type->substr(0, 17), "text/event-stream");
}

}  // namespace

// --- Branches

void Branches::Branch::cancel() {
  cancelled_ = true;
  if (scope_ != nullptr) scope_->cancel();
}

std::shared_ptr<Branches::Branch> Branches::spawn(Task<void> task) {
  auto branch = std::make_shared<Branch>();
  std::erase_if(branches_, [](const auto& weak) { return weak.expired(); });
  branches_.push_back(branch);
  scope_.spawn(run(branch, std::move(task)));
  return branch;
}

Task<void> Branches::run(std::shared_ptr<Branch> branch, Task<void> task) {
  TaskScope scope(scope_.executor());
  branch->scope_ = &scope;
  if (!branch->cancelled_) scope.spawn(std::move(task));
  co_await scope.join();
  branch->scope_ = nullptr;
  branch->ended_ = true;
}

void Branches::cancel_all() {
  const auto branches = branches_;
  for (const auto& weak : branches) {
    if (const auto branch = weak.lock()) branch->cancel();
  }
}

// --- MessageStream

MessageStream::MessageStream(std::unique_ptr<http::ClientResponse> response, std::size_t message_bytes_max)
    : response_(std::move(response)),
      message_bytes_max_(message_bytes_max),
      is_events_(is_event_stream(response_->head().headers)),
      parser_(message_bytes_max),
      buffer_(read_bytes, '\0') {}

Task<Result<std::optional<std::string>>> MessageStream::next() {
  if (!is_events_) {
    if (std::exchange(ended_, true)) co_return std::nullopt;
    auto body = co_await response_->read_all(message_bytes_max_);
    if (!body) co_return std::unexpected(body.error());
    co_return std::move(*body);
  }
  while (ready_.empty()) {
    if (ended_) co_return std::nullopt;
    const auto count = co_await response_->read_some(buffer_);
    if (!count) co_return std::unexpected(count.error());
    ended_ = *count == 0;
    const Result<void> fed = parser_.feed(std::string_view(buffer_).substr(0, *count));
    if (!fed) co_return std::unexpected(fed.error());
    while (auto event = parser_.next()) {
      if (!event->id.empty()) last_event_id_ = event->id;
      if (event->retry_ms) retry_ms_ = event->retry_ms;
      // An event without data only primes the client with an id (2025-11-25, polling).
      const bool is_message = event->event.empty() || event->event == "message";
      if (is_message && !event->data.empty()) ready_.push_back(std::move(event->data));
    }
  }
  std::string message = std::move(ready_.front());
  ready_.pop_front();
  co_return std::move(message);
}

// --- Upstream

Upstream::Upstream(const model::ServerSpec& spec, net::Network& network, Branches& branches)
    : spec_(spec),
      network_(network),
      branches_(branches),
      address_(http::parse_url(spec.url.reveal())),
      name_(shown_url(spec.url)) {}

Task<Result<void>> Upstream::connect() {
  if (!address_) co_return std::unexpected(address_.error());
  if (client_) co_return Result<void>();
  auto found = co_await http::resolve_all(network_.clock().executor(), address_->host, address_->port);
  if (!found) co_return std::unexpected(found.error());
  http::ClientOptions options;
  options.endpoint = found->front();
  options.alternatives.assign(found->begin() + 1, found->end());
  options.host_header = address_->host_header();
  options.idle_connections_max = 64;
  if (address_->tls) {
    if (!tls_) {
      auto made = net::make_tls_client({});
      if (!made) co_return std::unexpected(made.error());
      tls_ = std::move(*made);
    }
    options.tls = tls_;
    options.tls_host_name = address_->host;
  }
  client_ = http::make_client(network_, std::move(options));
  if (speaks_http_sse_) client_ = by_http_sse(client_);
  co_return Result<void>();
}

std::shared_ptr<http::Client> Upstream::by_http_sse(std::shared_ptr<http::Client> client) {
  return make_http_sse_client(std::move(client), *address_, branches_, network_.clock(),
                              spec_.message_bytes_max);
}

Task<Result<http::Response>> Upstream::fetch_by_http_sse(std::string method, http::Headers headers,
                                                         std::string body, TimePoint deadline) {
  const Result<void> connected = co_await connect();
  if (!connected) co_return std::unexpected(connected.error());
  const std::shared_ptr<http::Client> before = client_;
  client_ = by_http_sse(before);
  const std::shared_ptr<http::Client> tried = client_;
  auto response = co_await fetch(std::move(method), std::move(headers), std::move(body), deadline);
  speaks_http_sse_ = response.has_value() && response->status == 200;
  if (!speaks_http_sse_ && client_ == tried) client_ = before;
  co_return response;
}

Task<Result<std::unique_ptr<http::ClientResponse>>> Upstream::send(std::string method, http::Headers headers,
                                                                   std::string body, TimePoint deadline,
                                                                   http::Delivery* delivery) {
  const Result<void> connected = co_await connect();
  if (!connected) co_return std::unexpected(connected.error());
  http::ClientRequest request;
  request.method = std::move(method);
  request.target = address_->target;
  request.headers = std::move(headers);
  request.headers.set("Accept-Encoding", "identity");
  for (const auto& [name, value] : spec_.headers) request.headers.set(name, value);
  request.body = std::move(body);
  request.deadline = deadline;
  request.delivery = delivery;
  request.redirects_max = redirects_max;
  request.decodes_body = true;
  const std::shared_ptr<http::Client> client = client_;
  auto response = co_await client->send(std::move(request));
  // The name may stand for another address by now.
  if (!response && response.error().code() == ErrorCode::unavailable && client_ == client) client_.reset();
  if (!response) co_return std::unexpected(response.error().within(fmt::format("The upstream {}", name_)));
  co_return std::move(*response);
}

Task<Result<http::Response>> Upstream::fetch(std::string method, http::Headers headers, std::string body,
                                             TimePoint deadline) {
  auto response = co_await send(std::move(method), std::move(headers), std::move(body), deadline);
  if (!response) co_return std::unexpected(response.error());
  (*response)->set_deadline(deadline);
  http::Response whole;
  whole.status = (*response)->head().status;
  whole.headers = (*response)->head().headers;
  MessageStream messages(std::move(*response), small_body_bytes_max);
  for (;;) {
    auto message = co_await messages.next();
    if (!message) co_return std::unexpected(message.error().within(fmt::format("The upstream {}", name_)));
    if (!*message) break;
    whole.body = std::move(**message);
    const Result<json::Slice> parsed = json::parse(whole.body);
    if (!parsed || !parsed->find("method").exists()) break;
    whole.body.clear();
  }
  co_return whole;
}

}  // namespace berth::task::host
