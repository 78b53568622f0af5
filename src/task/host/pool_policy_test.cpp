#include "task/host/pool_policy.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace berth::task::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

PoolKey key(std::string scope, bool interactive = false) {
  PoolKey made{std::move(scope), {}};
  made.capabilities.elicitation_form = interactive;
  return made;
}

/// A policy and a shorthand for what it decides: "spawn 1 a", "assign 7>1", "refuse 7 queue_max", "stop 1".
class Pools {
 public:
  explicit Pools(PoolLimits limits, PoolKey first = key("a")) : policy(limits, std::move(first)) {}

  std::vector<std::string> decide() {
    std::vector<PoolPolicy::Action> actions;
    policy.decide(now, actions);
    std::vector<std::string> out;
    for (const auto& action : actions) out.push_back(text(action));
    return out;
  }
  static std::string text(const PoolPolicy::Action& action) {
    using P = PoolPolicy;
    if (const auto* a = std::get_if<P::Spawn>(&action))
      return "spawn " + std::to_string(a->child) + " " + a->key.scope;
    if (const auto* a = std::get_if<P::Adopt>(&action))
      return "adopt " + std::to_string(a->child) + " " + a->key.scope;
    if (const auto* a = std::get_if<P::Assign>(&action)) {
      return "assign " + std::to_string(a->call) + ">" + std::to_string(a->child);
    }
    if (const auto* a = std::get_if<P::Stop>(&action)) return "stop " + std::to_string(a->child);
    if (const auto* a = std::get_if<P::GiveUp>(&action)) return "give up " + std::to_string(a->child);
    const auto& refused = std::get<P::Refuse>(action);
    const char* names[] = {"queue_max", "failing"};
    return "refuse " + std::to_string(refused.call) + " " + names[static_cast<int>(refused.refusal)];
  }
  void load(PoolPolicy::ChildId child, std::size_t calls, std::size_t candidates = 0) {
    policy.set_load(child, {.calls = calls, .candidates = candidates}, now);
  }

  PoolPolicy policy;
  TimePoint now = TimePoint{} + std::chrono::hours(1);
};
using Decisions = std::vector<std::string>;

PoolLimits small() {
  PoolLimits limits;
  limits.children_max = 3;
  limits.calls_per_child_max = 2;
  limits.queue_max = 3;
  return limits;
}

TEST(PoolPolicy, starts_one_warm_child_before_anybody_calls) {
  Pools pools(small());
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"});
  EXPECT_EQ(pools.decide(), Decisions{});
}

TEST(PoolPolicy, starts_nothing_without_warm_until_a_call_comes) {
  PoolLimits limits = small();
  limits.warm = 0;
  Pools pools(limits);
  EXPECT_EQ(pools.decide(), Decisions{});
  pools.policy.wait(7, key("a"), true);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"});
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>1"});
}

TEST(PoolPolicy, shares_one_child_in_a_pool_and_lets_more_calls_wait) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 1u);
  pools.load(1, 2, 2);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), std::nullopt);
  pools.policy.wait(7, key("a"), true);
  EXPECT_EQ(pools.decide(), Decisions{}) << "a second child would have another state";
  pools.load(1, 1, 1);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), std::nullopt) << "the queue goes first";
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>1"});
}

TEST(PoolPolicy, keeps_callers_with_other_capabilities_or_principals_apart) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 1);
  pools.load(1, 0);
  pools.policy.wait(7, key("b"), false);
  pools.policy.wait(8, key("a", true), false);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 a", "spawn 3 b"}));
}

TEST(PoolPolicy, gives_a_child_nobody_has_called_to_whoever_comes_first) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.wait(7, key("b"), false);
  EXPECT_EQ(pools.decide(), (Decisions{"adopt 1 b", "assign 7>1"}));
}

TEST(PoolPolicy, names_the_child_with_a_pools_state_and_lets_no_other_pool_have_it) {
  Pools pools(small());
  EXPECT_EQ(pools.policy.use_holder(key("a")), std::nullopt);
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.policy.use_holder(key("a")), 1u);
  pools.policy.wait(7, key("b"), false);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 b"}));
}

TEST(PoolPolicy, keeps_spare_children_for_sessions_to_come) {
  Pools pools(small(), key(""));
  pools.policy.set_one_session_a_pool(true);
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.wait(7, key("session:x"), false);
  EXPECT_EQ(pools.decide(), (Decisions{"adopt 1 session:x", "assign 7>1", "spawn 2 "}));
}

TEST(PoolPolicy, runs_calls_one_at_a_time_a_child_once_the_server_asks) {
  Pools pools(small(), key("a", true));
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 0, 1);
  pools.policy.set_asking();
  EXPECT_EQ(pools.policy.place(key("a", true), true, pools.now), std::nullopt);
  EXPECT_EQ(pools.policy.place(key("a", true), false, pools.now), 1u) << "lists cannot be asked about";
  for (PoolPolicy::CallId call : {7u, 8u, 9u}) pools.policy.wait(call, key("a", true), true);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 a", "spawn 3 a"})) << "children_max";
  pools.policy.child_ready(2, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>2"});
  pools.load(1, 0, 0);
  EXPECT_EQ(pools.decide(), Decisions{"assign 8>1"});
}

TEST(PoolPolicy, ends_the_child_idle_longest_when_another_caller_needs_room) {
  PoolLimits limits = small();
  limits.children_max = 2;
  Pools pools(limits);
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 1, 1);
  pools.policy.wait(7, key("b"), true);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 b"});
  pools.policy.child_ready(2, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>2"});
  pools.load(2, 1, 1);
  pools.policy.wait(8, key("c"), true);
  EXPECT_EQ(pools.decide(), Decisions{}) << "both are busy";
  pools.load(1, 0, 0);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"});
  EXPECT_EQ(pools.decide(), Decisions{}) << "waits until it has gone";
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 3 c"});
}

TEST(PoolPolicy, refuses_what_came_last_when_too_many_wait) {
  Pools pools(small());
  for (PoolPolicy::CallId call : {1u, 2u, 3u, 4u, 5u}) pools.policy.wait(call, key("a"), true);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 1 a", "refuse 5 queue_max", "refuse 4 queue_max"}));
  EXPECT_EQ(pools.policy.waiting(), 3u);
}

TEST(PoolPolicy, refuses_the_newest_call_of_those_who_wait_most) {
  Pools pools(small());
  pools.decide();
  for (PoolPolicy::CallId call : {1u, 2u, 3u}) pools.policy.wait(call, key("b"), false);
  pools.policy.wait(4, key("a"), false);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 b", "refuse 3 queue_max"}));
  EXPECT_EQ(pools.policy.waiting(), 3u);
}

PoolKey rotated(std::string scope, int number) {
  PoolKey made = key(std::move(scope));
  made.capabilities.extensions = std::to_string(number);
  return made;
}

/// One principal's children, each in a pool of its own and ready: as when it rotates its capabilities.
void fill(Pools& pools, const std::string& scope, int children) {
  for (int i = 0; i < children; ++i) {
    pools.policy.wait(static_cast<PoolPolicy::CallId>(100 + i), rotated(scope, i), false);
    for (const std::string& action : pools.decide()) {
      if (action.starts_with("spawn "))
        pools.policy.child_ready(static_cast<PoolPolicy::ChildId>(std::stoi(action.substr(6))), pools.now);
    }
    pools.decide();
    pools.now += seconds(1);
  }
}

PoolLimits four() {
  PoolLimits limits = small();
  limits.children_max = 4;
  limits.queue_max = 100;
  limits.warm = 0;
  return limits;
}

TEST(PoolPolicy, keeps_the_last_of_four_children_for_somebody_else) {
  Pools pools(four());
  fill(pools, "b", 6);
  EXPECT_EQ(pools.policy.children(), 3u);
  EXPECT_EQ(pools.policy.waiting(), 3u) << "they wait, they are not refused";
  pools.policy.wait(7, key("a"), false);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 4 a"});
  pools.load(1, 0);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"}) << "one of its own makes room for the next";
}

TEST(PoolPolicy, starts_no_child_that_memory_has_no_room_for_beside_another) {
  Pools pools(small());
  pools.policy.set_room(0);
  pools.policy.wait(1, key("a"), false);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"}) << "the only one is started whatever it takes";
  pools.policy.child_ready(1, pools.now);
  pools.decide();
  pools.load(1, 1);
  pools.policy.wait(2, key("b"), false);
  EXPECT_EQ(pools.decide(), Decisions{});
  EXPECT_EQ(pools.policy.next_decision(pools.now), pools.now + seconds(1)) << "it is looked again";
  pools.load(1, 0);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"});
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 b"});
}

TEST(PoolPolicy, takes_room_from_the_scope_that_has_most_even_where_it_watches) {
  Pools pools(four());
  pools.policy.wait(1, key("a"), false);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"});
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"assign 1>1"});
  pools.load(1, 1);
  pools.load(1, 0);
  fill(pools, "b", 3);
  ASSERT_EQ(pools.policy.children(), 4u);
  for (int i = 0; i < 3; ++i) {
    pools.policy.set_watched(rotated("b", i), true);
    pools.load(static_cast<PoolPolicy::ChildId>(2 + i), 0);
  }
  pools.policy.wait(8, key("c"), false);
  EXPECT_EQ(pools.decide(), Decisions{"stop 2"}) << "not the one of a, though it is idle for longer";
  pools.policy.child_ended(2, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 5 c"});
}

TEST(PoolPolicy, serves_those_without_a_child_first) {
  Pools pools(four(), key("a", true));
  pools.policy.set_asking();
  for (PoolPolicy::CallId call : {1u, 2u, 3u, 4u, 5u, 6u}) pools.policy.wait(call, key("a", true), true);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 1 a", "spawn 2 a", "spawn 3 a"}));
  for (PoolPolicy::ChildId child : {1u, 2u, 3u}) pools.policy.child_ready(child, pools.now);
  pools.decide();
  pools.policy.wait(7, key("x"), false);
  pools.policy.wait(8, key("y"), false);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 4 x"});
  pools.load(1, 0, 0);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"}) << "for y, although calls of a wait for it too";
}

TEST(PoolPolicy, gives_up_the_oldest_question_of_the_scope_that_asks_most) {
  PoolLimits limits = four();
  limits.children_max = 8;
  Pools pools(limits);
  EXPECT_EQ(limits.asking_children_max(), 6u);
  const auto ask = [&](PoolPolicy::ChildId child) {
    pools.now += seconds(1);
    pools.policy.set_load(child, {.calls = 0, .candidates = 1, .parked = 1}, pools.now);
    return pools.decide();
  };
  const std::vector<std::string> scopes{"a", "b", "b", "b", "b", "b", "c"};
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    const auto child = pools.policy.reserve_child();
    pools.policy.add_ready_child(child, rotated(scopes[i], static_cast<int>(i)), pools.now);
    pools.load(child, 1, 1);
  }
  for (PoolPolicy::ChildId child : {1u, 3u, 2u, 4u, 5u, 6u}) EXPECT_EQ(ask(child), Decisions{});
  EXPECT_EQ(ask(7), Decisions{"give up 3"});
  EXPECT_EQ(pools.decide(), Decisions{}) << "once";
}

TEST(PoolPolicy, restarts_at_once_the_first_time_and_then_ever_later) {
  Pools pools(small());
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"});
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 a"});
  Duration expected = milliseconds(100);
  for (PoolPolicy::ChildId child = 2; child < 16; ++child) {
    pools.policy.child_ended(child, PoolPolicy::End::usual, pools.now);
    EXPECT_EQ(pools.decide(), Decisions{});
    EXPECT_EQ(pools.policy.next_decision(pools.now), pools.now + expected);
    pools.now += expected - milliseconds(1);
    EXPECT_EQ(pools.decide(), Decisions{});
    pools.now += milliseconds(1);
    EXPECT_EQ(pools.decide().size(), 1u);
    expected = std::min<Duration>(expected * 2, seconds(30));
  }
}

TEST(PoolPolicy, fails_calls_at_once_while_it_backs_off) {
  Pools pools(small());
  pools.decide();
  pools.policy.wait(7, key("a"), true);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 a"}) << "the call waits for the second attempt";
  pools.policy.child_ended(2, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"refuse 7 failing"});
}

TEST(PoolPolicy, does_not_let_callers_wait_for_a_second_silent_start) {
  Pools pools(small());
  pools.decide();
  pools.policy.wait(7, key("a"), true);
  pools.policy.child_ended(1, PoolPolicy::End::hopeless, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"refuse 7 failing"});
}

TEST(PoolPolicy, replaces_a_sound_child_at_once_however_often_it_dies) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.child_sound(1, pools.now);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 a", "spawn 3 a"})) << "and lets a spare one stand by";
  for (PoolPolicy::ChildId child = 2; child < 20; ++child) {
    pools.policy.child_ready(child, pools.now);
    pools.policy.child_sound(child, pools.now);
    pools.policy.child_ended(child, PoolPolicy::End::usual, pools.now);
    EXPECT_EQ(pools.decide().size(), 1u);
  }
}

TEST(PoolPolicy, ends_the_spare_when_all_went_well_for_a_while) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.child_sound(1, pools.now);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  pools.decide();
  pools.policy.child_ready(2, pools.now);
  pools.policy.child_ready(3, pools.now);
  pools.now = pools.policy.next_decision(pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"stop 3"});
}

TEST(PoolPolicy, lets_a_spare_stand_by_while_calls_come) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 1);
  pools.load(1, 0);
  EXPECT_EQ(pools.policy.next_decision(pools.now), TimePoint::max()) << "it has not answered yet";
  pools.policy.child_sound(1, pools.now);
  EXPECT_EQ(pools.policy.next_decision(pools.now), pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 a"});
  pools.policy.child_ready(2, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 1u) << "the oldest has the state";
  pools.now += seconds(59);
  pools.load(1, 1);
  pools.load(1, 0);
  pools.now += seconds(59);
  EXPECT_EQ(pools.decide(), Decisions{});
  pools.now += std::chrono::minutes(10);
  EXPECT_EQ(pools.decide(), Decisions{"stop 2"});
}

TEST(PoolPolicy, ends_idle_children_beyond_the_warm_one) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 1);
  pools.load(1, 0);
  pools.policy.wait(7, key("b"), true);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 b"});
  pools.policy.child_ready(2, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>2"});
  pools.load(2, 0, 1);
  pools.now += seconds(599);
  EXPECT_EQ(pools.decide(), Decisions{});
  pools.now += seconds(1);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"}) << "b was used last, so b is kept warm";
  pools.load(2, 0, 0);
  pools.now += std::chrono::hours(5);
  EXPECT_EQ(pools.decide(), Decisions{});
}

TEST(PoolPolicy, keeps_a_child_for_a_pool_whose_resources_are_watched) {
  PoolLimits limits = small();
  limits.warm = 0;
  Pools pools(limits);
  pools.policy.set_watched(key("w"), true);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 w"});
  pools.policy.child_ready(1, pools.now);
  pools.now += std::chrono::hours(1);
  EXPECT_EQ(pools.decide(), Decisions{});
  pools.policy.set_watched(key("w"), false);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"});
}

TEST(PoolPolicy, keeps_the_surplus_of_warm_as_spares_of_the_pool_used_last) {
  PoolLimits limits = small();
  limits.warm = 2;
  Pools pools(limits);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 1 a", "spawn 2 a"}));
  pools.policy.child_ready(2, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 2u);
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 2u) << "an older spare does not take its state";
  pools.policy.child_sound(2, pools.now);
  pools.policy.child_ended(2, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 1u) << "the spare takes over at once";
  EXPECT_EQ(pools.decide().at(0), "spawn 3 a");
}

TEST(PoolPolicy, holds_calls_back_while_shut_and_starts_children_all_the_same) {
  Pools pools(small());
  pools.policy.set_open(false);
  pools.policy.wait(7, key("a"), true);
  EXPECT_EQ(pools.decide(), Decisions{"spawn 1 a"});
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.decide(), Decisions{});
  pools.policy.set_open(true);
  EXPECT_EQ(pools.decide(), Decisions{"assign 7>1"});
}

TEST(PoolPolicy, ends_the_children_of_another_era_once_they_are_idle) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.load(1, 1, 1);
  pools.policy.replace_pools(key("a"));
  EXPECT_EQ(pools.decide(), Decisions{"spawn 2 a"});
  pools.load(1, 0, 0);
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"});
}

TEST(PoolPolicy, retires_the_children_of_a_scope_nobody_will_use_again) {
  Pools pools(small(), key(""));
  pools.policy.set_one_session_a_pool(true);
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.wait(7, key("session:x"), false);
  pools.decide();
  pools.load(1, 0, 0);
  pools.policy.retire_scope("session:x");
  EXPECT_EQ(pools.decide(), Decisions{"stop 1"});
}

TEST(PoolPolicy, refuses_everything_once_shut_down) {
  Pools pools(small());
  pools.policy.shut_down();
  pools.policy.wait(7, key("a"), true);
  EXPECT_EQ(pools.decide(), Decisions{"refuse 7 failing"});
}

/// Drives a policy with random events and checks what must hold whatever happens.
class RandomLife {
 public:
  explicit RandomLife(unsigned seed)
      : random_(seed),
        one_at_a_time_(seed % 2 == 0),
        limits_(make_limits(seed)),
        pools_(limits_, key("0", true)) {
    if (one_at_a_time_) pools_.policy.set_asking();
  }

  void step() {
    pools_.now += milliseconds(random_() % 2000);
    switch (random_() % 6) {
      case 0:
      case 1: call(); break;
      case 2: become_ready(); break;
      case 3: die(); break;
      case 4: withdraw(); break;
      case 5: answer(); break;
    }
    carry_out();
  }

 private:
  static PoolLimits make_limits(unsigned seed) {
    PoolLimits limits = small();
    limits.queue_max = 8;
    limits.warm = seed % 3;
    return limits;
  }
  template <class Container>
  auto any(const Container& from) {
    return std::next(from.begin(), static_cast<std::ptrdiff_t>(random_() % from.size()));
  }
  void report(PoolPolicy::ChildId child) {
    pools_.load(child, running_[child].size(), running_[child].size());
  }

  void call() {
    const PoolKey made = key(std::to_string(random_() % 5), true);
    keys_[next_call_] = made;
    waiting_.insert(next_call_);
    pools_.policy.wait(next_call_++, made, true);
  }
  void become_ready() {
    if (alive_.empty()) return;
    const auto child = any(alive_)->first;
    if (ready_.insert(child).second) pools_.policy.child_ready(child, pools_.now);
  }
  void die() {
    if (alive_.empty() || random_() % 4 != 0) return;
    const auto child = any(alive_)->first;
    alive_.erase(child);
    ready_.erase(child);
    running_.erase(child);
    pools_.policy.child_ended(child, PoolPolicy::End::usual, pools_.now);
  }
  void withdraw() {
    if (waiting_.empty()) return;
    const auto call = *any(waiting_);
    waiting_.erase(call);
    pools_.policy.withdraw(call, keys_[call]);
  }
  void answer() {
    if (alive_.empty()) return;
    const auto child = any(alive_)->first;
    if (running_[child].empty()) return;
    running_[child].erase(running_[child].begin());
    report(child);
  }

  void carry_out() {
    std::vector<PoolPolicy::Action> actions;
    do {
      actions.clear();
      pools_.policy.decide(pools_.now, actions);
      for (const auto& action : actions) check(action);
    } while (!actions.empty());
    EXPECT_LE(alive_.size(), limits_.children_max);
    EXPECT_LE(waiting_.size(), limits_.queue_max);
    EXPECT_EQ(pools_.policy.waiting(), waiting_.size());
  }
  void check(const PoolPolicy::Action& action) {
    if (const auto* a = std::get_if<PoolPolicy::Spawn>(&action)) alive_[a->child] = a->key;
    if (const auto* a = std::get_if<PoolPolicy::Adopt>(&action)) alive_[a->child] = a->key;
    if (const auto* a = std::get_if<PoolPolicy::Refuse>(&action)) EXPECT_EQ(waiting_.erase(a->call), 1u);
    if (const auto* a = std::get_if<PoolPolicy::Stop>(&action)) EXPECT_TRUE(running_[a->child].empty());
    const auto* assigned = std::get_if<PoolPolicy::Assign>(&action);
    if (assigned == nullptr) return;
    EXPECT_EQ(waiting_.erase(assigned->call), 1u);
    EXPECT_TRUE(ready_.contains(assigned->child));
    EXPECT_EQ(keys_[assigned->call], alive_[assigned->child]) << "never to another caller's child";
    auto& calls = running_[assigned->child];
    calls.insert(assigned->call);
    EXPECT_LE(calls.size(), one_at_a_time_ ? 1 : limits_.calls_per_child_max);
    report(assigned->child);
  }

  std::mt19937 random_;
  bool one_at_a_time_;
  PoolLimits limits_;
  Pools pools_;
  std::map<PoolPolicy::ChildId, PoolKey> alive_;
  std::map<PoolPolicy::ChildId, std::set<PoolPolicy::CallId>> running_;
  std::set<PoolPolicy::ChildId> ready_;
  std::set<PoolPolicy::CallId> waiting_;
  std::map<PoolPolicy::CallId, PoolKey> keys_;
  PoolPolicy::CallId next_call_ = 1;
};

TEST(PoolPolicy, never_exceeds_its_limits_and_never_loses_a_call) {
  for (unsigned seed = 0; seed < 60 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    RandomLife life(seed);
    for (int step = 0; step < 400; ++step) life.step();
  }
}

}  // namespace
}  // namespace berth::task::host
