#include "cluster/cgroups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace berth::cluster {
namespace {

namespace fs = std::filesystem;

/// A folder that looks like a cgroup tree; removed at the end.
class FakeTree : public ::testing::Test {
 protected:
  FakeTree() {
    char name[] = "/tmp/berth-cgroups-XXXXXX";
    root_ = ::mkdtemp(name);
  }
  ~FakeTree() override { fs::remove_all(root_); }
  void touch(const std::string& path) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << "";
  }
  std::string text(const std::string& path) {
    std::ifstream file(root_ + "/" + path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string root_;
};

TEST_F(FakeTree, SaysThatLimitsAreNotEnforcedWhereThereAreNoControllers) {
  const auto groups = make_cgroups(root_, "demo", "1");
  EXPECT_FALSE(groups->enforced());
  EXPECT_NE(groups->explanation().find("not enforced"), std::string::npos);
  EXPECT_TRUE(groups->make_group("1", {})->empty());
}

TEST_F(FakeTree, WritesQuotaAndMemoryOfVersionOne) {
  touch("cpu/cpu.cfs_quota_us");
  touch("memory/memory.limit_in_bytes");
  for (const char* file :
       {"cpu/berth/demo-1/task-1/cpu.cfs_period_us", "cpu/berth/demo-1/task-1/cpu.cfs_quota_us",
        "memory/berth/demo-1/task-1/memory.limit_in_bytes"}) {
    touch(file);
  }
  const auto groups = make_cgroups(root_, "demo", "1");
  ASSERT_TRUE(groups->enforced()) << groups->explanation();
  const auto folders = groups->make_group("1", {0.5, 1u << 30});
  ASSERT_TRUE(folders) << folders.error().message();
  EXPECT_EQ(*folders, (std::vector<std::string>{root_ + "/cpu/berth/demo-1/task-1",
                                                root_ + "/memory/berth/demo-1/task-1"}));
  EXPECT_EQ(text("cpu/berth/demo-1/task-1/cpu.cfs_quota_us"), "50000");
  EXPECT_EQ(text("memory/berth/demo-1/task-1/memory.limit_in_bytes"), "1073741824");
}

TEST_F(FakeTree, WritesQuotaAndMemoryOfVersionTwoAndDelegatesToItsGroups) {
  touch("cgroup.controllers");
  for (const char* file : {"berth/cgroup.subtree_control", "berth/demo-1/cgroup.subtree_control",
                           "berth/demo-1/task-2/cpu.max", "berth/demo-1/task-2/memory.max"}) {
    touch(file);
  }
  const auto groups = make_cgroups(root_, "demo", "1");
  ASSERT_TRUE(groups->enforced()) << groups->explanation();
  ASSERT_TRUE(groups->make_group("2", {1.5, 512u << 20}));
  EXPECT_EQ(text("berth/demo-1/cgroup.subtree_control"), "+cpu +memory");
  EXPECT_EQ(text("berth/demo-1/task-2/cpu.max"), "150000 100000");
  EXPECT_EQ(text("berth/demo-1/task-2/memory.max"), "536870912");
  EXPECT_EQ(groups->memory_kills("2"), 0u);
  std::ofstream(root_ + "/berth/demo-1/task-2/memory.events") << "low 0\nmax 9\noom 3\noom_kill 2\n";
  EXPECT_EQ(groups->memory_kills("2"), 2u);
}

TEST(Cgroups, OnThisMachineEitherWorkOrSayWhyNot) {
  const auto groups = make_cgroups("/sys/fs/cgroup", "selftest", std::to_string(::getpid()));
  ASSERT_FALSE(groups->explanation().empty());
  const auto folders = groups->make_group("1", {0.5, 64u << 20});
  ASSERT_TRUE(folders) << folders.error().message();
  EXPECT_EQ(groups->enforced(), !folders->empty());
  for (const std::string& folder : *folders) EXPECT_TRUE(fs::exists(folder + "/cgroup.procs"));
  groups->remove_group("1");
  for (const std::string& folder : *folders) EXPECT_FALSE(fs::exists(folder));
}

TEST(Cgroups, ANewLifeOfAServiceRemovesWhatAKilledOneLeft) {
  const std::string unique = std::to_string(::getpid());
  const auto killed = make_cgroups("/sys/fs/cgroup", "selftest", unique);
  const auto folders = killed->make_group("7", {0.5, 64u << 20});
  ASSERT_TRUE(folders) << folders.error().message();
  const auto next = make_cgroups("/sys/fs/cgroup", "selftest", unique);
  for (const std::string& folder : *folders) EXPECT_FALSE(fs::exists(folder));
}

}  // namespace
}  // namespace berth::cluster
