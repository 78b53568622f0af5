#include "cluster/log_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace berth::cluster {
namespace {

const WallTime noon{std::chrono::milliseconds(1795305600000)};

class LogFileTest : public ::testing::Test {
 protected:
  LogFileTest() {
    char name[] = "/tmp/berth-log-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  ~LogFileTest() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/task-1.jsonl"; }
  static std::string read(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string folder_;
};

TEST_F(LogFileTest, KeepsJsonLinesAndWrapsTheRest) {
  auto log = LogFile::open(path(), "1");
  ASSERT_TRUE(log);
  log->feed("stdout", "{\"level\":\"info\",\"event\":\"re", noon);
  log->feed("stderr", "Segmentation \"fault\"\n", noon);
  log->feed("stdout", "ady\"}\n\n", noon);
  EXPECT_EQ(
      read(path()),
      R"({"time":"2026-11-22T00:00:00.000Z","level":"warning","event":"output","task":"1","source":"stderr",)"
      R"("message":"Segmentation \"fault\""})"
      "\n{\"level\":\"info\",\"event\":\"ready\"}\n");
  EXPECT_EQ(log->last_words(), (std::vector<std::string>{"Segmentation \"fault\""}));
}

TEST_F(LogFileTest, KeepsTwentyLastWordsAndCutsEndlessLines) {
  auto log = LogFile::open(path(), "1");
  ASSERT_TRUE(log);
  for (int i = 0; i < 30; ++i) log->feed("stderr", "line " + std::to_string(i) + "\n", noon);
  EXPECT_EQ(log->last_words().size(), LogFile::last_words_max);
  EXPECT_EQ(log->last_words().back(), "line 29");
  for (int i = 0; i < 100; ++i) log->feed("stderr", std::string(10'000, 'x'), noon);
  log->feed("stderr", "\n", noon);
  EXPECT_EQ(log->last_words().back().size(), LogFile::line_bytes_max);
}

TEST_F(LogFileTest, RotatesOnceItIsFull) {
  auto log = LogFile::open(path(), "1");
  ASSERT_TRUE(log);
  const std::string line = std::string(60'000, 'y') + "\n";
  for (std::size_t written = 0; written < LogFile::bytes_max + line.size(); written += line.size()) {
    log->feed("stderr", line, noon);
  }
  EXPECT_TRUE(std::filesystem::exists(path() + ".1"));
  EXPECT_LT(std::filesystem::file_size(path()), LogFile::bytes_max);
  EXPECT_LE(std::filesystem::file_size(path() + ".1"), LogFile::bytes_max);
}

TEST_F(LogFileTest, AnUnwritableFolderIsNamed) {
  const auto log = LogFile::open(folder_ + "/missing/x.jsonl", "1");
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message().find("missing/x.jsonl"), std::string::npos);
}

}  // namespace
}  // namespace berth::cluster
