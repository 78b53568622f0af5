#include "base/rendezvous.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace berth {
namespace {

/// FNV-1a, then the finalizer of SplitMix64: FNV alone spreads names that differ in their last letter badly.
std::uint64_t weight(std::string_view key, std::string_view member) {
  std::uint64_t hash = 14695981039346656037u;
  const auto add = [&hash](std::string_view text) {
    for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  };
  add(member);
  add({"\0", 1});
  add(key);
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9u;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
  return hash ^ (hash >> 31);
}

}  // namespace

std::vector<std::size_t> rendezvous_order(std::string_view key, std::span<const std::string> members) {
  std::vector<std::pair<std::uint64_t, std::size_t>> weights;
  for (std::size_t i = 0; i < members.size(); ++i) weights.emplace_back(weight(key, members[i]), i);
  std::ranges::sort(weights, [&](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : members[a.second] < members[b.second];
  });
  std::vector<std::size_t> order;
  for (const auto& [own, place] : weights) order.push_back(place);
  return order;
}

}  // namespace berth
