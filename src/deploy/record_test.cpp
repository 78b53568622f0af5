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
                      .destroyed = true};
  ASSERT_TRUE(write_record(folder, record));
  EXPECT_EQ(read_record(folder), record);
  remove_record(folder);
  EXPECT_FALSE(read_record(folder));
  EXPECT_FALSE(parse_record("{}"));
  EXPECT_FALSE(parse_record("[broken"));
  std::filesystem::remove_all(std::filesystem::path(folder).parent_path());
}

}  // namespace
}  // namespace berth::deploy
