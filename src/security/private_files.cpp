#include "security/private_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/descriptor.h"
#include "base/random.h"

namespace berth::security {

namespace {

constexpr std::size_t file_bytes_max = 1u << 20;

Result<void> write_durably(int descriptor, std::string_view text, const std::string& path) {
  if (write_all(descriptor, text) && ::fsync(descriptor) == 0) return {};
  return Failure(errno_error(errno, "writing " + path));
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return Failure(errno_error(errno, "reading " + path));
  std::string text;
  switch (read_all(file.number(), file_bytes_max, text)) {
    case ReadEnd::whole: return text;
    case ReadEnd::too_long: break;
    case ReadEnd::failed: return Failure(errno_error(errno, "reading " + path));
  }
  return fail(ErrorCode::invalid_argument, path + " is larger than 1 MiB, which no certificate or key is");
}

Result<void> write_file(const std::string& path, std::string_view text, unsigned mode, Existing existing) {
  const std::string temporary = path + "." + random_hex(8);
  {
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.number() < 0) return Failure(errno_error(errno, "creating " + temporary));
    ::fchmod(file.number(), mode);  // whatever the umask
    const auto written = write_durably(file.number(), text, temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  // link() fails where the name exists, which rename() would replace.
  const bool keep = existing == Existing::keep;
  const int outcome =
      keep ? ::link(temporary.c_str(), path.c_str()) : ::rename(temporary.c_str(), path.c_str());
  const int number = errno;
  if (keep || outcome != 0) ::unlink(temporary.c_str());
  if (outcome == 0) return {};
  if (number == EEXIST) return fail(ErrorCode::conflict, path + " exists already");
  return Failure(errno_error(number, "creating " + path));
}

Result<void> make_private_folder(const std::string& path) {
  std::error_code problem;
  const bool created = std::filesystem::create_directories(path, problem);
  if (problem) return Failure(errno_error(problem.value(), "creating the folder " + path));
  if (created && ::chmod(path.c_str(), S_IRWXU) != 0) {
    return Failure(errno_error(errno, "protecting the folder " + path));
  }
  return {};
}

}  // namespace berth::security
