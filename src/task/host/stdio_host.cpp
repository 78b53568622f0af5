#include "task/host/stdio_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/check.h"
#include "task/host/capability_cache.h"
#include "task/host/child.h"

namespace berth::task {

namespace host {
namespace {

using ChildId = PoolPolicy::ChildId;
using CallId = PoolPolicy::CallId;

/// How long the first child waits for the probe's verdict before it serves as a legacy one.
constexpr Duration verdict_grace = std::chrono::milliseconds(300);
/// Marks a state that a child of ours is parked under, among the states modern servers make.
constexpr std::string_view parked_prefix = "berth-parked:";

/// Somebody who waits for a child.
class Waiting {
 public:
  virtual ~Waiting() = default;
  virtual void on_assigned(Child& child) = 0;
  virtual void on_refused(PoolPolicy::Refusal refusal) = 0;
  virtual void on_waited_too_long() = 0;
};

class StdioHost;

/// One call between its client and a child: waits for a child, runs in its session, or is done.
class HostCall final : public mcp::ActiveCall, public CallSink, public Waiting {
 public:
  HostCall(StdioHost& host, const mcp::Call& call, mcp::CallObserver& observer)
      : host_(host), call_(call), observer_(observer) {}
  ~HostCall() override;

  void begin();

  void on_notification(mcp::Notification notification) override {
    observer_.on_notification(std::move(notification));
  }
  void on_outcome(mcp::Outcome outcome) override;
  void on_not_executed() override;
  void on_assigned(Child& child) override;
  void on_refused(PoolPolicy::Refusal refusal) override;
  void on_waited_too_long() override;

 private:
  enum class State : std::uint8_t { idle, waiting, running, done };
  void resume();
  void finish(mcp::Outcome outcome);

  StdioHost& host_;
  mcp::Call call_;
  mcp::CallObserver& observer_;
  PoolKey key_;
  State state_ = State::idle;
  CallId id_ = 0;
  Child* child_ = nullptr;
  std::int64_t number_ = 0;
};

class StdioHost final : public ServerHost, public ChildOwner {
 public:
  StdioHost(const model::ServerSpec& spec, net::ProcessLauncher& launcher, ChangeSink& sink, Clock& clock, Log& log,
            StdioHostOptions options);

  Task<Result<mcp::ServerDescription>> describe(const mcp::Caller& caller) override;
  std::unique_ptr<mcp::ActiveCall> start(const mcp::Call& call, mcp::CallObserver& observer) override;
  void notify(const mcp::Caller& caller, std::string_view method, std::string_view params) override;
  void watch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void unwatch_resource(const mcp::Caller& caller, const std::string& uri) override;
  void session_closed(const std::string& session) override;
  HostHealth health() const override;
  Task<std::size_t> drain(TimePoint deadline) override;

  void on_child_ready(Child& child) override;
  void on_child_change(Child& child, mcp::Change change) override;
  void on_child_asking() override { policy_.set_asking(); }
  void on_child_settled(Child& child) override;
  void on_child_ended(Child& child) override;

 private:
  friend class HostCall;
  class Describing;

  PoolKey key_of(const mcp::Caller& caller);
  PoolKey first_key() const;
  Child* find_child(ChildId id);
  void set_load(Child& child);
  CallId enqueue(Waiting& waiting, const PoolKey& key, bool candidate, bool first);
  void withdraw(CallId id);
  void decide();
  void carry_out(const PoolPolicy::Action& action);
  void spawn(ChildId id, const PoolKey& key, mcp::Era era);
  Task<void> run_child(std::shared_ptr<Child> child);
  void arm_timer();
  void on_timer();
  void expire_queue(TimePoint now);
  void start_probe();
  void on_verdict(mcp::Era era);
  void adopt_era(mcp::Era era);
  void sync_watches(const PoolKey& key);
  void call_ended();
  mcp::Outcome refusal_outcome(PoolPolicy::Refusal refusal) const;
  std::string failing_sentence() const;
  std::string not_ready_reason() const;

  const model::ServerSpec spec_;
  net::ProcessLauncher& launcher_;
  ChangeSink& sink_;
  Clock& clock_;
  Log& log_;
  const StdioHostOptions options_;

  CapabilityCache capabilities_;
  mcp::Era era_ = mcp::Era::legacy;
  std::optional<ChildId> probe_;  ///< while it has not spoken
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
  std::map<PoolKey, std::map<std::string, std::size_t>> watches_;
  std::string last_failure_;
  std::uint64_t restarts_ = 0;
  std::size_t calls_ = 0;  ///< waiting and running
  bool draining_ = false;
  bool deciding_ = false;
  bool decide_again_ = false;
  TimePoint armed_at_ = TimePoint::max();
  std::unique_ptr<Timer> timer_;
  std::unique_ptr<Timer> verdict_timer_;
  Signal idle_;
  TaskScope scope_;
};

PoolLimits pool_limits(const model::ServerSpec& spec) {
  PoolLimits limits;
  limits.children_max = std::max<std::size_t>(1, spec.children_max);
  limits.warm = spec.warm;
  limits.calls_per_child_max = std::max<std::size_t>(1, spec.calls_per_child_max);
  limits.queue_max = spec.queue_max;
  limits.idle_timeout = spec.idle_timeout;
  return limits;
}

SessionLimits session_limits(const model::ServerSpec& spec) {
  SessionLimits limits;
  limits.start_timeout = spec.start_timeout;
  limits.call_timeout = spec.call_timeout;
  limits.input_timeout = spec.input_timeout;
  return limits;
}

// --- HostCall

HostCall::~HostCall() {
  if (state_ == State::waiting) {
    host_.withdraw(id_);
  } else if (state_ == State::running) {
    child_->session().cancel(number_, "The client went away", host_.clock_.now());
    child_->touched();
    host_.on_child_settled(*child_);
  } else {
    return;
  }
  host_.call_ended();
}

void HostCall::begin() {
  ++host_.calls_;
  key_ = host_.key_of(*call_.caller);
  if (call_.request_state.starts_with(parked_prefix)) return resume();
  if (host_.draining_) {
    return finish(mcp::Outcome::failure(mcp::code::server_error, "The server is shutting down."));
  }
  if (call_.request_state == state_again && host_.era_ == mcp::Era::legacy) {
    call_.request_state = {};
    call_.input_responses = {};
  }
  const bool candidate = may_ask(call_.method);
  if (const auto id = host_.policy_.place(key_, candidate, host_.clock_.now())) {
    return on_assigned(*host_.find_child(*id));
  }
  state_ = State::waiting;
  id_ = host_.enqueue(*this, key_, candidate, false);
  host_.decide();
}

void HostCall::resume() {
  std::string_view state = call_.request_state.substr(parked_prefix.size());
  ChildId id = 0;
  while (!state.empty() && state.front() >= '0' && state.front() <= '9' && id < (ChildId{1} << 50)) {
    id = id * 10 + static_cast<ChildId>(state.front() - '0');
    state.remove_prefix(1);
  }
  Child* child = host_.find_child(id);
  std::optional<std::int64_t> number;
  if (child != nullptr && state.starts_with(':') && child->key().scope == key_.scope) {
    state_ = State::running;
    child_ = child;
    number = child->session().resume(state.substr(1), call_, *this, host_.clock_.now());
  }
  if (!number) {
    return finish(mcp::Outcome::failure(
        mcp::code::invalid_params,
        "This answer can no longer be delivered: the call it belongs to has ended, or was answered before. "
        "Call again without requestState."));
  }
  number_ = *number;
  host_.set_load(*child);
  // Asks that are still open end this round at once, and this call with it.
  child->touched();
  host_.set_load(*child);
}

void HostCall::on_assigned(Child& child) {
  state_ = State::running;
  child_ = &child;
  number_ = child.session().call(call_, *this, host_.clock_.now());
  child.touched();
  host_.set_load(child);
}

void HostCall::on_outcome(mcp::Outcome outcome) {
  if (outcome.kind == mcp::Outcome::Kind::input_required && outcome.input.owned) {
    outcome.input.state = fmt::format("{}{}:{}", parked_prefix, child_->id(), outcome.input.state);
  }
  finish(std::move(outcome));
}

void HostCall::finish(mcp::Outcome outcome) {
  state_ = State::done;
  host_.call_ended();
  observer_.on_outcome(std::move(outcome));  // may destroy this
}

void HostCall::on_not_executed() {
  state_ = State::waiting;
  child_ = nullptr;
  key_ = host_.key_of(*call_.caller);
  id_ = host_.enqueue(*this, key_, may_ask(call_.method), true);
}

void HostCall::on_refused(PoolPolicy::Refusal refusal) { finish(host_.refusal_outcome(refusal)); }

void HostCall::on_waited_too_long() {
  finish(mcp::Outcome::failure(mcp::code::internal_error,
                               fmt::format("The call waited longer than {:g} s (call_timeout) for a server process "
                                           "that is free.",
                                           std::chrono::duration<double>(host_.spec_.call_timeout).count())));
}

// --- StdioHost: calls

StdioHost::StdioHost(const model::ServerSpec& spec, net::ProcessLauncher& launcher, ChangeSink& sink, Clock& clock,
                     Log& log, StdioHostOptions options)
    : spec_(spec),
      launcher_(launcher),
      sink_(sink),
      clock_(clock),
      log_(log),
      options_(std::move(options)),
      era_(spec.era == model::EraChoice::modern ? mcp::Era::modern : mcp::Era::legacy),
      policy_(pool_limits(spec), first_key()),
      timer_(clock.make_timer()),
      verdict_timer_(clock.make_timer()),
      idle_(clock.executor()),
      scope_(clock.executor()) {
  policy_.set_one_session_a_pool(spec_.isolation == model::Isolation::session);
  if (spec_.era == model::EraChoice::automatic) {
    policy_.set_open(false);
    decide();
    start_probe();
  } else {
    decide();
  }
}

PoolKey StdioHost::first_key() const {
  if (spec_.isolation == model::Isolation::session) return {};
  return {scope_of(mcp::Caller{}, spec_.isolation), {}};
}

PoolKey StdioHost::key_of(const mcp::Caller& caller) {
  // A modern server learns the client's capabilities with each request, so all callers of a scope share.
  if (era_ == mcp::Era::modern) return {scope_of(caller, spec_.isolation), {}};
  return {scope_of(caller, spec_.isolation), capabilities_.read(caller.capabilities)};
}

Child* StdioHost::find_child(ChildId id) {
  const auto at = children_.find(id);
  return at == children_.end() ? nullptr : at->second.get();
}

std::unique_ptr<mcp::ActiveCall> StdioHost::start(const mcp::Call& call, mcp::CallObserver& observer) {
  auto active = std::make_unique<HostCall>(*this, call, observer);
  active->begin();
  return active;
}

void StdioHost::call_ended() {
  if (--calls_ == 0) idle_.notify();
}

void StdioHost::set_load(Child& child) { policy_.set_load(child.id(), child.session().load(), clock_.now()); }

CallId StdioHost::enqueue(Waiting& waiting, const PoolKey& key, bool candidate, bool first) {
  const CallId id = next_call_++;
  queued_.emplace(id, Queued{&waiting, key, candidate, clock_.now() + spec_.call_timeout});
  if (first) {
    policy_.wait_first(id, key, candidate);
  } else {
    policy_.wait(id, key, candidate);
  }
  return id;
}

void StdioHost::withdraw(CallId id) {
  const auto at = queued_.find(id);
  if (at == queued_.end()) return;
  policy_.withdraw(id, at->second.key);
  queued_.erase(at);
}

mcp::Outcome StdioHost::refusal_outcome(PoolPolicy::Refusal refusal) const {
  constexpr std::string_view retry = R"({"retryAfter":1})";
  switch (refusal) {
    case PoolPolicy::Refusal::children_max:
      return mcp::Outcome::failure(
          mcp::code::server_error,
          fmt::format("All {} server processes (children_max) are busy for other callers; try again in a second.",
                      spec_.children_max),
          std::string(retry));
    case PoolPolicy::Refusal::queue_max:
      return mcp::Outcome::failure(
          mcp::code::server_error,
          fmt::format("{} calls wait already (queue_max); try again in a second.", spec_.queue_max),
          std::string(retry));
    case PoolPolicy::Refusal::failing: break;
  }
  return mcp::Outcome::failure(mcp::code::internal_error, failing_sentence());
}

std::string StdioHost::failing_sentence() const {
  if (draining_) return "The server is shutting down.";
  const double seconds = std::chrono::duration<double>(policy_.start_allowed_at() - clock_.now()).count();
  return fmt::format("{} Berth starts it again in {:.1f} s.", last_failure_, std::max(0.0, seconds));
}

// --- Describing

/// Waits for a child without calling it.
class StdioHost::Describing final : public Waiting {
 public:
  Describing(StdioHost& host, const PoolKey& key) : done_(host.clock_.executor()), host_(host) {
    waits_ = true;
    id_ = host_.enqueue(*this, key, false, false);
  }
  ~Describing() override {
    if (waits_) host_.withdraw(id_);
  }
  void on_assigned(Child& child) override {
    host_.set_load(child);
    finish(child.session().description());
  }
  void on_refused(PoolPolicy::Refusal refusal) override {
    const mcp::Outcome outcome = host_.refusal_outcome(refusal);
    const bool failing = refusal == PoolPolicy::Refusal::failing;
    if (!failing && !host_.descriptions_.empty()) return finish(host_.descriptions_.begin()->second);
    finish(fail(failing ? ErrorCode::unavailable : ErrorCode::resource_exhausted, outcome.error.message));
  }
  void on_waited_too_long() override {
    finish(fail(ErrorCode::deadline_exceeded, "No server process became ready in time."));
  }

  Signal done_;
  Result<mcp::ServerDescription> result_ = mcp::ServerDescription{};

 private:
  void finish(Result<mcp::ServerDescription> result) {
    waits_ = false;
    result_ = std::move(result);
    done_.notify();
  }

  StdioHost& host_;
  CallId id_ = 0;
  bool waits_ = false;
};

Task<Result<mcp::ServerDescription>> StdioHost::describe(const mcp::Caller& caller) {
  const PoolKey key = key_of(caller);
  const auto known = descriptions_.find(key.capabilities);
  if (known != descriptions_.end() && policy_.failures() < 2) co_return known->second;
  if (draining_) co_return fail(ErrorCode::unavailable, "The server is shutting down.");
  Describing describing(*this, key);
  decide();
  co_await describing.done_.wait();
  co_return std::move(describing.result_);
}

// --- Decisions

void StdioHost::decide() {
  decide_again_ = true;
  if (deciding_) return;
  deciding_ = true;
  std::vector<PoolPolicy::Action> actions;
  while (decide_again_) {
    decide_again_ = false;
    actions.clear();
    policy_.decide(clock_.now(), actions);
    for (const PoolPolicy::Action& action : actions) carry_out(action);
    if (!actions.empty()) decide_again_ = true;
  }
  deciding_ = false;
  arm_timer();
}

void StdioHost::carry_out(const PoolPolicy::Action& action) {
  const auto take = [this](CallId id) -> Waiting* {
    const auto at = queued_.find(id);
    if (at == queued_.end()) return nullptr;
    Waiting* waiting = at->second.waiting;
    queued_.erase(at);
    return waiting;
  };
  if (const auto* spawned = std::get_if<PoolPolicy::Spawn>(&action)) {
    spawn(spawned->child, spawned->key, era_);
  } else if (const auto* assigned = std::get_if<PoolPolicy::Assign>(&action)) {
    Child* child = find_child(assigned->child);
    Waiting* waiting = take(assigned->call);
    if (waiting == nullptr) {
      set_load(*child);
    } else {
      waiting->on_assigned(*child);
    }
  } else if (const auto* refused = std::get_if<PoolPolicy::Refuse>(&action)) {
    if (Waiting* waiting = take(refused->call)) waiting->on_refused(refused->refusal);
  } else if (const auto* stopped = std::get_if<PoolPolicy::Stop>(&action)) {
    if (Child* child = find_child(stopped->child)) child->stop();
  } else if (const auto* adopted = std::get_if<PoolPolicy::Adopt>(&action)) {
    if (Child* child = find_child(adopted->child)) child->set_key(adopted->key);
    sync_watches(adopted->key);
  }
}

void StdioHost::arm_timer() {
  TimePoint next = policy_.next_decision(clock_.now());
  if (!queued_.empty()) next = std::min(next, queued_.begin()->second.deadline);
  if (next >= armed_at_) return;
  armed_at_ = next;
  timer_->arm(next, [this] { on_timer(); });
}

void StdioHost::on_timer() {
  armed_at_ = TimePoint::max();
  expire_queue(clock_.now());
  decide();
}

void StdioHost::expire_queue(TimePoint now) {
  // Numbers and deadlines grow together.
  while (!queued_.empty() && queued_.begin()->second.deadline <= now) {
    Waiting* waiting = queued_.begin()->second.waiting;
    withdraw(queued_.begin()->first);
    waiting->on_waited_too_long();
  }
}

// --- Children

void StdioHost::spawn(ChildId id, const PoolKey& key, mcp::Era era) {
  net::ProcessSpec process;
  process.argv = spec_.command;
  process.directory = spec_.directory;
  for (const auto& [name, value] : options_.environment) {
    if (!spec_.environment.contains(name)) process.environment.emplace_back(name, value);
  }
  for (const auto& [name, value] : spec_.environment) process.environment.emplace_back(name, value);
  auto launched = launcher_.launch(std::move(process));
  const bool is_probe = probe_ == id;
  if (!launched) {
    if (is_probe) return on_verdict(mcp::Era::legacy);
    last_failure_ = launched.error().message();
    log_.error("server_start_failed", {{"server", spec_.name}, {"reason", last_failure_}});
    return policy_.child_ended(id, PoolPolicy::End::usual, clock_.now());
  }
  ChildOptions options;
  options.id = id;
  options.key = key;
  options.era = era;
  options.one_session = spec_.isolation == model::Isolation::session;
  options.limits = session_limits(spec_);
  if (is_probe) options.limits.start_timeout = spec_.probe_timeout;
  options.message_bytes_max = spec_.message_bytes_max;
  options.server = spec_.name;
  auto child = std::make_shared<Child>(std::move(options), std::move(*launched), *this, clock_, log_);
  children_.emplace(id, child);
  scope_.spawn(run_child(std::move(child)));
}

Task<void> StdioHost::run_child(std::shared_ptr<Child> child) { co_await child->run(); }

void StdioHost::on_child_ready(Child& child) {
  if (probe_ == child.id()) return on_verdict(mcp::Era::modern);
  policy_.child_ready(child.id(), clock_.now());
  if (child.era() == era_) descriptions_[child.key().capabilities] = child.session().description();
  sync_watches(child.key());
  if (probe_) {
    // The probe would have spoken by now if it were one to speak.
    verdict_timer_->arm(clock_.now() + verdict_grace, [this] {
      policy_.set_open(true);
      decide();
    });
  }
  decide();
}

void StdioHost::on_child_change(Child& child, mcp::Change change) {
  switch (spec_.isolation) {
    case model::Isolation::shared: break;
    case model::Isolation::principal: change.principal = child.key().scope; break;
    case model::Isolation::session: break;  // the scope is no principal; a needless refresh harms nobody
  }
  sink_.on_change(change);
}

void StdioHost::on_child_settled(Child& child) {
  set_load(child);
  if (child.session().answered() > 0) policy_.child_sound(child.id());
  if (policy_.waiting() > 0) {
    decide();
  } else {
    arm_timer();
  }
}

void StdioHost::on_child_ended(Child& child) {
  const ChildId id = child.id();
  const bool expected = child.stopping();
  if (!children_.contains(id)) return;
  const auto kept = children_.extract(id);  // until this function returns
  if (probe_ == id) return on_verdict(mcp::Era::legacy);
  if (!expected) {
    ++restarts_;
    last_failure_ = child.epitaph();
    log_.warning("server_ended", {{"server", spec_.name}, {"child", id}, {"reason", last_failure_}});
  }
  policy_.child_ended(id, child.timed_out() ? PoolPolicy::End::hopeless : PoolPolicy::End::usual, clock_.now());
  decide();
}

// --- Era

void StdioHost::start_probe() {
  probe_ = policy_.reserve_child();
  spawn(*probe_, {}, mcp::Era::modern);
}

void StdioHost::on_verdict(mcp::Era era) {
  const ChildId id = *probe_;
  probe_.reset();
  verdict_timer_->cancel();
  log_.info("server_era", {{"server", spec_.name}, {"era", era == mcp::Era::modern ? "modern" : "legacy"}});
  if (era == mcp::Era::modern) {
    adopt_era(era);
    // The sibling was only asked who it is, so it can serve.
    Child& child = *find_child(id);
    child.set_key(first_key());
    policy_.add_ready_child(id, child.key(), clock_.now());
    descriptions_[{}] = child.session().description();
    sync_watches(child.key());
  }
  policy_.set_open(true);
  decide();
}

void StdioHost::adopt_era(mcp::Era era) {
  era_ = era;
  descriptions_.clear();
  policy_.replace_pools(first_key());
  const auto watches = std::exchange(watches_, {});
  for (const auto& [key, uris] : watches) {
    for (const auto& [uri, count] : uris) watches_[{key.scope, {}}][uri] += count;
  }
  for (const auto& [key, uris] : watches_) policy_.set_watched(key, !uris.empty());
  for (auto& [id, queued] : queued_) {
    queued.key = {queued.key.scope, {}};
    policy_.wait(id, queued.key, queued.candidate);
  }
}

// --- Notifications, watches, sessions

void StdioHost::notify(const mcp::Caller& caller, std::string_view method, std::string_view params) {
  const PoolKey key = key_of(caller);
  for (const auto& [id, child] : children_) {
    if (child->key() == key && !child->stopping()) child->session().notify(method, params);
  }
}

void StdioHost::watch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  if (++watches_[key][uri] > 1) return;
  policy_.set_watched(key, true);
  sync_watches(key);
  decide();
}

void StdioHost::unwatch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  const auto pool = watches_.find(key);
  if (pool == watches_.end()) return;
  const auto watch = pool->second.find(uri);
  if (watch == pool->second.end() || --watch->second > 0) return;
  pool->second.erase(watch);
  if (pool->second.empty()) {
    watches_.erase(pool);
    policy_.set_watched(key, false);
  }
  sync_watches(key);
  decide();
}

void StdioHost::sync_watches(const PoolKey& key) {
  std::set<std::string> uris;
  if (const auto pool = watches_.find(key); pool != watches_.end()) {
    for (const auto& [uri, count] : pool->second) uris.insert(uri);
  }
  for (const auto& [id, child] : children_) {
    if (child->key() == key && probe_ != id) child->session().watch(uris);
  }
}

void StdioHost::session_closed(const std::string& session) {
  const TimePoint now = clock_.now();
  std::vector<std::shared_ptr<Child>> children;
  for (const auto& [id, child] : children_) children.push_back(child);
  for (const auto& child : children) {
    child->session().drop_parked(session, now);
    child->touched();
    set_load(*child);
  }
  if (spec_.isolation == model::Isolation::session) {
    const std::string scope = scope_of(mcp::Caller{.session = session}, spec_.isolation);
    policy_.retire_scope(scope);
    std::erase_if(watches_, [&](const auto& entry) { return entry.first.scope == scope; });
  }
  decide();
}

HostHealth StdioHost::health() const {
  HostHealth health;
  health.processes = children_.size();
  health.restarts = restarts_;
  health.ready = !draining_ && (policy_.ready_children() > 0 || (spec_.warm == 0 && policy_.failures() == 0)) &&
                 policy_.open();
  if (!health.ready) health.reason = not_ready_reason();
  return health;
}

std::string StdioHost::not_ready_reason() const {
  if (draining_) return "The server is shutting down.";
  if (policy_.failures() > 0 && !last_failure_.empty()) return last_failure_;
  return fmt::format("The server '{}' is starting.", spec_.name);
}

Task<std::size_t> StdioHost::drain(TimePoint deadline) {
  draining_ = true;
  timer_->arm(deadline, [this] { idle_.notify(); });
  while (calls_ > 0 && clock_.now() < deadline) co_await idle_.wait();
  timer_->cancel();
  verdict_timer_->cancel();
  std::size_t cut = queued_.size();
  policy_.shut_down();
  decide();  // refuses what still waits
  timer_->cancel();
  std::vector<std::shared_ptr<Child>> children;
  for (const auto& [id, child] : children_) children.push_back(child);
  for (const auto& child : children) {
    cut += child->cut({mcp::code::internal_error, "The call was cut: the server is shutting down.", {}});
    child->stop();
  }
  children.clear();
  co_await scope_.join();
  timer_->cancel();
  co_return cut;
}

}  // namespace
}  // namespace host

std::unique_ptr<ServerHost> make_stdio_host(const model::ServerSpec& spec, net::ProcessLauncher& launcher,
                                            ChangeSink& sink, Clock& clock, Log& log, StdioHostOptions options) {
  return std::make_unique<host::StdioHost>(spec, launcher, sink, clock, log, std::move(options));
}

}  // namespace berth::task
