#include "task/host/memory_use.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace berth::task {
namespace {

class MemoryUseTest : public ::testing::Test {
 protected:
  ~MemoryUseTest() override { std::filesystem::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  std::optional<MemoryUse> read() const {
    return read_memory_use((root / "membership").string(), root.string());
  }
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / ("memory_use_test." + std::to_string(getpid()));
};

TEST_F(MemoryUseTest, reads_groups_of_version_2) {
  write("membership", "0::/a/b\n");
  write("a/b/memory.stat", "anon 700\nfile 9000\n");
  write("a/b/memory.max", "1000\n");
  write("a/b/memory.events", "low 0\noom 5\noom_kill 2\n");
  const auto use = read();
  ASSERT_TRUE(use);
  EXPECT_EQ(use->used, 700u);
  EXPECT_EQ(use->limit, 1000u);
  EXPECT_EQ(use->kills, 2u);
}

TEST_F(MemoryUseTest, reads_groups_of_version_1_and_a_containers_own_as_the_root) {
  write("membership", "5:cpu:/x\n4:memory:/docker/1\n0::/y\n");
  write("memory/memory.stat", "cache 1\ntotal_rss 300\n");
  write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  const auto use = read();
  ASSERT_TRUE(use);
  EXPECT_EQ(use->used, 300u);
  EXPECT_EQ(use->limit, 0u);
  EXPECT_EQ(use->kills, 1u);
}

TEST_F(MemoryUseTest, says_nothing_where_there_are_no_groups) { EXPECT_FALSE(read()); }

}  // namespace
}  // namespace berth::task
