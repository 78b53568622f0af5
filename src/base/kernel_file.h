#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// The small text files in which the kernel says how things are (/proc, /sys/fs/cgroup).
namespace berth {

/// The whole of it, 16 KiB at most; empty when it cannot be read.
std::string read_kernel_file(const std::string& path);

/// Takes the first line from the front of `text`, without its end; nullopt when nothing is left.
std::optional<std::string_view> take_line(std::string_view& text);

/// The number behind `key` in a file of "key number" lines; with an empty key, the number a file is.
std::optional<std::uint64_t> read_kernel_figure(const std::string& path, std::string_view key = {});

}  // namespace berth
