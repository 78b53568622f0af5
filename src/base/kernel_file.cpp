#include "base/kernel_file.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "base/descriptor.h"

namespace berth {

namespace {

constexpr std::size_t kernel_file_bytes_max = 16 * 1024;

}  // namespace

std::string read_kernel_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (file.number() >= 0) static_cast<void>(read_all(file.number(), kernel_file_bytes_max, text));
  return text;
}

std::optional<std::string_view> take_line(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::optional<std::uint64_t> read_kernel_figure(const std::string& path, std::string_view key) {
  const std::string text = read_kernel_file(path);
  const std::string start = key.empty() ? std::string() : std::string(key) + " ";
  std::string_view rest = text;
  while (const auto line = take_line(rest)) {
    if (!line->starts_with(start)) continue;
    std::uint64_t value = 0;
    const char* const end = line->data() + line->size();
    if (std::from_chars(line->data() + start.size(), end, value).ec == std::errc{}) return value;
  }
  return std::nullopt;
}

}  // namespace berth
