#include "cli/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/descriptor.h"

namespace berth::cli {

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return Failure(errno_error(errno, fmt::format("Opening {}", path)));
  std::string text;
  switch (read_all(file.number(), bytes_max, text)) {
    case ReadEnd::whole: return text;
    case ReadEnd::too_long: break;
    case ReadEnd::failed: return Failure(errno_error(errno, fmt::format("Reading {}", path)));
  }
  return fail(ErrorCode::resource_exhausted, fmt::format("{} has more than {} bytes.", path, bytes_max));
}

Result<void> write_file(const std::string& path, const std::string& text, IfExists if_exists) {
  std::string target = path;
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_EXCL;
  if (if_exists == IfExists::replace) {
    target += fmt::format(".{}.new", ::getpid());
    flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC;
  }
  const Descriptor file(::open(target.c_str(), flags, 0644));
  if (file.number() < 0) return Failure(errno_error(errno, fmt::format("Creating {}", path)));
  if (!write_all(file.number(), text)) {
    const Error error = errno_error(errno, fmt::format("Writing {}", path));
    ::unlink(target.c_str());
    return Failure(error);
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
