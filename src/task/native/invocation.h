#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "berth/call.h"
#include "mcp/core.h"
#include "model/spec.h"
#include "task/identity.h"
#include "task/native/ask_round.h"

namespace berth::task {

/// What an Invocation lives in; everything outlives it.
struct InvocationWorld {
  const TaskIdentity& identity;
  const model::ServerSpec& spec;
  Clock& clock;
  Log& log;
  /// The invocation has ended; its coroutine may still unwind. Called at most once.
  std::function<void(std::uint64_t id)> ended;
};

/// One call of a handler that is a coroutine, through all its rounds: running, parked while the user is
/// asked, ended.
class Invocation final : public detail::CallLink {
 public:
  enum class State : std::uint8_t { running, parked, ended };

  Invocation(std::uint64_t id, InvocationWorld& world, const mcp::Call& call, mcp::CallObserver& observer);
  ~Invocation() override;
  Invocation(const Invocation&) = delete;
  Invocation& operator=(const Invocation&) = delete;

  /// Runs `handler`, made by a handler that was given call(); `owner` keeps the handler's code alive.
  /// Returns what the client edge holds; destroying it while running cancels the coroutine.
  std::unique_ptr<mcp::ActiveCall> run(Task<mcp::Outcome> handler, std::shared_ptr<const void> owner);

  /// Goes on with a parked call: asks again what is missing, or resumes the coroutine.
  std::unique_ptr<mcp::ActiveCall> resume(const mcp::Call& call, mcp::CallObserver& observer);

  /// Ends it without an answer (drain, session closed).
  void cancel();
  /// Resumes when the coroutine has unwound.
  Task<void> join() { co_await scope_.join(); }

  Call& call() { return call_; }
  State state() const { return state_; }
  /// What resuming needs, while parked.
  const std::string& key() const { return key_; }
  std::string_view method() const { return method_; }

  const mcp::Caller& caller() const override { return caller_; }
  detail::Place place() const override { return {.task = world_.identity.id, .zone = world_.identity.zone}; }
  Clock& clock() const override { return world_.clock; }
  bool wants_progress() const override { return observer_ != nullptr && wants_progress_; }
  bool wants_log(mcp::LoggingLevel level) const override;
  void progress(double done, std::string params) override;
  void log(std::string params) override;
  Task<std::vector<std::string>> ask(std::vector<detail::RawAsk> asks) override;

 private:
  class Active;
  Task<void> drive(Task<mcp::Outcome> handler);
  mcp::Outcome threw(std::string_view what) const;
  mcp::Outcome failure(const std::string& message) const;
  std::unique_ptr<mcp::ActiveCall> activate();
  void open_round(std::vector<detail::RawAsk> asks);
  /// After responses came: on with the coroutine, ask again, or give up.
  void go_on();
  void park();
  /// Ends it for the client and has the coroutine unwind.
  void give_up(mcp::Outcome outcome);
  void end(mcp::Outcome outcome);
  void arm_call_timeout();
  /// Ends the round for the client: nobody is told anything after this.
  mcp::CallObserver* detach();

  const std::uint64_t id_;
  InvocationWorld& world_;
  mcp::Caller caller_;
  std::string method_;
  bool wants_progress_;
  std::optional<mcp::LoggingLevel> log_level_;
  std::string early_responses_;  ///< came with the first call
  mcp::CallObserver* observer_;
  Active* active_ = nullptr;
  State state_ = State::running;
  double last_progress_;
  std::size_t rounds_ = 0;
  std::string key_;
  AskRound round_;
  std::shared_ptr<const void> owner_;
  Call call_{*this};
  Signal answered_;
  std::unique_ptr<Timer> timer_;
  TaskScope scope_;
};

}  // namespace berth::task
