#include "task/native/ask_round.h"

#include <gtest/gtest.h>

namespace berth::task {
namespace {

struct Name {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(Name, (), (name))

std::vector<detail::RawAsk> three_asks() {
  return {Elicit<Name>("Who?", Key("user")).raw(), Sample("Hi").raw(), ListRoots().raw()};
}

TEST(AskRound, AsksEverythingUntilEverythingIsAnswered) {
  AskRound round;
  round.begin(three_asks());
  std::string keys;
  for (const auto& request : round.missing()) keys += request.key + " " + request.method + ";";
  EXPECT_EQ(keys, "user elicitation/create;sampling-2 sampling/createMessage;roots-3 roots/list;");

  round.take(json::Slice::trusted(R"({"user":{"action":"accept","content":{"name":"Ada"}},"other":1})"));
  EXPECT_FALSE(round.complete());
  EXPECT_EQ(round.missing().size(), 2u);
  round.take(json::Slice::trusted(
      R"({"sampling-2":{"content":{"type":"text","text":"x"}},"roots-3":{"roots":[]}})"));
  ASSERT_TRUE(round.complete());
  EXPECT_EQ(round.answers(),
            (std::vector<std::string>{R"({"action":"accept","content":{"name":"Ada"}})",
                                      R"({"content":{"type":"text","text":"x"}})", R"({"roots":[]})"}));
}

TEST(AskRound, KeepsTheFirstFittingAnswerAndMakesKeysUnique) {
  AskRound round;
  round.begin({Elicit<Name>("a", Key("k")).raw(), Elicit<Name>("b", Key("k")).raw()});
  EXPECT_EQ(round.missing()[1].key, "k-2");
  round.take(json::Slice::trusted(R"({"k":{"action":"decline"}})"));
  round.take(json::Slice::trusted(R"({"k":{"action":"cancel"},"k-2":{"action":"cancel"}})"));
  EXPECT_EQ(round.answers(), (std::vector<std::string>{R"({"action":"decline"})", R"({"action":"cancel"})"}));
}

TEST(AskRound, TakesOnlyAnswersThatFit) {
  const auto form = Elicit<Name>("Who?").raw();
  const auto own = ElicitForm("Which?", R"({"type":"object","properties":{"n":{"type":"integer"},)"
                                        R"("c":{"type":"string","enum":["a","b"]}},"required":["n"]})")
                       .raw();
  const auto url = ElicitUrl("Sign in", "https://example.com").raw();
  const std::tuple<const detail::RawAsk*, std::string_view, bool> cases[] = {
      {&form, R"(12345)", false},
      {&form, R"({})", false},
      {&form, R"({"action":"maybe"})", false},
      {&form, R"({"action":"decline"})", true},
      {&form, R"({"action":"accept"})", false},
      {&form, R"({"action":"accept","content":{"name":5}})", false},
      {&form, R"({"action":"accept","content":{"name":"x"}})", true},
      {&own, R"({"action":"accept","content":{}})", false},
      {&own, R"({"action":"accept","content":{"n":1.5}})", false},
      {&own, R"({"action":"accept","content":{"n":1,"c":"z"}})", false},
      {&own, R"({"action":"accept","content":{"n":1,"c":"b"}})", true},
      {&url, R"({"action":"accept"})", true},
  };
  for (const auto& [ask, response, fits] : cases) {
    EXPECT_EQ(response_fits(*ask, json::Slice::trusted(response)), fits) << response;
  }
}

TEST(Capabilities, AnEmptyElicitationCapabilityMeansForms) {
  const std::tuple<std::string_view, bool, bool> cases[] = {
      {R"({})", false, false},
      {R"({"elicitation":{}})", true, false},
      {R"({"elicitation":{"form":{}}})", true, false},
      {R"({"elicitation":{"url":{}}})", false, true},
      {R"({"elicitation":{"form":{},"url":{}}})", true, true},
      {R"({"elicitation":true})", false, false},
  };
  for (const auto& [declared, form, url] : cases) {
    EXPECT_EQ(detail::declares(declared, Capability::form), form) << declared;
    EXPECT_EQ(detail::declares(declared, Capability::url), url) << declared;
  }
}

TEST(Capabilities, WhatIsMissingIsNamedAsAClientCapabilitiesObject) {
  EXPECT_EQ(detail::required_capabilities(AskRound::undeclared(three_asks(), "{}")),
            R"({"elicitation":{},"sampling":{},"roots":{}})");
  EXPECT_EQ(detail::required_capabilities({Capability::url}), R"({"elicitation":{"url":{}}})");
}

}  // namespace
}  // namespace berth::task
