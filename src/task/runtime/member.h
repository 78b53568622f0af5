#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/json.h"

namespace berth::task {

/// What a task tells its sisters about itself: in `fleet/<id>.json` on the shared volume and in greetings.
struct Member {
  std::string id;
  std::string address;  ///< peer endpoint "127.0.1.1:3001"
  std::uint64_t generation = 0;
  std::string zone;
  std::string version;
  std::int64_t heartbeat_ms = 0;  ///< by the member's own clock; compared only with its own earlier ones
  /// What its servers are together, when each answers that runs there; 0: one does not.
  std::uint64_t whole = 0;
  bool operator==(const Member&) const = default;
};

/// {"id":…,"address":…,"generation":"hexadecimal","zone":…,"version":…,"heartbeat":ms,
/// "whole":"hexadecimal"}
std::string to_json(const Member& member);
/// invalid_argument: a member is missing, of the wrong type, or an id that is not fit for a file name.
Result<Member> parse_member(json::Slice object);

/// 1 to 64 of A-Z a-z 0-9 _ . - and not starting with a dot.
bool is_member_id(std::string_view id);

/// A generation as sisters write it: sixteen hexadecimal digits. nullopt: no hexadecimal number.
std::string write_generation(std::uint64_t generation);
std::optional<std::uint64_t> read_generation(std::string_view text);

}  // namespace berth::task
