#include "registry/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace berth::registry {

namespace {

constexpr std::size_t block_bytes = 512;
constexpr std::size_t name_bytes = 100;
/// The largest size that eleven octal digits hold.
constexpr std::uint64_t octal_size_max = 077777777777;
/// A pax record or a long name; longer than any path that Linux allows.
constexpr std::uint64_t meta_bytes_max = 1u << 20;

bool fits_ustar(std::string_view name) {
  return name.size() <= name_bytes && std::ranges::all_of(name, [](char c) { return c > 0 && c < 0x7f; });
}

/// "30 path=…\n": the number counts itself.
void append_pax_record(std::string& out, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
  out += fmt::format("{} {}={}\n", length, key, value);
}

struct Block {
  std::string_view name;
  std::uint64_t bytes = 0;
  char type = '0';
  std::string_view link;
};

void append_block(std::string& out, const Block& block, unsigned mode, unsigned owner, std::int64_t time_s) {
  std::array<char, block_bytes> raw{};
  const auto put = [&](std::size_t at, std::size_t room, std::string_view text) {
    std::copy_n(text.begin(), std::min(room, text.size()), raw.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, name_bytes, block.name);
  put(100, 8, fmt::format("{:07o}", mode));
  put(108, 8, fmt::format("{:07o}", owner));
  put(116, 8, fmt::format("{:07o}", owner));
  put(124, 12, fmt::format("{:011o}", std::min(block.bytes, octal_size_max)));
  put(136, 12, fmt::format("{:011o}", static_cast<std::uint64_t>(std::max<std::int64_t>(time_s, 0))));
  put(148, 8, "        ");
  raw[156] = block.type;
  put(157, name_bytes, block.link);
  put(257, 8, std::string_view("ustar\00000", 8));
  put(329, 8, "0000000");
  put(337, 8, "0000000");
  unsigned sum = 0;
  for (const char byte : raw) sum += static_cast<unsigned char>(byte);
  put(148, 8, std::string_view(fmt::format("{:06o}", sum) + std::string("\0 ", 2)));
  out.append(raw.data(), raw.size());
}

std::string_view text_at(std::string_view block, std::size_t at, std::size_t room) {
  const std::string_view field = block.substr(at, room);
  return field.substr(0, field.find('\0'));
}

/// Octal digits, or the base-256 form of GNU tar for what they cannot hold.
std::optional<std::uint64_t> number_at(std::string_view block, std::size_t at, std::size_t room) {
  const std::string_view field = block.substr(at, room);
  if ((static_cast<unsigned char>(field.front()) & 0x80) != 0) {
    std::uint64_t value = 0;
    for (const char byte : field.substr(field.size() - 8))
      value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  std::uint64_t value = 0;
  for (const char c : field) {
    if (c == '\0' || c == ' ') {
      if (value != 0) break;
      continue;
    }
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string clean_path(std::string_view path) {
  while (path.starts_with("./") || path.starts_with("/")) path.remove_prefix(path.front() == '/' ? 1 : 2);
  while (path.ends_with("/")) path.remove_suffix(1);
  return std::string(path == "." ? "" : path);
}

}  // namespace

void append_tar_head(std::string& out, const Entry& entry, std::int64_t time_s) {
  const bool is_directory = entry.kind == Entry::Kind::directory;
  const std::string name = is_directory ? entry.path + "/" : entry.path;
  Block block{
      .name = name, .bytes = entry.kind == Entry::Kind::file ? entry.bytes() : 0, .type = '0', .link = {}};
  if (is_directory) block.type = '5';
  if (entry.kind == Entry::Kind::symlink) {
    block.type = '2';
    block.link = entry.target;
  }
  std::string records;
  if (!fits_ustar(name)) append_pax_record(records, "path", name);
  if (!fits_ustar(block.link)) append_pax_record(records, "linkpath", block.link);
  if (block.bytes > octal_size_max) append_pax_record(records, "size", std::to_string(block.bytes));
  if (!records.empty()) {
    const Block pax{.name = "PaxHeaders.0/entry", .bytes = records.size(), .type = 'x', .link = {}};
    append_block(out, pax, 0644, 0, time_s);
    out += records;
    append_tar_padding(out, records.size());
  }
  append_block(out, block, entry.mode, entry.owner, time_s);
}

void append_tar_padding(std::string& out, std::uint64_t content_bytes) {
  out.append((block_bytes - content_bytes % block_bytes) % block_bytes, '\0');
}

void append_tar_end(std::string& out) { out.append(2 * block_bytes, '\0'); }

Result<void> TarReader::append(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t count = 0;
    if (content_left_ > 0) {
      count = static_cast<std::size_t>(std::min<std::uint64_t>(content_left_, bytes.size()));
      take_content(bytes.substr(0, count));
      content_left_ -= count;
      position_ += count;
      if (content_left_ == 0) {
        if (auto ended = end_of_content(); !ended) return ended;
      }
    } else if (padding_left_ > 0) {
      count = static_cast<std::size_t>(std::min<std::uint64_t>(padding_left_, bytes.size()));
      padding_left_ -= count;
      position_ += count;
    } else {
      count = std::min(block_bytes - head_.size(), bytes.size());
      head_.append(bytes.substr(0, count));
      position_ += count;
      if (head_.size() == block_bytes) {
        if (auto taken = take_head(); !taken) return taken;
        head_.clear();
      }
    }
    bytes.remove_prefix(count);
  }
  return {};
}

Result<void> TarReader::take_head() {
  if (std::ranges::all_of(head_, [](char c) { return c == '\0'; })) return {};
  const auto size = number_at(head_, 124, 12);
  if (!size || *size > (std::uint64_t{1} << 50) || text_at(head_, 257, 5) != "ustar") {
    return fail(ErrorCode::invalid_argument,
                fmt::format("The data is not a tar archive (at byte {}).", position_ - block_bytes));
  }
  const char type = head_[156];
  std::uint64_t bytes = *size;
  if (type == 'x' || type == 'L' || type == 'K') {
    if (bytes > meta_bytes_max)
      return fail(ErrorCode::invalid_argument, "The tar archive has a huge header.");
    meta_.clear();
    content_ = type == 'x' ? Content::pax : type == 'L' ? Content::long_name : Content::long_link;
  } else if (type == 'g') {
    content_ = Content::skipped;
  } else {
    std::string path(text_at(head_, 0, name_bytes));
    const auto prefix = text_at(head_, 345, 155);
    // GNU's own format keeps times where ustar has the prefix.
    if (!prefix.empty() && head_[263] == '0') path = std::string(prefix) + "/" + path;
    if (!next_path_.empty()) path = next_path_;
    if (!next_size_.empty()) std::from_chars(next_size_.data(), next_size_.data() + next_size_.size(), bytes);
    current_.path = clean_path(path);
    current_.type = type == '\0' ? '0' : type;
    current_.link = next_link_.empty() ? std::string(text_at(head_, 157, name_bytes)) : next_link_;
    // Links and folders have no content, whatever their size field says.
    if (current_.type >= '1' && current_.type <= '6') bytes = 0;
    current_.bytes = bytes;
    current_.offset = position_;
    next_path_.clear();
    next_link_.clear();
    next_size_.clear();
    content_ = Content::member;
    visitor_.member(current_);
  }
  content_left_ = bytes;
  padding_left_ = (block_bytes - bytes % block_bytes) % block_bytes;
  return {};
}

void TarReader::take_content(std::string_view part) {
  if (content_ == Content::member) visitor_.content(part);
  if (content_ != Content::member && content_ != Content::skipped) meta_ += part;
}

Result<void> TarReader::end_of_content() {
  const std::string text = meta_.substr(0, meta_.find('\0'));
  if (content_ == Content::long_name) next_path_ = text;
  if (content_ == Content::long_link) next_link_ = text;
  if (content_ == Content::pax) apply_pax();
  return {};
}

void TarReader::apply_pax() {
  std::string_view rest = meta_;
  while (!rest.empty()) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc{} || length <= digits + 1 || length > rest.size()) return;
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : record.substr(equals + 1);
    if (key == "path") next_path_ = value;
    if (key == "linkpath") next_link_ = value;
    if (key == "size") next_size_ = value;
    rest.remove_prefix(length);
  }
}

}  // namespace berth::registry
