#include "mcp/modern.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

constexpr std::string_view envelope = R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
                                      R"("io.modelcontextprotocol/clientCapabilities":{}})";

struct Request {
  std::string method = "tools/list";
  std::string params = "{" + std::string(envelope) + "}";
  std::vector<std::pair<std::string, std::string>> headers = {{"MCP-Protocol-Version", "2026-07-28"},
                                                              {"Mcp-Method", "tools/list"}};
};

/// "ok", or "STATUS CODE message".
std::string answer(const Request& request) {
  const std::string body = write_request("1", request.method, request.params);
  const Result<json::Slice> value = json::parse(body);
  const auto message = read_message(*value);
  http::Headers headers;
  for (const auto& [name, text] : request.headers) headers.add(name, text);
  const auto read = read_modern_request(*message, split_params(message->params), read_headers(headers));
  if (read) return "ok";
  EXPECT_TRUE(read.error().error.data.empty() || json::parse(read.error().error.data));
  return std::to_string(read.error().http_status) + " " + std::to_string(read.error().error.code) + " " +
         read.error().error.message;
}

std::string with_meta(std::string_view members) { return "{\"_meta\":{" + std::string(members) + "}}"; }

TEST(ModernRequest, ChecksTheEnvelope) {
  const std::string version = R"("io.modelcontextprotocol/protocolVersion":"2026-07-28")";
  const std::string capabilities = R"("io.modelcontextprotocol/clientCapabilities":{})";
  const std::pair<std::string, std::string_view> table[] = {
      {with_meta(version + "," + capabilities), "ok"},
      {with_meta(version),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/clientCapabilities\"] is missing."},
      {with_meta(capabilities),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/protocolVersion\"] is missing."},
      {with_meta(R"("io.modelcontextprotocol/protocolVersion":1,)" + capabilities),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/protocolVersion\"] must be a string."},
      {with_meta(version + R"(,"io.modelcontextprotocol/clientCapabilities":[])"),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/clientCapabilities\"] must be an object."},
      {with_meta(version + "," + capabilities + R"(,"io.modelcontextprotocol/clientInfo":"me")"),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/clientInfo\"] must be an object."},
      {with_meta(version + "," + capabilities + R"(,"progressToken":1.5)"),
       "400 -32602 Invalid params: _meta.progressToken must be a string or an integer."},
      {with_meta(version + "," + capabilities + R"(,"io.modelcontextprotocol/logLevel":"loud")"),
       "400 -32602 Invalid params: _meta[\"io.modelcontextprotocol/logLevel\"] must be one of debug, info, "
       "notice, "
       "warning, error, critical, alert, emergency."},
      {"{\"inputResponses\":null," + std::string(envelope) + "}",
       "400 -32602 Invalid params: inputResponses must be an object."},
      {"{\"requestState\":1," + std::string(envelope) + "}",
       "400 -32602 Invalid params: requestState must be a string."},
  };
  for (const auto& [params, expectation] : table)
    EXPECT_EQ(answer({.params = params}), expectation) << params;
}

TEST(ModernRequest, ComparesHeadersWithTheBody) {
  const std::string call = R"({"name":"écho",)" + std::string(envelope) + "}";
  const std::pair<Request, std::string_view> table[] = {
      {{.headers = {{"mcp-protocol-version", " 2026-07-28 "}, {"MCP-METHOD", "tools/list"}}}, "ok"},
      {{.headers = {{"Mcp-Method", "tools/list"}}},
       "400 -32020 Header mismatch: the required MCP-Protocol-Version header is missing."},
      {{.headers = {{"MCP-Protocol-Version", "2026-07-28"}}},
       "400 -32020 Header mismatch: the required Mcp-Method header is missing."},
      {{.headers = {{"MCP-Protocol-Version", "2025-11-25"}, {"Mcp-Method", "tools/list"}}},
       "400 -32020 Header mismatch: the MCP-Protocol-Version header says '2025-11-25', but the body says "
       "'2026-07-28'."},
      {{.headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "TOOLS/LIST"}}},
       "400 -32020 Header mismatch: the Mcp-Method header says 'TOOLS/LIST', but the body's method is "
       "'tools/list'."},
      {{.headers = {{"MCP-Protocol-Version", "2026-07-28"},
                    {"Mcp-Method", "tools/list"},
                    {"mcp-method", "tools/list"}}},
       "400 -32020 Header mismatch: the mcp-method header is given more than once."},
      {{"tools/call", call, {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}}},
       "400 -32020 Header mismatch: params.name is in the body, but the required Mcp-Name header is "
       "missing."},
      {{"tools/call",
        call,
        {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "echo"}}},
       "400 -32020 Header mismatch: the Mcp-Name header says 'echo', but params.name is 'écho'."},
      {{"tools/call",
        call,
        {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?!?="}}},
       "400 -32020 Header mismatch: the Mcp-Name header is not canonical base64 inside =?base64?…?=."},
      {{"tools/call",
        call,
        {{"MCP-Protocol-Version", "2026-07-28"},
         {"Mcp-Method", "tools/call"},
         {"Mcp-Name", "=?base64?w6ljaG8=?="}}},
       "ok"},
      {{"resources/read",
        R"({"uri":"a:b",)" + std::string(envelope) + "}",
        {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", "resources/read"}, {"Mcp-Name", "  a:b  "}}},
       "ok"},
  };
  for (const auto& [request, expectation] : table) EXPECT_EQ(answer(request), expectation);
}

TEST(ModernRequest, NamesTheSupportedVersions) {
  const std::string params = R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"v9",)"
                             R"("io.modelcontextprotocol/clientCapabilities":{}}})";
  const std::string body = write_request("1", "tools/list", params);
  const auto message = read_message(*json::parse(body));
  http::Headers headers;
  headers.add("MCP-Protocol-Version", "v9");
  const auto read = read_modern_request(*message, split_params(message->params), read_headers(headers));
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().http_status, 400);
  EXPECT_EQ(read.error().error, (RpcError{-32022, "Unsupported protocol version: 'v9'.",
                                          R"({"supported":["2026-07-28"],"requested":"v9"})"}));
}

TEST(ModernRequest, AnswersRemovedMethodsWithNotFound) {
  for (const std::string method :
       {"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"}) {
    const Request request{.method = method,
                          .headers = {{"MCP-Protocol-Version", "2026-07-28"}, {"Mcp-Method", method}}};
    EXPECT_EQ(answer(request),
              "404 -32601 Method not found: '" + method + "' does not exist in revision 2026-07-28.");
  }
}

std::string complete(Method method, std::string_view result, std::optional<CacheHint> cache = {}) {
  std::string out;
  append_modern_result(out, method, result, R"({"name":"s"})", cache);
  EXPECT_TRUE(json::parse(out).has_value()) << out;
  return out;
}

TEST(ModernResult, CarriesTypeServerInfoAndCachingHints) {
  EXPECT_EQ(complete(Method::tools_call, R"({"content":[]})"),
            R"({"resultType":"complete","content":[],)"
            R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}})");
  EXPECT_EQ(complete(Method::tools_list, R"({ "tools" : [] , "_meta" : { "a" : 1 } })"),
            R"({"resultType":"complete","ttlMs":0,"cacheScope":"private","tools" : [],)"
            R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"a" : 1 }})");
  EXPECT_EQ(
      complete(Method::resources_read, R"({"resultType":"x","ttlMs":5,"_meta":{}})", CacheHint{900, true}),
      R"({"resultType":"complete","ttlMs":900,"cacheScope":"public",)"
      R"("_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}})");
  EXPECT_EQ(complete(Method::other, R"({"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"}}})"),
            R"({"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"}}})");
}

TEST(ModernResult, AsksForInput) {
  EXPECT_EQ(modern_input_required(
                {{"k", "roots/list", ""}, {"l", "elicitation/create", R"({"message":"m"})"}}, "state", "{}"),
            R"({"resultType":"input_required","inputRequests":{"k":{"method":"roots/list"},)"
            R"("l":{"method":"elicitation/create","params":{"message":"m"}}},"requestState":"state",)"
            R"("_meta":{"io.modelcontextprotocol/serverInfo":{}}})");
  EXPECT_EQ(modern_input_required({}, "s", "{}"), R"({"resultType":"input_required","requestState":"s",)"
                                                  R"("_meta":{"io.modelcontextprotocol/serverInfo":{}}})");
}

TEST(ModernResult, DiscoversTheServer) {
  ServerDescription description;
  description.capabilities = R"({"tools":{"listChanged":true},"tasks":{}})";
  description.server_info = R"({"name":"s","version":"1"})";
  description.instructions = "Be \"nice\".";
  EXPECT_EQ(discover_result(description),
            R"({"resultType":"complete","supportedVersions":["2026-07-28"],)"
            R"("capabilities":{"tools":{"listChanged":true}},"instructions":"Be \"nice\".","ttlMs":0,)"
            R"("cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s",)"
            R"("version":"1"}}})");
}

TEST(ModernError, TranslatesAMissingResource) {
  const RequestParts parts = split_params(*json::parse(R"({"uri":"a:b"})"));
  EXPECT_EQ(modern_error({-32002, "gone", {}}, Method::resources_read, parts),
            (RpcError{-32602, "gone", R"({"uri":"a:b"})"}));
  EXPECT_EQ(modern_error({-32002, "gone", R"({"uri":"x"})"}, Method::resources_read, parts).data,
            R"({"uri":"x"})");
  EXPECT_EQ(modern_error({-32602, "gone", {}}, Method::resources_read, parts).data, R"({"uri":"a:b"})");
  EXPECT_EQ(modern_error({-32602, "bad", {}}, Method::tools_call, parts).data, "");
  EXPECT_EQ(modern_error({-32002, "x", {}}, Method::tools_call, parts).code, -32002);
  EXPECT_TRUE(is_missing_resource(Method::resources_read, R"({"contents":[ ]})"));
  EXPECT_FALSE(is_missing_resource(Method::resources_read, R"({"contents":[{}]})"));
  EXPECT_FALSE(is_missing_resource(Method::tools_call, R"({"contents":[]})"));
  EXPECT_EQ(missing_resource_error(parts).data, R"({"uri":"a:b"})");
}

TEST(ModernError, NamesTheCapabilityThatIsMissing) {
  const auto missing = [](std::string method, std::string params, std::string_view declared) {
    return missing_capability({"k", std::move(method), std::move(params)}, declared);
  };
  EXPECT_EQ(missing("sampling/createMessage", "{}", "{}"), R"({"sampling":{}})");
  EXPECT_EQ(missing("sampling/createMessage", "{}", R"({"sampling":{}})"), "");
  EXPECT_EQ(missing("sampling/createMessage", R"({"tools":[]})", R"({"sampling":{}})"),
            R"({"sampling":{"tools":{}}})");
  EXPECT_EQ(missing("roots/list", "", "{}"), R"({"roots":{}})");
  EXPECT_EQ(missing("roots/list", "", R"({"roots":{"listChanged":true}})"), "");
  EXPECT_EQ(missing("elicitation/create", "{}", "{}"), R"({"elicitation":{}})");
  EXPECT_EQ(missing("elicitation/create", "{}", R"({"elicitation":{}})"), "");
  EXPECT_EQ(missing("elicitation/create", "{}", R"({"elicitation":{"url":{}}})"),
            R"({"elicitation":{"form":{}}})");
  EXPECT_EQ(missing("elicitation/create", R"({"mode":"url"})", R"({"elicitation":{}})"),
            R"({"elicitation":{"url":{}}})");
  EXPECT_EQ(missing("elicitation/create", R"({"mode":"url"})", R"({"elicitation":{"url":{}}})"), "");
  EXPECT_EQ(missing_capability_error(R"({"sampling":{}})").data,
            R"({"requiredCapabilities":{"sampling":{}}})");
  EXPECT_EQ(modern_status(missing_capability_error("{}"), Method::tools_call), 400);
  EXPECT_EQ(modern_status({-32601, "", {}}, Method::other), 404);
  EXPECT_EQ(modern_status({-32601, "", {}}, Method::tools_call), 200);
  EXPECT_EQ(modern_status({-32602, "", {}}, Method::tools_call), 200);
}

TEST(Listen, ReadsTheFilterAndHonoursWhatTheServerCan) {
  const auto read = [](std::string_view params) { return read_listen_filter(*json::parse(params), 2); };
  const auto filter = read(R"({"notifications":{"toolsListChanged":true,"promptsListChanged":false,)"
                           R"("resourceSubscriptions":["a:1","a:1","a:2"]}})");
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(listen_acknowledged(*filter, "\"l\""),
            R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",)"
            R"("params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},)"
            R"("notifications":{"toolsListChanged":true,"resourceSubscriptions":["a:1","a:2"]}}})");
  EXPECT_EQ(listen_acknowledged(honoured(*filter, R"({"tools":{},"resources":{"subscribe":true}})"), "1"),
            R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",)"
            R"("params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1},)"
            R"("notifications":{"resourceSubscriptions":["a:1","a:2"]}}})");
  EXPECT_TRUE(filter->wants({Change::Kind::tools_list, {}, {}}));
  EXPECT_FALSE(filter->wants({Change::Kind::prompts_list, {}, {}}));
  EXPECT_TRUE(filter->wants({Change::Kind::resource_updated, "a:2", {}}));
  EXPECT_FALSE(filter->wants({Change::Kind::resource_updated, "a:3", {}}));
  const std::string long_uri =
      R"({"notifications":{"resourceSubscriptions":[")" + std::string(9000, 'a') + R"("]}})";
  for (const std::string_view bad :
       {R"({})", R"({"notifications":[]})", R"({"notifications":{"toolsListChanged":1}})",
        R"({"notifications":{"resourceSubscriptions":"a"}})",
        R"({"notifications":{"resourceSubscriptions":["a","b","c"]}})", long_uri.c_str()}) {
    const auto refused = read(bad);
    ASSERT_FALSE(refused.has_value()) << bad;
    EXPECT_EQ(refused.error().code, code::invalid_params);
  }
  EXPECT_EQ(listen_notification({Change::Kind::resource_updated, "a:1", {}}, "7"),
            R"({"jsonrpc":"2.0","method":"notifications/resources/updated",)"
            R"("params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"uri":"a:1"}})");
  EXPECT_EQ(listen_complete("7"), R"({"jsonrpc":"2.0","id":7,"result":{"resultType":"complete",)"
                                  R"("_meta":{"io.modelcontextprotocol/subscriptionId":7}}})");
}

}  // namespace
}  // namespace berth::mcp
