#include "registry/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/random.h"

namespace berth::registry {

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) {
    return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a file.", path));
  }
  std::string text;
  text.reserve(std::min(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)), bytes_max));
  switch (read_all(file.number(), bytes_max, text)) {
    case ReadEnd::whole: return text;
    case ReadEnd::too_long: break;
    case ReadEnd::failed: return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
  }
  return fail(ErrorCode::resource_exhausted, fmt::format("'{}' is larger than {} bytes.", path, bytes_max));
}

Result<void> replace_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + "." + random_hex(6);
  bool written = false;
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    written = file.number() >= 0 && write_all(file.number(), content);
  }
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const Error error = errno_error(errno, fmt::format("writing '{}'", path));
  ::unlink(temporary.c_str());
  return Failure(error);
}

int open_beneath(int root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const long opened = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how));
  if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(opened);
  return ::openat(root, path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
}

void remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
}

}  // namespace berth::registry
