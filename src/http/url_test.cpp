#include "http/url.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

TEST(UrlAddress, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_url("http://127.0.0.1:8000/mcp"), (UrlAddress{false, "127.0.0.1", 8000, "/mcp"}));
  EXPECT_EQ(parse_url("https://example.org"), (UrlAddress{true, "example.org", 443, "/"}));
  EXPECT_EQ(parse_url("http://[::1]:9?x=1"), (UrlAddress{false, "::1", 9, "/?x=1"}));
  EXPECT_EQ(parse_url("http://[::1]:9/")->host_header(), "[::1]:9");
  EXPECT_EQ(parse_url("https://example.org/a")->host_header(), "example.org");
}

TEST(UrlAddress, RefusesTheRestWithARemedy) {
  for (const std::string_view url :
       {"", "example.org", "ftp://x/", "http://", "http://:80/", "http://u:p@x/", "http://x:0/?k=u:p",
        "http://x:99999/", "http://x:1a/", "http://[::1", "http://[::1]x/", "http://x/#f", "http://x/ y"}) {
    const auto parsed = parse_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_TRUE(parsed.error().message().find("write it as http://host:port/path") != std::string::npos);
    EXPECT_TRUE(parsed.error().message().find("u:p") == std::string::npos) << "no secrets in messages";
  }
}

TEST(Resolving, LocalhostIsBothLoopbacks) {
  asio::io_context loop;
  Result<std::vector<net::Endpoint>> found;
  const auto resolve_into = [&]() -> Task<void> {
    found = co_await resolve_all(loop.get_executor(), "localhost", 80);
  };
  TaskScope scope(loop.get_executor());
  scope.spawn(resolve_into());
  loop.run();
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (std::vector<net::Endpoint>{{"127.0.0.1", 80}, {"::1", 80}}));
}

}  // namespace
}  // namespace berth::http
