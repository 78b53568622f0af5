#include "cli/deploy_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "storage/files.h"

namespace berth::cli {

Result<DeployLock> DeployLock::take(const std::string& state_directory) {
  const Result<void> made = storage::make_directories(state_directory);
  if (!made) return Failure(made.error());
  const std::string path = state_directory + "/deploy.lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return Failure(errno_error(errno, fmt::format("open {}", path)));
  DeployLock lock(descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> pid{};
    const ssize_t got = ::pread(descriptor, pid.data(), pid.size() - 1, 0);
    return fail(ErrorCode::conflict,
                fmt::format("Another command is changing this service from here{}. Wait until it has ended.",
                            got > 0 ? fmt::format(" (pid {})", pid.data()) : ""));
  }
  const std::string pid = std::to_string(::getpid());
  const bool written = ::ftruncate(descriptor, 0) == 0 &&
                       ::pwrite(descriptor, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  static_cast<void>(written);  // the number is for a message alone
  return lock;
}

DeployLock::~DeployLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace berth::cli
