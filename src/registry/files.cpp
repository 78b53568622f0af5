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

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

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
  std::size_t filled = 0;
  text.resize(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)) + 1);
  while (true) {
    if (filled == text.size()) text.resize(text.size() * 2);
    const auto count = ::read(file.number(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure(errno_error(errno, fmt::format("reading '{}'", path)));
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
    if (filled > bytes_max) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("'{}' is larger than {} bytes.", path, bytes_max));
    }
  }
  text.resize(filled);
  return text;
}

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
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
