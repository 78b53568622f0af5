#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "http/message.h"

namespace berth::task {

/// Who sends a request, by API key: `Authorization: Bearer KEY` (RFC 6750) or `X-API-Key: KEY`. Keys are
/// compared in a time that does not depend on how much of one was right. Without keys everybody is
/// "anonymous".
class Authenticator {
 public:
  using Keys = std::vector<std::pair<std::string, Secret>>;
  explicit Authenticator(Keys keys) : keys_(std::move(keys)) {}

  /// The principal, valid as long as the authenticator; nullopt: no key, or none of ours.
  std::optional<std::string_view> identify(const http::Headers& headers) const;
  /// Whether a key was sent at all.
  static bool has_key(const http::Headers& headers);
  /// False: everyone is let in, so that nothing may be told that only users of the service may know.
  bool asks_for_keys() const { return !keys_.empty(); }

 private:
  Keys keys_;
};

}  // namespace berth::task
