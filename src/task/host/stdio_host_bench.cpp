// Calls per second and CPU per call of the stdio host alone, with a real child.
//
//   stdio_host_bench IN_FLIGHT SECONDS COMMAND [ARGUMENT…]     e.g. 16 3 ./mini_server
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/process.h"
#include "task/host/stdio_host.h"

namespace {

using namespace berth;

constexpr std::string_view echo = R"({"name":"echo","arguments":{"message":"hello"}})";

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto total = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return total(usage.ru_utime) + total(usage.ru_stime);
}

class NoChanges final : public task::ChangeSink {
 public:
  void on_change(const mcp::Change&) override {}
};

/// Calls again and again, one call at a time.
class Caller final : public mcp::CallObserver {
 public:
  explicit Caller(Executor executor) : answered_(executor) {}
  void on_notification(mcp::Notification) override {}
  void on_outcome(mcp::Outcome outcome) override {
    failed = failed || outcome.kind != mcp::Outcome::Kind::result;
    answered_.notify();
  }
  Task<void> run(task::ServerHost& host, const mcp::Caller& who, const bool& stop) {
    while (!stop && !failed) {
      mcp::Call call;
      call.caller = &who;
      call.method = "tools/call";
      call.params = echo;
      const auto active = host.start(call, *this);
      co_await answered_.wait();
      ++calls;
    }
  }
  std::size_t calls = 0;
  bool failed = false;

 private:
  Signal answered_;
};

Task<void> measure(task::ServerHost& host, Clock& clock, asio::io_context& loop, std::size_t in_flight,
                   Duration duration) {
  const mcp::Caller who;
  const auto described = co_await host.describe(who);
  if (!described) {
    fmt::print(stderr, "{}\n", described.error().message());
    std::exit(1);
  }
  bool stop = false;
  std::vector<std::unique_ptr<Caller>> callers;
  TaskScope scope(clock.executor());
  for (std::size_t i = 0; i < in_flight; ++i) {
    callers.push_back(std::make_unique<Caller>(clock.executor()));
    scope.spawn(callers.back()->run(host, who, stop));
  }
  const double cpu_before = cpu_seconds();
  const TimePoint start = clock.now();
  co_await clock.sleep_for(duration);
  stop = true;
  co_await scope.join();
  const double passed = std::chrono::duration<double>(clock.now() - start).count();
  const double cpu = cpu_seconds() - cpu_before;
  std::size_t calls = 0;
  for (const auto& caller : callers) calls += caller->calls;
  fmt::print("{} in flight: {:.0f} calls/s, {:.1f} us CPU a call in this process\n", in_flight,
             static_cast<double>(calls) / passed, cpu * 1e6 / static_cast<double>(calls));
  co_await host.drain(clock.now());
  loop.stop();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: stdio_host_bench IN_FLIGHT SECONDS COMMAND [ARGUMENT...]\n");
    return 2;
  }
  asio::io_context loop;
  const auto clock = make_real_clock(loop.get_executor());
  const auto launcher = net::make_process_launcher(*clock);
  model::ServerSpec spec;
  spec.name = "bench";
  spec.command.assign(argv + 3, argv + argc);
  task::StdioHostOptions options;
  options.environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", "/root"}};
  NoChanges changes;
  const auto host = task::make_stdio_host(spec, *launcher, changes, *clock, null_log(), options);
  TaskScope scope(loop.get_executor());
  scope.spawn(measure(*host, *clock, loop, std::strtoul(argv[1], nullptr, 10),
                      std::chrono::milliseconds(static_cast<long>(std::atof(argv[2]) * 1000))));
  loop.run();
  loop.restart();
  loop.poll();
  return 0;
}
