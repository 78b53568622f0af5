#include "task/host/dual_host.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/sim_clock.h"
#include "task/host/testing/observers.h"

namespace berth::task {
namespace {

using host::testing::Observer;
using std::chrono::seconds;

/// What the test sees of a host, also once it is gone.
struct Trace {
  std::vector<std::string> calls;
  std::vector<std::string> closed;
  int watches = 0;
  std::optional<mcp::RpcError> watch_refusal;
  bool is_drained = false;
};

class OneEraHost final : public ServerHost {
 public:
  OneEraHost(mcp::Era era, Clock& clock, Trace& trace) : era_(era), clock_(clock), trace_(trace) {}

  bool is_silent = false;
  bool refuses = false;

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller&) override {
    if (is_silent) co_await clock_.sleep_for(std::chrono::hours(1));
    if (refuses) co_return fail(ErrorCode::unavailable, "It refused initialize.");
    mcp::ServerDescription description;
    description.era = era_;
    co_return description;
  }
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override {
    trace_.calls.emplace_back(call.method);
    observer.on_outcome(mcp::Outcome::success("{}"));
    return nullptr;
  }
  void notify(const mcp::Caller&, std::string_view, std::string_view) override {}
  void watch_resource(const mcp::Caller&, const std::string&) override { ++trace_.watches; }
  void unwatch_resource(const mcp::Caller&, const std::string&) override { --trace_.watches; }
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller&, std::string) override {
    co_return trace_.watch_refusal;
  }
  void session_closed(const std::string& session) override { trace_.closed.push_back(session); }
  HostHealth health() const override { return {.ready = true, .processes = 1}; }
  Task<std::size_t> drain(TimePoint) override {
    trace_.is_drained = true;
    co_return 0;
  }

 private:
  mcp::Era era_;
  Clock& clock_;
  Trace& trace_;
};

class DualHostTest : public ::testing::Test {
 protected:
  DualHostTest() : clock(loop) {
    old.era = mcp::Era::legacy;
    old.session = "s";
  }
  ~DualHostTest() override {
    TaskScope scope(clock.executor());
    scope.spawn(drain());
    for (int i = 0; i < 10; ++i) clock.advance(seconds(1));
    EXPECT_TRUE(first.is_drained);
    EXPECT_EQ(second.is_drained, made > 0);
  }
  Task<void> drain() { co_await host->drain(clock.now()); }

  void make(mcp::Era era) {
    host = make_dual_host(
        "s", std::make_unique<OneEraHost>(era, clock, first),
        [this]() -> std::unique_ptr<ServerHost> {
          ++made;
          auto legacy = std::make_unique<OneEraHost>(mcp::Era::legacy, clock, second);
          legacy->is_silent = is_silent;
          legacy->refuses = refuses;
          return legacy;
        },
        seconds(10), clock, null_log());
  }
  Task<void> describe_into(mcp::Caller caller, std::vector<mcp::Era>& eras) {
    const auto description = co_await host->describe(caller);
    eras.push_back(description->era);
  }
  /// Of each caller, once all have their answers.
  std::vector<mcp::Era> eras_for(const std::vector<mcp::Caller>& callers) {
    std::vector<mcp::Era> eras;
    TaskScope scope(clock.executor());
    for (const mcp::Caller& caller : callers) scope.spawn(describe_into(caller, eras));
    for (int i = 0; i < 30 && eras.size() < callers.size(); ++i) clock.advance(seconds(1));
    EXPECT_EQ(eras.size(), callers.size());
    return eras;
  }
  void call(const mcp::Caller& caller, std::string_view method) {
    Observer observer;
    mcp::Call call;
    call.caller = &caller;
    call.method = method;
    const auto active = host->start(call, observer);
    EXPECT_EQ(observer.outcomes, 1);
  }

  std::optional<mcp::RpcError> refusal_of(const mcp::Caller& caller) {
    std::optional<mcp::RpcError> refusal;
    TaskScope scope(clock.executor());
    scope.spawn(refusal_into(caller, refusal));
    clock.run_until_idle();
    return refusal;
  }
  Task<void> refusal_into(const mcp::Caller& caller, std::optional<mcp::RpcError>& into) {
    auto refusal = co_await host->watch_refusal(caller, "a:1");
    into = std::move(refusal);
  }

  using Eras = std::vector<mcp::Era>;
  asio::io_context loop;
  berth::testing::SimClock clock;
  Trace first;
  Trace second;
  int made = 0;
  bool is_silent = false;
  bool refuses = false;
  mcp::Caller old;
  mcp::Caller modern;
  std::unique_ptr<ServerHost> host;
};

TEST_F(DualHostTest, SpeaksToEachCallerInItsEra) {
  make(mcp::Era::modern);
  EXPECT_EQ(eras_for({modern}), Eras{mcp::Era::modern});
  EXPECT_EQ(made, 0) << "nobody of the session era has come";
  EXPECT_EQ(eras_for({old, old}), (Eras{mcp::Era::legacy, mcp::Era::legacy}));
  EXPECT_EQ(made, 1);
  call(old, "a");
  call(modern, "b");
  EXPECT_EQ(second.calls, std::vector<std::string>{"a"});
  EXPECT_EQ(first.calls, std::vector<std::string>{"b"});
  EXPECT_EQ(host->health().processes, 2u);
  host->session_closed("s");
  EXPECT_EQ(second.closed.size(), 1u);
}

TEST_F(DualHostTest, WatchesByTheMeansOfBothEras) {
  make(mcp::Era::modern);
  eras_for({old});
  host->watch_resource(old, "a:1");
  host->watch_resource(modern, "a:1");
  EXPECT_EQ(first.watches, 2);
  EXPECT_EQ(second.watches, 1);
  second.watch_refusal = mcp::RpcError{mcp::code::method_not_found, "No.", {}};
  EXPECT_FALSE(refusal_of(old)) << "the other era's means are there";
  second.watch_refusal->code = mcp::code::invalid_params;
  EXPECT_TRUE(refusal_of(old));
  EXPECT_FALSE(refusal_of(modern));
  host->unwatch_resource(old, "a:1");
  EXPECT_EQ(first.watches, 1);
  EXPECT_EQ(second.watches, 0);
}

TEST_F(DualHostTest, ALegacyServerHasOneHost) {
  make(mcp::Era::legacy);
  EXPECT_EQ(eras_for({old, modern}), (Eras{mcp::Era::legacy, mcp::Era::legacy}));
  EXPECT_EQ(made, 0);
}

TEST_F(DualHostTest, AServerThatRefusesTheSessionEraIsAskedOnce) {
  make(mcp::Era::modern);
  refuses = true;
  EXPECT_EQ(eras_for({old, old}), (Eras{mcp::Era::modern, mcp::Era::modern}));
  EXPECT_TRUE(second.is_drained);
  call(old, "a");
  EXPECT_EQ(eras_for({old}), Eras{mcp::Era::modern});
  EXPECT_EQ(made, 1);
  EXPECT_EQ(first.calls, std::vector<std::string>{"a"});
}

TEST_F(DualHostTest, ASilentOneIsNotWaitedForForLong) {
  make(mcp::Era::modern);
  is_silent = true;
  const TimePoint began = clock.now();
  EXPECT_EQ(eras_for({old, old}), (Eras{mcp::Era::modern, mcp::Era::modern}));
  EXPECT_LE(clock.now() - began, seconds(12));
}

}  // namespace
}  // namespace berth::task
