#include "task/runtime/authenticator.h"

namespace berth::task {

namespace {

/// Its time depends on the length of `given` alone.
bool equals_in_constant_time(std::string_view given, std::string_view key) {
  if (key.empty()) return false;
  std::size_t difference = given.size() ^ key.size();
  for (std::size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<std::size_t>(static_cast<unsigned char>(given[i] ^ key[i % key.size()]));
  }
  return difference == 0;
}

std::optional<std::string_view> given_key(const http::Headers& headers) {
  constexpr std::string_view scheme = "Bearer ";
  const auto authorization = headers.get("Authorization");
  if (authorization && authorization->size() > scheme.size() &&
      http::equals_ignoring_case(authorization->substr(0, scheme.size()), scheme)) {
    std::string_view key = authorization->substr(scheme.size());
    while (key.starts_with(' ')) key.remove_prefix(1);
    return key;
  }
  return headers.get("X-API-Key");
}

}  // namespace

bool Authenticator::has_key(const http::Headers& headers) { return given_key(headers).has_value(); }

std::optional<std::string_view> Authenticator::identify(const http::Headers& headers) const {
  if (keys_.empty()) return "anonymous";
  const auto given = given_key(headers);
  if (!given) return std::nullopt;
  std::optional<std::string_view> found;
  for (const auto& [principal, key] : keys_) {
    if (equals_in_constant_time(*given, key.reveal())) found = principal;
  }
  return found;
}

}  // namespace berth::task
