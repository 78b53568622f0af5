#include "task/host/watches.h"

#include <utility>

namespace berth::task::host {

bool Watches::remove(const PoolKey& key, const std::string& uri) {
  const auto pool = pools_.find(key);
  if (pool == pools_.end()) return false;
  const auto watch = pool->second.find(uri);
  if (watch == pool->second.end() || --watch->second > 0) return false;
  pool->second.erase(watch);
  if (pool->second.empty()) pools_.erase(pool);
  return true;
}

void Watches::remove_scope(const std::string& scope) {
  std::erase_if(pools_, [&](const auto& entry) { return entry.first.scope == scope; });
}

void Watches::forget_capabilities() {
  for (const auto& [key, uris] : std::exchange(pools_, {})) {
    for (const auto& [uri, count] : uris) pools_[{key.scope, {}}][uri] += count;
  }
}

std::set<std::string> Watches::of(const PoolKey& key) const {
  std::set<std::string> uris;
  const auto pool = pools_.find(key);
  if (pool == pools_.end()) return uris;
  for (const auto& [uri, count] : pool->second) uris.insert(uri);
  return uris;
}

bool Watches::set_elsewhere(const std::string& scope, const std::string& principal, const std::string& uri,
                            bool watched) {
  auto& there = elsewhere_[scope];
  const bool is_new = watched ? there.emplace(uri, principal).second : there.erase({uri, principal}) > 0;
  if (there.empty()) elsewhere_.erase(scope);
  return is_new;
}

std::set<std::string> Watches::of_scope(const std::string& scope) const {
  std::set<std::string> uris;
  for (auto pool = pools_.lower_bound({scope, {}}); pool != pools_.end() && pool->first.scope == scope;
       ++pool) {
    for (const auto& [uri, count] : pool->second) uris.insert(uri);
  }
  if (const auto there = elsewhere_.find(scope); there != elsewhere_.end()) {
    for (const auto& [uri, principal] : there->second) uris.insert(uri);
  }
  return uris;
}

std::set<std::string> Watches::of_all() const {
  std::set<std::string> uris;
  for (const auto& [key, pool] : pools_) {
    for (const auto& [uri, count] : pool) uris.insert(uri);
  }
  return uris;
}

std::set<PoolKey> Watches::keys() const {
  std::set<PoolKey> keys;
  for (const auto& [key, uris] : pools_) keys.insert(key);
  return keys;
}

}  // namespace berth::task::host
