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
    const auto& refused = std::get<P::Refuse>(action);
    const char* names[] = {"children_max", "queue_max", "failing"};
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
  EXPECT_EQ(pools.decide(), Decisions{"refuse 8 children_max"}) << "both are busy";
  pools.load(1, 0, 0);
  pools.policy.wait(9, key("c"), true);
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
  pools.policy.child_sound(1);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.decide(), (Decisions{"spawn 2 a", "spawn 3 a"})) << "and lets a spare one stand by";
  for (PoolPolicy::ChildId child = 2; child < 20; ++child) {
    pools.policy.child_ready(child, pools.now);
    pools.policy.child_sound(child);
    pools.policy.child_ended(child, PoolPolicy::End::usual, pools.now);
    EXPECT_EQ(pools.decide().size(), 1u);
  }
}

TEST(PoolPolicy, ends_the_spare_when_all_went_well_for_a_while) {
  Pools pools(small());
  pools.decide();
  pools.policy.child_ready(1, pools.now);
  pools.policy.child_sound(1);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  pools.decide();
  pools.policy.child_ready(2, pools.now);
  pools.policy.child_ready(3, pools.now);
  pools.now = pools.policy.next_decision(pools.now);
  EXPECT_EQ(pools.decide(), Decisions{"stop 3"});
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
  pools.policy.child_ready(1, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 1u);
  pools.policy.child_sound(1);
  pools.policy.child_ended(1, PoolPolicy::End::usual, pools.now);
  EXPECT_EQ(pools.policy.place(key("a"), true, pools.now), 2u) << "the spare takes over at once";
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
TEST(PoolPolicy, never_exceeds_its_limits_and_never_loses_a_call) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    PoolLimits limits = small();
    limits.queue_max = 8;
    limits.warm = seed % 3;
    Pools pools(limits, key("0", true));
    std::map<PoolPolicy::ChildId, PoolKey> alive;
    std::map<PoolPolicy::ChildId, std::multiset<PoolPolicy::CallId>> running;
    std::set<PoolPolicy::ChildId> ready;
    std::set<PoolPolicy::CallId> waiting;
    std::map<PoolPolicy::CallId, PoolKey> keys;
    PoolPolicy::CallId next_call = 1;
    if (seed % 2 == 0) pools.policy.set_asking();
    const auto report = [&](PoolPolicy::ChildId child) {
      pools.load(child, running[child].size(), running[child].size());
    };
    const auto carry_out = [&] {
      std::vector<PoolPolicy::Action> actions;
      do {
        actions.clear();
        pools.policy.decide(pools.now, actions);
        for (const auto& action : actions) {
          if (const auto* a = std::get_if<PoolPolicy::Spawn>(&action)) alive[a->child] = a->key;
          if (const auto* a = std::get_if<PoolPolicy::Adopt>(&action)) alive[a->child] = a->key;
          if (const auto* a = std::get_if<PoolPolicy::Refuse>(&action)) ASSERT_EQ(waiting.erase(a->call), 1u);
          if (const auto* a = std::get_if<PoolPolicy::Stop>(&action)) ASSERT_TRUE(running[a->child].empty());
          if (const auto* a = std::get_if<PoolPolicy::Assign>(&action)) {
            ASSERT_EQ(waiting.erase(a->call), 1u);
            ASSERT_TRUE(ready.contains(a->child));
            ASSERT_EQ(keys[a->call], alive[a->child]) << "never to another caller's child";
            running[a->child].insert(a->call);
            ASSERT_LE(running[a->child].size(), limits.calls_per_child_max);
            if (seed % 2 == 0) ASSERT_EQ(running[a->child].size(), 1u);
            report(a->child);
          }
        }
      } while (!actions.empty());
      ASSERT_LE(alive.size(), limits.children_max);
      ASSERT_LE(waiting.size(), limits.queue_max);
      ASSERT_EQ(pools.policy.waiting(), waiting.size());
    };
    const auto any = [&](const auto& from) {
      return std::next(from.begin(), static_cast<std::ptrdiff_t>(random() % from.size()));
    };
    for (int step = 0; step < 400; ++step) {
      pools.now += milliseconds(random() % 2000);
      switch (random() % 6) {
        case 0:
        case 1: {
          const PoolKey made = key(std::to_string(random() % 5), true);
          keys[next_call] = made;
          waiting.insert(next_call);
          pools.policy.wait(next_call++, made, true);
          break;
        }
        case 2:
          if (alive.empty()) break;
          if (const auto child = any(alive)->first; ready.insert(child).second) {
            pools.policy.child_ready(child, pools.now);
          }
          break;
        case 3: {
          if (alive.empty() || random() % 4 != 0) break;
          const auto child = any(alive)->first;
          alive.erase(child);
          ready.erase(child);
          running.erase(child);
          pools.policy.child_ended(child, PoolPolicy::End::usual, pools.now);
          break;
        }
        case 4:
          if (waiting.empty()) break;
          if (const auto call = *any(waiting); waiting.erase(call) == 1)
            pools.policy.withdraw(call, keys[call]);
          break;
        case 5:
          if (alive.empty()) break;
          if (const auto child = any(alive)->first; !running[child].empty()) {
            running[child].erase(running[child].begin());
            report(child);
          }
          break;
      }
      carry_out();
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace berth::task::host
