#include "security/private_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/random.h"

namespace berth::security {

namespace {

constexpr std::size_t file_bytes_max = 1u << 20;

/// Owns a descriptor.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Result<void> write_all(int descriptor, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure(errno_error(errno, "writing " + path));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(descriptor) != 0) return Failure(errno_error(errno, "writing " + path));
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return Failure(errno_error(errno, "reading " + path));
  std::string text;
  char part[4096];
  while (text.size() <= file_bytes_max) {
    const ssize_t count = ::read(file.get(), part, sizeof(part));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failure(errno_error(errno, "reading " + path));
    if (count == 0) return text;
    text.append(part, static_cast<std::size_t>(count));
  }
  return fail(ErrorCode::invalid_argument, path + " is larger than 1 MiB, which no certificate or key is");
}

Result<void> write_file(const std::string& path, std::string_view text, unsigned mode, Existing existing) {
  const std::string temporary = path + "." + random_hex(8);
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.get() < 0) return Failure(errno_error(errno, "creating " + temporary));
    ::fchmod(file.get(), mode);  // whatever the umask
    const auto written = write_all(file.get(), text, temporary);
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
