#include "task/host/stdio_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "mcp/message.h"
#include "task/host/stdio_core.h"

namespace berth::task {

namespace host {

namespace {

constexpr Duration memory_look_interval = std::chrono::milliseconds(500);

PoolLimits pool_limits(const model::ServerSpec& spec) {
  PoolLimits limits;
  const bool is_sole = spec.isolation == model::Isolation::service;
  limits.children_max = is_sole ? 1 : std::max<std::size_t>(1, spec.children_max);
  limits.warm = spec.warm;
  limits.calls_per_child_max = std::max<std::size_t>(1, spec.calls_per_child_max);
  limits.queue_max = spec.queue_max;
  limits.idle_timeout = spec.idle_timeout;
  return limits;
}

}  // namespace

// --- Calls

StdioHost::StdioHost(const model::ServerSpec& spec, net::ProcessLauncher& launcher, ChangeSink& sink,
                     Clock& clock, Log& log, StdioHostOptions options)
    : spec_(spec),
      launcher_(launcher),
      sink_(sink),
      clock_(clock),
      log_(log),
      options_(std::move(options)),
      era_(spec.era == model::EraChoice::modern ? mcp::Era::modern : mcp::Era::legacy),
      policy_(pool_limits(spec), first_key()),
      watch_answers_(clock),
      timer_(clock.make_timer()),
      verdict_timer_(clock.make_timer()),
      idle_(clock.executor()),
      empty_(clock.executor()),
      scope_(clock.executor()) {
  policy_.set_one_session_a_pool(spec_.isolation == model::Isolation::session);
  rests_ = spec_.isolation == model::Isolation::service;
  policy_.set_resting(rests_);
  // Where there may be one process, none is asked beside it: what refuses `initialize` says what it speaks.
  era_known_ = spec_.era != model::EraChoice::automatic || rests_;
  recall();
  look_at_memory();
  if (!era_known_) policy_.set_open(false);
  decide();
  if (!era_known_ && !probe_) start_probe();
}

PoolKey StdioHost::first_key() const {
  if (spec_.isolation == model::Isolation::session) return {};
  return {scope_of(mcp::Caller{}, spec_.isolation), {}};
}

PoolKey StdioHost::key_of(const mcp::Caller& caller) {
  // A modern server learns the client's capabilities with each request, so all callers of a scope share.
  if (era_ == mcp::Era::modern) return {scope_of(caller, spec_.isolation), {}};
  return legacy_key(caller, spec_.isolation, capabilities_.read(caller.capabilities));
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

PoolPolicy::CallId StdioHost::enqueue(Waiting& waiting, const PoolKey& key, bool candidate, bool first) {
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
    case PoolPolicy::Refusal::queue_max:
      return mcp::Outcome::failure(
          mcp::code::server_error,
          fmt::format("{} calls wait already (queue_max); try again in a second.", spec_.queue_max),
          std::string(retry));
    case PoolPolicy::Refusal::failing: break;
  }
  return mcp::Outcome::failure(
      mcp::unavailable(failing_sentence(), static_cast<std::int64_t>(std::ceil(seconds_to_start()))));
}

double StdioHost::seconds_to_start() const {
  return std::max(0.0, std::chrono::duration<double>(policy_.start_allowed_at() - clock_.now()).count());
}

std::string StdioHost::failing_sentence() const {
  if (draining_) return "The server is shutting down.";
  return fmt::format("{} Berth starts it again in {:.1f} s.",
                     options_.tells_words ? last_failure_.whole() : last_failure_.sentence,
                     seconds_to_start());
}

// --- Describing

/// Waits for a child without calling it.
class StdioHost::Describing final : public Waiting {
 public:
  Describing(StdioHost& host, const mcp::Caller& caller)
      : done_(host.clock_.executor()), host_(host), caller_(caller) {
    waits_ = true;
    id_ = host_.enqueue(*this, host_.key_of(caller_), false, false);
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
  PoolKey key() override { return host_.key_of(caller_); }

  Signal done_;
  Result<mcp::ServerDescription> result_ = mcp::ServerDescription{};

 private:
  void finish(Result<mcp::ServerDescription> result) {
    waits_ = false;
    result_ = std::move(result);
    done_.notify();
  }

  StdioHost& host_;
  const mcp::Caller& caller_;
  CallId id_ = 0;
  bool waits_ = false;
};

Task<Result<mcp::ServerDescription>> StdioHost::describe(const mcp::Caller& caller) {
  const PoolKey key = key_of(caller);
  const auto known = descriptions_.find(key.capabilities);
  if (known != descriptions_.end() && policy_.failures() < 2) co_return known->second;
  if (draining_) co_return fail(ErrorCode::unavailable, "The server is shutting down.");
  // All children say the same of the server, more or less: nobody waits for a free one to hear it.
  if (policy_.children() >= spec_.children_max && !descriptions_.empty() && policy_.failures() < 2)
    co_return descriptions_.begin()->second;
  Describing describing(*this, caller);
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
    if (!children_.empty() && clock_.now() - memory_looked_at_ >= memory_look_interval) {
      memory_looked_at_ = clock_.now();
      const std::size_t fit = room();
      policy_.set_room(fit);
      tell_of_memory(fit > 0 || policy_.waiting() == 0);
      policy_.set_spares_allowed(!spares_forbidden_);
    }
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
    if (!era_known_ && !probe_) start_probe();
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
    Child* const child = find_child(adopted->child);
    if (child == nullptr) return;
    child->set_key(adopted->key);
    // What it has asked for as it started was nobody's yet.
    if (adopted->key.capabilities.roots) child->session().notify("notifications/roots/list_changed", {});
    sync_watches(adopted->key.scope);
  } else if (const auto* given_up = std::get_if<PoolPolicy::GiveUp>(&action)) {
    if (Child* child = find_child(given_up->child)) give_up_questions(*child);
  }
}

void StdioHost::give_up_questions(Child& child) {
  log_.info("questions_given_up",
            {{"server", spec_.name}, {"child", child.id()}, {"questions", child.session().parked()}});
  child.session().drop_parked(std::nullopt, clock_.now());
  child.touched();
  set_load(child);
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

// --- Notifications, watches, sessions

void StdioHost::notify(const mcp::Caller& caller, std::string_view method, std::string_view params) {
  const PoolKey key = key_of(caller);
  const bool is_custom = mcp::is_custom_notification(method);
  // What only the server understands may change its state, and a spare is to have none: it may go over to
  // another caller yet.
  const auto holder = is_custom ? policy_.use_holder(key) : std::nullopt;
  for (const auto& [id, child] : children_) {
    if (child->key() != key || child->stopping() || (is_custom && id != holder)) continue;
    child->session().notify(method, params);
  }
}

void StdioHost::want_level(const mcp::Caller& caller, mcp::LoggingLevel level) {
  const PoolKey key = key_of(caller);
  for (const auto& [id, child] : children_) {
    if (child->key() == key && !child->stopping()) child->session().want_level(level);
  }
}

void StdioHost::watch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  if (!watches_.add(key, uri)) return;
  policy_.set_watched(key, true);
  sync_watches(key.scope);
  decide();
}

void StdioHost::unwatch_resource(const mcp::Caller& caller, const std::string& uri) {
  const PoolKey key = key_of(caller);
  if (!watches_.remove(key, uri)) return;
  if (!watches_.contains(key)) policy_.set_watched(key, false);
  sync_watches(key.scope);
  decide();
}

Task<std::optional<mcp::RpcError>> StdioHost::watch_refusal(const mcp::Caller& caller, std::string uri) {
  PoolKey key = key_of(caller);
  const bool asked = std::any_of(children_.begin(), children_.end(), [&](const auto& entry) {
    return entry.second->key() == key && entry.second->session().is_subscribing(uri);
  });
  if (!asked) co_return std::nullopt;
  auto refusal = co_await watch_answers_.wait(std::move(key), std::move(uri));
  co_return refusal;
}

void StdioHost::watch_elsewhere(const std::string& principal, const std::string& uri, bool watched) {
  const std::string scope = scope_of(mcp::Caller{.principal = principal}, spec_.isolation);
  if (watches_.set_elsewhere(scope, principal, uri, watched)) sync_watches(scope);
}

void StdioHost::sync_watches(const std::string& scope) {
  for (const auto& [id, child] : children_) {
    if (child->key().scope == scope && probe_ != id) sync_watches(*child);
  }
}

/// A process that has been called may have what a listener of another pool, or in another task, asks about.
void StdioHost::sync_watches(Child& child) {
  const PoolKey& key = child.key();
  child.session().watch(child.is_called() ? watches_.of_scope(key.scope) : watches_.of(key));
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
    watches_.remove_scope(scope);
  }
  decide();
}

bool StdioHost::runs(std::uint64_t process) const {
  const auto at = children_.find(process);
  return at != children_.end() && !at->second->stopping();
}

void StdioHost::wake() {
  rests_ = false;
  policy_.set_resting(false);
  decide();
}

Task<void> StdioHost::rest() {
  rests_ = true;
  policy_.set_resting(true);
  std::vector<std::shared_ptr<Child>> children;
  for (const auto& [id, child] : children_) children.push_back(child);
  for (const auto& child : children) {
    child->cut(mcp::unknown_end("The call was cut: the server goes over to another task."));
    policy_.child_stopping(child->id());
    child->stop();
  }
  children.clear();
  while (!children_.empty()) co_await empty_.wait();
}

HostHealth StdioHost::health() const {
  HostHealth health;
  health.rests = rests_;
  health.processes = children_.size();
  health.restarts = restarts_;
  health.oom_kills = oom_kills_;
  health.ready = !draining_ &&
                 (policy_.ready_children() > 0 || (spec_.warm == 0 && policy_.failures() == 0)) &&
                 policy_.open();
  health.ready = health.ready || (rests_ && !draining_);
  health.refused = cannot_start_;
  health.not_separated = not_separated_;
  if (!health.ready) health.reason = not_ready_reason();
  return health;
}

Reason StdioHost::not_ready_reason() const {
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
    cut += child->cut(mcp::unknown_end("The call was cut: the server is shutting down."));
    child->stop();
  }
  children.clear();
  co_await scope_.join();
  timer_->cancel();
  co_return cut;
}

}  // namespace host

std::unique_ptr<ServerHost> make_stdio_host(const model::ServerSpec& spec, net::ProcessLauncher& launcher,
                                            ChangeSink& sink, Clock& clock, Log& log,
                                            StdioHostOptions options) {
  return std::make_unique<host::StdioHost>(spec, launcher, sink, clock, log, std::move(options));
}

}  // namespace berth::task
