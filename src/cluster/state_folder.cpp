#include "cluster/state_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/random.h"

namespace berth::cluster {

namespace {

Error unusable(const std::string& path, int number) {
  const Error error = errno_error(number, "the state folder is not usable: " + path);
  if (number != EACCES && number != EPERM && number != EROFS) return error;
  return Error(error.code(), error.message() +
                                 "; make it writable for this user, or move berth.yaml to a folder "
                                 "that is");
}

Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failure(unusable(path, errno));
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return Failure(unusable(path, errno));
  if (!S_ISDIR(info.st_mode)) return Failure(unusable(path, ENOTDIR));
  // Whoever made it, and with whatever umask.
  const bool is_shared = (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
  if (is_shared && ::chmod(path.c_str(), S_IRWXU) != 0) return Failure(unusable(path, errno));
  return {};
}

std::string read_lock(int lock) {
  std::array<char, 200> text{};
  const auto count = ::pread(lock, text.data(), text.size(), 0);
  std::string out(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return out.substr(0, out.find('\n'));
}

Result<int> take_lock(const StatePaths& paths, const std::string& service, WallTime now) {
  const int lock = ::open(paths.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return Failure(unusable(paths.lock(), errno));
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    const std::string holder = read_lock(lock);
    ::close(lock);
    return fail(
        ErrorCode::conflict,
        fmt::format("the service '{}' runs already ({}); see berth status, or stop it with berth down",
                    service, holder.empty() ? "it is just starting" : holder));
  }
  const std::string text = fmt::format("pid {}, since {}\n", ::getpid(), to_rfc3339(now));
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, text.data(), text.size(), 0) < 0) {
    const int number = errno;
    ::close(lock);
    return Failure(unusable(paths.lock(), number));
  }
  return lock;
}

/// An existing key must be long enough and ours alone to read.
Result<void> check_fleet_key(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return Failure(unusable(path, errno));
  if (static_cast<std::size_t>(info.st_size) < fleet_key_bytes) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("the fleet key {} has {} bytes and must have {}; delete it, and a new one is made", path,
                    info.st_size, fleet_key_bytes));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
  return fail(
      ErrorCode::permission_denied,
      fmt::format("the fleet key {} can be read by other users; delete it, and a new one is made", path));
}

Result<void> make_fleet_key(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) return check_fleet_key(path);
  if (file < 0) return Failure(unusable(path, errno));
  const std::string key = random_bytes(fleet_key_bytes);
  const auto written = ::write(file, key.data(), key.size());
  const int number = errno;
  ::close(file);
  if (written == static_cast<ssize_t>(key.size())) return {};
  ::unlink(path.c_str());
  return Failure(unusable(path, written < 0 ? number : ENOSPC));
}

}  // namespace

Result<std::unique_ptr<StateFolder>> StateFolder::open(StatePaths paths, const std::string& service,
                                                       WallTime now) {
  if (const auto made = make_folder(paths.directory); !made) return Failure(made.error());
  const auto lock = take_lock(paths, service, now);
  if (!lock) return Failure(lock.error());
  std::unique_ptr<StateFolder> folder(new StateFolder(std::move(paths), *lock));
  for (const std::string& path : {folder->paths_.data(), folder->paths_.logs(), folder->paths_.tasks()}) {
    if (const auto made = make_folder(path); !made) return Failure(made.error());
  }
  if (const auto made = make_fleet_key(folder->paths_.fleet_key()); !made) return Failure(made.error());
  return folder;
}

StateFolder::~StateFolder() {
  // Task files may hold secrets of the spec.
  std::error_code ignored;
  std::filesystem::remove_all(paths_.tasks(), ignored);
  ::close(lock_);
}

}  // namespace berth::cluster
