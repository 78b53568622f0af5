#include "mcp/session_origin.h"

#include <gtest/gtest.h>

#include "codec/json.h"

namespace berth::mcp {
namespace {

TEST(SessionOrigin, IsReadAsItWasWritten) {
  const SessionOrigin origin{"k1", "2025-06-18", R"({"roots":{"listChanged":true},"vendor":{}})",
                             R"({"name":"c","version":"1","title":"\"C\""})"};
  EXPECT_EQ(read_session_origin(write_session_origin(origin)), origin);
}

TEST(SessionOrigin, OfALongInfoNameAndVersionRemainAndCapabilitiesStayWhole) {
  SessionOrigin origin{"k1", "2025-11-25", R"({"elicitation":{"form":{},"url":{}}})", ""};
  origin.client_info = R"({"name":"c","version":"1","description":")" + std::string(2000, 'd') + R"("})";
  const auto read = read_session_origin(write_session_origin(origin));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->capabilities, origin.capabilities);
  EXPECT_EQ(read->client_info, R"({"name":"c","version":"1"})");
}

TEST(SessionOrigin, OfLongCapabilitiesThoseOfMcpRemain) {
  SessionOrigin origin{"k1", "2025-11-25", "", R"({"name":")" + std::string(3000, 'n') + R"("})"};
  origin.capabilities = R"({"vendor":")" + std::string(9000, 'v') + R"(","roots":{"x":")" +
                        std::string(500, 'r') + R"("},"elicitation":{"url":{}}})";
  const std::string text = write_session_origin(origin);
  EXPECT_LE(text.size(), session_origin_bytes_max);
  const auto read = read_session_origin(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->capabilities, R"({"elicitation":{"url":{}},"roots":{}})");
  EXPECT_EQ(read->client_info, R"({"name":")" + std::string(64, 'n') + R"("})");
}

TEST(SessionOrigin, NothingElseIsReadAsOne) {
  for (const char* text :
       {"", "0123abcd", "{}", R"({"key":"k","version":"v","capabilities":[],"clientInfo":{}})"})
    EXPECT_FALSE(read_session_origin(text)) << text;
}

}  // namespace
}  // namespace berth::mcp
