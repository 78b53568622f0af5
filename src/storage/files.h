#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// The few file operations that storage is made of; all block, and only these do. They rest on what NFS 4.1
/// promises with default mount options: link and rename are atomic at the server, opening a file that
/// exists shows its newest content, a listing may be a minute old, and so may "there is no such file".
/// Nothing is locked, mapped or appended to.
namespace berth::storage {

/// The whole file; not_found, resource_exhausted above `bytes_max`, unavailable for anything else.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max);
/// Its first `bytes` bytes, or fewer when it is shorter.
Result<std::string> read_head(const std::string& path, std::size_t bytes);

/// Writes a new file of a random name ("tmp.…") in `directory` and returns its path. Not synced to disk:
/// what a process has written survives it; a power failure may take the last second.
Result<std::string> write_temporary(const std::string& directory, std::string_view head,
                                    std::string_view content);

/// Gives `existing` the further name `name`, if that is free: conflict otherwise. The fence of every write.
Result<void> link_exclusively(const std::string& existing, const std::string& name);
/// Renames over whatever has the name.
Result<void> replace(const std::string& from, const std::string& to);
void remove_quietly(const std::string& path);
/// False when it is not empty, or not there.
bool remove_folder(const std::string& path);

/// Names in a folder, sorted, without "." and ".."; not_found when there is none.
Result<std::vector<std::string>> list_names(const std::string& directory);
/// Makes a folder and those above it, readable by their owner alone; fine when there.
Result<void> make_directories(const std::string& directory);
/// Seconds since the file changed, by the clock of the file system.
std::optional<std::int64_t> age_s(const std::string& path, const std::string& just_written);

/// `name` as a file name: letters, digits, '_' and '-' stand for themselves, other bytes are %XX. Long
/// names are cut and end in '~' and their SHA-256, so that they differ; those are read back from the file's
/// content.
std::string encode_name(std::string_view name);
/// The encoding of a prefix of names, for filtering listings (as far as names are encoded whole).
std::string encode_prefix(std::string_view prefix);
/// nullopt for names that were cut, and for files that are not ours.
std::optional<std::string> decode_name(std::string_view file_name);

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

}  // namespace berth::storage
