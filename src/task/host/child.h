#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/memory_account.h"
#include "base/reason.h"
#include "net/process.h"
#include "task/host/child_session.h"
#include "task/host/last_words.h"
#include "task/host/line_splitter.h"
#include "task/host/pool_policy.h"

namespace berth::task::host {

class Child;

/// Hears what happens to a child, on the event loop.
class ChildOwner {
 public:
  virtual ~ChildOwner() = default;
  virtual void on_child_ready(Child& child) = 0;
  virtual void on_child_change(Child& child, mcp::Change change) = 0;
  /// The server agreed to a resource's watch, or refused it.
  virtual void on_child_watch_answered(Child& child, const std::string& uri,
                                       const std::optional<mcp::RpcError>& refusal) = 0;
  /// As SessionOwner::on_asking.
  virtual void on_child_asking(std::string_view method) = 0;
  /// As SessionOwner::on_question.
  virtual void on_child_question(Child& child, std::string id, mcp::InputRequest request) = 0;
  /// The process was killed, but not by Berth: a sentence that says why, or nothing where that is not known.
  virtual std::string explain_kill() = 0;
  /// What came in one read has been dealt with: the child's load may be another.
  virtual void on_child_settled(Child& child) = 0;
  /// The process has ended and its calls know. Last event.
  virtual void on_child_ended(Child& child) = 0;
};

struct ChildOptions {
  PoolPolicy::ChildId id = 0;
  PoolKey key;
  mcp::Era era = mcp::Era::legacy;
  bool one_session = false;  ///< all its callers are one legacy session
  SessionLimits limits;
  std::size_t message_bytes_max = 32u << 20;
  std::string server;                ///< name in berth.yaml, for logs
  MemoryAccount* account = nullptr;  ///< as in StdioHostOptions
  bool tells_words = true;           ///< as in StdioHostOptions
  std::string principal;             ///< whose calls it has alone; empty: those of several
};

/// One server process: moves lines between its pipes and its session, logs its stderr, and ends it in steps.
/// Run by one coroutine, which ends after the process has.
class Child final : private SessionOwner {
 public:
  Child(ChildOptions options, std::unique_ptr<net::Process> process, ChildOwner& owner, Clock& clock,
        Log& log);
  ~Child() override;

  /// Talks to the process until it has ended. Never cancelled: stop() or kill() make it return.
  Task<void> run();

  /// Closes stdin; SIGTERM after 2 s, SIGKILL after 3 s more (the stdio shutdown of the MCP lifecycle).
  void stop();
  /// SIGKILL at once. `why` is a sentence for error messages.
  void kill(std::string why);
  /// Ends the calls under way with `error`; returns how many, parked ones included.
  std::size_t cut(const mcp::RpcError& error);
  /// The handshake has until then, at most.
  void limit_start(TimePoint deadline);
  /// After calls were started or resumed on the session from outside.
  void touched();

  ChildSession& session() { return *session_; }
  const ChildSession& session() const { return *session_; }
  PoolPolicy::ChildId id() const { return options_.id; }
  const PoolKey& key() const { return options_.key; }
  void set_key(PoolKey key) { options_.key = std::move(key); }
  mcp::Era era() const { return options_.era; }
  /// Whether a call has been given to it.
  bool is_called() const { return called_; }
  /// True the first time.
  bool note_called() { return !std::exchange(called_, true); }
  bool stopping() const { return stopping_; }
  /// Whether the handshake failed by silence rather than by an answer or the end of the process.
  bool timed_out() const { return timed_out_; }
  /// Whether it was killed, but not by Berth: what the kernel does when memory runs out.
  bool killed_from_outside() const { return killed_from_outside_; }
  /// How it ended: a sentence or two with the exit status, and its last words.
  const Reason& epitaph() const { return epitaph_; }

 private:
  void on_ready() override;
  void on_start_failed(const std::string& reason) override;
  void on_change(mcp::Change change) override { owner_.on_child_change(*this, std::move(change)); }
  void on_watch_answered(const std::string& uri, const std::optional<mcp::RpcError>& refusal) override {
    owner_.on_child_watch_answered(*this, uri, refusal);
  }
  void on_asking(std::string_view method) override { owner_.on_child_asking(method); }
  void on_question(std::string id, mcp::InputRequest request) override {
    owner_.on_child_question(*this, std::move(id), std::move(request));
  }
  void on_oddity(std::string_view what, std::string_view text) override;
  void on_output() override { writable_.notify(); }

  Task<void> read_output();
  Task<void> wait_for_memory();
  Task<void> write_input();
  Task<void> read_errors();
  void take_lines();
  void keep_unfinished_line();
  void arm_timer();
  void on_tick();
  void reader_ended();
  /// How much of its input the ended process can have read.
  std::uint64_t handed_over_bytes() const;
  Reason describe_end(const net::ExitStatus& status) const;

  ChildOptions options_;
  std::unique_ptr<net::Process> process_;
  ChildOwner& owner_;
  Clock& clock_;
  Log& log_;
  std::unique_ptr<ChildSession> session_;
  LineSplitter lines_;
  LastWords last_words_;
  RateLimit oddities_{1, 10};
  std::string writing_;
  std::uint64_t written_bytes_ = 0;
  Signal writable_;
  Signal drained_;
  Signal room_;
  int readers_ = 2;
  bool called_ = false;
  bool stopping_ = false;
  bool timed_out_ = false;
  bool killed_from_outside_ = false;
  bool ticking_ = false;
  bool was_ready_ = false;
  std::string failure_;      ///< why the handshake failed
  std::string killed_;       ///< why Berth killed it
  std::string kill_reason_;  ///< why somebody else did
  Reason epitaph_;
  TimePoint unpaused_until_{};  ///< until then it is read though memory is tight
  TimePoint armed_at_ = TimePoint::max();
  std::unique_ptr<Timer> session_timer_;
  std::unique_ptr<Timer> end_timer_;
  std::unique_ptr<Timer> room_timer_;
  TaskScope scope_;
};

}  // namespace berth::task::host
