#include "task/host/pool_policy.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

#include "base/check.h"

namespace berth::task::host {

PoolPolicy::PoolPolicy(const PoolLimits& limits, PoolKey first) : limits_(limits) {
  recent_.push_back(std::move(first));
}

std::optional<PoolPolicy::ChildId> PoolPolicy::pick(const PoolKey& key, const Pool& pool,
                                                    bool candidate) const {
  const bool one_at_a_time = candidate && exclusive(key);
  for (const ChildId id : pool.children) {
    const Child& child = children_.at(id);
    if (child.state != State::ready) continue;
    const bool room = child.load.calls < limits_.calls_per_child_max &&
                      child.load.backlog_bytes < limits_.backlog_bytes_max &&
                      !(candidate && child.load.holding);
    if (room && (!one_at_a_time || child.load.candidates == 0)) return id;
    // The oldest child has the pool's state; another one must not serve beside it.
    if (!one_at_a_time) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<PoolPolicy::ChildId> PoolPolicy::use_holder(const PoolKey& key) {
  const auto at = pools_.find(key);
  if (at == pools_.end() || at->second.children.empty()) return std::nullopt;
  const ChildId id = at->second.children.front();
  children_.at(id).used = true;
  return id;
}

void PoolPolicy::use(const PoolKey& key) {
  PoolKey kept = one_session_a_pool_ ? PoolKey{{}, key.capabilities, key.client_info} : key;
  if (!recent_.empty() && recent_.front() == kept) return;
  recent_.remove(kept);
  recent_.push_front(std::move(kept));
  if (recent_.size() > std::max<std::size_t>(1, limits_.warm)) recent_.pop_back();
}

std::optional<PoolPolicy::ChildId> PoolPolicy::place(const PoolKey& key, bool candidate, TimePoint) {
  if (!open_ || shut_down_) return std::nullopt;
  const auto at = pools_.find(key);
  if (at == pools_.end()) return std::nullopt;
  const Pool& pool = at->second;
  if (!(candidate ? pool.candidates : pool.others).empty()) return std::nullopt;
  const std::optional<ChildId> child = pick(key, pool, candidate);
  if (child) use(key);
  return child;
}

void PoolPolicy::wait(CallId call, const PoolKey& key, bool candidate) {
  Pool& pool = pools_[key];
  (candidate ? pool.candidates : pool.others).push_back(call);
  ++waiting_;
  use(key);
}

void PoolPolicy::wait_first(CallId call, const PoolKey& key, bool candidate) {
  Pool& pool = pools_[key];
  (candidate ? pool.candidates : pool.others).push_front(call);
  ++waiting_;
}

void PoolPolicy::withdraw(CallId call, const PoolKey& key) {
  const auto at = pools_.find(key);
  if (at == pools_.end()) return;
  waiting_ -= std::erase(at->second.candidates, call) + std::erase(at->second.others, call);
}

void PoolPolicy::child_ready(ChildId id, TimePoint now) {
  Child& child = children_.at(id);
  if (child.state != State::starting) return;
  child.state = State::ready;
  child.ready_at = child.idle_since = now;
  // It may have come up before an older one; the pool's state is in the first that takes calls.
  const auto pool = pools_.find(child.key);
  if (pool == pools_.end()) return;
  const auto own = std::ranges::find(pool->second.children, id);
  if (own == pool->second.children.end()) return;
  const auto slower = std::find_if(pool->second.children.begin(), own, [&](ChildId other) {
    return children_.at(other).state == State::starting;
  });
  std::rotate(slower, own, own + 1);
}

void PoolPolicy::leave_pool(ChildId id, const PoolKey& key) {
  const auto pool = pools_.find(key);
  if (pool != pools_.end()) std::erase(pool->second.children, id);
}

void PoolPolicy::child_ended(ChildId id, End end, TimePoint now) {
  const auto at = children_.find(id);
  BERTH_CHECK(at != children_.end(), "a child ends once");
  const Child child = at->second;
  children_.erase(at);
  leave_pool(id, child.key);
  if (child.state == State::stopping || child.retired) return;
  const bool sound =
      child.state == State::ready && (child.sound || now - child.ready_at >= limits_.sound_after);
  if (sound) {
    failures_ = 0;
    not_before_ = now;
    want_spare(now + limits_.spare_after_death);
    return;
  }
  failures_ = std::max<std::size_t>(failures_ + 1, end == End::hopeless ? 2 : 1);
  Duration delay{0};
  if (failures_ > 1) {
    const auto doublings = std::min<std::size_t>(failures_ - 2, 20);
    delay = std::min(limits_.backoff_max, limits_.backoff_min * (std::int64_t{1} << doublings));
  }
  not_before_ = now + delay;
}

void PoolPolicy::child_stopping(ChildId id) {
  Child& child = children_.at(id);
  child.state = State::stopping;
  leave_pool(id, child.key);
}

void PoolPolicy::set_load(ChildId id, const SessionLoad& load, TimePoint now) {
  const auto at = children_.find(id);
  if (at == children_.end()) return;
  Child& child = at->second;
  const bool busy = load.calls > 0 || load.candidates > 0;
  if (busy) child.used = true;
  if (!busy && (child.load.calls > 0 || child.load.candidates > 0)) child.idle_since = now;
  const bool asks = load.calls == 0 && load.parked > 0;
  if (asks && (child.load.calls > 0 || child.load.parked == 0)) child.asking_since = now;
  if (load.parked == 0) child.given_up = false;
  if (busy && child.sound && !one_session_a_pool_) want_spare(now + limits_.spare_after_call);
  child.load = load;
}

void PoolPolicy::child_sound(ChildId id, TimePoint now) {
  const auto at = children_.find(id);
  if (at == children_.end() || at->second.sound) return;
  at->second.sound = true;
  failures_ = 0;
  if (!one_session_a_pool_) want_spare(now + limits_.spare_after_call);
}

void PoolPolicy::want_spare(TimePoint until) { spare_until_ = std::max(spare_until_, until); }

void PoolPolicy::set_watched(const PoolKey& key, bool watched) { pools_[key].watched = watched; }

void PoolPolicy::forgive() {
  failures_ = 0;
  not_before_ = TimePoint{};
}

PoolPolicy::ChildId PoolPolicy::reserve_child() { return next_child_++; }

void PoolPolicy::add_ready_child(ChildId id, const PoolKey& key, TimePoint now) {
  Child& child = children_[id];
  child.key = key;
  child.state = State::ready;
  child.ready_at = child.idle_since = now;
  pools_[key].children.push_back(id);
}

void PoolPolicy::replace_pools(PoolKey first) {
  for (auto& [id, child] : children_) child.retired = true;
  pools_.clear();
  waiting_ = 0;
  recent_.assign(1, std::move(first));
  forgive();
}

void PoolPolicy::retire_scope(const std::string& scope) {
  for (auto& [id, child] : children_) {
    if (child.key.scope != scope || child.retired || child.state == State::stopping) continue;
    child.retired = true;
    leave_pool(id, child.key);
  }
  for (auto& [key, pool] : pools_) {
    if (key.scope == scope) pool.watched = false;
  }
  recent_.remove_if([&](const PoolKey& key) { return key.scope == scope; });
}

void PoolPolicy::spawn(const PoolKey& key, Pool& pool, std::vector<Action>& actions) {
  const ChildId id = next_child_++;
  if (room_ > 0) --room_;
  children_[id].key = key;
  pool.children.push_back(id);
  actions.push_back(Spawn{id, key});
}

bool PoolPolicy::adopt(const PoolKey& key, Pool& pool, std::vector<Action>& actions) {
  for (auto& [id, child] : children_) {
    if (child.used || child.retired || child.state == State::stopping || child.key == key ||
        child.key.capabilities != key.capabilities || child.key.client_info != key.client_info) {
      continue;
    }
    const Pool& from = pools_[child.key];
    if (from.waits() || from.watched) continue;
    leave_pool(id, child.key);
    child.key = key;
    pool.children.push_back(id);
    actions.push_back(Adopt{id, key});
    return true;
  }
  return false;
}

void PoolPolicy::stop(ChildId id, std::vector<Action>& actions) {
  child_stopping(id);
  actions.push_back(Stop{id});
}

bool PoolPolicy::idle(const Child& child) const {
  return child.state == State::ready && child.load.calls == 0 && child.load.candidates == 0;
}

bool PoolPolicy::make_room(const PoolKey& key, std::vector<Action>& actions) {
  // A child that is ending makes room as soon as it has gone.
  for (const auto& [id, child] : children_) {
    if (child.state == State::stopping) return true;
  }
  std::map<std::string_view, std::size_t> held;
  for (const auto& [id, child] : children_) ++held[child.key.scope];
  const std::size_t own = held[key.scope];
  std::optional<ChildId> victim;
  std::tuple<std::size_t, bool, Duration> most{};
  for (const auto& [id, child] : children_) {
    if (!idle(child) || child.key == key) continue;
    const std::size_t theirs = held[child.key.scope];
    const bool is_own = child.key.scope == key.scope;
    if (!is_own && (theirs <= own || own >= limits_.scope_children_max())) continue;
    const auto pool = pools_.find(child.key);
    if (pool != pools_.end() && pool->second.waits() && theirs <= own + 1) continue;
    const bool is_watched = pool != pools_.end() && pool->second.watched;
    const std::tuple place(theirs, !is_watched, TimePoint::max() - child.idle_since);
    if (victim && place <= most) continue;
    victim = id;
    most = place;
  }
  if (!victim) return false;
  stop(*victim, actions);
  return true;
}

std::size_t PoolPolicy::children_of(const std::string& scope) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(children_, [&](const auto& entry) { return entry.second.key.scope == scope; }));
}

void PoolPolicy::give_up_questions(std::vector<Action>& actions) {
  std::map<std::string_view, std::size_t> asking;
  std::size_t all = 0;
  const auto asks = [](const Child& child) {
    return child.load.calls == 0 && child.load.parked > 0 && !child.given_up && !child.retired;
  };
  for (const auto& [id, child] : children_) {
    if (!asks(child)) continue;
    ++asking[child.key.scope];
    ++all;
  }
  for (; all > limits_.asking_children_max(); --all) {
    const auto most = std::ranges::max_element(asking, {}, [](const auto& entry) { return entry.second; });
    std::pair<const ChildId, Child>* oldest = nullptr;
    for (auto& entry : children_) {
      if (entry.second.key.scope != most->first || !asks(entry.second)) continue;
      if (oldest == nullptr || entry.second.asking_since < oldest->second.asking_since) oldest = &entry;
    }
    oldest->second.given_up = true;
    --most->second;
    actions.push_back(GiveUp{oldest->first});
  }
}

/// What came last of those who wait most is refused; what waits longest stays.
void PoolPolicy::bound_queue(std::vector<Action>& actions) {
  while (waiting_ > limits_.queue_max) {
    std::map<std::string_view, std::size_t> waiting;
    for (const auto& [key, pool] : pools_) waiting[key.scope] += pool.candidates.size() + pool.others.size();
    const auto most = std::ranges::max_element(waiting, {}, [](const auto& entry) { return entry.second; });
    for (auto& [key, pool] : pools_) {
      if (key.scope != most->first || !pool.waits()) continue;
      std::deque<CallId>& queue = pool.candidates.empty() ? pool.others : pool.candidates;
      actions.push_back(Refuse{queue.back(), Refusal::queue_max});
      queue.pop_back();
      --waiting_;
      break;
    }
  }
}

std::size_t PoolPolicy::starting(const Pool& pool) const {
  return static_cast<std::size_t>(std::count_if(pool.children.begin(), pool.children.end(), [&](ChildId id) {
    return children_.at(id).state == State::starting;
  }));
}

void PoolPolicy::refuse_waiting(Pool& pool, Refusal refusal, std::vector<Action>& actions) {
  for (auto* queue : {&pool.candidates, &pool.others}) {
    for (const CallId call : *queue) actions.push_back(Refuse{call, refusal});
    waiting_ -= queue->size();
    queue->clear();
  }
}

void PoolPolicy::assign(CallId call, ChildId id, bool candidate, std::vector<Action>& actions) {
  SessionLoad& load = children_.at(id).load;
  ++load.calls;
  if (candidate) ++load.candidates;
  --waiting_;
  actions.push_back(Assign{call, id});
}

void PoolPolicy::assign_waiting(const PoolKey& key, Pool& pool, std::vector<Action>& actions) {
  if (!open_) return;
  for (const bool candidate : {true, false}) {
    std::deque<CallId>& queue = candidate ? pool.candidates : pool.others;
    while (!queue.empty()) {
      const std::optional<ChildId> child = pick(key, pool, candidate);
      if (!child) break;
      const CallId call = queue.front();
      queue.pop_front();
      assign(call, *child, candidate, actions);
    }
  }
}

void PoolPolicy::serve_queue(const PoolKey& key, Pool& pool, TimePoint now, std::vector<Action>& actions) {
  if (shut_down_) return refuse_waiting(pool, Refusal::failing, actions);
  assign_waiting(key, pool, actions);
  if (pool.waits()) {
    start_children(key, pool, now, actions);
    assign_waiting(key, pool, actions);  // to a child just adopted
  }
}

void PoolPolicy::start_children(const PoolKey& key, Pool& pool, TimePoint now, std::vector<Action>& actions) {
  if (resting_) return;
  std::size_t wanted = pool.children.empty() ? 1 : 0;
  if (exclusive(key)) {
    const std::size_t coming = starting(pool);
    wanted = std::max(wanted, pool.candidates.size() - std::min(pool.candidates.size(), coming));
  }
  for (; wanted > 0; --wanted) {
    if (adopt(key, pool, actions)) continue;
    if (now < not_before_ || (!open_ && failures_ > 0)) {
      if (pool.children.empty() && open_) refuse_waiting(pool, Refusal::failing, actions);
      return;
    }
    if (children_.size() >= limits_.children_max || !has_room() ||
        children_of(key.scope) >= limits_.scope_children_max()) {
      // Without an idle one the calls wait for the next that is.
      make_room(key, actions);
      return;
    }
    spawn(key, pool, actions);
  }
}

std::size_t PoolPolicy::quota(const PoolKey& key, bool with_spare) const {
  std::size_t kept = 0;
  const auto pool = pools_.find(key);
  if (pool != pools_.end() && pool->second.watched) kept = 1;
  if (limits_.warm == 0) return kept;
  const auto at = std::find(recent_.begin(), recent_.end(), key);
  if (at == recent_.end()) return kept;
  if (at != recent_.begin()) return 1;
  // The pool used last has what the others leave.
  return limits_.warm - std::min(limits_.warm, recent_.size()) + (with_spare ? 2 : 1);
}

void PoolPolicy::keep_warm(TimePoint now, std::vector<Action>& actions) {
  if (resting_ || now < not_before_ || (!open_ && failures_ > 0)) return;
  std::vector<PoolKey> keys(recent_.begin(), recent_.end());
  for (const auto& [key, pool] : pools_) {
    if (pool.watched) keys.push_back(key);
  }
  for (const PoolKey& key : keys) {
    const std::size_t kept = quota(key, spare_ && spares_allowed_);
    while (children_.size() < limits_.children_max && has_room()) {
      Pool& pool = pools_[key];
      if (pool.children.size() >= kept) break;
      spawn(key, pool, actions);
    }
  }
}

void PoolPolicy::reap(TimePoint now, std::vector<Action>& actions) {
  for (auto& [id, child] : children_) {
    if (child.retired && idle(child)) stop(id, actions);
    if (child.retired && child.state == State::starting) stop(id, actions);
  }
  for (auto& [key, pool] : pools_) {
    if (pool.waits()) continue;
    const std::size_t kept = quota(key, spare_);
    // The oldest child has the pool's state, so the youngest goes first.
    for (std::size_t i = pool.children.size(); i-- > 0 && pool.children.size() > kept;) {
      const ChildId id = pool.children[i];
      const Child& child = children_.at(id);
      if (idle(child) && child.idle_since + limits_.idle_timeout <= now) stop(id, actions);
    }
  }
}

void PoolPolicy::forget_empty_pools() {
  std::erase_if(pools_, [](const auto& entry) {
    return entry.second.children.empty() && !entry.second.waits() && !entry.second.watched;
  });
}

void PoolPolicy::decide(TimePoint now, std::vector<Action>& actions) {
  spare_ = now < spare_until_;
  if (waiting_ > 0) {
    for (const bool has_none : {true, false}) {
      for (auto& [key, pool] : pools_) {
        if (pool.waits() && pool.children.empty() == has_none) serve_queue(key, pool, now, actions);
      }
    }
    bound_queue(actions);
  }
  give_up_questions(actions);
  if (!shut_down_) keep_warm(now, actions);
  reap(now, actions);
  forget_empty_pools();
}

TimePoint PoolPolicy::next_decision(TimePoint now) const {
  TimePoint next = TimePoint::max();
  if (now < not_before_ && !shut_down_) next = not_before_;
  if (spare_) next = std::min(next, std::max(now, spare_until_));
  if (!has_room() && spare_) next = std::min(next, now + limits_.spare_look_interval);
  if (!has_room() && waiting_ > 0) next = std::min(next, now + limits_.room_look_interval);
  if (!spare_ && now < spare_until_ && limits_.warm > 0 && !shut_down_) next = now;
  for (const auto& [key, pool] : pools_) {
    if (pool.children.size() <= quota(key, spare_)) continue;
    for (const ChildId id : pool.children) {
      const Child& child = children_.at(id);
      if (idle(child)) next = std::min(next, std::max(now, child.idle_since + limits_.idle_timeout));
    }
  }
  return next;
}

std::size_t PoolPolicy::ready_children() const {
  return static_cast<std::size_t>(std::count_if(children_.begin(), children_.end(), [](const auto& entry) {
    return entry.second.state == State::ready && !entry.second.retired;
  }));
}

}  // namespace berth::task::host
