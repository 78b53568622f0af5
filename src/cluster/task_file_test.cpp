#include "cluster/task_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cluster/service.h"

namespace berth::cluster {
namespace {

class TaskFileTest : public ::testing::Test {
 protected:
  TaskFileTest() {
    std::string pattern = ::testing::TempDir() + "berth-task-file-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    file_.id = "1";
    file_.listen = {"127.0.0.1", 3000};
    file_.fleet_key_file = folder_ + "/fleet.key";
    file_.spec.name = "demo";
    file_.spec.servers.resize(1);
    file_.spec.servers[0].name = "demo";
    file_.spec.servers[0].kind = model::ServerSpec::Kind::command;
    file_.spec.servers[0].command = {"true"};
  }
  ~TaskFileTest() override { std::filesystem::remove_all(folder_); }

  /// What a task is given whose fleet key file holds `key`.
  task::RuntimeOptions taken_with(const std::string& key) {
    std::ofstream(file_.fleet_key_file) << key;
    EXPECT_TRUE(write_task_file(folder_ + "/1.json", file_));
    auto options = take_task_file(folder_ + "/1.json");
    EXPECT_TRUE(options) << options.error().message();
    return options ? *std::move(options) : task::RuntimeOptions{};
  }

  std::string folder_;
  TaskFile file_;
};

TEST_F(TaskFileTest, ATaskHasTheKeyOfItsFleet) {
  const std::string key(fleet_key_bytes, 'k');
  const task::RuntimeOptions options = taken_with(key);
  EXPECT_EQ(options.fleet_key.reveal(), key);
  EXPECT_TRUE(options.second_fleet_key.empty());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/1.json")) << "it is taken";
}

TEST_F(TaskFileTest, AndBothWhileOneIsRotated) {
  const std::string first(fleet_key_bytes, 'n');
  const std::string second(fleet_key_bytes, 'o');
  const task::RuntimeOptions options = taken_with(first + second);
  EXPECT_EQ(options.fleet_key.reveal(), first);
  EXPECT_EQ(options.second_fleet_key.reveal(), second);
}

}  // namespace
}  // namespace berth::cluster
