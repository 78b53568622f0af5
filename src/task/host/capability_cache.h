#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "task/host/capabilities.h"

namespace berth::task::host {

/// read_capabilities, remembered: the same few clients call again and again.
class CapabilityCache {
 public:
  const CapabilitySet& read(const std::string& json) {
    const auto known = known_.find(json);
    if (known != known_.end()) return known->second;
    if (known_.size() >= entries_max) known_.clear();
    return known_.emplace(json, read_capabilities(json)).first->second;
  }

 private:
  static constexpr std::size_t entries_max = 256;
  std::unordered_map<std::string, CapabilitySet> known_;
};

}  // namespace berth::task::host
