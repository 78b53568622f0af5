#include "task/host/era_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <string_view>
#include <vector>

#include "storage/files.h"

namespace berth::task {

namespace {

constexpr std::size_t file_bytes_limit = 16 * 1024;
constexpr std::size_t entries_max = 64;
/// A server that gained an era meanwhile is asked again.
constexpr std::chrono::hours fresh_for{7 * 24};
constexpr std::string_view legacy_word = "legacy";
constexpr std::string_view modern_word = "modern";

constexpr std::string_view unknown_word = "unknown";
constexpr std::string_view asks_word = " asks";

/// One line: "KEY ERA SECONDS", and " asks" behind it.
struct Entry {
  std::string key;
  std::optional<mcp::Era> era;
  std::int64_t unix_s = 0;
  bool asks = false;
};

std::string_view era_word(std::optional<mcp::Era> era) {
  if (!era) return unknown_word;
  return *era == mcp::Era::modern ? modern_word : legacy_word;
}

std::int64_t unix_seconds(WallTime when) {
  return std::chrono::duration_cast<std::chrono::seconds>(when.time_since_epoch()).count();
}

/// Not to be guessed from: arguments may be secrets. Two commands of one key would cost one start.
std::string key_of(const model::ServerSpec& spec, const std::string& version) {
  std::string text = version + '\0' + spec.directory;
  for (const std::string& argument : spec.command) {
    text += '\0' + argument;
    std::error_code error;
    const std::filesystem::path file = std::filesystem::path(spec.directory) / argument;
    if (!std::filesystem::is_regular_file(file, error)) continue;
    const auto size = std::filesystem::file_size(file, error);
    const auto changed = std::filesystem::last_write_time(file, error);
    text += fmt::format(" {} {}", size, changed.time_since_epoch().count());
  }
  return fmt::format("{:016x}", std::hash<std::string>{}(text));
}

std::optional<Entry> parse_entry(std::string_view line) {
  Entry entry;
  entry.asks = line.ends_with(asks_word);
  if (entry.asks) line.remove_suffix(asks_word.size());
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  entry.key = line.substr(0, first);
  const std::string_view word = line.substr(first + 1, second - first - 1);
  if (word == legacy_word) entry.era = mcp::Era::legacy;
  if (word == modern_word) entry.era = mcp::Era::modern;
  if (!entry.era && word != unknown_word) return std::nullopt;
  const char* const end = line.data() + line.size();
  const auto [stop, error] = std::from_chars(line.data() + second + 1, end, entry.unix_s);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return entry;
}

/// Newest first; lines that say nothing are left out.
std::vector<Entry> read_entries(const std::string& path) {
  std::vector<Entry> entries;
  const Result<std::string> text = storage::read_file(path, file_bytes_limit);
  std::string_view rest = text ? std::string_view(*text) : std::string_view();
  while (!rest.empty() && entries.size() < entries_max) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (auto entry = parse_entry(rest.substr(0, end))) entries.push_back(*std::move(entry));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return entries;
}

/// Of the key, which is taken out of `entries`; a new one when there is none.
Entry take_entry(std::vector<Entry>& entries, const std::string& key) {
  Entry own;
  own.key = key;
  const auto at = std::ranges::find(entries, key, &Entry::key);
  if (at != entries.end()) own = *at;
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
  return own;
}

Result<void> write_entries(const std::string& path, std::vector<Entry> entries) {
  if (entries.size() > entries_max) entries.resize(entries_max);
  std::string text;
  for (const Entry& entry : entries) {
    text += fmt::format("{} {} {}{}\n", entry.key, era_word(entry.era), entry.unix_s,
                        entry.asks ? asks_word : std::string_view());
  }
  const auto written = storage::write_temporary(std::filesystem::path(path).parent_path(), {}, text);
  if (!written) return Failure(written.error());
  auto placed = storage::replace(*written, path);
  if (!placed) storage::remove_quietly(*written);
  return placed;
}

}  // namespace

std::optional<mcp::Era> EraRecord::recall(const model::ServerSpec& spec, WallTime now) const {
  auto entries = read_entries(path_);
  const Entry own = take_entry(entries, key_of(spec, version_));
  const std::int64_t age_s = unix_seconds(now) - own.unix_s;
  if (age_s < 0 || age_s > std::chrono::seconds(fresh_for).count()) return std::nullopt;
  return own.era;
}

bool EraRecord::recalls_asking(const model::ServerSpec& spec) const {
  auto entries = read_entries(path_);
  return take_entry(entries, key_of(spec, version_)).asks;
}

Result<void> EraRecord::keep(const model::ServerSpec& spec, std::optional<mcp::Era> era, WallTime now) const {
  auto entries = read_entries(path_);
  Entry own = take_entry(entries, key_of(spec, version_));
  own.era = era;
  own.unix_s = unix_seconds(now);
  if (era || own.asks) entries.insert(entries.begin(), std::move(own));
  return write_entries(path_, std::move(entries));
}

Result<void> EraRecord::keep_asking(const model::ServerSpec& spec, WallTime now) const {
  auto entries = read_entries(path_);
  Entry own = take_entry(entries, key_of(spec, version_));
  if (!own.era) own.unix_s = unix_seconds(now);
  own.asks = true;
  entries.insert(entries.begin(), std::move(own));
  return write_entries(path_, std::move(entries));
}

}  // namespace berth::task
