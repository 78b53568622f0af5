#include "task/runtime/peer_forwarder.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <optional>

#include "task/endpoint.h"

namespace berth::task {

namespace {

constexpr std::size_t part_bytes = 16 * 1024;

/// What concerns the hop from the client, or would speak with its voice to the owner.
bool is_dropped(std::string_view name) {
  for (const std::string_view dropped :
       {"Host", "Authorization", "X-API-Key", "Expect", "TE", "Trailer", "Upgrade", "Proxy-Authorization"}) {
    if (http::equals_ignoring_case(name, dropped)) return true;
  }
  constexpr std::string_view own = "Berth-";
  return name.size() > own.size() && http::equals_ignoring_case(name.substr(0, own.size()), own);
}

http::ClientRequest make_request(const mcp::Handle& handle, const http::RequestHead& head,
                                 std::string_view body, std::string_view principal,
                                 const monitoring::OpenSpan* hop) {
  http::ClientRequest request;
  request.method = head.method;
  request.target = head.target;
  for (const auto field : head.headers.fields()) {
    if (!is_dropped(field.name)) request.headers.add(field.name, field.value);
  }
  request.headers.add(principal_header, principal);
  request.headers.add(generation_header, fmt::format("{:016x}", handle.generation));
  if (hop != nullptr) request.headers.set("traceparent", hop->traceparent());
  request.body = body;
  return request;
}

class Forwarder final : public PeerForwarder {
 public:
  explicit Forwarder(PeerClients& clients) : clients_(clients) {}

  Task<Result<void>> forward(const mcp::Handle& handle, http::Exchange& exchange, std::string_view body,
                             const RequestContext& context) override {
    using namespace asio::experimental::awaitable_operators;
    auto client = clients_.at(handle.owner_address);
    if (!client) co_return fail(ErrorCode::unavailable, client.error().message());
    // Shared, because the exchange may outlive this coroutine when it is cancelled.
    const auto left = std::make_shared<Signal>(clients_.network().clock().executor());
    exchange.on_disconnect([left] { left->notify(); });
    std::optional<monitoring::OpenSpan> hop;
    if (context.trace != nullptr && context.trace->sampled()) begin_hop(hop, *context.trace, handle);
    auto request = make_request(handle, exchange.head(), body, context.principal, hop ? &*hop : nullptr);
    // Whichever ends first ends the other: leaving unwinds the relay, which closes its connection to the
    // owner.
    auto ended = co_await (relay(*client, std::move(request), exchange) || left->wait());
    exchange.on_disconnect(nullptr);
    auto* const outcome = std::get_if<0>(&ended);
    if (hop && outcome != nullptr && !*outcome) hop->fail(outcome->error().message());
    if (outcome != nullptr) co_return *outcome;
    co_return Result<void>();
  }

 private:
  static void begin_hop(std::optional<monitoring::OpenSpan>& hop, monitoring::RequestTrace& trace,
                        const mcp::Handle& handle) {
    hop.emplace(trace.tracer(), monitoring::Span::Kind::client, trace.span()->context());
    hop->name("forward to the owner");
    hop->add("berth.owner", handle.owner);
    hop->add("server.address", handle.owner_address);
  }

  /// Copies the answer; errors only before anything was copied.
  static Task<Result<void>> relay(std::shared_ptr<http::Client> client, http::ClientRequest request,
                                  http::Exchange& exchange) {
    const auto answer = co_await client->send(std::move(request));
    if (!answer) co_return fail(ErrorCode::unavailable, answer.error().message());
    http::ClientResponse& response = **answer;
    if (response.head().headers.get(owner_gone_header)) {
      co_return fail(ErrorCode::not_found, "Another life of that task runs at the owner's address.");
    }
    http::ResponseHead head = response.head();
    auto copied = co_await exchange.begin(std::move(head));
    std::array<char, part_bytes> part;
    while (copied) {
      const auto count = co_await response.read_some(part);
      // An answer that breaks off stays unfinished here, too.
      if (!count) co_return Result<void>();
      if (*count == 0) break;
      copied = co_await exchange.write(std::string_view(part.data(), *count));
    }
    if (copied) co_await exchange.finish();
    co_return Result<void>();
  }

  PeerClients& clients_;
};

}  // namespace

std::unique_ptr<PeerForwarder> make_peer_forwarder(PeerClients& clients) {
  return std::make_unique<Forwarder>(clients);
}

}  // namespace berth::task
