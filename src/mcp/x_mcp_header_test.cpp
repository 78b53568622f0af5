#include "mcp/x_mcp_header.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

TEST(HeaderParams, AreReadAlongPropertiesOnly) {
  const auto params = read_header_params(
      *json::parse(R"({"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},)"
                   R"("deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}},)"
                   R"("x":{"default":{"x-mcp-header":"data"}}}})"));
  ASSERT_TRUE(params.has_value());
  EXPECT_EQ(*params, (std::vector<HeaderParam>{{"Region", {"region"}, false}, {"N", {"deep", "n"}, true}}));
}

TEST(HeaderParams, RefuseIllegalAnnotations) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {R"({"x-mcp-header":"A"})", "the schema itself is not reachable"},
      {R"({"properties":{"a":{"type":"string","x-mcp-header":""}}})", "a must be a non-empty header token"},
      {R"({"properties":{"a":{"type":"string","x-mcp-header":5}}})", "a must be a non-empty header token"},
      {R"({"properties":{"a":{"type":"string","x-mcp-header":"A B"}}})",
       "a must be a non-empty header token"},
      {R"({"properties":{"a":{"type":"number","x-mcp-header":"A"}}})",
       "a is allowed on strings, integers and booleans"},
      {R"({"properties":{"a":{"x-mcp-header":"A"}}})", "a is allowed on strings, integers and booleans"},
      {R"({"properties":{"a":{"type":"string","x-mcp-header":"A"},)"
       R"("b":{"type":"string","x-mcp-header":"a"}}})",
       "b repeats the name 'a'"},
      {R"({"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}})",
       "a is not reachable"},
      {R"({"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]})", "is not reachable"},
      {R"({"$defs":{"d":{"type":"string","x-mcp-header":"A"}}})", "is not reachable"},
  };
  for (const auto& [schema, expectation] : table) {
    const auto params = read_header_params(*json::parse(schema));
    ASSERT_FALSE(params.has_value()) << schema;
    EXPECT_NE(params.error().message().find(expectation), std::string::npos) << params.error().message();
  }
}

TEST(HeaderParams, AreComparedWithTheArguments) {
  const std::vector<HeaderParam> params = {{"Region", {"region"}, false}, {"N", {"deep", "n"}, true}};
  struct Row {
    std::string_view arguments;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string_view problem;
  };
  const Row table[] = {
      {R"({"region":"eu","deep":{"n":42}})", {{"mcp-param-region", "eu"}, {"Mcp-Param-N", "42"}}, ""},
      {R"({"region":"eu","deep":{"n":42}})",
       {{"mcp-param-region", "=?base64?ZXU=?="}, {"Mcp-Param-N", "42.0"}},
       ""},
      {R"({"region":null})", {}, ""},
      {R"({})", {}, ""},
      {R"({"region":"eu"})", {}, "required Mcp-Param-Region header is missing"},
      {R"({"region":"eu"})", {{"Mcp-Param-Region", "us"}}, "says 'us', but the argument 'region' is 'eu'"},
      {R"({"region":"eu"})", {{"Mcp-Param-Region", "eu"}, {"mcp-param-region", "eu"}}, "more than once"},
      {R"({"region":"eu"})", {{"Mcp-Param-Region", "=?base64?ZXU?="}}, "not canonical base64"},
      {R"({})", {{"Mcp-Param-Region", "eu"}}, "but the argument 'region' is not"},
      {R"({"deep":{"n":42}})", {{"Mcp-Param-N", "0x2a"}}, "says '0x2a'"},
      {R"({"region":{}})", {}, ""},
  };
  for (const Row& row : table) {
    http::Headers headers;
    for (const auto& [name, value] : row.headers) headers.add(name, value);
    const auto problem = check_header_params(params, *json::parse(row.arguments), headers);
    EXPECT_EQ(problem.has_value(), !row.problem.empty()) << row.arguments;
    if (!problem) continue;
    EXPECT_EQ(problem->code, code::header_mismatch);
    EXPECT_TRUE(problem->message.starts_with("Header mismatch: the ")) << problem->message;
    EXPECT_NE(problem->message.find(row.problem), std::string::npos) << problem->message;
  }
}

TEST(HeaderParams, AreAddedSoThatTheyCompareEqual) {
  const std::vector<HeaderParam> params = {
      {"A", {"a"}, false}, {"B", {"b"}, true}, {"C", {"c"}, false}, {"D", {"d"}, false}};
  const json::Slice arguments = *json::parse(R"({"a":" é\n","b":7.0,"c":true,"d":null})");
  http::Headers headers;
  add_header_params(params, arguments, headers);
  EXPECT_EQ(headers.get("mcp-param-b"), "7");
  EXPECT_EQ(headers.get("mcp-param-c"), "true");
  EXPECT_EQ(headers.get("mcp-param-d"), std::nullopt);
  EXPECT_EQ(check_header_params(params, arguments, headers), std::nullopt);
}

TEST(HeaderParams, CostAToolItsPlaceWhereTheyAreIllegal) {
  std::vector<std::string> left_out;
  const std::string good =
      R"({"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"string","x-mcp-header":"P"}}}}]})";
  EXPECT_EQ(leave_out_illegal_tools(good, left_out), good);
  EXPECT_TRUE(left_out.empty());
  EXPECT_EQ(
      leave_out_illegal_tools(R"({"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"number",)"
                              R"("x-mcp-header":"P"}}}},{"name":"b"}],"nextCursor":"c"})",
                              left_out),
      R"({"tools":[{"name":"b"}],"nextCursor":"c"})");
  EXPECT_EQ(left_out, std::vector<std::string>{
                          "Tool 'a': x-mcp-header at p is allowed on strings, integers and booleans only."});
}

TEST(HeaderParams, AreRemovedWhereTheyWouldCostTheTool) {
  const std::string good =
      R"({"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"string","x-mcp-header":"P"}}}}]})";
  EXPECT_EQ(repair_header_params(good), good);
  EXPECT_EQ(
      repair_header_params(
          R"({"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"number","x-mcp-header":"P"},)"
          R"("q":[{"x-mcp-header":1}]}}},{"name":"b"}]})"),
      R"({"tools":[{"name":"a","inputSchema":{"properties":{"p":{"type":"number"},)"
      R"("q":[{}]}}},{"name":"b"}]})");
  EXPECT_EQ(repair_header_params("{}"), "{}");
}

}  // namespace
}  // namespace berth::mcp
