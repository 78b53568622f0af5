#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace berth::cluster {

/// Every task has port 3000 to itself, as on Fargate, because it has an address to itself.
inline constexpr std::uint16_t task_port = 3000;
/// Where sister tasks reach it.
inline constexpr std::uint16_t peer_port = 3001;

/// The loopback subnet that stands for a zone: its place in `zones` counts, 127.0.1.0/24 for the first,
/// 127.0.2.0/24 for the second … ; "127.0.1." for example. The zone is one of `zones`.
std::string zone_prefix(std::string_view zone, const std::vector<std::string>& zones);

/// The first address of the zone's subnet, from .1 to .254, on which both ports can be bound now and that is
/// not in `taken`. resource_exhausted when there is none. Another process may still take the port between
/// this call and the task's bind; the task then ends with a conflict and its restart draws another address.
Result<std::string> free_address(std::string_view zone, const std::vector<std::string>& zones,
                                 const std::vector<std::string>& taken);

}  // namespace berth::cluster
