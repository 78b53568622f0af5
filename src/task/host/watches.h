#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "task/host/capabilities.h"

namespace berth::task::host {

/// Which resources the callers of each pool watch, each counted as often as it is watched, and which those of
/// a scope watch in other tasks.
class Watches {
 public:
  /// True when it is the first of this URI in the pool.
  bool add(const PoolKey& key, const std::string& uri) { return ++pools_[key][uri] == 1; }
  /// True when it was the last of this URI in the pool.
  bool remove(const PoolKey& key, const std::string& uri);
  void remove_scope(const std::string& scope);
  /// What the callers of all pools of a scope watch is watched in the scope's pool without capabilities.
  void forget_capabilities();

  /// Callers of the scope watch it in other tasks, or no more. True when it was not so before.
  bool set_elsewhere(const std::string& scope, const std::string& principal, const std::string& uri,
                     bool watched);

  bool contains(const PoolKey& key) const { return pools_.contains(key); }
  std::set<std::string> of(const PoolKey& key) const;
  /// In any pool of the scope, here or in other tasks.
  std::set<std::string> of_scope(const std::string& scope) const;
  std::set<std::string> of_all() const;
  std::set<PoolKey> keys() const;

 private:
  std::map<PoolKey, std::map<std::string, std::size_t>> pools_;
  /// By scope: URI and principal, of which a scope that everybody shares has several.
  std::map<std::string, std::set<std::pair<std::string, std::string>>> elsewhere_;
};

}  // namespace berth::task::host
