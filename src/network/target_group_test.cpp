#include "network/target_group.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "network/balancer.h"

namespace berth::network {
namespace {

using namespace std::chrono_literals;

Target target(const std::string& id, std::uint16_t port = 3000) { return {id, {"127.0.1.1", port}, "a"}; }

/// A target group in virtual time: `answers` says how each target would answer a probe.
class TargetGroupTest : public ::testing::Test {
 protected:
  TargetGroupTest() { policy.health_check = {"/readyz", 5'000ms, 2'000ms, 2, 2}; }

  TargetGroup& group() {
    if (!group_) group_.emplace(policy);
    return *group_;
  }

  /// Moves time on, answering each probe `latency` after it was decided.
  void advance(Duration duration) {
    const TimePoint until = now + duration;
    while (true) {
      step();
      std::optional<TimePoint> next = wake_;
      for (const auto& [when, key] : pending_) next = std::min(next.value_or(when), when);
      if (!next || *next > until) break;
      now = std::max(now, *next);
      answer_due();
    }
    now = until;
    step();
  }

  void step() {
    TargetDecisions decisions = group().decide(now);
    wake_ = decisions.wake;
    for (const Probe& probe : decisions.probes) {
      ++probes[probe.target.id];
      ids_[probe.key] = probe.target.id;
      pending_.emplace(now + latency, probe.key);
    }
    for (TargetChange& change : decisions.changes) changes.push_back(std::move(change));
  }

  void answer_due() {
    while (!pending_.empty() && pending_.begin()->first <= now) {
      const std::uint64_t key = pending_.begin()->second;
      pending_.erase(pending_.begin());
      const bool healthy = answers[ids_[key]];
      group().on_probe(key, {healthy, healthy ? "" : "GET /readyz answered 503 instead of 200."}, now);
    }
  }

  TargetState state(const std::string& id) {
    for (const TargetHealth& health : group().health()) {
      if (health.target.id == id) return health.state;
    }
    ADD_FAILURE() << id << " is not registered";
    return TargetState::draining;
  }

  std::vector<std::string> routed() {
    std::vector<std::string> out;
    for (const RoutedTarget& routed : group().snapshot()->targets) {
      if (routed.state == TargetState::healthy && !routed.suspect) out.push_back(routed.target.id);
    }
    return out;
  }

  TargetGroupPolicy policy;
  TimePoint now{1h};
  Duration latency = 1ms;
  std::map<std::string, bool> answers;
  std::map<std::string, int> probes;
  std::vector<TargetChange> changes;

 private:
  std::optional<TargetGroup> group_;
  std::multimap<TimePoint, std::uint64_t> pending_;
  std::map<std::uint64_t, std::string> ids_;
  std::optional<TimePoint> wake_;
};

TEST_F(TargetGroupTest, OneSuccessMakesAnInitialTargetHealthy) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  EXPECT_EQ(state("1"), TargetState::initial);
  advance(1ms);
  EXPECT_EQ(state("1"), TargetState::healthy);
  EXPECT_EQ(probes["1"], 1);
}

TEST_F(TargetGroupTest, AStartingTargetIsNoticedWithinASixteenthOfItsAge) {
  for (const Duration start : {40ms, 100ms, 400ms, 1'600ms, 8'000ms}) {
    SCOPED_TRACE(std::chrono::duration_cast<std::chrono::milliseconds>(start).count());
    const std::string id = "after " + std::to_string(start.count());
    ASSERT_TRUE(group().add(target(id), now));
    advance(start);
    EXPECT_EQ(state(id), TargetState::initial);
    answers[id] = true;
    advance(std::max<Duration>(start / 16, 15ms) + 2 * latency);
    EXPECT_EQ(state(id), TargetState::healthy);
    EXPECT_LT(probes[id], 130) << "few probes, however long it takes";
  }
}

TEST_F(TargetGroupTest, ATargetThatNeverAnswersBecomesUnhealthyAfterTheThresholdAndRecoversWithOneSuccess) {
  ASSERT_TRUE(group().add(target("1"), now));
  advance(9'000ms);
  EXPECT_EQ(state("1"), TargetState::initial);
  advance(2'000ms);
  EXPECT_EQ(state("1"), TargetState::unhealthy);
  answers["1"] = true;
  advance(1'000ms);
  EXPECT_EQ(state("1"), TargetState::healthy);
}

TEST_F(TargetGroupTest, AHealthyTargetFallsAndRisesByTheThresholds) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(1ms);
  answers["1"] = false;
  advance(5'001ms);
  EXPECT_EQ(state("1"), TargetState::healthy) << "one failure is not enough";
  advance(5'001ms);
  EXPECT_EQ(state("1"), TargetState::unhealthy);
  EXPECT_EQ(group().health().front().reason, "GET /readyz answered 503 instead of 200.");
  answers["1"] = true;
  advance(5'001ms);
  EXPECT_EQ(state("1"), TargetState::unhealthy) << "one success is not enough";
  advance(5'001ms);
  EXPECT_EQ(state("1"), TargetState::healthy);
  EXPECT_EQ(group().health().front().reason, "");
}

TEST_F(TargetGroupTest, AFlappingTargetKeepsItsStateUntilTheThresholdIsMetInARow) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(1ms);
  for (int i = 0; i < 10; ++i) {
    answers["1"] = i % 2 == 1;
    advance(5'001ms);
    EXPECT_EQ(state("1"), TargetState::healthy);
  }
}

TEST_F(TargetGroupTest, ARefusedConnectionIsProbedAtOnceAndTheProbeIsTheVerdict) {
  ASSERT_TRUE(group().add(target("1"), now));
  ASSERT_TRUE(group().add(target("2"), now));
  answers = {{"1", true}, {"2", true}};
  advance(100ms);
  answers["1"] = false;
  group().on_connect_failed(group().key("1"), now);
  EXPECT_EQ(routed(), (std::vector<std::string>{"2"})) << "passed over while it is suspect";
  EXPECT_EQ(state("1"), TargetState::healthy);
  advance(2ms);
  EXPECT_EQ(state("1"), TargetState::unhealthy);
}

TEST_F(TargetGroupTest, ASuspectThatAnswersItsProbeIsClearedAtOnce) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(100ms);
  group().on_connect_failed(group().key("1"), now);
  EXPECT_TRUE(routed().empty());
  advance(2ms);
  EXPECT_EQ(routed(), (std::vector<std::string>{"1"}));
}

TEST_F(TargetGroupTest, DrainingEndsWhenNothingIsInFlight) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(1ms);
  const std::uint64_t key = group().key("1");
  group().on_outstanding(key, 2);
  group().drain("1", now);
  EXPECT_TRUE(group().snapshot()->targets.empty()) << "no new requests";
  advance(1s);
  EXPECT_TRUE(group().contains(key));
  group().on_outstanding(key, 0);
  advance(1ms);
  EXPECT_FALSE(group().contains(key));
  EXPECT_TRUE(changes.back().gone);
}

TEST_F(TargetGroupTest, DrainingEndsAtTheDeregistrationDelayWhateverIsInFlight) {
  policy.deregistration_delay = 10s;
  ASSERT_TRUE(group().add(target("1"), now));
  group().on_outstanding(group().key("1"), 1);
  group().drain("1", now);
  advance(9'999ms);
  EXPECT_NE(group().key("1"), 0u);
  advance(1ms);
  EXPECT_EQ(group().key("1"), 0u);
}

TEST_F(TargetGroupTest, AnIdIsRegisteredOnceUnlessItIsDraining) {
  ASSERT_TRUE(group().add(target("1"), now));
  const auto again = group().add(target("1", 3001), now);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::conflict);
  EXPECT_EQ(
      again.error().message(),
      "the target '1' is registered already, at 127.0.1.1:3000; deregister it first or choose another id");
  group().on_outstanding(group().key("1"), 1);
  group().drain("1", now);
  const std::uint64_t before = group().key("1");
  EXPECT_TRUE(group().add(target("1", 3001), now));
  EXPECT_NE(group().key("1"), before);
  EXPECT_EQ(state("1"), TargetState::initial);
}

TEST_F(TargetGroupTest, HoldsNoMoreThanItsLimit) {
  policy.targets_max = 2;
  ASSERT_TRUE(group().add(target("1"), now));
  ASSERT_TRUE(group().add(target("2"), now));
  const auto third = group().add(target("3"), now);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::resource_exhausted);
}

TEST_F(TargetGroupTest, AProbeOfATargetThatHasLeftMeanwhileIsIgnored) {
  latency = 100ms;
  ASSERT_TRUE(group().add(target("1"), now));
  advance(50ms);
  group().remove("1");
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(55ms);
  EXPECT_EQ(state("1"), TargetState::initial) << "the first probe asked the earlier one";
}

TEST_F(TargetGroupTest, TheSnapshotStaysTheSameUntilSomethingMatters) {
  ASSERT_TRUE(group().add(target("1"), now));
  answers["1"] = true;
  advance(1ms);
  const auto before = group().snapshot();
  advance(60s);
  EXPECT_EQ(group().snapshot(), before);
  group().drain("1", now);
  EXPECT_NE(group().snapshot(), before);
  EXPECT_GT(group().snapshot()->version, before->version);
}

TEST_F(TargetGroupTest, WhateverHappensItsPromisesHold) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    TargetGroup tested(policy);
    TimePoint time{1h};
    std::multimap<TimePoint, std::uint64_t> pending;
    std::map<std::uint64_t, TimePoint> draining_since;
    for (int i = 0; i < 300; ++i) {
      time += std::chrono::milliseconds(random() % 700);
      const std::string id = std::to_string(random() % 4);
      switch (random() % 7) {
        case 0: (void)tested.add(target(id), time); break;
        case 1: tested.drain(id, time); break;
        case 2: tested.remove(id); break;
        case 3: tested.on_connect_failed(tested.key(id), time); break;
        case 4: tested.on_outstanding(tested.key(id), random() % 3); break;
        default: break;
      }
      while (!pending.empty() && pending.begin()->first <= time) {
        tested.on_probe(pending.begin()->second, {random() % 3 > 0, "no"}, time);
        pending.erase(pending.begin());
      }
      const TargetDecisions decisions = tested.decide(time);
      std::set<std::uint64_t> probed;
      for (const auto& [when, key] : pending) probed.insert(key);
      for (const Probe& probe : decisions.probes) {
        ASSERT_TRUE(probed.insert(probe.key).second || !tested.contains(probe.key)) << "one probe at a time";
        pending.emplace(time + std::chrono::milliseconds(random() % 2000), probe.key);
      }
      std::set<std::string> routed;
      for (const RoutedTarget& one : tested.snapshot()->targets) routed.insert(one.target.id);
      for (const TargetHealth& health : tested.health()) {
        ASSERT_EQ(routed.contains(health.target.id), health.state != TargetState::draining);
        if (health.state != TargetState::draining) {
          draining_since.erase(health.key);
          continue;
        }
        ASSERT_GT(health.outstanding, 0u);
        const auto since = draining_since.try_emplace(health.key, time).first->second;
        ASSERT_LE(time - since, policy.deregistration_delay);
      }
    }
  }
}

std::shared_ptr<const Snapshot> snapshot_of(std::vector<RoutedTarget> targets) {
  return std::make_shared<Snapshot>(Snapshot{1, std::move(targets)});
}

RoutedTarget routed(std::uint64_t key, TargetState state = TargetState::healthy, bool suspect = false) {
  RoutedTarget out;
  out.key = key;
  out.target = target(std::to_string(key));
  out.state = state;
  out.suspect = suspect;
  return out;
}

TEST(Balancer, RoundRobinGivesEachTargetItsTurn) {
  Balancer balancer(model::Balancing::round_robin);
  balancer.adopt(snapshot_of({routed(1), routed(2), routed(3)}));
  std::vector<std::size_t> picked;
  for (int i = 0; i < 7; ++i) picked.push_back(*balancer.pick(TimePoint(1h), {}, {}));
  EXPECT_EQ(picked, (std::vector<std::size_t>{0, 1, 2, 0, 1, 2, 0}));
}

TEST(Balancer, LeastOutstandingRequestsPrefersTheIdlest) {
  Balancer balancer(model::Balancing::least_outstanding_requests);
  balancer.adopt(snapshot_of({routed(1), routed(2), routed(3)}));
  const std::vector<std::size_t> load{3, 1, 2};
  EXPECT_EQ(balancer.pick(TimePoint(1h), {}, load), 1u);
  EXPECT_EQ(balancer.pick(TimePoint(1h), std::vector<std::size_t>{1}, load), 2u);
  const std::vector<std::size_t> even{0, 0, 0};
  std::set<std::size_t> picked;
  for (int i = 0; i < 3; ++i) picked.insert(*balancer.pick(TimePoint(1h), {}, even));
  EXPECT_EQ(picked.size(), 3u) << "equals take turns";
}

TEST(Balancer, PrefersHealthyThenSuspectAndFailsOpenWhenNoneIsHealthy) {
  Balancer balancer(model::Balancing::round_robin);
  using enum TargetState;
  balancer.adopt(
      snapshot_of({routed(1, healthy, true), routed(2, unhealthy), routed(3), routed(4, initial)}));
  EXPECT_EQ(balancer.pick(TimePoint(1h), {}, {}), 2u);
  EXPECT_EQ(balancer.pick(TimePoint(1h), std::vector<std::size_t>{2}, {}), 0u);
  EXPECT_EQ(balancer.pick(TimePoint(1h), std::vector<std::size_t>{2, 0}, {}), std::nullopt)
      << "an unhealthy one is no remedy while a healthy one exists";
  balancer.adopt(snapshot_of({routed(2, unhealthy), routed(4, initial)}));
  EXPECT_EQ(balancer.pick(TimePoint(1h), {}, {}), 0u);
  balancer.adopt(snapshot_of({routed(4, initial)}));
  EXPECT_EQ(balancer.pick(TimePoint(1h), {}, {}), std::nullopt);
  balancer.adopt(snapshot_of({}));
  EXPECT_EQ(balancer.pick(TimePoint(1h), {}, {}), std::nullopt);
}

TEST(Balancer, SlowStartRaisesTheShareLinearly) {
  for (const auto algorithm : {model::Balancing::round_robin}) {
    Balancer balancer(algorithm);
    RoutedTarget fresh = routed(2);
    fresh.slow_start_from = TimePoint(1h);
    fresh.slow_start_until = TimePoint(1h) + 100s;
    balancer.adopt(snapshot_of({routed(1), fresh}));
    for (const int percent : {5, 20, 50, 80, 100}) {
      int of_fresh = 0;
      for (int i = 0; i < 2000; ++i) {
        of_fresh += *balancer.pick(TimePoint(1h) + percent * 1s, {}, {}) == 1 ? 1 : 0;
      }
      const double share = static_cast<double>(of_fresh) / (2000 - of_fresh);
      EXPECT_NEAR(share, percent / 100.0, 0.03) << percent;
    }
  }
}

TEST(Balancer, TargetsThatAllStartSlowlyShareEqually) {
  Balancer balancer(model::Balancing::round_robin);
  std::vector<RoutedTarget> targets{routed(1), routed(2), routed(3)};
  for (RoutedTarget& one : targets) {
    one.slow_start_from = TimePoint(1h);
    one.slow_start_until = TimePoint(2h);
  }
  balancer.adopt(snapshot_of(targets));
  std::map<std::size_t, int> picked;
  for (int i = 0; i < 300; ++i) ++picked[*balancer.pick(TimePoint(1h) + 1s, {}, {})];
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(picked[i], 100) << i;
}

}  // namespace
}  // namespace berth::network
