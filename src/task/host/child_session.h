#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "task/host/wire.h"

namespace berth::task::host {

/// Receives what happens to one call handed to a session.
class CallSink : public mcp::CallObserver {
 public:
  /// Instead of an outcome: the server ended before the call was handed over, so it may run elsewhere.
  virtual void on_not_executed() = 0;
};

/// What a session tells the one who runs it.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  /// The handshake is done; calls may come.
  virtual void on_ready() = 0;
  /// The handshake failed; `reason` is a sentence.
  virtual void on_start_failed(const std::string& reason) = 0;
  virtual void on_change(mcp::Change change) = 0;
  /// The server agreed to a resource's watch, or refused it.
  virtual void on_watch_answered(const std::string& uri, const std::optional<mcp::RpcError>& refusal) = 0;
  /// The server asked its client for something (`method`) during a call.
  virtual void on_asking(std::string_view method) = 0;
  /// It asked outside every call: the answer goes to answer_outside(), with the same id.
  virtual void on_question(std::string id, mcp::InputRequest request) = 0;
  /// The server did something the protocol does not foresee: `what` names it, `text` is its (cut) text.
  virtual void on_oddity(std::string_view what, std::string_view text) = 0;
  /// There are bytes to write.
  virtual void on_output() = 0;
};

struct SessionLimits {
  Duration start_timeout = std::chrono::seconds(30);
  Duration call_timeout = std::chrono::seconds(300);   ///< progress restarts it
  Duration input_timeout = std::chrono::seconds(600);  ///< how long a parked call waits for the user
  /// An ask that several calls could have caused waits so long for one of them to remain.
  Duration ask_hold = std::chrono::seconds(10);
  /// A call's first ask waits so long for others that the server writes at the same time: one round for all.
  Duration ask_gather{0};
  /// A cancelled call may still ask for something; so long it counts as one that could have.
  Duration cancel_grace = std::chrono::seconds(5);
  std::size_t asks_max = 64;  ///< unanswered asks of one call, and unattributed ones; more are refused
};

/// How busy a session is, for placing calls.
struct SessionLoad {
  std::size_t calls = 0;          ///< calls waiting for their outcome
  std::size_t candidates = 0;     ///< calls the server may ask for something: running, parked, just cancelled
  bool holding = false;           ///< an ask waits for attribution
  std::size_t backlog_bytes = 0;  ///< not yet written
  std::size_t parked = 0;         ///< calls that wait for an answer of their user
  bool operator==(const SessionLoad&) const = default;
};

/// The protocol with one server over one pair of byte streams, without I/O: lines in, lines out, time passed
/// in. Ids and progress tokens are this session's own, so callers never see each other. One event loop. Sinks
/// may start or cancel calls while they are being told of an outcome.
class ChildSession {
 public:
  virtual ~ChildSession();
  ChildSession(const ChildSession&) = delete;
  ChildSession& operator=(const ChildSession&) = delete;

  /// Writes the first message of the handshake.
  void start(TimePoint now);
  bool ready() const { return ready_; }
  /// The handshake fails unless it is done by then; never later than start_timeout.
  void limit_start(TimePoint deadline);
  /// Whether the server refused the handshake of this era and listed 2026-07-28 among what it speaks.
  bool named_modern() const { return named_modern_; }
  const mcp::ServerDescription& description() const { return description_; }

  /// Sends a call; `sink` hears of it until its outcome or cancel(). Returns its number. The session is
  /// ready.
  std::int64_t call(const mcp::Call& call, CallSink& sink, TimePoint now);
  /// Goes on with a parked call: `state` as given in its outcome. Returns its number, or nullopt when nothing
  /// is parked under that state (answered before, timed out). The caller settles afterwards.
  virtual std::optional<std::int64_t> resume(std::string_view state, const mcp::Call& call, CallSink& sink,
                                             TimePoint now);
  /// The client has gone: tells the server, and never calls the sink again. No-op once the outcome is known.
  void cancel(std::int64_t number, std::string_view reason, TimePoint now);
  /// Gives parked calls up: of one legacy session, or all.
  void drop_parked(std::optional<std::string_view> session, TimePoint now);
  /// A client notification worth passing on.
  virtual void notify(std::string_view method, std::string_view params) = 0;
  /// Log messages of that level and above are wanted from now on.
  virtual void want_level(mcp::LoggingLevel) {}
  /// The answer to an on_question(): a result, or {"error": {"code", "message"}}. No-op once it is withdrawn.
  virtual void answer_outside(const std::string& /*id*/, std::string_view /*response*/) {}
  /// The resources whose updates are wanted, all of them.
  void watch(std::set<std::string> uris);
  /// Whether the server was asked to watch it and has not answered.
  virtual bool is_subscribing(const std::string&) const { return false; }

  /// One line of the server's output.
  void receive(std::string_view line, TimePoint now);
  /// After the lines that came in one go (and after resume): delivers what was collected from them.
  virtual void settle(TimePoint now);
  /// When tick() wants to be called next; TimePoint::max() when nothing waits. Never later than it should.
  TimePoint next_tick() const { return next_tick_; }
  void tick(TimePoint now);

  /// Moves the bytes to be written into `into` (which is empty).
  void take_output(std::string& into);
  /// Of the bytes to be written, those that answer requests of the server.
  std::size_t unread_answer_bytes() const { return unread_answer_bytes_; }
  /// Bytes taken so far.
  std::uint64_t taken_bytes() const { return taken_bytes_; }

  /// The server has ended. Calls whose line ends at or before `handed_over_bytes` end with `error`; later
  /// ones cannot have been executed. Parked calls are forgotten.
  void close(const mcp::RpcError& error, std::uint64_t handed_over_bytes);

  SessionLoad load() const;
  /// Calls answered so far.
  std::uint64_t answered() const { return answered_; }
  std::size_t parked() const { return parked_; }

 protected:
  /// A request of the server toward the user, within a call.
  struct Ask {
    std::string id;  ///< as the server wrote it
    mcp::InputRequest request;
    bool delivered = false;
    bool withdrawn = false;
  };
  struct Entry {
    enum class State : std::uint8_t { running, parked, cancelled };
    State state = State::running;
    CallSink* sink = nullptr;  ///< while running
    mcp::Call call;            ///< while running
    bool candidate = false;
    TimePoint deadline{};
    std::uint64_t line_end = 0;
    // What follows serves asks only.
    std::vector<Ask> asks;
    std::uint64_t round = 0;
    std::string session;
    std::string principal;
    std::optional<mcp::Outcome> early;  ///< the outcome came while parked
    std::string undeclared;             ///< the capabilities that it was not asked for want of
  };
  using Entries = std::unordered_map<std::int64_t, Entry>;

  ChildSession(SessionOwner& owner, const SessionLimits& limits) : owner_(owner), limits_(limits) {}

  virtual void write_handshake() = 0;
  /// What must be said before this call.
  virtual void before_call(const mcp::Call&) {}
  virtual void write_call(std::int64_t number, const mcp::Call& call) = 0;
  virtual mcp::Outcome read_result(json::Slice result) = 0;
  virtual mcp::Outcome read_error(json::Slice error) = 0;
  virtual void on_request(const Message& message, TimePoint now) = 0;
  virtual void on_notification(const Message& message, TimePoint now) = 0;
  /// The answer to a request of the session's own; false when it has none with that number.
  virtual bool on_own_answer(std::int64_t number, const Message& message, TimePoint now) = 0;
  /// Whether an answer to a request of the session's own may still come, besides the handshake's.
  virtual bool awaits_own_answer() const = 0;
  /// `watched_` changed.
  virtual void on_watched(const std::set<std::string>& before) = 0;
  /// A candidate has left: an ask may be attributable now.
  virtual void on_candidate_left(TimePoint now) = 0;
  /// Asks of a call that ends or is dropped are answered so that the server does not wait for ever.
  virtual void refuse_asks(Entry& entry) = 0;
  virtual void tick_more(TimePoint now) = 0;

  void become_ready(mcp::ServerDescription description);
  void fail_start(const std::string& reason);
  void finish_line();
  void wake_by(TimePoint when) { next_tick_ = std::min(next_tick_, when); }
  void forward_progress(const Message& message, TimePoint now);
  void forward_log(const Message& message);
  void forward_custom(const Message& message);
  void erase(Entries::iterator entry, TimePoint now);
  void set_state(Entry& entry, Entry::State state);

  SessionOwner& owner_;
  const SessionLimits limits_;
  Entries entries_;
  std::string out_;
  std::size_t unread_answer_bytes_ = 0;
  std::string scratch_;
  std::int64_t next_number_ = 1;
  std::set<std::string> watched_;
  mcp::ServerDescription description_;
  bool ready_ = false;
  bool named_modern_ = false;
  std::size_t held_ = 0;  ///< asks waiting for attribution

 private:
  void dispatch(json::Slice object, TimePoint now);
  void on_answer(const Message& message, TimePoint now);
  enum class Unusable : std::uint8_t { not_json, no_message };
  void on_unusable(Unusable kind, std::string_view text, TimePoint now);
  void forward_aside(const Message& message, std::optional<mcp::LoggingLevel> level);
  std::optional<std::int64_t> only_request() const;
  void expire(std::int64_t number, TimePoint now);

  std::uint64_t taken_bytes_ = 0;
  std::uint64_t answered_ = 0;
  std::size_t running_ = 0;
  std::size_t candidates_ = 0;
  std::size_t parked_ = 0;
  std::optional<TimePoint> start_deadline_;
  TimePoint next_tick_ = TimePoint::max();
};

/// A server of 2024-11-05 … 2025-11-25. Its requests toward the user become input_required: the call is
/// parked and goes on with resume(). `capabilities` is what initialize says of the client. `one_session`: all
/// callers are one legacy session, so an ask needs no attribution to one of several calls.
struct LegacyOptions {
  CapabilitySet capabilities;
  bool one_session = false;
  std::string client_info{};  ///< as PoolKey::client_info
};
std::unique_ptr<ChildSession> make_legacy_session(SessionOwner& owner, const SessionLimits& limits,
                                                  LegacyOptions options);

/// A server of 2026-07-28: every request carries its envelope; input_required is relayed, nothing is parked.
std::unique_ptr<ChildSession> make_modern_session(SessionOwner& owner, const SessionLimits& limits);

}  // namespace berth::task::host
