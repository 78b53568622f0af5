#include "task/runtime/wrong_keys.h"

#include <gtest/gtest.h>

namespace berth::task {
namespace {

using namespace std::chrono_literals;

TEST(WrongKeys, AnAddressMaySendAFewAndThenOneEveryThreeSeconds) {
  WrongKeys wrong;
  TimePoint now{1h};
  for (std::size_t i = 0; i < WrongKeys::burst; ++i) EXPECT_FALSE(wrong.count("192.0.2.1", now));
  EXPECT_EQ(wrong.count("192.0.2.1", now), Duration(3s));
  EXPECT_FALSE(wrong.count("192.0.2.2", now)) << "others are not slowed";
  now += 3s;
  EXPECT_FALSE(wrong.count("192.0.2.1", now));
  EXPECT_TRUE(wrong.count("192.0.2.1", now));
}

TEST(WrongKeys, OneHostHasOneShareOfItsIpv6Network) {
  WrongKeys wrong;
  const TimePoint now{1h};
  for (std::size_t i = 0; i < WrongKeys::burst; ++i)
    EXPECT_FALSE(wrong.count("2001:db8::" + std::to_string(i), now));
  EXPECT_TRUE(wrong.count("2001:db8::abcd:1", now));
  EXPECT_FALSE(wrong.count("2001:db8:0:1::1", now));
}

TEST(WrongKeys, RemembersABoundedNumberOfAddressesTheLatest) {
  WrongKeys wrong;
  const TimePoint now{1h};
  for (std::size_t i = 0; i <= WrongKeys::burst; ++i) wrong.count("first", now);
  EXPECT_TRUE(wrong.count("first", now));
  for (std::size_t i = 0; i < WrongKeys::addresses_max - 1; ++i) wrong.count(std::to_string(i), now);
  EXPECT_TRUE(wrong.count("first", now)) << "still remembered";
  for (std::size_t i = 0; i < WrongKeys::addresses_max; ++i) wrong.count(std::to_string(i), now);
  EXPECT_EQ(wrong.addresses(), WrongKeys::addresses_max);
  EXPECT_FALSE(wrong.count("first", now)) << "forgotten";
}

}  // namespace
}  // namespace berth::task
