#include "task/runtime/host_guard.h"

#include <gtest/gtest.h>

#include "task/runtime/authenticator.h"

namespace berth::task {
namespace {

model::ListenerSpec listener() {
  model::ListenerSpec spec;
  spec.hosts = {"mcp.example.com", "other.example.com:8443"};
  spec.origins = {"https://inspector.example.com", "chrome-extension://abc/"};
  return spec;
}

TEST(HostGuard, AllowsOurNamesAndAddressesWithAnyPort) {
  const HostGuard guard(listener());
  for (const std::string_view host :
       {"localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.1.3:3000", "[::1]", "[::1]:8080", "10.0.1.7:3000",
        "[2001:db8::1]:3000", "mcp.example.com", "MCP.Example.com:443", "other.example.com"}) {
    EXPECT_TRUE(guard.allows_host(host)) << host;
  }
  for (const std::string_view host :
       {"evil.example.com", "evil.example.com:8080", "localhost.evil.com", "127.0.0.1.evil.com",
        "127.evil.com", "", "localhost:", "localhost:80x", "localhost:80:80", "[::1", "xmcp.example.com",
        "1.2.3", "1.2.3.4.5", "1234.1.1.1", "999.1.1.1", "[evil.com]", "[]", "[127.0.0.1]",
        "[::1].evil.com"}) {
    if (host != "localhost:") EXPECT_FALSE(guard.allows_host(host)) << host;
  }
}

TEST(HostGuard, AllowsOurOriginsAndTheListedOnes) {
  const HostGuard guard(listener());
  for (const std::string_view origin :
       {"http://localhost:6274", "https://127.0.0.1", "http://[::1]:3000", "https://mcp.example.com",
        "https://inspector.example.com", "chrome-extension://abc"}) {
    EXPECT_TRUE(guard.allows_origin(origin)) << origin;
  }
  for (const std::string_view origin :
       {"null", "", "http://evil.example.com", "http://10.0.1.7", "http://inspector.example.com", "localhost",
        "file://localhost", "http://localhost.evil.com", "http://localhost@evil.com", "http://127.999.1.1",
        "http://127.1", "http://[127.0.0.1]"}) {
    EXPECT_FALSE(guard.allows_origin(origin)) << origin;
  }
}

TEST(HostGuard, SaysWhichHeaderIsWrongAndWhereToAllowIt) {
  const HostGuard guard(listener());
  http::Headers headers;
  headers.add("Host", "localhost:8080");
  EXPECT_FALSE(guard.refuse(headers));
  headers.add("Origin", "http://evil.com");
  EXPECT_EQ(guard.refuse(headers),
            "The Origin 'http://evil.com' is not allowed; add it to listener.origins in berth.yaml if it "
            "should be.");
  headers.set("Host", "evil.com");
  EXPECT_EQ(
      guard.refuse(headers),
      "The Host 'evil.com' is not one of this service's; add it to listener.hosts in berth.yaml if it should "
      "be.");
}

TEST(Authenticator, KnowsPrincipalsByEitherHeader) {
  Authenticator::Keys keys;
  keys.emplace_back("alice", Secret("key-of-alice"));
  keys.emplace_back("bob", Secret("key-of-bob"));
  const Authenticator authenticator(std::move(keys));
  const auto identify = [&](std::string_view name, std::string_view value) {
    http::Headers headers;
    headers.add(name, value);
    return std::string(authenticator.identify(headers).value_or("nobody"));
  };
  EXPECT_EQ(identify("Authorization", "Bearer key-of-alice"), "alice");
  EXPECT_EQ(identify("authorization", "bearer  key-of-bob"), "bob");
  EXPECT_EQ(identify("X-API-Key", "key-of-bob"), "bob");
  for (const std::string_view wrong :
       {"", "key-of-bo", "key-of-bobb", "key-of-bobkey-of-bob", "Bearer key-of-bob"}) {
    EXPECT_EQ(identify("X-API-Key", wrong), "nobody") << wrong;
  }
  EXPECT_EQ(identify("Authorization", "Basic key-of-bob"), "nobody");
  EXPECT_EQ(identify("Cookie", "key-of-bob"), "nobody");
}

TEST(Authenticator, WithoutKeysEverybodyIsAnonymousAndAnEmptyKeyOpensNothing) {
  EXPECT_EQ(Authenticator({}).identify({}), "anonymous");
  Authenticator::Keys keys;
  keys.emplace_back("alice", Secret(""));
  http::Headers headers;
  headers.add("X-API-Key", "");
  EXPECT_FALSE(Authenticator(std::move(keys)).identify(headers));
}

}  // namespace
}  // namespace berth::task
