#include "mcp/sealed_handle.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/random.h"

namespace berth::mcp {
namespace {

using namespace std::chrono_literals;

const WallTime now{1'800'000'000s};

Handle example() {
  return {HandleKind::session, "task-2", "127.0.2.1:3001", 77, "local key", "alice", "digest", 1'800'000'010};
}

TEST(SealedHandle, OpensAsItWasSealed) {
  const HandleSealer sealer(Secret(std::string(32, 'k')));
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    Handle handle = example();
    handle.kind = static_cast<HandleKind>(1 + random() % 7);
    handle.generation = random_u64();
    handle.local = random_bytes(random() % 300);
    handle.principal = std::string(random() % 20, 'p');
    handle.expires_unix_s = random() % 2 == 0 ? 0 : 1'800'000'001;
    const std::string token = sealer.seal(handle);
    for (const char c : token) EXPECT_TRUE(c >= 0x21 && c <= 0x7E);
    const Result<Handle> opened = sealer.open(handle.kind, token, handle.principal, now);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(*opened, handle);
  }
}

TEST(SealedHandle, OpensUnderEitherKeyWhileOneIsRotated) {
  const Secret old_key(std::string(32, 'o'));
  const Secret new_key(std::string(32, 'n'));
  const HandleSealer before(old_key);
  const HandleSealer first(old_key, new_key);
  const HandleSealer second(new_key, old_key);
  const HandleSealer after(new_key);
  const Handle handle = example();
  const auto opens = [&](const HandleSealer& sealer, const HandleSealer& by) {
    const auto opened = by.open(handle.kind, sealer.seal(handle), handle.principal, now);
    return opened && *opened == handle;
  };
  EXPECT_TRUE(opens(before, first) && opens(first, before)) << "tasks of two steps that follow run together";
  EXPECT_TRUE(opens(first, second) && opens(second, first));
  EXPECT_TRUE(opens(second, after) && opens(after, second));
  EXPECT_FALSE(opens(before, after));
  EXPECT_FALSE(opens(second, before));
}

TEST(SealedHandle, RefusesEveryAlteration) {
  const HandleSealer sealer(Secret(std::string(32, 'k')));
  const std::string token = sealer.seal(example());
  const auto opens = [&](const std::string& altered) {
    return sealer.open(HandleKind::session, altered, "alice", now).has_value();
  };
  ASSERT_TRUE(opens(token));
  for (std::size_t at = 0; at < token.size(); ++at) {
    for (const char c : {'A', 'b', '-', '=', ' ', '\x80'}) {
      std::string altered = token;
      if (altered[at] == c) continue;
      altered[at] = c;
      EXPECT_FALSE(opens(altered)) << at << " " << c;
    }
    EXPECT_FALSE(opens(token.substr(0, at)));
  }
  EXPECT_FALSE(opens(token + "A"));
  EXPECT_FALSE(opens(token + "-TAMPERED"));
  EXPECT_FALSE(opens(""));
}

TEST(SealedHandle, BelongsToItsKindPrincipalAndTime) {
  const HandleSealer sealer(Secret(std::string(32, 'k')));
  const std::string token = sealer.seal(example());
  const auto code = [&](HandleKind kind, std::string_view principal, WallTime when) {
    const Result<Handle> opened = sealer.open(kind, token, principal, when);
    return opened ? "opened" : to_string(opened.error().code());
  };
  EXPECT_EQ(code(HandleKind::session, "alice", now), "opened");
  EXPECT_EQ(code(HandleKind::event, "alice", now), to_string(ErrorCode::invalid_argument));
  EXPECT_EQ(code(HandleKind::session, "bob", now), to_string(ErrorCode::permission_denied));
  EXPECT_EQ(code(HandleKind::session, "alice", now + 10s), to_string(ErrorCode::deadline_exceeded));
  const HandleSealer other(Secret(std::string(32, 'x')));
  EXPECT_FALSE(other.open(HandleKind::session, token, "alice", now).has_value());
}

TEST(SealedHandle, LooksDifferentEveryTimeAndHidesItsInside) {
  const HandleSealer sealer(Secret(std::string(32, 'k')));
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) tokens.insert(sealer.seal(example()));
  EXPECT_EQ(tokens.size(), 100u);
}

TEST(DerivedKeys, DifferByPurpose) {
  const Secret fleet(std::string(32, 'k'));
  EXPECT_EQ(derive_key(fleet, "peer tls").reveal().size(), 32u);
  EXPECT_EQ(derive_key(fleet, "peer tls").reveal(), derive_key(fleet, "peer tls").reveal());
  EXPECT_NE(derive_key(fleet, "peer tls").reveal(), derive_key(fleet, "handle").reveal());
}

TEST(RequestDigest, IsTheSameForTheSameRequestWrittenAnotherWay) {
  const std::string digest =
      request_digest("tools/call", R"({"name":"e","arguments":{"a":1,"b":[true,null,"x/é"]}})");
  const std::string_view same[] = {
      R"({"arguments":{"b":[true, null, "x\/\u00e9"],"a":1.0}, "name":"e"})",
      R"({"name":"e","arguments":{"a":1,"b":[true,null,"x/é"]},"_meta":{"x":1},"inputResponses":{},)"
      R"("requestState":"s"})",
  };
  for (const std::string_view params : same)
    EXPECT_EQ(request_digest("tools/call", params), digest) << params;
  const std::string_view other[] = {R"({"name":"e","arguments":{"a":2,"b":[true,null,"x/é"]}})",
                                    R"({"name":"e","arguments":{"a":1,"b":[true,"x/é",null]}})",
                                    R"({"name":"e","arguments":{"a":"1","b":[true,null,"x/é"]}})",
                                    R"({"name":"e"})",
                                    "{}",
                                    ""};
  for (const std::string_view params : other)
    EXPECT_NE(request_digest("tools/call", params), digest) << params;
  EXPECT_NE(request_digest("prompts/get", R"({"name":"e","arguments":{"a":1,"b":[true,null,"x/é"]}})"),
            digest);
}

}  // namespace
}  // namespace berth::mcp
