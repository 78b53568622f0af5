#include "task/runtime/membership.h"

#include <gtest/gtest.h>

#include <random>

namespace berth::task {
namespace {

using namespace std::chrono_literals;

class FleetMembership : public ::testing::Test {
 protected:
  static Member member(std::string id, std::uint64_t generation = 1, std::int64_t heartbeat = 1) {
    return {id, "10.0.0." + id + ":3001", generation, "a", "1.0", heartbeat};
  }
  std::string peers() const {
    std::string text;
    for (const Member& peer : membership.peers())
      text += peer.id + "@" + std::to_string(peer.generation) + " ";
    return text;
  }
  std::string plan() {
    std::string text;
    const auto planned = membership.plan(now);
    for (const Member& greeted : planned.greet) text += "greet " + greeted.id + " ";
    for (const std::string& id : planned.forget) text += "forget " + id + " ";
    return text;
  }

  TimePoint now{1h};
  Membership membership{"1", {}};
};

TEST_F(FleetMembership, ARecordIsGreetedOnceAndAnAnswerMakesAPeer) {
  membership.on_record(member("2"), now);
  EXPECT_EQ(peers(), "");
  EXPECT_EQ(plan(), "greet 2 ");
  EXPECT_EQ(plan(), "");
  membership.on_hello(member("2"), now);
  EXPECT_EQ(peers(), "2@1 ");
  EXPECT_EQ(plan(), "");
}

TEST_F(FleetMembership, WhoGreetsUsIsAPeerAtOnce) {
  membership.on_hello(member("3"), now);
  membership.on_hello(member("2"), now);
  EXPECT_EQ(peers(), "2@1 3@1 ");
  EXPECT_EQ(plan(), "");
}

TEST_F(FleetMembership, OurOwnRecordsAreNobody) {
  membership.on_record(member("1", 7), now);
  membership.on_hello(member("1", 7), now);
  EXPECT_EQ(plan(), "");
  EXPECT_EQ(peers(), "");
}

TEST_F(FleetMembership, APeerLivesAsLongAsItsHeartbeatAdvances) {
  membership.on_hello(member("2"), now);
  for (int beat = 2; beat < 30; ++beat) {
    now += 5s;
    membership.on_record(member("2", 1, beat), now);
    EXPECT_EQ(plan(), "");
    EXPECT_EQ(peers(), "2@1 ");
  }
  for (int second = 0; second < 10; ++second) {
    now += 1s;
    membership.on_record(member("2", 1, 29), now);
    plan();
  }
  EXPECT_EQ(peers(), "2@1 ");
  now += 1s;
  EXPECT_EQ(plan(), "greet 2 ");
  EXPECT_EQ(peers(), "");
  membership.on_hello(member("2", 1, 29), now);
  EXPECT_EQ(peers(), "2@1 ");
}

TEST_F(FleetMembership, ADeadMembersFileIsNotGreetedAgainUntilItBeats) {
  membership.on_record(member("2"), now);
  EXPECT_EQ(plan(), "greet 2 ");
  membership.on_unreachable("2", 1, now);
  now += 1min;
  membership.on_record(member("2"), now);
  EXPECT_EQ(plan(), "");
  membership.on_record(member("2", 1, 2), now);
  EXPECT_EQ(plan(), "greet 2 ");
  membership.on_unreachable("2", 1, now);
  membership.on_record(member("2", 1, 3), now);
  EXPECT_EQ(plan(), "");
  now += 5s;
  EXPECT_EQ(plan(), "greet 2 ");
}

TEST_F(FleetMembership, ANewLifeReplacesTheOldAndItsFailuresAreItsOwn) {
  membership.on_hello(member("2", 1, 10), now);
  membership.on_record(member("2", 2, 11), now);
  EXPECT_EQ(peers(), "");
  EXPECT_EQ(plan(), "greet 2 ");
  membership.on_unreachable("2", 1, now);
  membership.on_hello(member("2", 2, 11), now);
  EXPECT_EQ(peers(), "2@2 ");
  membership.on_record(member("2", 1, 10), now);
  membership.on_unreachable("2", 1, now);
  EXPECT_EQ(peers(), "2@2 ");
}

TEST_F(FleetMembership, AConnectionRefusedDropsAPeerAtOnce) {
  membership.on_hello(member("2"), now);
  membership.on_unreachable("2", 1, now);
  EXPECT_EQ(peers(), "");
}

TEST_F(FleetMembership, ALongSilentMemberIsForgotten) {
  membership.on_record(member("2"), now);
  plan();
  membership.on_unreachable("2", 1, now);
  now += 1h;
  EXPECT_EQ(plan(), "");
  now += 1s;
  EXPECT_EQ(plan(), "forget 2 ");
  EXPECT_EQ(plan(), "");
}

TEST_F(FleetMembership, WhateverHappensPeersHaveGivenASignOfLifeLately) {
  std::mt19937 random(11);
  const auto below = [&](int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random); };
  std::map<std::string, TimePoint> signs;
  std::map<std::string, std::int64_t> beats;
  for (int step = 0; step < 5000; ++step) {
    now += std::chrono::milliseconds(below(3000));
    const std::string id = std::to_string(1 + below(5));
    const auto generation = static_cast<std::uint64_t>(1 + below(2));
    switch (below(3)) {
      case 0:
        membership.on_record(member(id, generation, ++beats[id]), now);
        signs[id] = now;
        break;
      case 1:
        membership.on_hello(member(id, generation, ++beats[id]), now);
        signs[id] = now;
        break;
      default: membership.on_unreachable(id, generation, now);
    }
    const auto planned = membership.plan(now);
    for (const Member& peer : membership.peers()) {
      ASSERT_NE(peer.id, "1");
      ASSERT_LE(now - signs.at(peer.id), 10s);
    }
    for (const Member& greeted : planned.greet) ASSERT_NE(greeted.id, "1");
  }
}

TEST(FleetMember, RecordsSurviveTheirJson) {
  const Member member{"task-1", "[::1]:3001", 0xfedcba9876543210, "a \"zone\"", "1.0", 1795305600123, 0xab};
  const std::string text = to_json(member);
  EXPECT_EQ(text,
            R"({"id":"task-1","address":"[::1]:3001","generation":"fedcba9876543210",)"
            R"("zone":"a \"zone\"","version":"1.0","heartbeat":1795305600123,"whole":"00000000000000ab"})");
  EXPECT_EQ(parse_member(json::parse(text).value()).value(), member);
}

TEST(FleetMember, RecordsThatAreBrokenAreRefused) {
  for (const std::string_view text :
       {"1", "{}", R"({"id":"../x","address":"a","generation":"1","heartbeat":1})",
        R"({"id":"x","address":"a","generation":"g","heartbeat":1})",
        R"({"id":"x","address":"a","generation":"1","heartbeat":"1"})",
        R"({"id":"x","address":1,"generation":"1","heartbeat":1})"}) {
    EXPECT_FALSE(parse_member(json::parse(text).value())) << text;
  }
  EXPECT_FALSE(is_member_id(""));
  EXPECT_FALSE(is_member_id(".x"));
  EXPECT_FALSE(is_member_id(std::string(65, 'x')));
}

}  // namespace
}  // namespace berth::task
