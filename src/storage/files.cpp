#include "storage/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/descriptor.h"
#include "base/random.h"

namespace berth::storage {

namespace {

/// File names have at most 255 bytes; "~" and 64 digits follow a cut name.
constexpr std::size_t whole_name_bytes_max = 200;
constexpr std::size_t cut_name_bytes = 120;
constexpr std::string_view hex_digits = "0123456789abcdef";

Failure failed(std::string_view what, const std::string& path) {
  return Failure(errno_error(errno, fmt::format("{} '{}'", what, path)));
}

/// At most `bytes_max` bytes of what is open now: the name may stand for another file a moment later.
Result<std::string> read_up_to(const std::string& path, std::size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) return failed("cannot open", path);
  std::string text(std::min(static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)), bytes_max), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const auto count = ::read(file.number(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot read", path);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return text;
}

bool stands_for_itself(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
}

std::string encode_bytes(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (stands_for_itself(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += hex_digits[byte >> 4];
    out += hex_digits[byte & 15];
  }
  return out;
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  auto text = read_up_to(path, bytes_max + 1);
  if (text && text->size() > bytes_max) {
    return fail(ErrorCode::resource_exhausted, fmt::format("'{}' has more than {} bytes.", path, bytes_max));
  }
  return text;
}

Result<std::string> read_head(const std::string& path, std::size_t bytes) { return read_up_to(path, bytes); }

Result<std::string> write_temporary(const std::string& directory, std::string_view head,
                                    std::string_view content) {
  std::string path = fmt::format("{}/tmp.{}", directory, random_hex(12));
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.number() < 0) return failed("cannot write", path);
  const bool written = write_all(file.number(), head) && write_all(file.number(), content) && file.close();
  if (written) return path;
  const Failure failure = failed("cannot write", path);
  remove_quietly(path);
  return failure;
}

Result<void> link_exclusively(const std::string& existing, const std::string& name) {
  if (::link(existing.c_str(), name.c_str()) == 0) return {};
  if (errno == EEXIST) return fail(ErrorCode::conflict, fmt::format("'{}' exists.", name));
  return failed("cannot create", name);
}

Result<void> replace(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("cannot replace", to);
  return {};
}

void remove_quietly(const std::string& path) { ::unlink(path.c_str()); }
bool remove_folder(const std::string& path) { return ::rmdir(path.c_str()) == 0; }

Result<std::vector<std::string>> list_names(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(directory.c_str()), &::closedir);
  if (!folder) return failed("cannot list", directory);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  std::ranges::sort(names);
  return names;
}

Result<void> make_directories(const std::string& directory) {
  for (std::size_t end = directory.find('/', 1);; end = directory.find('/', end + 1)) {
    const std::string part = directory.substr(0, end);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return failed("cannot make folder", part);
    if (end == std::string::npos) return {};
  }
}

std::optional<std::int64_t> age_s(const std::string& path, const std::string& just_written) {
  struct stat old_status{};
  struct stat new_status{};
  if (::stat(path.c_str(), &old_status) != 0 || ::stat(just_written.c_str(), &new_status) != 0) {
    return std::nullopt;
  }
  return new_status.st_mtim.tv_sec - old_status.st_mtim.tv_sec;
}

std::string encode_prefix(std::string_view prefix) { return encode_bytes(prefix); }

std::string encode_name(std::string_view name) {
  std::string encoded = encode_bytes(name);
  if (encoded.size() <= whole_name_bytes_max) return encoded;
  encoded.resize(cut_name_bytes);
  return fmt::format("{}~{}", encoded, sha256_hex(name));
}

std::optional<std::string> decode_name(std::string_view file_name) {
  std::string name;
  for (std::size_t i = 0; i < file_name.size(); ++i) {
    if (stands_for_itself(file_name[i])) {
      name += file_name[i];
      continue;
    }
    if (file_name[i] != '%' || i + 2 >= file_name.size()) return std::nullopt;
    const auto high = hex_digits.find(file_name[i + 1]);
    const auto low = hex_digits.find(file_name[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    name += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return name;
}

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  ::EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, ::EVP_sha256(), nullptr);
  std::string text;
  for (const unsigned char byte : digest) {
    text += hex_digits[byte >> 4];
    text += hex_digits[byte & 15];
  }
  return text;
}

}  // namespace berth::storage
