#include "aws/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace berth::aws {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

}  // namespace

Result<std::string> read_small_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return Failure(errno_error(errno, "read " + path));
  std::string content;
  std::array<char, 16 * 1024> part;
  for (;;) {
    const ssize_t count = ::read(file.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure(errno_error(errno, "read " + path));
    if (count == 0) return content;
    content.append(part.data(), static_cast<std::size_t>(count));
    if (content.size() > small_file_bytes_max) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("The file {} is larger than {} bytes.", path, small_file_bytes_max));
    }
  }
}

Result<void> write_private_file(const std::string& path, const std::string& content) {
  const std::string temporary = fmt::format("{}.{}.new", path, ::getpid());
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.get() < 0) return Failure(errno_error(errno, "write " + temporary));
    std::size_t written = 0;
    while (written < content.size()) {
      const ssize_t count = ::write(file.get(), content.data() + written, content.size() - written);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Failure(errno_error(errno, "write " + temporary));
      written += static_cast<std::size_t>(count);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return Failure(errno_error(errno, "write " + path));
  return {};
}

std::string variable(const Environment& environment, const std::string& name) {
  const auto at = environment.find(name);
  return at == environment.end() ? std::string() : at->second;
}

std::string expand_home(const Environment& environment, const std::string& path) {
  return path.starts_with("~/") ? variable(environment, "HOME") + path.substr(1) : path;
}

}  // namespace berth::aws
