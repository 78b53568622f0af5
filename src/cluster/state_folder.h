#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/service.h"

namespace berth::cluster {

/// The state folder of a service, ready for use and held: no other `berth up` runs in it as long as this
/// lives.
class StateFolder {
 public:
  /// Makes what is missing (folders 0700, fleet key 0600) and takes the lock. Errors: conflict (held by
  /// another process: names its pid and since when), permission_denied and others (name the path and the
  /// remedy).
  static Result<std::unique_ptr<StateFolder>> open(StatePaths paths, const std::string& service,
                                                   WallTime now);
  ~StateFolder();
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;

  const StatePaths& paths() const { return paths_; }

 private:
  StateFolder(StatePaths paths, int lock) : paths_(std::move(paths)), lock_(lock) {}
  StatePaths paths_;
  int lock_;
};

}  // namespace berth::cluster
