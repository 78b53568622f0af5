#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace berth::task {

/// Who sends wrong keys, and how often: an address may send `burst` of them and then one every
/// minute/`burst`. Remembers a bounded number of addresses, the latest; of IPv6 the /64, which one host has
/// to itself.
class WrongKeys {
 public:
  static constexpr std::size_t burst = 20;
  static constexpr std::size_t addresses_max = 4096;

  /// A wrong key came from `address`. nullopt: as any; else how long that address should wait.
  std::optional<Duration> count(std::string_view address, TimePoint now);
  std::size_t addresses() const { return latest_.size(); }

 private:
  struct Sender {
    std::string address;
    double left = burst;
    TimePoint seen{};
  };
  std::list<Sender> latest_;  ///< the one seen last in front
  std::unordered_map<std::string_view, std::list<Sender>::iterator> by_address_;
};

}  // namespace berth::task
