#include "cluster/addresses.h"

#include <gtest/gtest.h>

namespace berth::cluster {
namespace {

const std::vector<std::string> zones{"a", "b", "c"};

TEST(Addresses, AZoneIsALoopbackSubnetByItsPlace) {
  EXPECT_EQ(zone_prefix("a", zones), "127.0.1.");
  EXPECT_EQ(zone_prefix("c", zones), "127.0.3.");
}

TEST(Addresses, NeverGivesATakenOne) {
  const auto first = free_address("b", zones, {});
  ASSERT_TRUE(first) << first.error().message();
  const auto second = free_address("b", zones, {*first});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_NE(*first, *second);
  EXPECT_TRUE(second->starts_with("127.0.2."));
}

TEST(Addresses, SaysSoWhenAZoneIsFull) {
  std::vector<std::string> taken;
  for (int host = 1; host <= 254; ++host) taken.push_back("127.0.3." + std::to_string(host));
  const auto none = free_address("c", zones, taken);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace berth::cluster
