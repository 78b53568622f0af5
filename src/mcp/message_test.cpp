#include "mcp/message.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

json::Slice slice(std::string_view text) {
  const Result<json::Slice> parsed = json::parse(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed ? *parsed : json::Slice();
}

TEST(Message, TellsRequestsNotificationsAndResponsesApart) {
  const auto request =
      read_message(slice(R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"a":1}})"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->kind, Message::Kind::request);
  EXPECT_EQ(request->id, "7");
  EXPECT_EQ(request->known, Method::tools_call);
  EXPECT_EQ(request->params.text(), R"({"a":1})");
  const auto notification = read_message(slice(R"({"jsonrpc":"2.0","method":"notifications/initialized"})"));
  ASSERT_TRUE(notification.has_value());
  EXPECT_EQ(notification->kind, Message::Kind::notification);
  EXPECT_EQ(notification->known, Method::initialized);
  const auto response = read_message(slice(R"({"jsonrpc":"2.0","id":"x\"y","result":{}})"));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->kind, Message::Kind::response);
  EXPECT_EQ(response->id, R"("x\"y")");
}

TEST(Message, ReadsAMethodWrittenWithEscapes) {
  auto message = read_message(slice(R"({"jsonrpc":"2.0","id":1,"method":"tools\/call"})"));
  ASSERT_TRUE(message.has_value());
  const Message moved = *std::move(message);
  EXPECT_EQ(moved.method, "tools/call");
  EXPECT_EQ(moved.known, Method::tools_call);
}

TEST(Message, RefusesWhatIsNoMessageAndEchoesTheIdWhereItCan) {
  const std::tuple<std::string_view, std::string_view, std::string_view> table[] = {
      {"1", "", "a message must be a JSON object."},
      {"[]", "", "a message must be a JSON object."},
      {R"({"id":1,"method":"x"})", "1", "'jsonrpc' must be \"2.0\"."},
      {R"({"jsonrpc":"1.0","id":1,"method":"x"})", "1", "'jsonrpc' must be \"2.0\"."},
      {R"({"jsonrpc":2.0,"id":1,"method":"x"})", "1", "'jsonrpc' must be \"2.0\"."},
      {R"({"jsonrpc":"2.0","id":"a","method":5})", "\"a\"", "'method' must be a string."},
      {R"({"jsonrpc":"2.0","id":null,"method":"x"})", "", "'id' must be a string or an integer."},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"x"})", "", "'id' must be a string or an integer."},
      {R"({"jsonrpc":"2.0","id":true,"method":"x"})", "", "'id' must be a string or an integer."},
      {R"({"jsonrpc":"2.0","id":[1],"method":"x"})", "", "'id' must be a string or an integer."},
      {R"({"jsonrpc":"2.0","id":1,"method":"x","params":[1]})", "1", "'params' must be an object."},
      {R"({"jsonrpc":"2.0","id":1,"method":"x","params":"p"})", "1", "'params' must be an object."},
      {R"({"jsonrpc":"2.0","id":1})", "1", "a message needs a 'method', a 'result' or an 'error'."},
      {R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})", "1",
       "a response has either 'result' or 'error', not both."},
      {R"({"jsonrpc":"2.0","result":{}})", "", "a response needs the 'id' of its request."},
      {R"({"jsonrpc":"2.0","id":1,"error":"no"})", "1", "'error' must be an object."},
  };
  for (const auto& [text, id, message] : table) {
    const auto read = read_message(slice(text));
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().error.code, code::invalid_request) << text;
    EXPECT_EQ(read.error().error.message, "Invalid Request: " + std::string(message)) << text;
    EXPECT_EQ(read.error().id, id) << text;
  }
  EXPECT_TRUE(
      read_message(slice(R"({"jsonrpc":"2.0","id":99999999999999999999,"method":"x","params":null})")));
}

TEST(Message, WritesMessages) {
  EXPECT_EQ(write_result("1", "{}"), R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_EQ(write_error("", {-32700, "bad \"x\"", {}}),
            R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad \"x\""}})");
  EXPECT_EQ(write_error("\"a\"", {-32602, "m", "{\"uri\":1}"}),
            R"({"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"m","data":{"uri":1}}})");
  EXPECT_EQ(write_notification("n", ""), R"({"jsonrpc":"2.0","method":"n"})");
  EXPECT_EQ(write_request("3", "m", "{}"), R"({"jsonrpc":"2.0","id":3,"method":"m","params":{}})");
}

TEST(Message, StripsWhatBelongsToTheHop) {
  const std::pair<std::string_view, std::string_view> table[] = {
      {R"({"name":"echo","arguments":{"_meta":1}})", R"({"name":"echo","arguments":{"_meta":1}})"},
      {R"({"_meta":{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"x"},"name":"echo"})",
       R"({"name":"echo"})"},
      {R"({"name":"echo","_meta":{"io.modelcontextprotocol/logLevel":"info", "claudecode/toolUseId" : "t",)"
       R"("traceparent":"00"}})",
       R"({"name":"echo","_meta":{"claudecode/toolUseId" : "t","traceparent":"00"}})"},
      {R"({"inputResponses":{},"requestState":"s","uri":"a:b"})", R"({"uri":"a:b"})"},
      {R"({"_meta":{"io.modelcontextprotocol\/x":1}})", "{}"},
      {"{}", "{}"},
  };
  for (const auto& [text, expectation] : table) {
    EXPECT_EQ(strip_params(slice(text), split_params(slice(text))), expectation) << text;
  }
  EXPECT_EQ(strip_params({}, {}), "");
}

TEST(Core, NamesLevelsAndChanges) {
  for (int i = 0; i < 8; ++i) {
    const auto level = static_cast<LoggingLevel>(i);
    EXPECT_EQ(parse_logging_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_logging_level("Info"), std::nullopt);
  EXPECT_EQ(notification_method(Change::Kind::tools_list), "notifications/tools/list_changed");
}

}  // namespace
}  // namespace berth::mcp
