#include "task/edge/outside.h"

#include <gtest/gtest.h>

#include "codec/json.h"
#include "task/edge/testing/fixture.h"

namespace berth::task {
namespace {

using namespace std::chrono_literals;
using testing::Fleet;
using testing::summary;

constexpr std::string_view with_roots = R"({"roots":{}})";

/// A question of the server's outside every call, and its answer once there is one.
struct Asked {
  explicit Asked(Fleet& fleet, std::string principal = "alice", std::string method = "roots/list") {
    OutsideQuestion question;
    question.request = {"outside-1", std::move(method), ""};
    question.is_for = [principal = std::move(principal)](const mcp::Caller& caller) {
      return caller.principal == principal;
    };
    question.answer = [said = answer](std::string_view response) { *said += response; };
    fleet.nodes[0]->endpoint->ask(std::move(question));
    fleet.run();
  }
  bool is_refused() const { return *answer == nobody_to_ask; }

  std::shared_ptr<std::string> answer = std::make_shared<std::string>();
};

std::string answer_with(std::string_view question, std::string_view members) {
  return R"({"jsonrpc":"2.0","id":)" + std::string(json::parse(question)->find("id").text()) + "," +
         std::string(members) + "}";
}

TEST(OutsideQuestions, GoToTheClientsOwnStreamAndItsAnswerToTheServer) {
  Fleet fleet(2);
  const std::string session = fleet.initialize(with_roots);
  const auto stream = fleet.get(session);
  const Asked asked(fleet);
  ASSERT_EQ(stream->events().size(), 1u);
  const std::string question = stream->events()[0];
  EXPECT_EQ(json::parse(question)->find("method").as_string(), "roots/list");
  EXPECT_EQ(*asked.answer, "");
  const std::string roots = R"({"roots":[{"uri":"file:///a"}]})";
  // It may arrive at any task.
  EXPECT_EQ(summary(fleet.legacy(answer_with(question, R"("result":)" + roots), session, {.task = 1})),
            "202 empty");
  EXPECT_EQ(*asked.answer, roots);
  fleet.legacy(answer_with(question, R"("result":{})"), session);
  EXPECT_EQ(*asked.answer, roots) << "it is answered once";

  const Asked again(fleet);
  fleet.legacy(answer_with(stream->events()[1], R"("error":{"code":-1,"message":"No."})"), session);
  EXPECT_EQ(*again.answer, R"({"error":{"code":-1,"message":"No."}})");
}

TEST(OutsideQuestions, WaitAMomentForTheClientToOpenItsStream) {
  Fleet fleet;
  const std::string session = fleet.initialize(with_roots);
  const Asked asked(fleet);
  EXPECT_EQ(*asked.answer, "");
  fleet.clock.advance(4s);
  const auto stream = fleet.get(session);
  ASSERT_EQ(stream->events().size(), 1u);
  stream->disconnect();
  fleet.run();

  const Asked late(fleet);
  fleet.clock.advance(5s);
  EXPECT_TRUE(late.is_refused());
}

TEST(OutsideQuestions, AreRefusedWhereThereIsNobodyToAskOrNoTellingWhom) {
  Fleet fleet;
  EXPECT_TRUE(Asked(fleet).is_refused());
  const std::string one = fleet.initialize(with_roots);
  const auto stream = fleet.get(one);
  EXPECT_TRUE(Asked(fleet, "bob").is_refused()) << "his process is not alice's";
  const auto other = fleet.get(fleet.initialize(with_roots));
  EXPECT_TRUE(Asked(fleet).is_refused()) << "either client could be meant";
  EXPECT_TRUE(stream->events().empty());
  other->disconnect();
  fleet.run();
  const Asked asked(fleet);
  EXPECT_EQ(stream->events().size(), 1u);
  fleet.send("DELETE", {{"Mcp-Session-Id", one}}, "");
  EXPECT_TRUE(asked.is_refused()) << "its session has ended";
}

}  // namespace
}  // namespace berth::task
