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

/// One line: "KEY ERA SECONDS".
struct Entry {
  std::string key;
  mcp::Era era = mcp::Era::legacy;
  std::int64_t unix_s = 0;
};

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
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::string_view word = line.substr(first + 1, second - first - 1);
  if (word != legacy_word && word != modern_word) return std::nullopt;
  Entry entry{std::string(line.substr(0, first)), word == modern_word ? mcp::Era::modern : mcp::Era::legacy};
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

}  // namespace

std::optional<mcp::Era> EraRecord::recall(const model::ServerSpec& spec, WallTime now) const {
  const std::string key = key_of(spec, version_);
  for (const Entry& entry : read_entries(path_)) {
    if (entry.key != key) continue;
    const std::int64_t age_s = unix_seconds(now) - entry.unix_s;
    if (age_s < 0 || age_s > std::chrono::seconds(fresh_for).count()) return std::nullopt;
    return entry.era;
  }
  return std::nullopt;
}

Result<void> EraRecord::keep(const model::ServerSpec& spec, std::optional<mcp::Era> era, WallTime now) const {
  std::vector<Entry> entries = read_entries(path_);
  Entry own{key_of(spec, version_), era.value_or(mcp::Era::legacy), unix_seconds(now)};
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == own.key; });
  if (era) entries.insert(entries.begin(), std::move(own));
  if (entries.size() > entries_max) entries.resize(entries_max);
  std::string text;
  for (const Entry& entry : entries) {
    const std::string_view word = entry.era == mcp::Era::modern ? modern_word : legacy_word;
    text += fmt::format("{} {} {}\n", entry.key, word, entry.unix_s);
  }
  const auto written = storage::write_temporary(std::filesystem::path(path_).parent_path(), {}, text);
  if (!written) return Failure(written.error());
  auto placed = storage::replace(*written, path_);
  if (!placed) storage::remove_quietly(*written);
  return placed;
}

}  // namespace berth::task
