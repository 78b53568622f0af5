#include <gtest/gtest.h>

#include "cluster/service.h"

namespace berth::cluster {
namespace {

TEST(ServiceStatus, ReadsBackWhatItWrites) {
  ServiceStatus status;
  status.service = "everything";
  status.spec_file = "berth.yaml";
  status.pid = 42;
  status.started_unix_ms = 1795305600123;
  status.urls = {{"everything", "http://127.0.0.1:8080/mcp"}, {"everything", "https://x/mcp", true}};
  status.hosts = {"mcp.lan"};
  status.cpu_limit = 0.5;
  status.memory_limit_bytes = 1u << 30;
  status.desired = 3;
  status.limits_enforced = true;
  status.limits = "CPU and memory limits are enforced by cgroup v2.";
  status.requests = 7;
  TaskStatus task;
  task.id = "2";
  task.zone = "b";
  task.address = "127.0.2.1:3000";
  task.phase = TaskPhase::waiting;
  task.health = "unhealthy";
  task.reason = "exited with code 1";
  task.restarts = 4;
  task.crash_loop = true;
  task.cpu = 0.25;
  task.memory_bytes = 1 << 20;
  task.last_words = {"Error: no such module \"x\"", "at line 1"};
  task.servers = {{"good", true, ""}, {"bad", false, "It ended with exit code 1."}};
  task.servers[1].refused = true;
  task.servers[1].not_separated = "no Landlock";
  task.servers[1].restarts = 5;
  task.servers[1].oom_kills = 2;
  task.servers[1].homes = 3;
  task.servers[1].home_calls = 90;
  task.servers[1].busiest = "alice";
  task.servers[1].busiest_calls = 60;
  task.servers[1].holder = "bob";
  task.servers[1].holder_homes = 2;
  task.servers[1].rests = true;
  task.servers[1].states_lost = 2;
  status.tasks = {task};
  status.rollout = {RolloutStatus::State::undone, 2, "bad: It ended with exit code 1.", "Something stays."};
  const auto read = parse_service_status(to_json(status));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(to_json(*read), to_json(status));
  EXPECT_EQ(read->tasks.at(0).last_words, task.last_words);
  EXPECT_EQ(read->tasks.at(0).phase, TaskPhase::waiting);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).oom_kills, 2u);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).homes, 3u);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).busiest, "alice");
  EXPECT_EQ(read->tasks.at(0).servers.at(1).holder_homes, 2u);
  EXPECT_TRUE(read->tasks.at(0).servers.at(1).rests);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).states_lost, 2u);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).not_separated, "no Landlock");
  EXPECT_TRUE(read->tasks.at(0).servers.at(1).refused);
  EXPECT_EQ(read->memory_limit_bytes, 1u << 30);
  EXPECT_TRUE(read->urls.at(1).outside);
  EXPECT_EQ(read->hosts, status.hosts);
  EXPECT_EQ(read->tasks.at(0).servers.at(1).reason, "It ended with exit code 1.");
}

TEST(ServiceStatus, RefusesWhatIsNotAnObjectAndToleratesWhatIsMissing) {
  EXPECT_FALSE(parse_service_status("nonsense"));
  EXPECT_FALSE(parse_service_status("[1]"));
  const auto sparse = parse_service_status(R"({"service":"x","pid":"not a number","tasks":[{},3]})");
  ASSERT_TRUE(sparse);
  EXPECT_EQ(sparse->service, "x");
  EXPECT_EQ(sparse->pid, 0);
  EXPECT_EQ(sparse->tasks.size(), 2u);
}

}  // namespace
}  // namespace berth::cluster
