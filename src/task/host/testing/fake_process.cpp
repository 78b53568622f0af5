#include "task/host/testing/fake_process.h"

#include <signal.h>

#include "net/testing/memory_network.h"
#include "task/host/line_splitter.h"

namespace berth::task::host::testing {

namespace {

constexpr std::size_t line_bytes_max = 64u << 20;

/// Shared by both sides: the process as its parent sees it may go before the inside does.
struct Shared {
  explicit Shared(Clock& clock) {
    std::tie(near_input, far_input) = net::testing::make_stream_pair(clock);
    std::tie(near_output, far_output) = net::testing::make_stream_pair(clock);
    std::tie(near_errors, far_errors) = net::testing::make_stream_pair(clock);
  }
  std::unique_ptr<net::Stream> near_input, far_input, near_output, far_output, near_errors, far_errors;
  std::optional<net::ExitStatus> status;
  std::list<Signal*> waiters;
  std::function<void(int)> on_signal;
};

class FakeProcess final : public net::Process {
 public:
  FakeProcess(std::shared_ptr<Shared> shared, Executor executor, pid_t pid)
      : shared_(std::move(shared)), executor_(executor), pid_(pid) {}
  ~FakeProcess() override {
    signal(SIGKILL);
    shared_->on_signal = nullptr;
  }

  pid_t pid() const override { return pid_; }
  net::Stream& input() override { return *shared_->near_input; }
  net::Stream& output() override { return *shared_->near_output; }
  net::Stream& errors() override { return *shared_->near_errors; }
  std::optional<net::ExitStatus> status() const override { return shared_->status; }
  void signal(int number) override {
    if (!shared_->status && shared_->on_signal) shared_->on_signal(number);
  }
  Task<net::ExitStatus> wait() override {
    if (!shared_->status) {
      Signal ended(executor_);
      const auto at = shared_->waiters.insert(shared_->waiters.end(), &ended);
      const std::unique_ptr<void, std::function<void(void*)>> guard(
          this, [this, at](void*) { shared_->waiters.erase(at); });
      co_await ended.wait();
    }
    co_return *shared_->status;
  }

 private:
  std::shared_ptr<Shared> shared_;
  Executor executor_;
  pid_t pid_;
};

class Inside final : public FakeChild {
 public:
  Inside(std::shared_ptr<Shared> shared, FakeScript script, net::ProcessSpec spec, std::size_t index,
         Clock& clock)
      : shared_(std::move(shared)),
        script_(std::move(script)),
        spec_(std::move(spec)),
        index_(index),
        output_(clock.executor()),
        errors_(clock.executor()),
        scope_(clock.executor()) {
    shared_->on_signal = [this](int number) { on_signal(number); };
    if (script_.reads_input) scope_.spawn(read());
    scope_.spawn(write(output_, *shared_->far_output));
    scope_.spawn(write(errors_, *shared_->far_errors));
  }

  void start() { script_.on_start(*this); }
  Task<void> stop() {
    scope_.cancel();
    co_await scope_.join();
  }

  const net::ProcessSpec& spec() const override { return spec_; }
  std::size_t index() const override { return index_; }
  bool alive() const override { return !shared_->status; }
  void say(std::string line) override { output_.push(std::move(line) + "\n"); }
  void complain(std::string bytes) override { errors_.push(std::move(bytes)); }
  void close_output() override { output_.push({}); }
  void exit(int code) override { end({.code = code, .signal = std::nullopt}); }
  void die(int signal) override { end({.code = std::nullopt, .signal = signal}); }

 private:
  void on_signal(int number) {
    signals.push_back(number);
    if (number == SIGTERM && script_.ignores_sigterm) return;
    die(number);
  }

  void end(net::ExitStatus status) {
    if (shared_->status) return;
    shared_->status = status;
    if (status.signal) {
      shared_->far_output->close();
      shared_->far_errors->close();
    } else {
      // What was said before still arrives.
      output_.push({});
      errors_.push({});
    }
    shared_->far_input->close();
    for (Signal* waiter : shared_->waiters) waiter->notify();
  }

  Task<void> write(Queue<std::string>& queue, net::Stream& stream) {
    for (;;) {
      const std::string bytes = co_await queue.pop();
      if (bytes.empty()) break;
      const auto written = co_await stream.write(bytes);
      if (!written) co_return;
    }
    stream.close_write();
  }

  Task<void> read() {
    LineSplitter splitter(line_bytes_max);
    for (;;) {
      const auto count = co_await shared_->far_input->read_some(splitter.space());
      if (!count || *count == 0) break;
      splitter.commit(*count);
      while (const auto line = splitter.next()) {
        lines.emplace_back(*line);
        script_.on_line(*this, lines.back());
        if (!alive()) co_return;
      }
    }
    if (!script_.ignores_stdin_close) exit(0);
  }

  std::shared_ptr<Shared> shared_;
  FakeScript script_;
  net::ProcessSpec spec_;
  std::size_t index_;
  Queue<std::string> output_;
  Queue<std::string> errors_;
  TaskScope scope_;
};

class Launcher final : public FakeLauncher {
 public:
  explicit Launcher(Clock& clock) : clock_(clock) {}

  Result<std::unique_ptr<net::Process>> launch(net::ProcessSpec spec) override {
    if (refusal) return std::unexpected(*refusal);
    auto shared = std::make_shared<Shared>(clock_);
    const std::size_t index = insides_.size();
    insides_.push_back(std::make_unique<Inside>(shared, script, std::move(spec), index, clock_));
    auto process = std::make_unique<FakeProcess>(shared, clock_.executor(), static_cast<pid_t>(1000 + index));
    insides_.back()->start();
    return process;
  }

  std::vector<FakeChild*> children() override {
    std::vector<FakeChild*> all;
    for (const auto& inside : insides_) all.push_back(inside.get());
    return all;
  }

  Task<void> stop() override {
    for (const auto& inside : insides_) co_await inside->stop();
  }

 private:
  Clock& clock_;
  std::vector<std::unique_ptr<Inside>> insides_;
};

}  // namespace

std::unique_ptr<FakeLauncher> make_fake_launcher(Clock& clock) { return std::make_unique<Launcher>(clock); }

}  // namespace berth::task::host::testing
