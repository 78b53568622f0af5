#include "mcp/legacy.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

TEST(Legacy, NegotiatesTheVersion) {
  EXPECT_EQ(negotiate_version("2025-03-26"), "2025-03-26");
  EXPECT_EQ(negotiate_version("2024-11-05"), "2024-11-05");
  EXPECT_EQ(negotiate_version("2026-07-28"), "2025-11-25");
  EXPECT_EQ(negotiate_version("1999-01-01"), "2025-11-25");
}

TEST(Legacy, ReadsInitialize) {
  const auto read = read_initialize(*json::parse(
      R"({"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c"}})"));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->version, "2025-06-18");
  EXPECT_EQ(read->capabilities, R"({"roots":{}})");
  EXPECT_EQ(read->client_info, R"({"name":"c"})");
  for (const std::string_view bad :
       {"{}", R"({"protocolVersion":1})", R"({"protocolVersion":"a","capabilities":[]})",
        R"({"protocolVersion":"a","clientInfo":"x"})"}) {
    const auto refused = read_initialize(*json::parse(bad));
    ASSERT_FALSE(refused.has_value()) << bad;
    EXPECT_EQ(refused.error().code, code::invalid_params);
  }
}

TEST(Legacy, AnswersInitializeWithoutModernCapabilities) {
  ServerDescription description;
  description.capabilities = R"({"tools":{},"extensions":{"x":{}},"tasks":{}})";
  description.server_info = R"({"name":"s","version":"1"})";
  EXPECT_EQ(initialize_result("2025-11-25", description, "x"),
            R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s",)"
            R"("version":"1"}})");
  description.instructions = "Hi";
  EXPECT_TRUE(initialize_result("2025-11-25", description, "x").ends_with(R"(,"instructions":"Hi"})"));
}

TEST(Legacy, NamesAServerThatDoesNotSayWhoItIs) {
  ServerDescription description;
  EXPECT_EQ(initialize_result("2025-11-25", description, "demo"),
            R"({"protocolVersion":"2025-11-25","capabilities":{},)"
            R"("serverInfo":{"name":"demo","version":"unknown"}})");
  description.server_info = R"({"title":"T","version":"2"})";
  EXPECT_TRUE(initialize_result("2025-11-25", description, "demo")
                  .ends_with(R"("serverInfo":{"name":"demo","title":"T","version":"2"}})"));
}

TEST(Legacy, TakesAwayWhatOnlyModernClientsUnderstand) {
  const std::string list = R"({"tools":[{"name":"a","outputSchema":{"type":"array"}},{"name":"b",)"
                           R"("outputSchema":{"type":"object"}}]})";
  EXPECT_EQ(legacy_result(Method::tools_list, list, Era::modern, "2025-11-25"),
            R"({"tools":[{"name":"a"},{"name":"b","outputSchema":{"type":"object"}}]})");
  EXPECT_EQ(legacy_result(Method::tools_list, list, Era::legacy, "2025-11-25"), list);
  const auto result = [](std::string text) {
    return legacy_result(Method::tools_call, std::move(text), Era::modern, "2025-11-25");
  };
  EXPECT_EQ(result(R"({"content":[{"type":"text","text":"1"}],"structuredContent":[1]})"),
            R"({"content":[{"type":"text","text":"1"}]})");
  EXPECT_EQ(result(R"({"content":[],"structuredContent":[1]})"),
            R"({"content":[{"type":"text","text":"[1]"}]})");
  EXPECT_EQ(result(R"({"structuredContent":{}})"), R"({"structuredContent":{}})");
}

TEST(Legacy, TranslatesErrors) {
  const RpcError missing{-32602, "gone", R"({"uri":"a"})"};
  EXPECT_EQ(legacy_error(missing, Method::resources_read, Era::modern).code, -32002);
  EXPECT_EQ(legacy_error(missing, Method::resources_read, Era::legacy).code, -32602);
  EXPECT_EQ(legacy_error(missing, Method::tools_call, Era::modern).code, -32602);
  EXPECT_EQ(legacy_error({-32021, "cap", {}}, Method::tools_call, Era::modern).code, -32603);
  EXPECT_EQ(legacy_status({-32000, "", R"({"retryAfter":1})"}), 429);
  EXPECT_EQ(legacy_status({-32601, "", {}}), 200);
}

TEST(Legacy, ShapesElicitationsForTheClientsRevision) {
  const InputRequest url{"k", "elicitation/create", R"({"mode":"url","url":"https://x","message":"m"})"};
  EXPECT_EQ(legacy_input_params(url, "2025-11-25", "e1"),
            R"({"elicitationId":"e1","mode":"url","url":"https://x","message":"m"})");
  const InputRequest form{"k", "elicitation/create", R"({"mode":"form","message":"m"})"};
  EXPECT_EQ(legacy_input_params(form, "2025-11-25", ""), form.params);
  EXPECT_EQ(legacy_input_params(form, "2025-06-18", ""), R"({"message":"m"})");
  EXPECT_EQ(legacy_input_params({"k", "roots/list", ""}, "2025-11-25", ""), "");
}

TEST(Legacy, ANoticeJoinsWhatTheResultsMetaHolds) {
  EXPECT_EQ(with_notice(R"({"tools":[]})", "Lost."), R"({"_meta":{"berth/notice":"Lost."},"tools":[]})");
  EXPECT_EQ(with_notice(R"({"content":[],"_meta":{"vendor/a":1}})", "Lost."),
            R"({"content":[],"_meta":{"berth/notice":"Lost.","vendor/a":1}})");
  EXPECT_EQ(notice_message("Lost."), R"({"jsonrpc":"2.0","method":"notifications/message",)"
                                     R"("params":{"level":"warning","logger":"berth","data":"Lost."}})");
}

}  // namespace
}  // namespace berth::mcp
