#include "task/home/home_table.h"

#include <algorithm>

#include "base/rendezvous.h"

namespace berth::task {

namespace {

/// Whom a key is of: all but the client.
std::string_view without_client(std::string_view key) { return key.substr(0, key.rfind('\n')); }

const TaskIdentity* find_life(HomeTable::Sisters sisters, const TaskIdentity& wanted) {
  const auto at =
      std::ranges::find_if(sisters, [&](const TaskIdentity& sister) { return is_same_life(sister, wanted); });
  return at == sisters.end() ? nullptr : &*at;
}

}  // namespace

std::string home_key(std::string_view server, std::string_view principal, std::string_view client) {
  std::string key;
  key.reserve(server.size() + principal.size() + client.size() + 2);
  key.append(server).append(1, '\n').append(principal).append(1, '\n').append(client);
  return key;
}

std::string sole_home_key(std::string_view server) { return home_key(server, {}, {}); }

std::shared_ptr<Home> HomeTable::find(std::string_view key, TimePoint now) {
  const auto at = own_.find(key);
  if (at == own_.end()) return nullptr;
  Own& own = at->second;
  if (is_draining_ && own.home->calls == 0) return nullptr;
  own.used = now;
  own.by_use->splice(own.by_use->end(), *own.by_use, own.place);
  return own.home;
}

std::optional<TaskIdentity> HomeTable::known_at(std::string_view key, Sisters sisters) const {
  const auto at = elsewhere_.find(key);
  if (at == elsewhere_.end()) return std::nullopt;
  const TaskIdentity* const alive = find_life(sisters, at->second.owner);
  return alive == nullptr ? std::nullopt : std::optional(*alive);
}

TaskIdentity HomeTable::choose(std::string_view key, Sisters sisters,
                               std::span<const std::string> tried) const {
  std::vector<const TaskIdentity*> candidates;
  std::vector<std::string> names;
  const auto add = [&](const TaskIdentity& task) {
    candidates.push_back(&task);
    names.push_back(task.id);
  };
  if (!is_draining_) add(self_);
  for (const TaskIdentity& sister : sisters) {
    const bool was_tried = std::ranges::find(tried, sister.id) != tried.end();
    if (!was_tried && !draining_sisters_.contains(life_of(sister))) add(sister);
  }
  return candidates.empty() ? self_ : *candidates[rendezvous_order(key, names).front()];
}

bool HomeTable::prefers_this_task(std::string_view key, const std::string& other) const {
  const std::string names[] = {self_.id, other};
  return rendezvous_order(key, names).front() == 0;
}

HomeTable::Answer HomeTable::answer(std::string_view key, const std::string& asker, TimePoint now) {
  const bool is_asking = !is_draining_ && asking_.contains(key);
  const bool is_claiming = is_asking && prefers_this_task(key, asker);
  if (is_claiming || find(key, now)) return {.is_here = true};
  if (is_asking) ++outbids_;
  const auto own = own_.find(key);
  return {.had_state = elsewhere_.contains(key) || (own != own_.end() && has_state(*own->second.home))};
}

std::shared_ptr<Home> HomeTable::claim(const std::string& key, bool had_state, TimePoint now) {
  auto at = own_.find(key);
  if (at == own_.end()) {
    const std::string_view principal = without_client(key);
    make_room(principal, now);
    ByUse& of_principal = by_principal_[std::string(principal)];
    auto home = std::make_shared<Home>();
    home->key = key;
    home->is_lost = had_state || elsewhere_.contains(key);
    const auto place = of_principal.insert(of_principal.end(), home);
    at = own_.emplace(key, Own{std::move(home), &of_principal, place, now}).first;
  }
  forget_elsewhere(key);
  at->second.used = now;
  return at->second.home;
}

/// In a full table whoever has the most homes gives one up.
void HomeTable::make_room(std::string_view principal, TimePoint now) {
  while (forget_idle(principal, Age::past, now)) {
  }
  const auto own = by_principal_.find(principal);
  if (own != by_principal_.end() && own->second.size() >= limits_.of_principal_max)
    forget_idle(principal, Age::any, now);
  if (own_.size() < limits_.homes_max) return;
  const auto most =
      std::ranges::max_element(by_principal_, {}, [](const auto& entry) { return entry.second.size(); });
  forget_idle(std::string(most->first), Age::any, now);
}

/// Forgets the home of `principal` that was idle for longest.
bool HomeTable::forget_idle(std::string_view principal, Age age, TimePoint now) {
  const auto homes = by_principal_.find(principal);
  if (homes == by_principal_.end()) return false;
  const auto idle = std::ranges::find_if(homes->second, [](const auto& home) { return home->calls == 0; });
  if (idle == homes->second.end()) return false;
  const auto own = own_.find((*idle)->key);
  if (age == Age::past && now - own->second.used < limits_.kept) return false;
  forget(own);
  return true;
}

void HomeTable::forget(Owns::iterator own) {
  own->second.by_use->erase(own->second.place);
  if (own->second.by_use->empty()) by_principal_.erase(by_principal_.find(without_client(own->first)));
  own_.erase(own);
}

void HomeTable::forget_elsewhere(std::string_view key) {
  const auto at = elsewhere_.find(key);
  if (at == elsewhere_.end()) return;
  by_age_.erase(at->second.age);
  elsewhere_.erase(at);
}

void HomeTable::learn(const std::string& key, const TaskIdentity& owner, Sisters sisters, TimePoint now) {
  const bool is_going = draining_sisters_.contains(life_of(owner));
  if (is_going && (own_.contains(key) || known_at(key, sisters))) return;
  if (const auto own = own_.find(key); own != own_.end()) {
    // Two tasks that did not hear each other made a home: hashing decides which of them it is.
    const bool stays = !is_draining_ && prefers_this_task(key, owner.id);
    own->second.home->is_contested = !stays;
    if (stays || own->second.home->calls > 0) return;
    forget(own);
  }
  remember(key, owner, now);
}

void HomeTable::remember(const std::string& key, const TaskIdentity& owner, TimePoint now) {
  forget_elsewhere(key);
  while (!by_age_.empty() && (elsewhere_.size() >= limits_.homes_max ||
                              now - elsewhere_.find(by_age_.front())->second.heard >= limits_.kept)) {
    forget_elsewhere(std::string(by_age_.front()));
  }
  elsewhere_.emplace(key, Remembered{owner, by_age_.insert(by_age_.end(), key), now});
}

void HomeTable::set_draining(const TaskIdentity& sister, Sisters sisters) {
  std::erase_if(draining_sisters_, [&](const auto& life) {
    return std::ranges::none_of(sisters, [&](const TaskIdentity& one) { return life_of(one) == life; });
  });
  draining_sisters_.insert(life_of(sister));
}

void HomeTable::give_up(std::string_view server, TimePoint now) {
  const std::string prefix = std::string(server) + "\n";
  for (auto at = own_.lower_bound(prefix); at != own_.end() && at->first.starts_with(prefix);) {
    const auto own = at++;
    const std::string key = own->first;
    const bool had_state = has_state(*own->second.home);
    forget(own);
    if (had_state) remember(key, self_, now);
  }
}

std::vector<std::string> HomeTable::legacy(Sisters sisters) const {
  std::vector<std::string> keys;
  for (const auto& [key, own] : own_) {
    if (has_state(*own.home)) keys.push_back(key);
  }
  for (const auto& [key, remembered] : elsewhere_) {
    if (find_life(sisters, remembered.owner) == nullptr) keys.push_back(key);
  }
  return keys;
}

HomeLoad HomeTable::load(std::string_view server) const {
  const std::string prefix = std::string(server) + "\n";
  const std::string nobody = sole_home_key(server);
  HomeLoad load;
  for (auto at = own_.lower_bound(prefix); at != own_.end() && at->first.starts_with(prefix); ++at) {
    if (at->first == nobody) continue;
    const std::uint64_t calls = at->second.home->calls_begun;
    const std::size_t homes = at->second.by_use->size();
    const std::string_view principal = without_client(at->first).substr(prefix.size());
    ++load.homes;
    load.calls += calls;
    if (calls > load.busiest_calls) {
      load.busiest_calls = calls;
      load.busiest = principal;
    }
    if (homes > load.holder_homes) {
      load.holder_homes = homes;
      load.holder = principal;
    }
  }
  return load;
}

std::size_t HomeTable::count(std::string_view server) const {
  const std::string prefix = std::string(server) + "\n";
  const std::string nobody = sole_home_key(server);
  std::size_t sum = 0;
  for (auto at = own_.lower_bound(prefix); at != own_.end() && at->first.starts_with(prefix); ++at)
    sum += at->first == nobody ? 0 : 1;
  return sum;
}

}  // namespace berth::task
