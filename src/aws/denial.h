#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::aws {

/// What a message says that was refused. Also for text that is not a Fault's: stack events, service events
/// and stopped reasons quote the same sentences.
struct Denial {
  std::string principal;  ///< "arn:aws:iam::123456789012:user/x"; empty when the message does not tell
  std::string action;     ///< "ecs:CreateCluster"; likewise
  std::string resource;   ///< an ARN or "*"; likewise
  std::string encoded;    ///< EC2's encoded message, for `sts DecodeAuthorizationMessage`
};

/// nullopt when the message speaks of no refusal.
std::optional<Denial> find_denial(std::string_view message);

}  // namespace berth::aws
