#pragma once

#include <map>
#include <string>

#include "base/result.h"

/// The small files that credentials lie in.
namespace berth::aws {

inline constexpr std::size_t small_file_bytes_max = 1 << 20;

/// not_found, permission_denied, resource_exhausted above small_file_bytes_max, unavailable for the rest;
/// each names the path, none shows the content.
Result<std::string> read_small_file(const std::string& path);

/// Replaces a file at once, readable by its owner alone.
Result<void> write_private_file(const std::string& path, const std::string& content);

using Environment = std::map<std::string, std::string>;

/// The variable's value; empty when it is not set.
std::string variable(const Environment& environment, const std::string& name);

/// "~/x" with HOME.
std::string expand_home(const Environment& environment, const std::string& path);

}  // namespace berth::aws
