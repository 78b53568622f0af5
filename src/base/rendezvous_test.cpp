#include "base/rendezvous.h"

#include <gtest/gtest.h>

#include <map>

namespace berth {
namespace {

using Names = std::vector<std::string>;

std::string first_choice(std::string_view key, const Names& members) {
  return members[rendezvous_order(key, members).front()];
}

TEST(Rendezvous, NamesTheSameMemberWhateverTheirOrder) {
  for (int i = 0; i < 100; ++i) {
    const std::string key = "key" + std::to_string(i);
    EXPECT_EQ(first_choice(key, {"1", "2", "3"}), first_choice(key, {"3", "1", "2"}));
  }
  EXPECT_TRUE(rendezvous_order("key", {}).empty());
}

TEST(Rendezvous, SpreadsKeysOverMembersWhoseNamesDifferInALetter) {
  std::map<std::string, int> keys;
  const Names members{"1", "2", "3", "4", "5"};
  for (int i = 0; i < 5000; ++i) ++keys[first_choice("key" + std::to_string(i), members)];
  for (const std::string& member : members) EXPECT_NEAR(keys[member], 1000, 150) << member;
}

TEST(Rendezvous, MovesTheKeysOfWhoLeavesToTheirSecondChoiceAndNoOthers) {
  const Names members{"1", "2", "3", "4", "5"};
  const Names left{"1", "2", "4", "5"};
  for (int i = 0; i < 500; ++i) {
    const std::string key = "key" + std::to_string(i);
    const auto order = rendezvous_order(key, members);
    const std::size_t expected = members[order[0]] == "3" ? order[1] : order[0];
    EXPECT_EQ(first_choice(key, left), members[expected]);
  }
}

}  // namespace
}  // namespace berth
