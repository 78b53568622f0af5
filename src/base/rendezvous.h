#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth {

/// Rendezvous hashing (highest random weight): the places of `members` in the order in which `key` prefers
/// them. The same in every process, whatever the order of `members`; when one leaves, only the keys that
/// preferred it move, each to its second choice.
std::vector<std::size_t> rendezvous_order(std::string_view key, std::span<const std::string> members);

}  // namespace berth
