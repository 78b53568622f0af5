#include "task/home/home_table.h"

#include <gtest/gtest.h>

#include <array>

#include "base/testing/sim_clock.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

TaskIdentity task(const std::string& id) { return {id, "a", 7, "10.0.0." + id + ":3001"}; }

struct Tasks {
  HomeTable first{task("1")};
  HomeTable second{task("2")};
  std::array<TaskIdentity, 2> of_first{task("2"), task("3")};
  std::array<TaskIdentity, 2> of_second{task("1"), task("3")};
  TimePoint now{};
};

/// A key that a task of three prefers.
std::string key_of(const std::string& id) {
  const HomeTable table(task("1"));
  const std::array sisters{task("2"), task("3")};
  for (int i = 0;; ++i) {
    std::string key = home_key("s", "caller" + std::to_string(i), "");
    if (table.choose(key, sisters, {}).id == id) return key;
  }
}

TEST(HomeTable, names_the_same_task_in_every_task) {
  Tasks tasks;
  std::map<std::string, int> chosen;
  for (int i = 0; i < 300; ++i) {
    const std::string key = home_key("s", "p", std::to_string(i));
    const std::string id = tasks.first.choose(key, tasks.of_first, {}).id;
    EXPECT_EQ(tasks.second.choose(key, tasks.of_second, {}).id, id);
    ++chosen[id];
  }
  ASSERT_EQ(chosen.size(), 3u);
  for (const auto& [id, count] : chosen) EXPECT_GT(count, 60) << id;
}

TEST(HomeTable, tells_servers_principals_and_clients_apart) {
  EXPECT_NE(home_key("a", "b", "c"), home_key("a", "bc", ""));
  EXPECT_NE(home_key("a", "b", "c"), home_key("ab", "", "c"));
  EXPECT_EQ(home_key("a", "b", ""), "a\nb\n");
}

TEST(HomeTable, makes_no_home_where_a_task_drains_or_was_tried_in_vain) {
  Tasks tasks;
  const std::string key = key_of("2");
  const std::string tried[] = {"2"};
  EXPECT_EQ(tasks.first.choose(key, tasks.of_first, {}).id, "2");
  EXPECT_NE(tasks.first.choose(key, tasks.of_first, tried).id, "2");
  tasks.first.set_draining(task("2"), tasks.of_first);
  EXPECT_NE(tasks.first.choose(key, tasks.of_first, {}).id, "2");
  const std::string own = key_of("1");
  tasks.first.drain();
  EXPECT_NE(tasks.first.choose(own, tasks.of_first, {}).id, "1");
  EXPECT_EQ(tasks.first.choose(own, {}, {}).id, "1") << "better there than nowhere";
}

TEST(HomeTable, keeps_a_home_where_it_is_when_a_task_joins_that_hashing_prefers) {
  Tasks tasks;
  const std::string key = key_of("2");
  tasks.first.claim(key, false, tasks.now)->is_kept = true;
  EXPECT_EQ(tasks.first.answer(key, "2", tasks.now), (HomeTable::Answer{.is_here = true}));
  tasks.second.learn(key, task("1"), tasks.of_second, tasks.now);
  EXPECT_EQ(tasks.second.known_at(key, tasks.of_second), task("1"));
}

TEST(HomeTable, of_two_that_ask_at_once_the_preferred_one_makes_the_home) {
  Tasks tasks;
  const std::string key = key_of("2");
  const HomeTable::Asking first(tasks.first, key);
  const HomeTable::Asking second(tasks.second, key);
  EXPECT_FALSE(tasks.first.answer(key, "2", tasks.now).is_here);
  EXPECT_TRUE(tasks.second.answer(key, "1", tasks.now).is_here);
}

TEST(HomeTable, remembers_a_home_whose_task_has_gone_as_lost) {
  Tasks tasks;
  const std::string key = home_key("s", "p", "");
  tasks.first.learn(key, task("3"), tasks.of_first, tasks.now);
  const std::array left{task("2")};
  EXPECT_FALSE(tasks.first.known_at(key, left));
  EXPECT_EQ(tasks.first.answer(key, "2", tasks.now), (HomeTable::Answer{.had_state = true}));
  EXPECT_TRUE(tasks.first.claim(key, false, tasks.now)->is_lost);
  // Another life of the task has nothing of the former.
  tasks.second.learn(key, task("3"), tasks.of_second, tasks.now);
  TaskIdentity next_life = task("3");
  ++next_life.generation;
  EXPECT_FALSE(tasks.second.known_at(key, std::array{next_life}));
}

TEST(HomeTable, a_new_home_without_state_loses_none) {
  Tasks tasks;
  const std::string key = home_key("s", "p", "");
  EXPECT_FALSE(tasks.first.claim(key, false, tasks.now)->is_lost);
  EXPECT_EQ(tasks.first.answer(key, "2", tasks.now), (HomeTable::Answer{.is_here = true}));
  tasks.first.drain();
  EXPECT_EQ(tasks.first.answer(key, "2", tasks.now), HomeTable::Answer{});
}

TEST(HomeTable, a_draining_task_is_home_to_calls_under_way_alone) {
  Tasks tasks;
  const auto busy = tasks.first.claim(home_key("s", "busy", ""), false, tasks.now);
  const auto idle = tasks.first.claim(home_key("s", "idle", ""), false, tasks.now);
  const auto empty = tasks.first.claim(home_key("s", "empty", ""), false, tasks.now);
  busy->is_kept = idle->is_kept = true;
  ++busy->calls;
  tasks.first.drain();
  EXPECT_EQ(tasks.first.find(busy->key, tasks.now), busy);
  EXPECT_EQ(tasks.first.find(idle->key, tasks.now), nullptr);
  EXPECT_EQ(tasks.first.answer(idle->key, "2", tasks.now), (HomeTable::Answer{.had_state = true}));
  EXPECT_EQ(tasks.first.legacy(tasks.of_first), (std::vector{busy->key, idle->key}));
}

TEST(HomeTable, hands_on_what_it_remembers_of_tasks_that_went_before) {
  Tasks tasks;
  const std::string lost = home_key("s", "lost", "");
  const std::string at_third = home_key("s", "third", "");
  tasks.first.learn(lost, task("9"), tasks.of_first, tasks.now);
  tasks.first.learn(at_third, task("3"), tasks.of_first, tasks.now);
  tasks.first.drain();
  EXPECT_EQ(tasks.first.legacy(tasks.of_first), std::vector{lost});
  // What a task that goes remembers is older than what one says that stays.
  tasks.second.set_draining(task("1"), tasks.of_second);
  tasks.second.learn(at_third, task("3"), tasks.of_second, tasks.now);
  tasks.second.learn(at_third, task("1"), tasks.of_second, tasks.now);
  EXPECT_EQ(tasks.second.known_at(at_third, tasks.of_second)->id, "3");
}

TEST(HomeTable, of_two_homes_that_a_partition_made_the_preferred_one_stays) {
  Tasks tasks;
  const std::string key = key_of("2");
  tasks.first.claim(key, false, tasks.now);
  const auto second = tasks.second.claim(key, false, tasks.now);
  tasks.first.learn(key, task("2"), tasks.of_first, tasks.now);
  tasks.second.learn(key, task("1"), tasks.of_second, tasks.now);
  EXPECT_EQ(tasks.first.find(key, tasks.now), nullptr);
  EXPECT_EQ(tasks.first.known_at(key, tasks.of_first)->id, "2");
  EXPECT_EQ(tasks.second.find(key, tasks.now), second);
}

TEST(HomeTable, is_bounded_and_nobody_takes_the_homes_of_others) {
  HomeTable table(task("1"), {.homes_max = 10, .of_principal_max = 4, .kept = 1h});
  TimePoint now{};
  const auto claim = [&](const std::string& principal, int client) {
    now += 1s;
    return table.claim(home_key("s", principal, std::to_string(client)), false, now);
  };
  claim("alice", 0);
  for (int i = 0; i < 20; ++i) claim("bob", i);
  EXPECT_EQ(table.count("s"), 5u);
  for (int i = 0; i < 20; ++i) claim("eve", i);
  for (int i = 0; i < 20; ++i) claim("mallory", i);
  EXPECT_EQ(table.count("s"), 10u);
  EXPECT_NE(table.find(home_key("s", "alice", "0"), now), nullptr);
  const auto busy = claim("mallory", 20);
  ++busy->calls;
  for (int i = 30; i < 40; ++i) claim("mallory", i);
  EXPECT_EQ(table.find(busy->key, now), busy) << "a call under way keeps its home";
  for (int i = 0; i < 30; ++i) table.learn(std::to_string(i), task("2"), std::array{task("2")}, now);
  EXPECT_FALSE(table.known_at("19", std::array{task("2")}));
  EXPECT_TRUE(table.known_at("20", std::array{task("2")}));
  now += 1h;
  table.learn("late", task("2"), std::array{task("2")}, now);
  EXPECT_FALSE(table.known_at("29", std::array{task("2")}));
  EXPECT_EQ(table.count("other"), 0u);
}

TEST(HomeTable, of_two_that_ask_the_one_that_was_asked_first_learns_that_it_is_outbid) {
  Tasks tasks;
  const std::string key = key_of("2");
  const HomeTable::Asking first(tasks.first, key);
  EXPECT_FALSE(first.is_outbid());
  EXPECT_FALSE(tasks.first.answer(key, "2", tasks.now).is_here);
  EXPECT_TRUE(first.is_outbid()) << "task 2 may have claimed since it was asked";
}

TEST(HomeTable, keeps_a_contested_home_until_it_is_given_up) {
  Tasks tasks;
  const std::string key = key_of("2");
  const auto home = tasks.first.claim(key, false, tasks.now);
  home->calls = 1;
  home->is_kept = true;
  tasks.first.learn(key, task("2"), tasks.of_first, tasks.now);
  EXPECT_TRUE(home->is_contested);
  EXPECT_EQ(tasks.first.find(key, tasks.now), home);
  const auto other = tasks.first.claim(home_key("t", "p", ""), false, tasks.now);
  tasks.first.give_up("s", tasks.now);
  EXPECT_EQ(tasks.first.find(key, tasks.now), nullptr);
  EXPECT_FALSE(tasks.first.known_at(key, tasks.of_first));
  EXPECT_TRUE(tasks.first.answer(key, "2", tasks.now).had_state) << "which is lost";
  EXPECT_EQ(tasks.first.find(other->key, tasks.now), other);
}

TEST(HomeTable, tells_who_holds_the_load) {
  Tasks tasks;
  EXPECT_EQ(tasks.first.load("s"), HomeLoad());
  for (int i = 0; i < 3; ++i)
    tasks.first.claim(home_key("s", "alice", std::to_string(i)), false, tasks.now)->calls_begun = 2;
  tasks.first.claim(home_key("s", "bob", ""), false, tasks.now)->calls_begun = 9;
  tasks.first.claim(home_key("other", "eve", ""), false, tasks.now)->calls_begun = 99;
  tasks.first.claim(sole_home_key("s"), false, tasks.now);
  EXPECT_EQ(tasks.first.count("s"), 4u);
  EXPECT_EQ(tasks.first.load("s"), (HomeLoad{.homes = 4,
                                             .calls = 15,
                                             .busiest_calls = 9,
                                             .busiest = "bob",
                                             .holder_homes = 3,
                                             .holder = "alice"}));
}

Task<void> settle_into(Homes& homes, std::string key, Homes::Place& place) {
  place = co_await homes.settle(std::move(key), Homes::From::client, {});
}

TEST(LocalHomes, are_all_here_for_a_day) {
  asio::io_context loop;
  berth::testing::SimClock clock(loop);
  const auto homes = make_local_homes(task("1"), clock);
  const std::string key = home_key("s", "p", "c");
  EXPECT_EQ(homes->find(key), nullptr);
  TaskScope scope(loop.get_executor());
  Homes::Place place;
  scope.spawn(settle_into(*homes, key, place));
  clock.run_until_idle();
  EXPECT_NE(place.here, nullptr);
  EXPECT_EQ(homes->find(key), place.here);
  clock.advance(24h);
  scope.spawn(settle_into(*homes, home_key("s", "p", "d"), place));
  clock.run_until_idle();
  EXPECT_EQ(homes->count("s"), 1u) << "a home that nobody has used for a day is forgotten";
}

}  // namespace
}  // namespace berth::task
