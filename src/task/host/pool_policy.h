#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "task/host/capabilities.h"
#include "task/host/child_session.h"

namespace berth::task::host {

struct PoolLimits {
  std::size_t children_max = 16;
  std::size_t warm = 1;
  std::size_t calls_per_child_max = 256;
  std::size_t queue_max = 1024;
  Duration idle_timeout = std::chrono::seconds(600);
  Duration backoff_min = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(30);
  /// While a spare is wanted and does not fit, and while a call waits for a child that does not.
  Duration spare_look_interval = std::chrono::seconds(10);
  Duration room_look_interval = std::chrono::seconds(1);
  /// A child that lived so long, or answered a call, is taken to be sound: its end is not held against it.
  Duration sound_after = std::chrono::seconds(10);
  /// A spare child stands by for so long after a call and after the death of a sound child: the next death
  /// then costs no start, which takes Node a third of a second. None stands by with `warm` 0.
  Duration spare_after_call = std::chrono::seconds(60);
  Duration spare_after_death = std::chrono::seconds(600);
  /// A child that does not read its input gets no more calls above this.
  std::size_t backlog_bytes_max = 8u << 20;

  /// Children of one scope. The last of four or more is for somebody else.
  std::size_t scope_children_max() const { return children_max < 4 ? children_max : children_max - 1; }
  /// Children that do nothing but wait for a user's answer: a quarter stays free of them, and of those that
  /// one scope may have at least one.
  std::size_t asking_children_max() const {
    return std::max<std::size_t>(1, std::min(children_max - children_max / 4, scope_children_max() - 1));
  }
};

/// Which child gets a call, when one is started, kept, restarted or ended. Pure: events and times go in,
/// decisions come out; the policy owns no process.
///
/// Children are pooled by PoolKey. One child serves a pool, so that its state is one, until the server was
/// seen asking the user: then calls that could be asked about run one at a time a child, on as many children
/// as children_max allows. The most recently used pools keep `warm` children between them, and while calls
/// come a spare one stands by. A child that dies is replaced at once the first time, then with back-off while
/// children keep dying young.
///
/// No scope (a principal, mostly) takes the children from the others: whoever has none goes first, and then
/// the scope that has most gives one up as soon as it is idle. Where too many children wait for users'
/// answers, the scope that asks most loses its oldest question. Calls wait for a child, never in vain for a
/// place in the queue: in a full one the scope with most calls loses its newest.
class PoolPolicy {
 public:
  using ChildId = std::uint64_t;
  using CallId = std::uint64_t;

  enum class Refusal : std::uint8_t {
    queue_max,  ///< too many calls wait
    failing,    ///< the server keeps dying; it is tried again later
  };
  struct Spawn {
    ChildId child;
    PoolKey key;
  };
  /// A child nobody has called yet goes over to another pool with the same capabilities.
  struct Adopt {
    ChildId child;
    PoolKey key;
  };
  struct Assign {
    CallId call;
    ChildId child;
  };
  struct Refuse {
    CallId call;
    Refusal refusal;
  };
  struct Stop {
    ChildId child;
  };
  /// The child's questions to users are given up: it is needed for calls.
  struct GiveUp {
    ChildId child;
  };
  using Action = std::variant<Spawn, Adopt, Assign, Refuse, Stop, GiveUp>;

  /// `first` is the pool kept warm before anybody has called.
  PoolPolicy(const PoolLimits& limits, PoolKey first);

  /// The child that takes such a call right now, if the queue of its pool is empty and one is free. The
  /// caller then hands the call over and reports the child's load. `candidate`: the server may ask the user
  /// during it.
  std::optional<ChildId> place(const PoolKey& key, bool candidate, TimePoint now);
  /// Otherwise the call waits; decide() assigns or refuses it.
  void wait(CallId call, const PoolKey& key, bool candidate);
  /// Back to the front of the queue: its child died before it was handed over.
  void wait_first(CallId call, const PoolKey& key, bool candidate);
  /// A waiting call's client has gone.
  void withdraw(CallId call, const PoolKey& key);

  /// A number for a child started outside the pools (a probe), and its entry into one once it is ready.
  ChildId reserve_child();
  void add_ready_child(ChildId child, const PoolKey& key, TimePoint now);

  void child_ready(ChildId child, TimePoint now);
  /// `hopeless`: an immediate second attempt would only waste the callers' time (a start that timed out).
  enum class End : std::uint8_t { usual, hopeless };
  void child_ended(ChildId child, End end, TimePoint now);
  /// The child is being ended or will end soon: no more calls.
  void child_stopping(ChildId child);
  void set_load(ChildId child, const SessionLoad& load, TimePoint now);
  /// The child has answered a call.
  void child_sound(ChildId child, TimePoint now);

  /// The server was seen asking the user.
  void set_asking() { asking_ = true; }
  /// Isolation `session`: a pool keeps one child even then, and what is kept warm are children nobody has
  /// called, for sessions to come.
  void set_one_session_a_pool(bool one) { one_session_a_pool_ = one; }
  /// Somebody watches resources of the pool: it keeps a child.
  void set_watched(const PoolKey& key, bool watched);
  /// While shut, waiting calls wait (the era is not known yet); children are started all the same.
  void set_open(bool open) { open_ = open; }
  /// While it rests nothing is started; calls wait.
  void set_resting(bool resting) { resting_ = resting; }
  /// Whether a process may merely stand by.
  void set_spares_allowed(bool allowed) { spares_allowed_ = allowed; }
  /// How many more processes memory has room for. Without room one is started only where there is no other;
  /// else one that is idle makes room, as where `children_max` is reached.
  void set_room(std::size_t children) { room_ = children; }
  /// Nothing is started any more and waiting calls are refused.
  void shut_down() { shut_down_ = true; }
  /// Forgets deaths (they meant that another era is spoken).
  void forgive();
  /// The pools are replaced: children are ended once idle, new ones are started for `first`. The queues are
  /// empty afterwards: waiting calls have to be announced again under their new keys.
  void replace_pools(PoolKey first);
  /// Nobody will call with that scope again: its children end once idle.
  void retire_scope(const std::string& scope);

  /// What to do now. Appends to `actions`; the caller carries them out in order.
  void decide(TimePoint now, std::vector<Action>& actions);
  /// When decide() may have something to do though nothing happens; TimePoint::max() when never.
  TimePoint next_decision(TimePoint now) const;

  /// The child that has the pool's state, which no other pool gets from now on; nullopt: there is none.
  std::optional<ChildId> use_holder(const PoolKey& key);

  std::size_t children() const { return children_.size(); }
  std::size_t ready_children() const;
  std::size_t waiting() const { return waiting_; }
  bool open() const { return open_; }
  /// Consecutive deaths of young children.
  std::size_t failures() const { return failures_; }
  TimePoint start_allowed_at() const { return not_before_; }

 private:
  enum class State : std::uint8_t { starting, ready, stopping };
  struct Child {
    PoolKey key;
    State state = State::starting;
    SessionLoad load;
    TimePoint ready_at{};
    TimePoint idle_since{};
    TimePoint asking_since{};
    bool given_up = false;  ///< its questions
    bool used = false;      ///< a call has reached it
    bool sound = false;
    bool retired = false;  ///< in no pool; ends once idle
  };
  struct Pool {
    std::deque<CallId> candidates;  ///< waiting calls the server may ask about
    std::deque<CallId> others;
    std::vector<ChildId> children;  ///< first ready first, then those that start; without stopping ones
    bool watched = false;
    bool waits() const { return !candidates.empty() || !others.empty(); }
  };
  using Pools = std::map<PoolKey, Pool>;

  bool exclusive(const PoolKey& key) const {
    return asking_ && !one_session_a_pool_ && key.capabilities.interactive();
  }
  std::optional<ChildId> pick(const PoolKey& key, const Pool& pool, bool candidate) const;
  void use(const PoolKey& key);
  void want_spare(TimePoint until);
  void spawn(const PoolKey& key, Pool& pool, std::vector<Action>& actions);
  bool adopt(const PoolKey& key, Pool& pool, std::vector<Action>& actions);
  void stop(ChildId child, std::vector<Action>& actions);
  void serve_queue(const PoolKey& key, Pool& pool, TimePoint now, std::vector<Action>& actions);
  void refuse_waiting(Pool& pool, Refusal refusal, std::vector<Action>& actions);
  void start_children(const PoolKey& key, Pool& pool, TimePoint now, std::vector<Action>& actions);
  bool has_room() const { return room_ > 0 || children_.empty(); }
  bool make_room(const PoolKey& key, std::vector<Action>& actions);
  std::size_t children_of(const std::string& scope) const;
  void give_up_questions(std::vector<Action>& actions);
  void bound_queue(std::vector<Action>& actions);
  std::size_t starting(const Pool& pool) const;
  std::size_t quota(const PoolKey& key, bool with_spare) const;
  void keep_warm(TimePoint now, std::vector<Action>& actions);
  void reap(TimePoint now, std::vector<Action>& actions);
  bool idle(const Child& child) const;
  void leave_pool(ChildId child, const PoolKey& key);
  void assign(CallId call, ChildId child, bool candidate, std::vector<Action>& actions);
  void assign_waiting(const PoolKey& key, Pool& pool, std::vector<Action>& actions);
  void forget_empty_pools();

  PoolLimits limits_;
  Pools pools_;
  std::map<ChildId, Child> children_;
  std::list<PoolKey> recent_;  ///< most recently used first, at most `warm` (and one)
  ChildId next_child_ = 1;
  std::size_t waiting_ = 0;
  std::size_t failures_ = 0;
  TimePoint not_before_{};
  TimePoint spare_until_{};
  bool spare_ = false;
  bool spares_allowed_ = true;
  std::size_t room_ = std::numeric_limits<std::size_t>::max();
  bool asking_ = false;
  bool one_session_a_pool_ = false;
  bool open_ = true;
  bool shut_down_ = false;
  bool resting_ = false;
};

}  // namespace berth::task::host
