#include "task/native/invocation.h"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <limits>

#include "base/check.h"
#include "berth/content.h"
#include "berth/detail/handler.h"
#include "mcp/message.h"

namespace berth::task {

namespace {
/// Rounds a call may ask its user before it is given up; clients stop at about ten.
constexpr std::size_t rounds_max = 32;
}  // namespace

class Invocation::Active final : public mcp::ActiveCall {
 public:
  explicit Active(Invocation& invocation) : invocation_(&invocation) {}
  ~Active() override {
    if (invocation_ == nullptr) return;
    invocation_->active_ = nullptr;
    invocation_->cancel();
  }
  void forget() { invocation_ = nullptr; }

 private:
  Invocation* invocation_;
};

Invocation::Invocation(std::uint64_t id, InvocationWorld& world, const mcp::Call& call,
                       mcp::CallObserver& observer)
    : id_(id),
      world_(world),
      caller_(*call.caller),
      method_(call.method),
      wants_progress_(call.wants_progress),
      log_level_(call.log_level),
      early_responses_(call.input_responses),
      observer_(&observer),
      last_progress_(-std::numeric_limits<double>::infinity()),
      answered_(world.clock.executor()),
      timer_(world.clock.make_timer()),
      scope_(world.clock.executor()) {}

Invocation::~Invocation() { detach(); }

std::unique_ptr<mcp::ActiveCall> Invocation::run(Task<mcp::Outcome> handler,
                                                 std::shared_ptr<const void> owner) {
  owner_ = std::move(owner);
  auto active = activate();
  arm_call_timeout();
  scope_.spawn(drive(std::move(handler)));
  return active;
}

std::unique_ptr<mcp::ActiveCall> Invocation::activate() {
  auto active = std::make_unique<Active>(*this);
  active_ = active.get();
  return active;
}

mcp::CallObserver* Invocation::detach() {
  if (active_ != nullptr) active_->forget();
  active_ = nullptr;
  return std::exchange(observer_, nullptr);
}

Task<void> Invocation::drive(Task<mcp::Outcome> handler) {
  mcp::Outcome outcome;
  try {
    outcome = co_await std::move(handler);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted && state_ == State::ended) throw;
    outcome = threw(error.what());
  } catch (const std::exception& error) {
    outcome = threw(error.what());
  } catch (...) {
    outcome = threw("an exception of unknown type");
  }
  end(std::move(outcome));
}

mcp::Outcome Invocation::threw(std::string_view what) const {
  world_.log.warning("handler_threw", {{"method", method_}, {"what", what}});
  return failure(fmt::format("The server failed to answer: {}", what));
}

mcp::Outcome Invocation::failure(const std::string& message) const {
  if (method_ == "tools/call") return detail::finish_tool(ToolResult::error(message));
  return mcp::Outcome::failure(mcp::code::internal_error, message);
}

void Invocation::end(mcp::Outcome outcome) {
  if (state_ == State::ended) return;
  state_ = State::ended;
  timer_->cancel();
  mcp::CallObserver* const observer = detach();
  world_.ended(id_);
  if (observer != nullptr) observer->on_outcome(std::move(outcome));
}

void Invocation::cancel() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  timer_->cancel();
  detach();
  scope_.cancel();
  world_.ended(id_);
}

void Invocation::arm_call_timeout() {
  timer_->arm(world_.clock.now() + world_.spec.call_timeout, [this] {
    give_up(mcp::Outcome::failure(
        mcp::unknown_end(fmt::format("It neither finished nor told progress for {} ms (server.call_timeout).",
                                     world_.spec.call_timeout.count()))));
  });
}

bool Invocation::wants_log(mcp::LoggingLevel level) const {
  return observer_ != nullptr && log_level_ && level >= *log_level_;
}

void Invocation::progress(double done, std::string params) {
  if (observer_ == nullptr || done <= last_progress_) return;
  last_progress_ = done;
  arm_call_timeout();
  observer_->on_notification({.method = "notifications/progress", .params = std::move(params)});
}

void Invocation::log(std::string params) {
  if (observer_ == nullptr) return;
  observer_->on_notification({.method = "notifications/message", .params = std::move(params)});
}

Task<std::vector<std::string>> Invocation::ask(std::vector<detail::RawAsk> asks) {
  // A handler that holds on after its call has ended asks nobody; it unwinds at the wait.
  if (state_ == State::running) open_round(std::move(asks));
  while (state_ != State::running) co_await answered_.wait();
  co_return round_.answers();
}

void Invocation::open_round(std::vector<detail::RawAsk> asks) {
  const auto undeclared = AskRound::undeclared(asks, caller_.capabilities);
  if (!undeclared.empty()) {
    const std::string needed = detail::required_capabilities(undeclared);
    return give_up(mcp::Outcome::failure(
        mcp::code::missing_capability,
        fmt::format("This call needs a client that declares the capabilities {}.", needed),
        fmt::format(R"({{"requiredCapabilities":{}}})", needed)));
  }
  round_.begin(std::move(asks));
  round_.take(json::Slice::trusted(early_responses_));
  early_responses_.clear();
  go_on();
}

void Invocation::go_on() {
  if (!round_.refusal().empty()) return give_up(failure(round_.refusal()));
  if (!round_.complete()) return park();
  if (state_ == State::running) return;
  state_ = State::running;
  key_.clear();
  arm_call_timeout();
  answered_.notify();
}

void Invocation::give_up(mcp::Outcome outcome) {
  end(std::move(outcome));
  scope_.cancel();
}

void Invocation::park() {
  if (++rounds_ > rounds_max) {
    return give_up(
        mcp::Outcome::failure(mcp::code::invalid_params,
                              fmt::format("{} rounds of asking brought no fitting answer.", rounds_max)));
  }
  state_ = State::parked;
  key_ = fmt::format("{}.{}", id_, rounds_);
  timer_->arm(world_.clock.now() + world_.spec.input_timeout, [this] {
    world_.log.info("parked_call_expired", {{"method", method_}, {"principal", caller_.principal}});
    cancel();
  });
  mcp::InputRequired input{.requests = round_.missing(), .state = key_, .owned = true};
  mcp::CallObserver* const observer = detach();
  if (observer != nullptr) observer->on_outcome(mcp::Outcome::ask(std::move(input)));
}

std::unique_ptr<mcp::ActiveCall> Invocation::resume(const mcp::Call& call, mcp::CallObserver& observer) {
  BERTH_CHECK(state_ == State::parked, "only a parked call resumes");
  caller_ = *call.caller;
  wants_progress_ = call.wants_progress;
  log_level_ = call.log_level;
  observer_ = &observer;
  auto active = activate();
  round_.take(json::Slice::trusted(call.input_responses));
  go_on();
  return active;
}

}  // namespace berth::task
