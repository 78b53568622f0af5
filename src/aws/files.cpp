#include "aws/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/descriptor.h"

namespace berth::aws {

Result<std::string> read_small_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number() < 0) return Failure(errno_error(errno, "read " + path));
  std::string content;
  switch (read_all(file.number(), small_file_bytes_max, content)) {
    case ReadEnd::whole: return content;
    case ReadEnd::too_long: break;
    case ReadEnd::failed: return Failure(errno_error(errno, "read " + path));
  }
  return fail(ErrorCode::resource_exhausted,
              fmt::format("The file {} is larger than {} bytes.", path, small_file_bytes_max));
}

Result<void> write_private_file(const std::string& path, const std::string& content) {
  const std::string temporary = fmt::format("{}.{}.new", path, ::getpid());
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number() < 0) return Failure(errno_error(errno, "write " + temporary));
    if (!write_all(file.number(), content)) return Failure(errno_error(errno, "write " + temporary));
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
