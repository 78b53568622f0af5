#include "deploy/record.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace berth::deploy {
namespace {

TEST(Record, is_read_back_as_it_was_written_and_anything_else_is_refused) {
  std::string path = (std::filesystem::temp_directory_path() / "berth-record-XXXXXX").string();
  const std::string folder = std::string(mkdtemp(path.data())) + "/.berth";
  EXPECT_FALSE(read_record(folder, {.service_stack = "app"}));
  const Record record{.region = "eu-west-1",
                      .account = "1",
                      .service_stack = "app",
                      .base_stack = "app-base",
                      .url = "https://x",
                      .file_system = "fs",
                      .buckets = {"a", "b"},
                      .log_groups = {"/berth/app"},
                      .kept = {{"file system", "old"}, {"bucket", "older"}},
                      .destroyed = true};
  ASSERT_TRUE(write_record(folder, record));
  EXPECT_EQ(read_record(folder, {.service_stack = "app"}), record);
  EXPECT_FALSE(read_record(folder, {.service_stack = "app", .region = "eu-west-2"}));
  EXPECT_FALSE(read_record(folder, {.service_stack = "other"}));
  remove_record(folder, key_of(record));
  EXPECT_FALSE(read_record(folder, {.service_stack = "app"}));
  EXPECT_FALSE(parse_record("{}"));
  EXPECT_FALSE(parse_record("[broken"));
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}

TEST(Record, of_the_old_place_counts_for_the_service_it_names_alone) {
  std::string path = (std::filesystem::temp_directory_path() / "berth-record-XXXXXX").string();
  const std::string folder = mkdtemp(path.data());
  const Record old{.region = "r", .account = "1", .service_stack = "prd", .base_stack = "prd-base"};
  std::ofstream(folder + "/deployed.json") << to_json(old);
  EXPECT_FALSE(read_record(folder, {.service_stack = "stg"}));
  EXPECT_EQ(read_record(folder, {.service_stack = "prd"}), old);
  remove_record(folder, {.service_stack = "stg", .region = "r", .account = "1"});
  ASSERT_TRUE(write_record(folder, {.region = "r", .account = "1", .service_stack = "stg"}));
  EXPECT_EQ(read_record(folder, {.service_stack = "prd"}), old);
  ASSERT_TRUE(write_record(folder, old));
  EXPECT_FALSE(std::filesystem::exists(folder + "/deployed.json"));
  EXPECT_EQ(read_record(folder, {.service_stack = "prd"}), old);
  std::filesystem::remove_all(folder);
}

TEST(Record, does_not_say_which_of_several_regions_is_meant) {
  std::string path = (std::filesystem::temp_directory_path() / "berth-record-XXXXXX").string();
  const std::string folder = mkdtemp(path.data());
  ASSERT_TRUE(write_record(folder, {.region = "r1", .account = "1", .service_stack = "app"}));
  ASSERT_TRUE(write_record(folder, {.region = "r2", .account = "1", .service_stack = "app"}));
  EXPECT_FALSE(read_record(folder, {.service_stack = "app"}));
  EXPECT_TRUE(read_record(folder, {.service_stack = "app", .region = "r2"}));
  std::filesystem::remove_all(folder);
}

TEST(Record, does_not_lose_sight_of_data_that_the_service_has_no_more) {
  Record record{.file_system = "fs-1", .buckets = {"a", "b"}, .kept = {{"bucket", "c"}}};
  move_on(record, "fs-2", {"b", "c"});
  EXPECT_EQ(record.file_system, "fs-2");
  EXPECT_EQ(record.buckets, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(record.kept, (std::vector<Kept>{{"file system", "fs-1"}, {"bucket", "a"}}));
  move_on(record, "fs-2", {"b", "c"});
  EXPECT_EQ(record.kept.size(), 2u);
}

}  // namespace
}  // namespace berth::deploy
