#include "mcp/classify.h"

#include <gtest/gtest.h>

namespace berth::mcp {
namespace {

struct Row {
  std::string_view body;
  std::string_view header;  ///< MCP-Protocol-Version; empty: absent
  std::string_view expectation;
};

std::string verdict(const Row& row) {
  const Result<json::Slice> value = json::parse(row.body);
  if (!value) return "not JSON";
  if (value->is(json::Kind::array)) {
    const auto checked = check_batch(*value);
    return checked ? "legacy" : std::to_string(checked.error().error.code);
  }
  const auto message = read_message(*value);
  if (!message) return std::to_string(message.error().error.code);
  http::Headers headers;
  if (!row.header.empty()) headers.add("MCP-Protocol-Version", row.header);
  const auto era = classify(*message, split_params(message->params), read_headers(headers));
  if (!era) return std::to_string(era.error().http_status) + " " + std::to_string(era.error().error.code);
  return *era == Era::modern ? "modern" : "legacy";
}

TEST(Classify, DecidesByTheBodyFirst) {
  const std::string_view whole =
      R"({"jsonrpc":"2.0","id":1,"method":"initialize",)"
      R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
      R"("io.modelcontextprotocol/clientCapabilities":{}}}})";
  const std::string_view half =
      R"({"jsonrpc":"2.0","id":1,"method":"initialize",)"
      R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})";
  const std::string_view claim = R"({"jsonrpc":"2.0","id":1,"method":"tools/list",)"
                                 R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"v9"}}})";
  const std::string_view claimed_note =
      R"({"jsonrpc":"2.0","method":"n",)"
      R"("params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}})";
  const Row table[] = {
      {R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}})", "",
       "legacy"},
      {R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})", "2025-11-25", "legacy"},
      {R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{}})", "2026-07-28", "400 -32020"},
      {whole, "2026-07-28", "modern"},
      {whole, "", "modern"},
      {half, "", "legacy"},
      {claim, "", "modern"},
      {claim, "2025-11-25", "modern"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", "", "legacy"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", "2025-06-18", "legacy"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", "2026-07-28", "400 -32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{}}})", "2027-01-01", "400 -32602"},
      {R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})", "nonsense", "legacy"},
      {R"({"jsonrpc":"2.0","method":"notifications/initialized"})", "", "legacy"},
      {R"({"jsonrpc":"2.0","method":"notifications/x"})", "2026-07-28", "modern"},
      {claimed_note, "", "modern"},
      {R"({"jsonrpc":"2.0","id":1,"result":{}})", "2026-07-28", "legacy"},
      {"[]", "", "-32600"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])", "", "legacy"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"ping"},3])", "", "-32600"},
  };
  for (const Row& row : table) EXPECT_EQ(verdict(row), row.expectation) << row.body << " with " << row.header;
  const std::string mixed = "[" + std::string(claim) + "]";
  EXPECT_EQ(verdict({mixed, "", ""}), "-32600");
}

TEST(Headers, DecodeTheBase64SentinelStrictly) {
  const std::pair<std::string_view, std::optional<std::string>> table[] = {
      {"plain text", "plain text"},
      {"=?base64?SGVsbG8=?=", "Hello"},
      {"=?base64?"
       "?=",
       ""},
      {"=?base64?SGVsbG8?=", std::nullopt},
      {"=?base64?SGVsbG9=?=", std::nullopt},
      {"=?base64?SGVs!G8=?=", std::nullopt},
      {"=?base64?/w==?=", std::nullopt},
      {"=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?="},
      {"=?base64?", "=?base64?"},
      {"=?base64?=", "=?base64?="},
  };
  for (const auto& [text, expectation] : table) EXPECT_EQ(decode_header_value(text), expectation) << text;
}

TEST(Headers, EncodeWhatAHeaderCannotCarry) {
  const std::string_view table[] = {
      "echo", "a b\tc", "", " lead", "trail\t", "é😀", "a\nb", "=?base64?SGVsbG8=?=", "=?x"};
  for (const std::string_view value : table) {
    const std::string encoded = encode_header_value(value);
    EXPECT_EQ(decode_header_value(encoded), value);
    for (const char c : encoded) EXPECT_TRUE(c == '\t' || (c >= ' ' && c <= '~'));
  }
  EXPECT_EQ(encode_header_value("echo"), "echo");
  EXPECT_EQ(encode_header_value("é"), "=?base64?w6k=?=");
}

TEST(Headers, MatchAcceptAndContentType) {
  const auto accepting = [](std::string_view value, std::string_view type) {
    http::Headers headers;
    headers.add("accept", value);
    return accepts(read_headers(headers), type);
  };
  EXPECT_TRUE(accepting("application/json, text/event-stream", "text/event-stream"));
  EXPECT_TRUE(accepting("*/*", "text/event-stream"));
  EXPECT_TRUE(accepting("text/*;q=0.5", "text/event-stream"));
  EXPECT_FALSE(accepting("application/json", "text/event-stream"));
  EXPECT_FALSE(accepting("text/event-stream;q=0, application/json", "text/event-stream"));
  EXPECT_TRUE(accepts({}, "text/event-stream"));
  http::Headers headers;
  headers.add("Accept", "application/json");
  headers.add("accept", "text/event-stream");
  EXPECT_TRUE(accepts(read_headers(headers), "application/json"));
  EXPECT_TRUE(accepts(read_headers(headers), "text/event-stream"));
  EXPECT_FALSE(accepts(read_headers(headers), "text/html"));
  EXPECT_TRUE(is_plain_content(read_headers(headers)));
  headers.add("Content-Encoding", "gzip");
  EXPECT_FALSE(is_plain_content(read_headers(headers)));
  headers.add("Content-Type", "Application/JSON; charset=utf-8");
  EXPECT_TRUE(is_json_content(read_headers(headers)));
  headers.set("Content-Type", "text/plain");
  EXPECT_FALSE(is_json_content(read_headers(headers)));
  EXPECT_FALSE(is_json_content({}));
}

}  // namespace
}  // namespace berth::mcp
