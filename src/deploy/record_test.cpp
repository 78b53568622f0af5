#include "deploy/record.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace berth::deploy {
namespace {

TEST(Record, is_read_back_as_it_was_written_and_anything_else_is_refused) {
  std::string path = (std::filesystem::temp_directory_path() / "berth-record-XXXXXX").string();
  const std::string folder = std::string(mkdtemp(path.data())) + "/.berth";
  EXPECT_FALSE(read_record(folder));
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
  EXPECT_EQ(read_record(folder), record);
  remove_record(folder);
  EXPECT_FALSE(read_record(folder));
  EXPECT_FALSE(parse_record("{}"));
  EXPECT_FALSE(parse_record("[broken"));
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
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
