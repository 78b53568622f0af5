#include "base/memory_account.h"

#include <gtest/gtest.h>

#include <optional>

namespace berth {
namespace {

using Kind = MemoryAccount::Kind;

TEST(MemoryAccount, LetsOnePrincipalHoldHalf) {
  MemoryAccount account(1000);
  auto alice = account.open("alice", Kind::answer);
  EXPECT_TRUE(alice.grow(500));
  EXPECT_FALSE(alice.grow(1));
  EXPECT_EQ(account.held(), 500u);
  EXPECT_EQ(account.refused(Kind::answer), 1u);
}

TEST(MemoryAccount, RefusesTheOneThatHoldsMostFirst) {
  MemoryAccount account(1000);
  auto alice = account.open("alice", Kind::answer);
  auto bob = account.open("bob", Kind::request);
  ASSERT_TRUE(alice.grow(500));
  EXPECT_TRUE(bob.grow(250));
  EXPECT_FALSE(bob.grow(1));
  EXPECT_FALSE(alice.grow(1));
  alice.shrink(100);
  EXPECT_FALSE(alice.grow(1)) << "bob has a share now";
  EXPECT_TRUE(bob.grow(1));
  EXPECT_TRUE(account.open("carol", Kind::session).grow(1));
  EXPECT_TRUE(alice.take_message(MemoryAccount::small_bytes_max)) << "in any case";
  EXPECT_FALSE(alice.take_message(MemoryAccount::small_bytes_max + 1));
}

TEST(MemoryAccount, AddsUpTheChargesOfOnePrincipal) {
  MemoryAccount account(1000);
  auto body = account.open("alice", Kind::request);
  auto answer = body.sibling(Kind::answer);
  ASSERT_TRUE(body.grow(300));
  EXPECT_FALSE(answer.grow(201));
  EXPECT_TRUE(answer.grow(200));
  EXPECT_EQ(answer.held(Kind::request), 300u);
  EXPECT_EQ(answer.held(), 500u);
  EXPECT_EQ(account.held(Kind::answer), 200u);
}

TEST(MemoryAccount, GivesBackWhatAChargeHeld) {
  MemoryAccount account(1000);
  {
    auto charge = account.open("alice", Kind::request);
    ASSERT_TRUE(charge.grow(400));
    auto taken = std::make_optional(charge.take());
    EXPECT_EQ(charge.bytes(), 0u);
    EXPECT_EQ(taken->bytes(), 400u);
    EXPECT_EQ(account.held(), 400u);
    const MemoryAccount::Charge moved = *std::move(taken);
    taken.reset();
    EXPECT_EQ(account.held(), 400u);
  }
  EXPECT_EQ(account.held(), 0u);
}

TEST(MemoryAccount, RemembersTheMostThatWasHeld) {
  MemoryAccount account(1000);
  auto charge = account.open("alice", Kind::answer);
  charge.add(300);
  charge.shrink(200);
  EXPECT_EQ(account.peak(), 300u);
  account.forget_peak();
  EXPECT_EQ(account.peak(), 100u);
}

TEST(MemoryAccount, CountsInAnyCaseWhatIsThere) {
  MemoryAccount account(1000);
  auto charge = account.open("alice", Kind::session);
  charge.add(1200);
  EXPECT_EQ(account.held(), 1200u);
  EXPECT_FALSE(account.open("bob", Kind::session).grow(1));
}

TEST(MemoryAccount, IsTightAtTwoThirdsOfAShare) {
  MemoryAccount account(1200);
  auto alice = account.open("alice", Kind::answer);
  ASSERT_TRUE(alice.grow(399));
  EXPECT_FALSE(account.is_tight("alice"));
  ASSERT_TRUE(alice.grow(1));
  EXPECT_TRUE(account.is_tight("alice"));
  EXPECT_FALSE(account.is_tight("bob"));
  EXPECT_FALSE(account.is_tight(""));
  alice.add(500);
  EXPECT_TRUE(account.is_tight("")) << "three quarters of everything";
}

TEST(MemoryAccount, TellsWatchersWhatIsGivenBack) {
  MemoryAccount account(1000);
  auto charge = account.open("alice", Kind::answer);
  ASSERT_TRUE(charge.grow(10));
  int told = 0;
  {
    const MemoryAccount::Watch watch(account, [&] { ++told; });
    charge.shrink(5);
    EXPECT_EQ(told, 1);
    EXPECT_TRUE(charge.grow(1));
    EXPECT_EQ(told, 1);
  }
  charge.shrink(5);
  EXPECT_EQ(told, 1);
}

TEST(MemoryAccount, ForgetsPrincipalsThatHoldNothingOnceTheyAreMany) {
  MemoryAccount account(1'000'000);
  auto kept = account.open("kept", Kind::session);
  ASSERT_TRUE(kept.grow(7));
  for (int i = 0; i < 5000; ++i) static_cast<void>(account.open(std::to_string(i), Kind::request));
  EXPECT_EQ(account.open("kept", Kind::answer).held(), 7u);
}

}  // namespace
}  // namespace berth
