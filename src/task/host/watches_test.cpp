#include "task/host/watches.h"

#include <gtest/gtest.h>

namespace berth::task::host {
namespace {

using Uris = std::set<std::string>;

PoolKey pool(std::string scope, bool samples = false) {
  PoolKey key{std::move(scope), {}};
  key.capabilities.sampling = samples;
  return key;
}

TEST(Watches, of_a_scope_are_those_of_all_its_pools_and_of_other_tasks) {
  Watches watches;
  EXPECT_TRUE(watches.add(pool("ann"), "a:1"));
  EXPECT_FALSE(watches.add(pool("ann"), "a:1"));
  EXPECT_TRUE(watches.add(pool("ann", true), "a:2"));
  EXPECT_TRUE(watches.add(pool("bob"), "b:1"));
  EXPECT_TRUE(watches.set_elsewhere("ann", "ann", "a:3", true));
  EXPECT_FALSE(watches.set_elsewhere("ann", "ann", "a:3", true));
  EXPECT_EQ(watches.of(pool("ann")), Uris({"a:1"}));
  EXPECT_EQ(watches.of_scope("ann"), Uris({"a:1", "a:2", "a:3"}));
  EXPECT_EQ(watches.of_scope("bob"), Uris({"b:1"}));
  EXPECT_EQ(watches.of_all(), Uris({"a:1", "a:2", "b:1"}));
  EXPECT_TRUE(watches.set_elsewhere("ann", "ann", "a:3", false));
  EXPECT_FALSE(watches.set_elsewhere("ann", "ann", "a:3", false));
  EXPECT_EQ(watches.of_scope("ann"), Uris({"a:1", "a:2"}));
}

TEST(Watches, elsewhere_of_a_scope_that_everybody_shares_last_as_long_as_anybody_watches) {
  Watches watches;
  watches.set_elsewhere("", "ann", "a:1", true);
  watches.set_elsewhere("", "bob", "a:1", true);
  watches.set_elsewhere("", "ann", "a:1", false);
  EXPECT_EQ(watches.of_scope(""), Uris({"a:1"}));
}

}  // namespace
}  // namespace berth::task::host
