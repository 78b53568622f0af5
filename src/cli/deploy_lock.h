#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace berth::cli {

/// One deploy a folder at a time: a lock on `.berth/deploy.lock` that ends with the process, however it ends.
class DeployLock {
 public:
  /// conflict, with the pid of the other, when another process of this machine holds it.
  static Result<DeployLock> take(const std::string& state_directory);
  DeployLock(DeployLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  DeployLock& operator=(DeployLock&&) = delete;
  ~DeployLock();

 private:
  explicit DeployLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace berth::cli
