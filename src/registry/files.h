#pragma once

#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "base/result.h"

/// The few file operations that images are made of; all block.
namespace berth::registry {

/// The whole file. not_found, permission_denied …; resource_exhausted above `bytes_max`.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
/// A new file, or another content for the one that is there, visible all at once; mode 0600.
Result<void> replace_file(const std::string& path, std::string_view content);

/// Opens `path`, relative to the open folder `root`, for reading: never by way of a symlink, never outside
/// the folder (openat2(2) where the kernel has it). -1 with errno set.
int open_beneath(int root, const std::string& path);

/// A folder with all that is in it, quietly.
void remove_tree(const std::string& path);

}  // namespace berth::registry
