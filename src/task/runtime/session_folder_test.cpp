#include "task/runtime/session_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/random.h"
#include "base/testing/sim_clock.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using Standing = SessionRecords::Standing;

const std::string session = "0123456789abcdef0123456789abcdef";

class SessionFolders : public ::testing::Test {
 protected:
  ~SessionFolders() override { std::filesystem::remove_all(data); }

  static TaskIdentity task(std::uint64_t generation) {
    return {"t" + std::to_string(generation), "a", generation, "10.0.0.1:3001"};
  }
  std::unique_ptr<SessionFolder> open(std::uint64_t generation) {
    SessionFolder::Options options{data, task(generation), 1h};
    return SessionFolder::open(std::move(options), clock, null_log()).value();
  }
  std::size_t lives() const {
    const auto all = std::filesystem::directory_iterator(data + "/fleet/lives");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  std::string data = ::testing::TempDir() + "berth-" + random_hex(8);
  asio::io_context loop;
  berth::testing::SimClock clock{loop};
};

TEST_F(SessionFolders, OneOfSeveralTakesASessionOverAndAllSeeWho) {
  open(1);
  const auto two = open(2);
  const auto three = open(3);
  EXPECT_EQ(two->look(session, 1).standing, Standing::open);
  const auto won = two->claim(session, 1);
  EXPECT_EQ(won.standing, Standing::taken);
  EXPECT_EQ(won.heir, task(2));
  EXPECT_EQ(three->claim(session, 1).heir, task(2));
  EXPECT_EQ(three->look(session, 1).heir, task(2));
  EXPECT_EQ(two->claim(session, 1).heir, task(2));
}

TEST_F(SessionFolders, ASessionIsConfirmedUntilSomebodyHasTakenItOver) {
  const auto one = open(1);
  const auto two = open(2);
  EXPECT_EQ(one->confirm(session).standing, Standing::open);
  EXPECT_EQ(one->confirm(session).standing, Standing::open);
  EXPECT_EQ(two->claim(session, 1).heir, task(2));
  EXPECT_EQ(one->confirm(session).heir, task(2));
}

TEST_F(SessionFolders, ALifeThatEndedWhileItConfirmedHasAnHeirAllTheSame) {
  open(1);
  const auto two = open(2);
  std::filesystem::copy_file(data + "/fleet/lives/0000000000000001/seen",
                             data + "/fleet/lives/0000000000000001/" + session + ".heir");
  EXPECT_EQ(two->claim(session, 1).standing, Standing::unavailable);
  clock.advance(3min);
  EXPECT_EQ(two->claim(session, 1).heir, task(2));
}

TEST_F(SessionFolders, WhatEndedIsNotTakenOver) {
  const auto one = open(1);
  const auto two = open(2);
  for (int i = 0; i < 2500; ++i) one->end(random_hex(16));
  one->end(session);
  EXPECT_EQ(one->look(session, 1).standing, Standing::over);
  EXPECT_EQ(two->look(session, 1).standing, Standing::open);
  one->flush();
  EXPECT_EQ(two->look(session, 1).standing, Standing::over);
  EXPECT_EQ(two->claim(session, 1).standing, Standing::over);
}

TEST_F(SessionFolders, OfTheEndedOnesTheNewestAreKept) {
  const auto one = open(1);
  const auto two = open(2);
  one->end(session);
  for (int i = 0; i < 63'500; ++i) one->end(std::to_string(i));
  one->flush();
  EXPECT_EQ(two->look(session, 1).standing, Standing::over);
  for (int i = 0; i < 1000; ++i) one->end(std::to_string(i));
  EXPECT_EQ(two->look(session, 1).standing, Standing::open);
}

TEST_F(SessionFolders, TakeABoundedPlaceHoweverManySessionsEnd) {
  const auto one = open(1);
  const auto key = [](int i) { return fmt::format("{:032x}", i); };
  for (int i = 0; i < 70'000; ++i) {
    if (i % 1000 == 0) one->keep(key(i), "x");
    one->end(key(i));
  }
  one->flush();
  std::size_t files = 0;
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/fleet/lives/0000000000000001")) {
    ++files;
    bytes += entry.file_size();
  }
  EXPECT_LE(files, 65u) << "of ended ones, and `seen`";
  EXPECT_LE(bytes, 64u * 1000 * 33 + 20);
  EXPECT_EQ(one->look(key(69'999), 1).standing, Standing::over);
}

TEST_F(SessionFolders, WhatASessionChangedIsReadByWhoTakesItOver) {
  const auto one = open(1);
  const auto two = open(2);
  one->keep(session, "first");
  one->keep(session, "second");
  EXPECT_EQ(two->kept(session, 1), "second");
  EXPECT_EQ(two->kept(session, 2), "");
  one->end(session);
  EXPECT_EQ(two->kept(session, 1), "");
}

TEST_F(SessionFolders, ALifeThatIsGoneForLongerThanASessionIsKeptIsClearedAway) {
  auto one = open(1);
  one->keep(session, "text");
  const auto two = open(2);
  for (int minute = 0; minute < 70; ++minute) {
    clock.advance(1min);
    one->beat();
  }
  EXPECT_EQ(two->look(session, 1).standing, Standing::open);
  clock.advance(63min);
  EXPECT_EQ(two->look(session, 1).standing, Standing::over);
  open(3);
  EXPECT_EQ(lives(), 1u);
}

TEST_F(SessionFolders, ALifeThatBeginsIsLeftAlone) {
  const std::string beginning = data + "/fleet/lives/0000000000000001";
  std::filesystem::create_directories(beginning);
  std::filesystem::copy_file("/proc/self/stat", beginning + "/tmp.1");
  open(2);
  EXPECT_TRUE(std::filesystem::exists(beginning + "/tmp.1"));
}

TEST_F(SessionFolders, AnHeirIsFoundAsLongAsItLives) {
  open(1);
  const auto two = open(2);
  two->claim(session, 1);
  for (int minute = 0; minute < 200; ++minute) {
    clock.advance(1min);
    two->beat();
  }
  const auto three = open(3);
  EXPECT_EQ(three->look(session, 1).heir, task(2));
  EXPECT_EQ(lives(), 3u);
}

}  // namespace
}  // namespace berth::task
