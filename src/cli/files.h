#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "base/result.h"

namespace berth::cli {

/// The whole file. not_found, permission_denied, resource_exhausted above `bytes_max`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

enum class IfExists : unsigned char { fail, replace };
/// Writes beside and renames, so that nobody sees half a file. conflict when it exists and must not.
Result<void> write_file(const std::string& path, const std::string& text, IfExists if_exists);

/// A file that is appended to, mode 0600; when it has more than `bytes_max` bytes it first becomes `path`.1.
class AppendedFile {
 public:
  static Result<AppendedFile> open(const std::string& path, std::size_t bytes_max);
  AppendedFile(AppendedFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  AppendedFile& operator=(AppendedFile&&) = delete;
  ~AppendedFile();
  int descriptor() const { return descriptor_; }

 private:
  explicit AppendedFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

bool exists(const std::string& path);

}  // namespace berth::cli
