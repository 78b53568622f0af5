#include "task/host/era_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace berth::task {
namespace {

using std::chrono::hours;

class EraRecordTest : public ::testing::Test {
 protected:
  EraRecordTest() : folder_(std::filesystem::temp_directory_path() / "berth_eras_XXXXXX") {
    if (::mkdtemp(folder_.data()) == nullptr) std::abort();
    spec.directory = folder_;
    spec.command = {"node", "server.mjs", "--key=secret"};
    write("server.mjs", "1");
  }
  ~EraRecordTest() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::trunc) << text;
  }
  std::string text() const {
    std::ifstream in(folder_ + "/eras");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  EraRecord record(const std::string& version = "1") const { return {folder_ + "/eras", version}; }

  std::string folder_;
  model::ServerSpec spec;
  WallTime now{hours(1'000'000)};
};

TEST_F(EraRecordTest, KeepsAnEraForTheSameCommandAndVersion) {
  EXPECT_EQ(record().recall(spec, now), std::nullopt);
  ASSERT_TRUE(record().keep(spec, mcp::Era::modern, now));
  EXPECT_EQ(record().recall(spec, now), mcp::Era::modern);
  EXPECT_EQ(record("2").recall(spec, now), std::nullopt) << "another Berth may judge otherwise";
  model::ServerSpec other = spec;
  other.command.push_back("--more");
  EXPECT_EQ(record().recall(other, now), std::nullopt);
  ASSERT_TRUE(record().keep(other, mcp::Era::legacy, now));
  EXPECT_EQ(record().recall(spec, now), mcp::Era::modern);
  EXPECT_EQ(record().recall(other, now), mcp::Era::legacy);
  ASSERT_TRUE(record().keep(spec, std::nullopt, now));
  EXPECT_EQ(record().recall(spec, now), std::nullopt);
  EXPECT_EQ(text().find("secret"), std::string::npos);
}

TEST_F(EraRecordTest, AsksAgainWhenTheProgramHasChangedOrAWeekHasPassed) {
  ASSERT_TRUE(record().keep(spec, mcp::Era::legacy, now));
  EXPECT_EQ(record().recall(spec, now + hours(7 * 24)), mcp::Era::legacy);
  EXPECT_EQ(record().recall(spec, now + hours(7 * 24 + 1)), std::nullopt);
  EXPECT_EQ(record().recall(spec, now - hours(1)), std::nullopt) << "the clock went back";
  write("server.mjs", "a longer program");
  EXPECT_EQ(record().recall(spec, now), std::nullopt);
}

TEST_F(EraRecordTest, RemembersThatAServerAsksAsLongAsItsProgramIsTheSame) {
  EXPECT_FALSE(record().recalls_asking(spec));
  ASSERT_TRUE(record().keep_asking(spec, now));
  EXPECT_TRUE(record().recalls_asking(spec));
  EXPECT_EQ(record().recall(spec, now), std::nullopt) << "its era is another matter";
  ASSERT_TRUE(record().keep(spec, mcp::Era::legacy, now));
  ASSERT_TRUE(record().keep(spec, std::nullopt, now));
  EXPECT_TRUE(record().recalls_asking(spec));
  ASSERT_TRUE(record().keep(spec, mcp::Era::legacy, now));
  ASSERT_TRUE(record().keep_asking(spec, now + hours(1)));
  EXPECT_EQ(record().recall(spec, now + hours(7 * 24)), mcp::Era::legacy);
  EXPECT_EQ(record().recall(spec, now + hours(7 * 24 + 1)), std::nullopt) << "asking makes an era no younger";
  EXPECT_TRUE(record().recalls_asking(spec));
  write("server.mjs", "a longer program");
  EXPECT_FALSE(record().recalls_asking(spec));
}

TEST_F(EraRecordTest, WhateverTheFileHoldsIsHarmlessAndTheFileStaysSmall) {
  write("eras", std::string(1, '\0') + " garbage\nkey\nkey era 5\nkey modern x\n\n");
  EXPECT_EQ(record().recall(spec, now), std::nullopt);
  for (int i = 0; i < 100; ++i) {
    model::ServerSpec each = spec;
    each.command.push_back(std::to_string(i));
    ASSERT_TRUE(record().keep(each, mcp::Era::modern, now));
  }
  const std::string kept = text();
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 64);
  write("eras", std::string(1 << 20, 'x'));
  EXPECT_EQ(record().recall(spec, now), std::nullopt);
  EXPECT_TRUE(record().keep(spec, mcp::Era::modern, now));
  EXPECT_EQ(record().recall(spec, now), mcp::Era::modern);
}

TEST_F(EraRecordTest, SaysThatItCannotBeWritten) {
  const EraRecord nowhere(folder_ + "/none/eras", "1");
  EXPECT_FALSE(nowhere.keep(spec, mcp::Era::modern, now));
  EXPECT_EQ(nowhere.recall(spec, now), std::nullopt);
}

}  // namespace
}  // namespace berth::task
