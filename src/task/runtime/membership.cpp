#include "task/runtime/membership.h"

#include <algorithm>

namespace berth::task {

void Membership::on_record(const Member& seen, TimePoint now) {
  if (seen.id == self_id_) return;
  const auto [found, is_new] = entries_.try_emplace(seen.id, Entry{seen, now, now});
  Entry& entry = found->second;
  if (is_new || seen.heartbeat_ms <= entry.member.heartbeat_ms) return;
  const bool is_same_life =
      seen.generation == entry.member.generation && seen.address == entry.member.address;
  if (!is_same_life) {
    entry = Entry{seen, now, now};
    return;
  }
  entry.member = seen;
  entry.last_sign = now;
  entry.hopeless = false;
}

void Membership::on_hello(const Member& from, TimePoint now) {
  if (from.id == self_id_) return;
  Entry& entry = entries_[from.id];
  const std::int64_t known = entry.member.generation == from.generation ? entry.member.heartbeat_ms : 0;
  entry = Entry{from, now, now};
  entry.member.heartbeat_ms = std::max(from.heartbeat_ms, known);
  entry.alive = true;
}

void Membership::on_unreachable(const std::string& id, std::uint64_t generation, TimePoint now) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.member.generation != generation) return;
  Entry& entry = found->second;
  entry.alive = false;
  entry.greeting = false;
  entry.hopeless = true;
  entry.greet_after = now + limits_.greet_again;
}

Membership::Plan Membership::plan(TimePoint now) {
  Plan plan;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    const Duration silence = now - entry.last_sign;
    // Its file may be silent because the volume is; greeting it tells.
    if (silence > limits_.silence_max) entry.alive = false;
    if (!entry.alive && entry.hopeless && silence > limits_.forget_after) {
      plan.forget.push_back(it->first);
      it = entries_.erase(it);
      continue;
    }
    if (!entry.alive && !entry.greeting && !entry.hopeless && now >= entry.greet_after) {
      entry.greeting = true;
      plan.greet.push_back(entry.member);
    }
    ++it;
  }
  return plan;
}

std::vector<Member> Membership::peers() const {
  std::vector<Member> alive;
  for (const auto& [id, entry] : entries_) {
    if (entry.alive) alive.push_back(entry.member);
  }
  return alive;
}

}  // namespace berth::task
