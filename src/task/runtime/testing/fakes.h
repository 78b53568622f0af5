#pragma once

#include <memory>
#include <string>
#include <vector>

#include "task/endpoint.h"
#include "task/runtime/parts.h"
#include "task/server_host.h"

namespace berth::task::testing {

/// A host whose health is set by hand and which runs no calls.
class IdleHost final : public ServerHost {
 public:
  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller&) override {
    co_return mcp::ServerDescription{};
  }
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call&, mcp::CallObserver&) override { return nullptr; }
  void notify(const mcp::Caller&, std::string_view, std::string_view) override {}
  void watch_resource(const mcp::Caller&, const std::string&) override {}
  void unwatch_resource(const mcp::Caller&, const std::string&) override {}
  void watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) override {
    elsewhere.push_back(principal + (watched ? " watches " : " no more watches ") + uri);
  }
  void session_closed(const std::string&) override {}
  HostHealth health() const override { return state; }
  Task<std::size_t> drain(TimePoint) override {
    drained = true;
    co_return cut;
  }

  HostHealth state{.ready = true, .reason = "", .processes = 1};
  std::size_t cut = 0;  ///< what its drain returns
  bool drained = false;
  std::vector<std::string> elsewhere;  ///< what it was told of watch_elsewhere
};

/// An endpoint that says who asked; `forward=TOKEN` in the query forwards to the handle's owner, `slow`
/// waits for `go_on` in the middle of a stream, and so does what was forwarded with X-Silent, but before its
/// head.
class FakeEndpoint final : public Endpoint {
 public:
  explicit FakeEndpoint(EndpointWorld world) : world_(std::move(world)), go_on(world_.clock.executor()) {}

  Task<void> serve(http::Exchange& exchange, RequestContext context) override;
  Task<std::size_t> drain(TimePoint deadline) override {
    if (stubborn) co_await world_.clock.sleep_until(deadline);
    drained = true;
    go_on.notify();
    co_return stubborn ? 1 : 0;
  }
  std::size_t calls() const override { return 7; }
  void write_metrics(monitoring::MetricsWriter& writer) const override {
    writer.gauge("fake_endpoint", "Fake.", {{"server", world_.server}}, 1);
  }

  EndpointWorld world_;
  Signal go_on;
  bool drained = false;
  bool stubborn = false;  ///< has a call that its drain must cut
  int left = 0;           ///< clients that went away during a slow answer

 private:
  Task<void> forward(http::Exchange& exchange, std::string token, const RequestContext& context);
  Task<void> serve_slowly(http::Exchange& exchange);
  Task<void> wait_until_client_leaves(http::Exchange& exchange);
};

/// Fakes of every part; the runtime owns them, a test looks at them.
struct FakeParts {
  std::vector<IdleHost*> hosts;
  std::vector<FakeEndpoint*> endpoints;
  std::vector<ChangeSink*> sinks;

  RuntimeParts parts();
};

}  // namespace berth::task::testing
