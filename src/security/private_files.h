#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::security {

/// The whole file, at most 1 MiB. not_found, permission_denied … name the path.
Result<std::string> read_file(const std::string& path);

enum class Existing : std::uint8_t { replace, keep };

/// Writes a file so that nobody sees half of it and only `mode` may read it. With `keep`, an existing file
/// stays as it is, also when several write at once: conflict.
Result<void> write_file(const std::string& path, std::string_view text, unsigned mode, Existing existing);

/// Makes the folder and its parents; the last one with mode 0700.
Result<void> make_private_folder(const std::string& path);

}  // namespace berth::security
