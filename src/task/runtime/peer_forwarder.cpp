#include "task/runtime/peer_forwarder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <optional>

#include "codec/sse.h"
#include "mcp/message.h"
#include "task/endpoint.h"

namespace berth::task {

namespace {

constexpr std::size_t part_bytes = 16 * 1024;
constexpr Duration silence_look_interval = std::chrono::seconds(1);

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
                                 std::string_view body, const RequestContext& context,
                                 const monitoring::OpenSpan* hop) {
  http::ClientRequest request;
  request.method = head.method;
  request.target = head.target;
  for (const auto field : head.headers.fields()) {
    if (!is_dropped(field.name)) request.headers.add(field.name, field.value);
  }
  request.headers.add(principal_header, context.principal);
  if (!context.client.empty()) request.headers.add(client_header, context.client);
  if (context.to_home) request.headers.add(home_header, "1");
  if (context.lost_life != 0) request.headers.add(lost_life_header, write_generation(context.lost_life));
  request.headers.add(generation_header, write_generation(handle.generation));
  if (hop != nullptr) request.headers.set("traceparent", hop->traceparent());
  request.body = body;
  return request;
}

/// What is known of one forwarded request; outlived by nothing that runs on its behalf.
struct Hop {
  const mcp::Handle& handle;
  http::Exchange& exchange;
  std::string_view body;
  http::Delivery delivery{};
  TimePoint last_sign{};  ///< when a byte of the answer came, or the fleet heard from the owner
  bool is_event_stream = false;
  std::string tail{"\n\n"};  ///< the last two characters that were copied
  bool is_broken = false;    ///< the answer ended before its end
  bool is_writing = false;   ///< the client has not taken the last part yet

  void copied(std::string_view part) {
    tail.append(part.substr(part.size() - std::min<std::size_t>(part.size(), 2)));
    tail.erase(0, tail.size() - 2);
  }
};

/// One event for each request in `body`: a message, or a batch of them.
std::string error_events(std::string_view body) {
  std::string out;
  const auto add = [&out](json::Slice value) {
    const auto message = mcp::read_message(value);
    if (!message || message->kind != mcp::Message::Kind::request) return true;
    sse::append_message(out, mcp::write_error(message->id, mcp::unknown_end(lost_task_sentence)));
    return true;
  };
  const auto parsed = json::parse(body);
  if (!parsed) return out;
  if (parsed->is(json::Kind::array)) {
    parsed->each_element(add);
  } else {
    add(*parsed);
  }
  return out;
}

class Forwarder final : public PeerForwarder {
 public:
  Forwarder(PeerClients& clients, const FleetBus& bus) : clients_(clients), bus_(bus) {}

  Task<Forwarded> forward(const mcp::Handle& handle, http::Exchange& exchange, std::string_view body,
                          const RequestContext& context) override {
    using namespace asio::experimental::awaitable_operators;
    auto client = clients_.at(handle.owner_address);
    if (!client) co_return Forwarded{Forwarded::End::not_delivered, client.error().message()};
    // Shared, because the exchange may outlive this coroutine when it is cancelled.
    const auto left = std::make_shared<Signal>(clients_.network().clock().executor());
    exchange.on_disconnect([left] { left->notify(); });
    std::optional<monitoring::OpenSpan> span;
    if (context.trace != nullptr && context.trace->sampled()) begin_span(span, *context.trace, handle);
    auto request = make_request(handle, exchange.head(), body, context, span ? &*span : nullptr);
    Hop hop{.handle = handle, .exchange = exchange, .body = body, .last_sign = now()};
    request.delivery = &hop.delivery;
    // Whichever ends first ends the others: leaving unwinds the relay, which closes its connection to the
    // owner.
    auto ended = co_await (relay(*client, std::move(request), hop) || left->wait() || await_silence(hop));
    exchange.on_disconnect(nullptr);
    Forwarded outcome;
    if (auto* const relayed = std::get_if<0>(&ended)) outcome = std::move(*relayed);
    if (ended.index() == 2) outcome = lost(hop, "It gave no sign of life.");
    if (hop.is_broken || (ended.index() == 2 && exchange.answered())) co_await end_broken(hop);
    if (span && outcome.end != Forwarded::End::answered) span->fail(outcome.why);
    co_return outcome;
  }

  std::vector<TaskIdentity> sisters() const override { return bus_.sisters(); }
  std::uint64_t losses() const override { return bus_.losses(); }

 private:
  static void begin_span(std::optional<monitoring::OpenSpan>& span, monitoring::RequestTrace& trace,
                         const mcp::Handle& handle) {
    span.emplace(trace.tracer(), monitoring::Span::Kind::client, trace.span()->context());
    span->name("forward to the owner");
    span->add("berth.owner", handle.owner);
    span->add("server.address", handle.owner_address);
  }

  bool is_alive(const mcp::Handle& owner) const { return bus_.knows(owner.owner, owner.generation); }
  TimePoint now() const { return clients_.network().clock().now(); }

  /// Returns once the owner has given no sign of life for too long, however long the call itself takes.
  Task<void> await_silence(Hop& hop) const {
    while (now() - hop.last_sign < owner_silence_max) {
      co_await clients_.network().clock().sleep_for(silence_look_interval);
      if (is_alive(hop.handle)) hop.last_sign = now();
    }
  }

  /// The end of a request that got no head of an answer.
  Forwarded lost(const Hop& hop, std::string_view why) const {
    using End = Forwarded::End;
    if (hop.exchange.answered()) return {};
    if (hop.delivery.handed_over) return {End::unknown, std::string(why)};
    const bool is_slow = hop.delivery.timed_out && is_alive(hop.handle);
    return {is_slow ? End::slow : End::not_delivered, std::string(why)};
  }

  /// Copies the answer. Nothing is left to do once its head was copied, except for a broken one.
  Task<Forwarded> relay(std::shared_ptr<http::Client> client, http::ClientRequest request, Hop& hop) const {
    const auto answer = co_await client->send(std::move(request));
    if (!answer) co_return lost(hop, answer.error().message());
    http::ClientResponse& response = **answer;
    const auto gone = response.head().headers.get(owner_gone_header);
    if (gone == owner_disowns)
      co_return Forwarded{Forwarded::End::disowned, "The task does not have this state."};
    if (gone) {
      co_return Forwarded{Forwarded::End::another_life,
                          "Another life of that task runs at the owner's address."};
    }
    http::ResponseHead head = response.head();
    hop.is_event_stream = head.headers.get("Content-Type").value_or("").starts_with("text/event-stream");
    auto copied = co_await hop.exchange.begin(std::move(head));
    std::array<char, part_bytes> part;
    while (copied) {
      const auto count = co_await response.read_some(part);
      hop.is_broken = !count;
      if (!count) co_return Forwarded{};
      if (*count == 0) break;
      hop.last_sign = now();
      const std::string_view bytes(part.data(), *count);
      hop.is_writing = true;
      copied = co_await hop.exchange.write(bytes);
      hop.is_writing = false;
      hop.copied(bytes);
    }
    if (copied) co_await hop.exchange.finish();
    co_return Forwarded{};
  }

  /// An event stream ends with errors instead of the answers; any other answer stays unfinished here, too,
  /// as does one of which a part was being written when its owner was given up.
  static Task<void> end_broken(Hop& hop) {
    if (!hop.is_event_stream || hop.is_writing) co_return;
    // Half an event becomes one of a type that nobody listens to.
    std::string text = hop.tail == "\n\n" ? "" : "\nevent: cut\n\n";
    text += error_events(hop.body);
    const auto written = co_await hop.exchange.write(text);
    if (written) co_await hop.exchange.finish();
  }

  PeerClients& clients_;
  const FleetBus& bus_;
};

}  // namespace

std::unique_ptr<PeerForwarder> make_peer_forwarder(PeerClients& clients, const FleetBus& bus) {
  return std::make_unique<Forwarder>(clients, bus);
}

}  // namespace berth::task
