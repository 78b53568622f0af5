#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace berth::cli {

/// The whole file. not_found, permission_denied, resource_exhausted above `bytes_max`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);

enum class IfExists : unsigned char { fail, replace };
/// Writes beside and renames, so that nobody sees half a file. conflict when it exists and must not.
Result<void> write_file(const std::string& path, const std::string& text, IfExists if_exists);

bool exists(const std::string& path);

}  // namespace berth::cli
