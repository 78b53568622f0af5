#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "task/host/capability_cache.h"
#include "task/host/child.h"
#include "task/host/pool_policy.h"
#include "task/host/stdio_host.h"
#include "task/host/watch_answers.h"
#include "task/host/watches.h"

namespace berth::task::host {

/// Marks a state that a child of ours is parked under, among the states modern servers make.
inline constexpr std::string_view parked_prefix = "berth-parked:";

/// Somebody who waits for a child.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual void on_assigned(Child& child) = 0;
  virtual void on_refused(PoolPolicy::Refusal refusal) = 0;
  virtual void on_waited_too_long() = 0;
  /// The pool to wait for, which is another one where another era is spoken.
  virtual PoolKey key() = 0;
};

/// How old at most is what is known of the record of servers that ask.
inline constexpr Duration asking_look_interval = std::chrono::seconds(5);

class StdioHost;

/// One call between its client and a child: waits for a child, runs in its session, or is done.
class HostCall final : public mcp::ActiveCall, public CallSink, public Waiting {
 public:
  HostCall(StdioHost& host, const mcp::Call& call, mcp::CallObserver& observer)
      : host_(host), call_(call), observer_(observer) {}
  ~HostCall() override;

  void begin();
  void set_cancel_reason(std::string_view reason) override { cancel_reason_ = reason; }

  void on_notification(mcp::Notification notification) override {
    observer_.on_notification(std::move(notification));
  }
  void on_outcome(mcp::Outcome outcome) override;
  void on_not_executed() override;
  void on_assigned(Child& child) override;
  void on_refused(PoolPolicy::Refusal refusal) override;
  void on_waited_too_long() override;
  PoolKey key() override;

 private:
  enum class State : std::uint8_t { idle, waiting, running, done };
  void resume();
  void finish(mcp::Outcome outcome);

  StdioHost& host_;
  mcp::Call call_;
  mcp::CallObserver& observer_;
  PoolKey key_;
  State state_ = State::idle;
  PoolPolicy::CallId id_ = 0;
  Child* child_ = nullptr;
  std::int64_t number_ = 0;
  std::string cancel_reason_;  ///< empty: the client gave none
};

/// The shell around PoolPolicy: carries its decisions out on children and brings it what happens to them.
class StdioHost final : public ServerHost, public ChildOwner {
 public:
  StdioHost(const model::ServerSpec& spec, net::ProcessLauncher& launcher, ChangeSink& sink, Clock& clock,
            Log& log, StdioHostOptions options);

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override;
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override;
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override;
  void want_level(const mcp::Caller& caller, mcp::LoggingLevel level) override;
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) override;
  Task<std::optional<mcp::RpcError>> watch_refusal(const mcp::Caller& caller, std::string uri) override;
  void session_closed(const std::string& session) override;
  bool runs(std::uint64_t process) const override;
  void wake() override;
  Task<void> rest() override;
  HostHealth health() const override;
  Task<std::size_t> drain(TimePoint deadline) override;

  void on_child_ready(Child& child) override;
  void on_child_change(Child& child, mcp::Change change) override;
  void on_child_watch_answered(Child& child, const std::string& uri,
                               const std::optional<mcp::RpcError>& refusal) override;
  void on_child_asking(std::string_view method) override;
  void on_child_question(Child& child, std::string id, mcp::InputRequest request) override;
  std::string explain_kill() override;
  void on_child_settled(Child& child) override;
  void on_child_ended(Child& child) override;

 private:
  friend class HostCall;
  class Describing;
  using ChildId = PoolPolicy::ChildId;
  using CallId = PoolPolicy::CallId;

  PoolKey key_of(const mcp::Caller& caller);
  PoolKey first_key() const;
  Child* find_child(ChildId id);
  void set_load(Child& child);
  CallId enqueue(Waiting& waiting, const PoolKey& key, bool candidate, bool first);
  void withdraw(CallId id);
  void decide();
  void carry_out(const PoolPolicy::Action& action);
  void give_up_questions(Child& child);
  void spawn(ChildId id, const PoolKey& key, mcp::Era era);
  Task<void> run_child(std::shared_ptr<Child> child);
  void arm_timer();
  void on_timer();
  void expire_queue(TimePoint now);
  SessionLimits session_limits() const;
  void start_probe();
  void on_probe_ended(const Child& probe);
  void give_up_probe();
  std::optional<MemoryUse> look_at_memory();
  std::size_t room();
  void tell_of_memory(bool suffices);
  void on_verdict(mcp::Era era);
  void adopt_era(mcp::Era era);
  void recall();
  void record_era(std::optional<mcp::Era> era);
  /// Before a call that may ask joins others in a process: whether the server asks is worth knowing then.
  void look_for_asking() {
    if (!asks_ && options_.eras && clock_.now() - asking_looked_at_ > asking_look_interval) recall_asking();
  }
  void recall_asking();
  void record_asking();
  void doubt_recalled_era();
  void sync_watches(const std::string& scope);
  void sync_watches(Child& child);
  void call_ended();
  mcp::Outcome refusal_outcome(PoolPolicy::Refusal refusal) const;
  double seconds_to_start() const;
  std::string failing_sentence() const;
  Reason not_ready_reason() const;

  const model::ServerSpec spec_;
  net::ProcessLauncher& launcher_;
  ChangeSink& sink_;
  Clock& clock_;
  Log& log_;
  const StdioHostOptions options_;

  CapabilityCache capabilities_;
  mcp::Era era_ = mcp::Era::legacy;
  bool era_known_ = false;
  bool asks_ = false;  ///< the server was seen asking its users, here, in another task or in an earlier life
  TimePoint asking_looked_at_{};  ///< when the record was read for that last
  bool era_recalled_ = false;     ///< from a record, and no process has borne it out yet
  bool named_modern_ = false;     ///< a refusal of initialize listed 2026-07-28
  std::optional<ChildId> probe_;  ///< while it has not spoken
  TimePoint probe_started_{};
  bool cannot_start_ = false;  ///< the last launch failed: there is no such command, or it may not be run
  std::string not_separated_;  ///< what of the separation was refused
  PoolPolicy policy_;
  std::map<ChildId, std::shared_ptr<Child>> children_;
  struct Queued {
    Waiting* waiting;
    PoolKey key;
    bool candidate;
    TimePoint deadline;
  };
  std::map<CallId, Queued> queued_;
  CallId next_call_ = 1;
  std::map<CapabilitySet, mcp::ServerDescription> descriptions_;
  Watches watches_;
  WatchAnswers watch_answers_;
  Reason last_failure_;
  std::uint64_t restarts_ = 0;
  TimePoint memory_looked_at_{};
  bool memory_suffices_ = true;
  std::optional<std::uint64_t> first_kills_;  ///< by the kernel in this task's group before this host began
  std::uint64_t oom_kills_ = 0;               ///< of children of this host
  bool spares_forbidden_ = false;  ///< the kernel has ended a process of this task for want of memory
  std::size_t calls_ = 0;          ///< waiting and running
  bool draining_ = false;
  bool rests_ = false;
  bool deciding_ = false;
  bool decide_again_ = false;
  TimePoint armed_at_ = TimePoint::max();
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> verdict_timer_;
  Signal idle_;
  Signal empty_;  ///< no child is there
  TaskScope scope_;
};

}  // namespace berth::task::host
