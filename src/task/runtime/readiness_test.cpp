#include "task/runtime/readiness.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/testing/sim_clock.h"
#include "task/runtime/testing/fakes.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;

class ReadinessTest : public ::testing::Test {
 protected:
  ReadinessTest() {
    good.state = {.ready = true, .reason = "", .processes = 1};
    bad.state = {.reason = "Its last words: password", .restarts = 3, .oom_kills = 2};
  }

  Readiness make(bool bad_is_remote = false) {
    Readiness::Options options{
        {{"good", &good, false, [this] { return load; }, [] { return 1; }}, {"bad", &bad, bad_is_remote}},
        30s,
        file,
        sister_is_whole};
    return {std::move(options), clock, null_log()};
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  testing::IdleHost good;
  testing::IdleHost bad;
  HomeLoad load{
      .homes = 2, .calls = 1234, .busiest_calls = 99, .busiest = "alice", .holder_homes = 1, .holder = "bob"};
  std::string file;
  std::function<bool()> sister_is_whole;
};

TEST_F(ReadinessTest, BeginsWhenEachServerHasAnsweredOnceAndLastsWhileSomeFail) {
  Readiness readiness = make();
  EXPECT_FALSE(readiness.look());
  std::swap(good.state, bad.state);
  EXPECT_TRUE(readiness.look());
  good.state.ready = bad.state.ready = false;
  EXPECT_TRUE(readiness.look());
  readiness.set_draining();
  EXPECT_FALSE(readiness.look());
}

TEST_F(ReadinessTest, BeginsWithoutSomeServerWhenItsTimeIsOver) {
  Readiness readiness = make();
  clock.advance(29s);
  EXPECT_FALSE(readiness.look());
  clock.advance(1s);
  EXPECT_TRUE(readiness.look());
}

TEST_F(ReadinessTest, DoesNotBeginWhereNothingAnswersThatThisTaskRuns) {
  good.state.ready = false;
  Readiness readiness = make(true);
  clock.advance(1min);
  EXPECT_FALSE(readiness.look());
  good.state.ready = true;
  EXPECT_TRUE(readiness.look());
}

TEST_F(ReadinessTest, BeginsThoughNothingAnswersWhereEachSilentServerIsRemote) {
  Readiness readiness({{{"bad", &bad, true}}, 30s, "", nullptr}, clock, null_log());
  EXPECT_FALSE(readiness.look());
  clock.advance(30s);
  EXPECT_TRUE(readiness.look());
}

TEST_F(ReadinessTest, DoesNotWaitForAServerThatCannotBeStarted) {
  bad.state.refused = true;
  Readiness readiness = make();
  EXPECT_TRUE(readiness.look());
  good.state.ready = false;
  good.state.refused = true;
  Readiness nothing = make();
  EXPECT_FALSE(nothing.look()) << "a task without a server that answers is of no use";
}

TEST_F(ReadinessTest, ShowsWhoIsSilentAlsoWhenItIsReady) {
  Readiness readiness = make();
  clock.advance(30s);
  EXPECT_TRUE(readiness.look());
  EXPECT_EQ(readiness.body(false), R"({"ready":true,"servers":{"good":true,"bad":false},)"
                                   R"("reasons":["bad: It does not answer; the log says why."]})");
  EXPECT_TRUE(readiness.body(true).contains("bad: Its last words: password"));
}

TEST_F(ReadinessTest, IsSickWhileAServerIsDownForLongThatAnswersInASister) {
  bool whole = true;
  sister_is_whole = [&whole] { return whole; };
  bad.state.ready = true;
  Readiness readiness = make();
  EXPECT_TRUE(readiness.look());
  EXPECT_TRUE(readiness.is_whole());
  bad.state.ready = false;
  EXPECT_TRUE(readiness.look());
  EXPECT_FALSE(readiness.is_whole());
  clock.advance(59s);
  EXPECT_TRUE(readiness.look());
  clock.advance(1s);
  EXPECT_FALSE(readiness.look());
  EXPECT_TRUE(readiness.body(false).contains("A server is down in this task alone."));
  whole = false;
  EXPECT_TRUE(readiness.look()) << "it is down everywhere";
  whole = true;
  bad.state.ready = true;
  EXPECT_TRUE(readiness.look());
}

TEST_F(ReadinessTest, IsNotSickForARemoteServer) {
  sister_is_whole = [] { return true; };
  bad.state.ready = true;
  Readiness readiness = make(true);
  EXPECT_TRUE(readiness.look());
  bad.state.ready = false;
  readiness.look();
  clock.advance(1h);
  EXPECT_TRUE(readiness.look());
  EXPECT_TRUE(readiness.is_whole());
}

TEST_F(ReadinessTest, KeepsWhatItKnowsInAFileOfItsOwnersAlone) {
  std::string folder = std::filesystem::temp_directory_path() / "berth_readiness_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  file = folder + "/1.ready.json";
  Readiness readiness = make();
  const auto text = [&] {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  readiness.look();
  EXPECT_EQ(
      text(),
      R"({"draining":false,"servers":[{"name":"good","ready":true,"restarts":0,"oom_kills":0,"homes":2,)"
      R"("home_calls":1200,"busiest":"alice","busiest_calls":99,"holder":"bob","holder_homes":1,)"
      R"("states_lost":1},)"
      R"({"name":"bad","ready":false,"reason":"Its last words: password",)"
      R"("restarts":3,"oom_kills":2}]})"
      "\n");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  bad.state.refused = true;
  bad.state.not_separated = "no Landlock";
  readiness.look();
  EXPECT_TRUE(text().contains(R"("refused":true,"not_separated":"no Landlock")")) << text();
  load = {};
  good.state.rests = true;
  readiness.look();
  EXPECT_TRUE(text().contains(R"("homes":0,"states_lost":1,"rests":true})")) << text();
  bad.state = {.ready = true, .reason = {}, .not_separated = {}, .restarts = 3};
  readiness.look();
  EXPECT_TRUE(text().contains(R"({"name":"bad","ready":true,"restarts":3)")) << text();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace berth::task
