#include "deploy/zones.h"

#include <gtest/gtest.h>

namespace berth::deploy {
namespace {

using Letters = std::vector<std::string>;

/// Virginia as one account may see it: its zone c is the one without tasks.
const std::vector<AwsZone> virginia{{"us-east-1a", "use1-az1"}, {"us-east-1b", "use1-az2"},
                                    {"us-east-1c", "use1-az3"}, {"us-east-1d", "use1-az4"},
                                    {"us-east-1e", "use1-az6"}, {"us-east-1f", "use1-az5"}};

TEST(Zones, are_those_that_the_file_names) {
  EXPECT_EQ(choose_zones(virginia, {"f", "a", "d"}).value(), (Letters{"f", "a", "d"}));
}

TEST(Zones, without_fargate_or_vpc_origins_are_replaced_by_the_next_that_nobody_named) {
  EXPECT_EQ(choose_zones(virginia, {"a", "b", "c"}).value(), (Letters{"a", "b", "d"}));
  EXPECT_EQ(choose_zones(virginia, {"c", "d", "a"}).value(), (Letters{"b", "d", "a"}));
}

TEST(Zones, that_the_account_has_not_are_replaced_too) {
  EXPECT_EQ(choose_zones(
                {{"ca-central-1a", "cac1-az1"}, {"ca-central-1b", "cac1-az2"}, {"ca-central-1d", "cac1-az4"}},
                {"a", "b", "c"})
                .value(),
            (Letters{"a", "b", "d"}));
}

TEST(Zones, of_a_small_region_are_named_for_the_file) {
  const auto chosen = choose_zones({{"us-west-1a", "usw1-az3"}, {"us-west-1c", "usw1-az1"}}, {"a", "b", "c"});
  ASSERT_FALSE(chosen);
  EXPECT_EQ(chosen.error().code(), ErrorCode::not_found);
  EXPECT_EQ(
      chosen.error().message(),
      "The region has 2 zones in which this account can run tasks, and tasks.zones names 3; write zones: "
      "[a, c], or deploy to another region (aws.region).");
}

}  // namespace
}  // namespace berth::deploy
