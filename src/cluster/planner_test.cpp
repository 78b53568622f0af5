#include "cluster/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace berth::cluster {
namespace {

using namespace std::chrono_literals;

const TimePoint t0{std::chrono::hours(1)};

/// Applies plans to a toy world where a started task becomes ready one step later.
struct World {
  Desired desired;
  std::vector<TaskObservation> tasks;
  RestartRecord record;
  TimePoint now = t0;

  Plan step() {
    Plan plan = make_plan(desired, tasks, record, now);
    std::erase_if(tasks, [](const TaskObservation& task) { return task.state == TaskState::draining; });
    for (TaskObservation& task : tasks) {
      if (task.state == TaskState::starting) task.state = TaskState::ready;
    }
    for (const StopTask& stop : plan.stop) {
      for (TaskObservation& task : tasks) {
        if (task.number == stop.number) task.state = TaskState::draining;
      }
    }
    for (const StartTask& start : plan.start) {
      tasks.push_back({start.number, start.zone, desired.revision, TaskState::starting});
    }
    return plan;
  }

  std::size_t live() const {
    return static_cast<std::size_t>(std::count_if(
        tasks.begin(), tasks.end(), [](const auto& task) { return task.state != TaskState::draining; }));
  }
  std::size_t ready() const {
    return static_cast<std::size_t>(std::count_if(
        tasks.begin(), tasks.end(), [](const auto& task) { return task.state == TaskState::ready; }));
  }
  std::size_t spread() const {
    std::size_t low = SIZE_MAX;
    std::size_t high = 0;
    for (const std::string& zone : desired.zones) {
      const auto n =
          static_cast<std::size_t>(std::count_if(tasks.begin(), tasks.end(), [&](const auto& task) {
            return task.zone == zone && task.state != TaskState::draining;
          }));
      low = std::min(low, n);
      high = std::max(high, n);
    }
    return high - low;
  }
};

TEST(Planner, StartsOneTaskInEachZoneAtOnce) {
  World world;
  const Plan plan = world.step();
  EXPECT_EQ(plan.start, (std::vector<StartTask>{{1, "a"}, {2, "b"}, {3, "c"}}));
  world.step();
  EXPECT_TRUE(world.step().empty());
}

TEST(Planner, ReplacesALostTaskInTheZoneThatLostIt) {
  World world;
  world.step();
  world.step();
  std::erase_if(world.tasks, [](const auto& task) { return task.number == 2; });
  world.record.ended(2, world.now, 10s);
  EXPECT_EQ(world.step().start, (std::vector<StartTask>{{2, "b"}}));
}

TEST(Planner, WaitsOutTheBackOffOfASlotAndSaysUntilWhen) {
  World world;
  world.step();
  world.step();
  std::erase_if(world.tasks, [](const auto& task) { return task.number == 2; });
  world.record.ended(2, world.now, 0s);
  world.record.ended(2, world.now, 0s);
  const Plan waiting = world.step();
  EXPECT_TRUE(waiting.empty());
  EXPECT_EQ(waiting.wake, world.now + 500ms);
  world.now += 500ms;
  EXPECT_EQ(world.step().start.size(), 1u);
}

TEST(Planner, ScalesDownFromTheFullestZoneNewestFirst) {
  World world;
  world.desired.count = 5;
  for (int i = 0; i < 3; ++i) world.step();
  world.desired.count = 3;
  const Plan plan = world.step();
  ASSERT_EQ(plan.stop.size(), 2u);
  EXPECT_EQ(plan.stop[0].number, 5u);
  EXPECT_EQ(plan.stop[1].number, 4u);
  EXPECT_EQ(world.spread(), 0u);
}

TEST(Planner, KillsAndReplacesWhatDoesNotAnswer) {
  World world;
  world.step();
  world.step();
  world.tasks[0].state = TaskState::unresponsive;
  const Plan plan = world.step();
  ASSERT_EQ(plan.stop.size(), 1u);
  EXPECT_EQ(plan.stop[0].how, StopTask::How::kill);
  EXPECT_EQ(plan.start, (std::vector<StartTask>{{4, "a"}}));
}

TEST(Planner, ARollingRestartNeverHasFewerReadyTasksThanWanted) {
  World world;
  world.step();
  world.step();
  world.desired.revision = 2;
  for (int i = 0; i < 20; ++i) {
    world.step();
    EXPECT_GE(world.ready(), 3u) << "step " << i;
    EXPECT_LE(world.live(), 4u);
  }
  EXPECT_TRUE(make_plan(world.desired, world.tasks, world.record, world.now).empty());
  for (const TaskObservation& task : world.tasks) EXPECT_EQ(task.revision, 2u);
}

TEST(Planner, GoesBackToARevisionAsItWentForth) {
  World world;
  world.step();
  world.step();
  world.desired.revision = 2;
  for (int i = 0; i < 4; ++i) world.step();
  world.desired.revision = 1;
  for (int i = 0; i < 20; ++i) {
    world.step();
    EXPECT_GE(world.ready(), 3u) << "step " << i;
  }
  EXPECT_TRUE(make_plan(world.desired, world.tasks, world.record, world.now).empty());
  for (const TaskObservation& task : world.tasks) EXPECT_EQ(task.revision, 1u);
}

TEST(RestartRecord, FirstRestartIsImmediateThenDoublesToTheMaximum) {
  RestartRecord record;
  std::vector<Duration> waits;
  for (int i = 0; i < 9; ++i) {
    record.ended(1, t0, 1s);
    waits.push_back(*record.not_before(1) - t0);
  }
  EXPECT_EQ(waits, (std::vector<Duration>{0s, 500ms, 1s, 2s, 4s, 8s, 16s, 30s, 30s}));
  EXPECT_FALSE(record.crash_looping(1));
  record.ended(1, t0, 60s);
  EXPECT_EQ(*record.not_before(1), t0);
}

TEST(RestartRecord, ThreeEndsWithoutEverBeingReadyAreACrashLoop) {
  RestartRecord record;
  record.ended(1, t0, 0s);
  record.ended(1, t0, 0s);
  EXPECT_FALSE(record.crash_looping(1));
  record.ended(1, t0, 0s);
  EXPECT_TRUE(record.crash_looping(1));
  record.ended(1, t0, 1s);
  EXPECT_FALSE(record.crash_looping(1));
}

TEST(Planner, ConvergesFromAnyStateWithinItsBounds) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
    World world;
    world.desired.count = below(7);
    world.desired.zones.resize(1 + below(3));
    world.desired.revision = 1 + below(2);
    const std::size_t existing = below(8);
    for (std::size_t i = 1; i <= existing; ++i) {
      const std::string zone(1, static_cast<char>('a' + below(4)));
      world.tasks.push_back({i, zone, 1, static_cast<TaskState>(below(5))});
    }
    for (int i = 0; i < 60; ++i) {
      const std::size_t before = world.live();
      world.step();
      EXPECT_LE(world.live(), std::max(before, world.desired.count + 1)) << "seed " << seed;
      for (TaskObservation& task : world.tasks) {
        if (task.state == TaskState::unready) task.state = TaskState::ready;
      }
    }
    EXPECT_TRUE(make_plan(world.desired, world.tasks, world.record, world.now).empty()) << "seed " << seed;
    EXPECT_EQ(world.ready(), world.desired.count) << "seed " << seed;
    EXPECT_LE(world.spread(), 1u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace berth::cluster
