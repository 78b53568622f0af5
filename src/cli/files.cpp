#include "cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace berth::cli {
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

Result<void> write_all(int descriptor, const std::string& text, const std::string& path) {
  for (std::size_t at = 0; at < text.size();) {
    ssize_t wrote = ::write(descriptor, text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Failure(errno_error(errno, fmt::format("Writing {}", path)));
    at += static_cast<std::size_t>(wrote);
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Failure(errno_error(errno, fmt::format("Opening {}", path)));
  std::string text;
  char part[16 * 1024];
  while (true) {
    ssize_t got = ::read(file.get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failure(errno_error(errno, fmt::format("Reading {}", path)));
    if (got == 0) return text;
    text.append(part, static_cast<std::size_t>(got));
    if (text.size() > bytes_max) {
      return fail(ErrorCode::resource_exhausted, fmt::format("{} has more than {} bytes.", path, bytes_max));
    }
  }
}

Result<void> write_file(const std::string& path, const std::string& text, IfExists if_exists) {
  std::string target = path;
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_EXCL;
  if (if_exists == IfExists::replace) {
    target += fmt::format(".{}.new", ::getpid());
    flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC;
  }
  Descriptor file(::open(target.c_str(), flags, 0644));
  if (file.get() < 0) return Failure(errno_error(errno, fmt::format("Creating {}", path)));
  Result<void> written = write_all(file.get(), text, path);
  if (!written) {
    ::unlink(target.c_str());
    return written;
  }
  if (target != path && ::rename(target.c_str(), path.c_str()) != 0) {
    return Failure(errno_error(errno, fmt::format("Replacing {}", path)));
  }
  return {};
}

Result<AppendedFile> AppendedFile::open(const std::string& path, std::size_t bytes_max) {
  struct stat found{};
  if (::stat(path.c_str(), &found) == 0 && static_cast<std::size_t>(found.st_size) > bytes_max) {
    static_cast<void>(::rename(path.c_str(), (path + ".1").c_str()));
  }
  int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return Failure(errno_error(errno, fmt::format("Opening {}", path)));
  return AppendedFile(descriptor);
}

AppendedFile::~AppendedFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace berth::cli
