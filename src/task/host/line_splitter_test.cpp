#include "task/host/line_splitter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "task/host/last_words.h"

namespace berth::task::host {
namespace {

void feed(LineSplitter& splitter, std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> space = splitter.space();
    const std::size_t part = std::min(space.size(), bytes.size());
    std::copy_n(bytes.data(), part, space.data());
    splitter.commit(part);
    bytes.remove_prefix(part);
  }
}

TEST(LineSplitter, cuts_lines_wherever_reads_end) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    LineSplitter splitter(1000);
    std::vector<std::string> lines;
    std::string bytes;
    for (int i = 0; i < 20; ++i) {
      lines.emplace_back(random() % 300, static_cast<char>('a' + i));
      bytes += lines.back() + (random() % 2 == 0 ? "\n" : "\r\n");
    }
    std::vector<std::string> got;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t part = std::min<std::size_t>(1 + random() % 500, bytes.size() - at);
      feed(splitter, std::string_view(bytes).substr(at, part));
      while (const auto line = splitter.next()) got.emplace_back(*line);
      at += part;
    }
    EXPECT_EQ(got, lines);
    EXPECT_EQ(splitter.pending(), 0u);
  }
}

TEST(LineSplitter, refuses_a_line_beyond_the_limit_and_keeps_memory_bounded) {
  LineSplitter splitter(100'000);
  std::size_t given = 0;
  while (!splitter.too_long() && given < 100'000'000) {
    const std::span<char> space = splitter.space();
    ASSERT_LE(space.size(), 300'000u);
    std::fill(space.begin(), space.end(), 'x');
    splitter.commit(space.size());
    given += space.size();
    EXPECT_FALSE(splitter.next());
  }
  EXPECT_TRUE(splitter.too_long());
  EXPECT_LT(given, 200'000u);
}

TEST(LineSplitter, takes_a_line_of_exactly_the_limit) {
  LineSplitter splitter(5'000);
  feed(splitter, std::string(5'000, 'x') + "\n");
  EXPECT_EQ(splitter.next()->size(), 5'000u);
  EXPECT_FALSE(splitter.too_long());
}

TEST(LineSplitter, refuses_a_whole_line_above_the_limit) {
  LineSplitter splitter(5'000);
  feed(splitter, std::string(5'001, 'x') + "\n");
  EXPECT_FALSE(splitter.next());
  EXPECT_TRUE(splitter.too_long());
}

TEST(LineSplitter, gives_memory_back_after_a_long_line) {
  LineSplitter splitter(10'000'000);
  feed(splitter, std::string(5'000'000, 'x') + "\n");
  EXPECT_EQ(splitter.next()->size(), 5'000'000u);
  EXPECT_LE(splitter.space().size(), 64u * 1024);
}

TEST(LastWords, keeps_the_last_twenty_lines_of_a_flood_and_logs_few) {
  LastWords words;
  std::size_t logged = 0;
  for (int i = 0; i < 10'000; ++i)
    logged += words.take("line " + std::to_string(i) + "\n", TimePoint{}).size();
  EXPECT_EQ(logged, 200u);
  EXPECT_EQ(words.take_suppressed(), 9'800u);
  const std::string text = words.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 19);
  EXPECT_TRUE(text.ends_with("line 9999"));
  EXPECT_FALSE(words.take("later\n", TimePoint{} + std::chrono::seconds(1)).empty());
}

TEST(LastWords, keeps_the_error_before_a_long_text_about_usage) {
  for (const std::string first : {"Error: API_TOKEN is not set", "Give a token, please"}) {
    LastWords words;
    std::string text = first + "\n\nUsage:\n  server [flags]\n\nFlags:\n";
    for (int i = 0; i < 60; ++i)
      text += "      --option-" + std::to_string(i) + " string   An error of use\n";
    words.take(text, TimePoint{});
    EXPECT_TRUE(words.sentence().reveal().starts_with(" Its last words: " + first + " … "))
        << words.sentence().reveal();
    EXPECT_NE(words.sentence().reveal().find("--option-59"), std::string::npos);
  }
}

TEST(LastWords, cuts_endless_lines) {
  LastWords words;
  for (int i = 0; i < 1'000; ++i) words.take(std::string(10'000, 'x'), TimePoint{});
  EXPECT_EQ(words.text().size(), LastWords::line_bytes_max);
}

TEST(LastWords, says_nothing_for_a_silent_server) {
  LastWords words;
  EXPECT_EQ(words.sentence().reveal(), "");
  words.take("Error: no such module\n  at main", TimePoint{});
  EXPECT_EQ(words.sentence().reveal(), " Its last words: Error: no such module   at main");
}

}  // namespace
}  // namespace berth::task::host
