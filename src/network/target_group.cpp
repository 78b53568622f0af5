#include "network/target_group.h"

#include <algorithm>
#include <utility>

namespace berth::network {

std::string_view to_string(TargetState state) {
  switch (state) {
    case TargetState::initial: return "initial";
    case TargetState::healthy: return "healthy";
    case TargetState::unhealthy: return "unhealthy";
    case TargetState::draining: return "draining";
  }
  return "initial";
}

TargetGroup::TargetGroup(TargetGroupPolicy policy) : policy_(std::move(policy)) {}

Result<void> TargetGroup::add(Target target, TimePoint now) {
  if (const Entry* const known = find(target.id)) {
    if (known->state != TargetState::draining) {
      return fail(ErrorCode::conflict, "the target '" + target.id + "' is registered already, at " +
                                           net::to_string(known->target.endpoint) +
                                           "; deregister it first or choose another id");
    }
    remove(target.id);
  }
  if (entries_.size() >= policy_.targets_max) {
    return fail(ErrorCode::resource_exhausted,
                "the target group holds " + std::to_string(policy_.targets_max) +
                    " targets, which is its limit; deregister one before adding '" + target.id + "'");
  }
  Entry entry;
  entry.key = next_key_++;
  entry.target = std::move(target);
  entry.registered = entry.since = entry.next_probe = now;
  entry.reason = "no health check has succeeded yet";
  entries_.push_back(std::move(entry));
  touch();
  return {};
}

void TargetGroup::drain(std::string_view id, TimePoint now) {
  Entry* const entry = find(id);
  if (entry == nullptr || entry->state == TargetState::draining) return;
  entry->drain_until = now + policy_.deregistration_delay;
  set_state(*entry, TargetState::draining, "deregistered; finishing the requests in flight", now);
}

void TargetGroup::remove(std::string_view id) {
  Entry* const entry = find(id);
  if (entry == nullptr) return;
  leave(*entry);
  std::erase_if(entries_, [key = entry->key](const Entry& other) { return other.key == key; });
  touch();
}

void TargetGroup::leave(const Entry& entry) {
  changes_.push_back({entry.target, entry.state, TargetState::draining, true, "left the target group"});
}

void TargetGroup::on_probe(std::uint64_t key, ProbeOutcome outcome, TimePoint now) {
  Entry* const entry = find(key);
  if (entry == nullptr || !entry->probing) return;
  entry->probing = false;
  entry->next_probe = now + probe_interval(*entry, now);
  if (entry->state == TargetState::draining) return;
  if (outcome.healthy) {
    on_success(*entry, now);
  } else {
    on_failure(*entry, std::move(outcome.problem), now);
  }
}

void TargetGroup::on_success(Entry& entry, TimePoint now) {
  entry.failures = 0;
  ++entry.successes;
  if (entry.suspect) {
    entry.suspect = false;
    touch();
  }
  if (entry.state == TargetState::healthy) return;
  // A target that was never healthy needs one success, whatever its state says; a recovering one the
  // threshold.
  if (entry.ever_healthy && entry.successes < policy_.health_check.healthy_threshold) return;
  entry.ever_healthy = true;
  entry.slow_start_from = now;
  set_state(entry, TargetState::healthy, {}, now);
  entry.next_probe = now + probe_interval(entry, now);
}

void TargetGroup::on_failure(Entry& entry, std::string problem, TimePoint now) {
  entry.successes = 0;
  ++entry.failures;
  const auto& check = policy_.health_check;
  if (entry.state == TargetState::unhealthy) {
    entry.reason = std::move(problem);
    return;
  }
  if (entry.state == TargetState::initial) {
    // Probes are frequent at first and a refused one says only "not yet": time decides instead of their
    // number.
    const Duration patience = check.interval * static_cast<std::int64_t>(check.unhealthy_threshold);
    entry.reason = std::move(problem);
    if (now - entry.registered >= patience) {
      set_state(entry, TargetState::unhealthy, std::move(entry.reason), now);
    }
    return;
  }
  // Refused connections and a failed probe agree: that is verdict enough.
  if (entry.suspect || entry.failures >= check.unhealthy_threshold) {
    set_state(entry, TargetState::unhealthy, std::move(problem), now);
  }
}

void TargetGroup::on_connect_failed(std::uint64_t key, TimePoint now) {
  Entry* const entry = find(key);
  if (entry == nullptr || entry->state != TargetState::healthy) return;
  if (!entry->suspect) touch();
  entry->suspect = true;
  entry->next_probe = now;
}

void TargetGroup::on_outstanding(std::uint64_t key, std::size_t count) {
  if (Entry* const entry = find(key)) entry->outstanding = count;
}

Duration TargetGroup::probe_interval(const Entry& entry, TimePoint now) const {
  const Duration interval = policy_.health_check.interval;
  if (entry.ever_healthy) return interval;
  return std::clamp((now - entry.registered) / 16, std::min(policy_.initial_interval, interval), interval);
}

void TargetGroup::set_state(Entry& entry, TargetState state, std::string reason, TimePoint now) {
  changes_.push_back({entry.target, entry.state, state, false, reason});
  entry.state = state;
  entry.since = now;
  entry.reason = std::move(reason);
  entry.suspect = false;
  entry.successes = 0;
  entry.failures = 0;
  touch();
}

TargetDecisions TargetGroup::decide(TimePoint now) {
  TargetDecisions decisions;
  const auto wake_by = [&decisions](TimePoint when) {
    decisions.wake = decisions.wake ? std::min(*decisions.wake, when) : when;
  };
  const std::size_t before = entries_.size();
  std::erase_if(entries_, [&](const Entry& entry) {
    const bool done =
        entry.state == TargetState::draining && (entry.outstanding == 0 || entry.drain_until <= now);
    if (done) leave(entry);
    return done;
  });
  if (entries_.size() != before) touch();
  for (Entry& entry : entries_) {
    if (entry.state == TargetState::draining) {
      wake_by(entry.drain_until);
      continue;
    }
    if (entry.probing) continue;
    if (entry.next_probe > now) {
      wake_by(entry.next_probe);
      continue;
    }
    entry.probing = true;
    const auto& check = policy_.health_check;
    decisions.probes.push_back({entry.key, entry.target, check.path, check.timeout});
  }
  decisions.changes = std::exchange(changes_, {});
  return decisions;
}

std::shared_ptr<const Snapshot> TargetGroup::snapshot() const {
  if (snapshot_) return snapshot_;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->version = ++version_;
  for (const Entry& entry : entries_) {
    if (entry.state == TargetState::draining) continue;
    snapshot->targets.push_back({entry.key, entry.target, entry.state, entry.suspect, entry.slow_start_from,
                                 entry.slow_start_from + policy_.slow_start});
  }
  snapshot_ = std::move(snapshot);
  return snapshot_;
}

std::vector<TargetHealth> TargetGroup::health() const {
  std::vector<TargetHealth> out;
  for (const Entry& entry : entries_) {
    out.push_back(
        {entry.target, entry.state, entry.reason, entry.suspect, entry.since, entry.key, entry.outstanding});
  }
  return out;
}

std::uint64_t TargetGroup::key(std::string_view id) const {
  const auto found =
      std::ranges::find_if(entries_, [id](const Entry& entry) { return entry.target.id == id; });
  return found == entries_.end() ? 0 : found->key;
}

bool TargetGroup::contains(std::uint64_t key) const {
  return std::ranges::find(entries_, key, &Entry::key) != entries_.end();
}

TargetGroup::Entry* TargetGroup::find(std::string_view id) {
  const auto found =
      std::ranges::find(entries_, id, [](const Entry& entry) -> std::string_view { return entry.target.id; });
  return found == entries_.end() ? nullptr : &*found;
}

TargetGroup::Entry* TargetGroup::find(std::uint64_t key) {
  const auto found = std::ranges::find(entries_, key, &Entry::key);
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace berth::network
