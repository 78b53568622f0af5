#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "http/server.h"
#include "net/testing/memory_network.h"

namespace berth::aws::testing {

/// An HTTP server on an in-memory network that remembers what it was asked and gives its answers in order,
/// the last one again and again.
class ScriptedHttp final : public http::Service {
 public:
  struct Seen {
    std::string method;
    std::string target;
    http::Headers headers;
    std::string body;

    std::string header(std::string_view name) const {
      return std::string(headers.get(name).value_or("(none)"));
    }
  };

  ScriptedHttp(net::Network& network, berth::testing::SimClock& clock, const net::Endpoint& endpoint)
      : clock_(clock),
        server_(http::make_server(network.listen(endpoint).value(), nullptr, *this, clock, null_log(), {})) {}
  ~ScriptedHttp() override {
    TaskScope scope(clock_.executor());
    scope.spawn([](http::Server& server, TimePoint now) -> Task<void> { co_await server.drain(now); }(
                                                            *server_, clock_.now()));
    clock_.advance(std::chrono::seconds(1));
  }

  void answer(int status, std::string body, std::vector<std::pair<std::string, std::string>> headers = {}) {
    http::Response response{status, {}, std::move(body)};
    for (const auto& [name, value] : headers) response.headers.add(name, value);
    answers_.push_back(std::move(response));
  }

  std::vector<Seen> seen;

 private:
  Task<void> serve(http::Exchange& exchange) override {
    auto body = co_await exchange.read_body(std::size_t{1} << 20);
    seen.push_back(Seen{exchange.head().method, exchange.head().target, exchange.head().headers,
                        body.value_or("(broken)")});
    http::Response response =
        answers_.empty() ? http::text_response(500, "no answer scripted") : answers_.front();
    if (answers_.size() > 1) answers_.pop_front();
    co_await exchange.respond(std::move(response));
  }

  berth::testing::SimClock& clock_;
  std::deque<http::Response> answers_;
  std::unique_ptr<http::Server> server_;
};

template <class T>
Task<void> keep(Task<T> task, std::optional<T>& result) {
  result = co_await std::move(task);
}

/// Runs a task to its end, moving simulated time on where it waits (at most ten minutes).
template <class T>
T finish(berth::testing::SimClock& clock, Task<T> task) {
  std::optional<T> result;
  TaskScope scope(clock.executor());
  scope.spawn(keep(std::move(task), result));
  clock.run_until_idle();
  for (int step = 0; step < 1200 && !result; ++step) clock.advance(std::chrono::milliseconds(500));
  return std::move(result).value();
}

}  // namespace berth::aws::testing
