#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>

#include "task/host/capabilities.h"

namespace berth::task::host {

/// Which resources the callers of each pool watch, each counted as often as it is watched.
class Watches {
 public:
  /// True when it is the first of this URI in the pool.
  bool add(const PoolKey& key, const std::string& uri) { return ++pools_[key][uri] == 1; }
  /// True when it was the last of this URI in the pool.
  bool remove(const PoolKey& key, const std::string& uri);
  void remove_scope(const std::string& scope);
  /// What the callers of all pools of a scope watch is watched in the scope's pool without capabilities.
  void forget_capabilities();

  bool contains(const PoolKey& key) const { return pools_.contains(key); }
  std::set<std::string> of(const PoolKey& key) const;
  std::set<std::string> of_all() const;
  std::set<PoolKey> keys() const;

 private:
  std::map<PoolKey, std::map<std::string, std::size_t>> pools_;
};

}  // namespace berth::task::host
