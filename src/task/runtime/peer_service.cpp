#include "task/runtime/peer_service.h"

#include "task/runtime/peer_forwarder.h"

namespace berth::task {

namespace {

constexpr std::size_t message_bytes_max = 256 * 1024;

http::Response refusal(int status, std::string_view problem) {
  return http::json_response(status, R"({"error":)" + json_quote(problem) + "}");
}

}  // namespace

Task<void> PeerService::serve(http::Exchange& exchange) {
  return exchange.head().path().starts_with("/peer/") ? serve_message(exchange) : serve_forwarded(exchange);
}

Task<void> PeerService::serve_message(http::Exchange& exchange) {
  http::Response response;
  if (exchange.head().method != "POST") {
    response = refusal(405, "Sisters POST their messages.");
    response.headers.add("Allow", "POST");
  } else {
    const auto body = co_await exchange.read_body(message_bytes_max);
    response = body ? answer_message(exchange.head().path(), *body) : refusal(400, body.error().message());
  }
  co_await exchange.respond(std::move(response));
}

http::Response PeerService::answer_message(std::string_view path, std::string_view body) {
  if (path == "/peer/hello") {
    auto answer = fleet_.receive_hello(body);
    return answer ? http::json_response(200, std::move(*answer)) : refusal(400, answer.error().message());
  }
  if (path == "/peer/home") {
    auto answer = homes_.receive_question(body);
    return answer ? http::json_response(200, std::move(*answer)) : refusal(400, answer.error().message());
  }
  if (path == "/peer/changes" || path == "/peer/homes" || path == "/peer/interest") {
    const auto received = path == "/peer/homes"      ? homes_.receive_homes(body)
                          : path == "/peer/interest" ? bus_.interest().receive(body)
                                                     : bus_.receive(body);
    if (!received) return refusal(400, received.error().message());
    http::Response done;
    done.status = 204;
    return done;
  }
  return refusal(404, "There is no such message between tasks.");
}

Task<void> PeerService::serve_forwarded(http::Exchange& exchange) {
  const http::Headers& headers = exchange.head().headers;
  if (headers.get(generation_header) != write_generation(identity_.generation)) {
    auto response = refusal(404, "Another life of this task was meant.");
    response.headers.add(owner_gone_header, owner_died);
    co_await exchange.respond(std::move(response));
    co_return;
  }
  const auto principal = headers.get(principal_header);
  if (!principal || principal->empty()) {
    auto response = refusal(400, "A forwarded request names its principal.");
    co_await exchange.respond(std::move(response));
    co_return;
  }
  co_await router_.serve_forwarded(exchange, std::string(*principal));
}

}  // namespace berth::task
