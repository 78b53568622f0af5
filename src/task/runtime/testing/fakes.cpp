#include "task/runtime/testing/fakes.h"

#include <array>

namespace berth::task::testing {

Task<void> FakeEndpoint::serve(http::Exchange& exchange, RequestContext context) {
  if (context.mcp_method != nullptr) *context.mcp_method = "tools/call";
  const std::string query(exchange.head().query());
  constexpr std::string_view forward_prefix = "forward=";
  if (query.starts_with(forward_prefix) && !context.forwarded) {
    co_return co_await forward(exchange, query.substr(forward_prefix.size()), context);
  }
  if (exchange.head().headers.get("X-Unanswered")) co_return co_await wait_until_client_leaves(exchange);
  if (query == "slow" || context.forwarded) {
    const bool is_slow = exchange.head().headers.get("X-Slow").has_value() || query == "slow";
    if (is_slow) co_return co_await serve_slowly(exchange);
  }
  const auto body = co_await exchange.read_body(1000);
  if (context.forwarded && exchange.head().headers.get("X-Silent")) co_await go_on.wait();
  auto response = http::text_response(200, world_.server + " on " + world_.identity.id + " for " +
                                               context.principal + (context.forwarded ? " forwarded" : "") +
                                               " got " + body.value_or("nothing"));
  co_await exchange.respond(std::move(response));
}

Task<void> FakeEndpoint::forward(http::Exchange& exchange, std::string token, const RequestContext& context) {
  const auto handle =
      world_.sealer.open(mcp::HandleKind::session, token, context.principal, world_.clock.wall());
  if (!handle) {
    auto response = http::text_response(400, handle.error().message());
    co_await exchange.respond(std::move(response));
    co_return;
  }
  const auto body = co_await exchange.read_body(1000);
  const auto done = co_await world_.peers.forward(*handle, exchange, body.value_or(""), context);
  if (done.end == Forwarded::End::answered) co_return;
  constexpr std::array names{"answered", "not delivered", "another life", "disowned", "slow", "unknown"};
  auto response =
      http::text_response(500, std::string(names[static_cast<std::size_t>(done.end)]) + ": " + done.why);
  co_await exchange.respond(std::move(response));
}

Task<void> FakeEndpoint::wait_until_client_leaves(http::Exchange& exchange) {
  exchange.on_disconnect([this] {
    ++left;
    go_on.notify();
  });
  co_await go_on.wait();
}

Task<void> FakeEndpoint::serve_slowly(http::Exchange& exchange) {
  exchange.on_disconnect([this] {
    ++left;
    go_on.notify();
  });
  http::ResponseHead head;
  head.headers.add("Content-Type", "text/event-stream");
  co_await exchange.begin(std::move(head));
  co_await exchange.write("data: 1\n\n");
  co_await go_on.wait();
  co_await exchange.write("data: 2\n\n");
  co_await exchange.finish();
}

RuntimeParts FakeParts::parts() {
  RuntimeParts made;
  made.make_host = [this](const model::ServerSpec&, ChangeSink& sink, const TaskIdentity&, MemoryAccount&) {
    auto host = std::make_unique<IdleHost>();
    hosts.push_back(host.get());
    sinks.push_back(&sink);
    HostedServer hosted;
    hosted.host = std::move(host);
    return hosted;
  };
  made.make_endpoint = [this](EndpointWorld world) {
    auto endpoint = std::make_unique<FakeEndpoint>(std::move(world));
    endpoints.push_back(endpoint.get());
    return endpoint;
  };
  return made;
}

}  // namespace berth::task::testing
