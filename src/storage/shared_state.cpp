#include "storage/shared_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/random.h"
#include "codec/json.h"
#include "storage/files.h"

namespace berth::storage {

namespace {

/// A write that keeps losing against others gives up; each loss is somebody's gain, so this takes a crowd.
constexpr int attempts_max = 1'000;
/// Old versions stay for writers that are about to build on them; pruned once in half as many writes.
constexpr std::int64_t versions_kept = 32;
constexpr std::int64_t leftover_age_s = 3'600;
constexpr std::int64_t deleted_age_ms = 24 * 3'600 * 1'000;
constexpr std::size_t head_bytes_max = 8 * 1024;

/// One version: a JSON line, then the value.
struct Version {
  std::string key;
  std::int64_t number = 0;
  std::string id;        ///< of this write, random
  std::string previous;  ///< id of the version before it
  bool deleted = false;
  std::string writer;
  std::int64_t written_unix_ms = 0;
  std::string value;

  bool exists() const { return number > 0 && !deleted; }
};

std::string write_line(const Version& version) {
  return fmt::format(
      R"({{"key":{},"version":{},"id":"{}","previous":"{}","deleted":{},"writer":{},"written":{}}})"
      "\n",
      json_quote(version.key), version.number, version.id, version.previous, version.deleted,
      json_quote(version.writer), version.written_unix_ms);
}

/// Reads what write_line wrote; `text` may be cut within the value.
Result<Version> read_version(std::string_view text, const std::string& path) {
  const std::size_t end = text.find('\n');
  const auto line = end == std::string_view::npos
                        ? Result<json::Slice>(fail(ErrorCode::internal, "no line end"))
                        : json::parse(text.substr(0, end));
  if (!line || !line->is(json::Kind::object)) {
    return fail(ErrorCode::internal, fmt::format("'{}' is not a version of shared state; remove it.", path));
  }
  Version version;
  version.key = line->find("key").as_string().value_or("");
  version.number = line->find("version").as_int().value_or(0);
  version.id = line->find("id").as_string().value_or("");
  version.previous = line->find("previous").as_string().value_or("");
  version.deleted = line->find("deleted").as_bool().value_or(false);
  version.writer = line->find("writer").as_string().value_or("");
  version.written_unix_ms = line->find("written").as_int().value_or(0);
  version.value = text.substr(end + 1);
  return version;
}

StateEntry to_entry(Version version) {
  return {.key = std::move(version.key),
          .value = std::move(version.value),
          .version = version.number,
          .writer = std::move(version.writer),
          .written_unix_ms = version.written_unix_ms};
}

class FileState final : public SharedState {
 public:
  FileState(std::string directory, StateLimits limits) : directory_(std::move(directory)), limits_(limits) {}

  Result<StateEntry> get(std::string_view key) override {
    auto valid = check_key(key);
    if (!valid) return Failure(valid.error());
    auto current = read_current(folder_of(key));
    if (!current) return Failure(current.error());
    if (!current->exists()) return no_such_key(key);
    return to_entry(*std::move(current));
  }

  Result<std::int64_t> put(const StateWrite& write) override {
    if (write.value.size() > limits_.value_bytes_max) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("The value of '{}' has {} bytes; at most {} are kept. Store it as an artifact.",
                              write.key, write.value.size(), limits_.value_bytes_max));
    }
    return append(write, false);
  }

  Result<std::int64_t> erase(const StateWrite& write) override { return append(write, true); }

  Result<StatePage> list(std::string_view prefix, std::string_view after, std::size_t count) override {
    auto keys = list_keys(prefix);
    if (!keys) return Failure(keys.error());
    StatePage page;
    const std::size_t most = std::clamp<std::size_t>(count, 1, limits_.page_keys_max);
    for (auto& [key, folder] : *keys) {
      if (!after.empty() && key <= after) continue;
      auto current = read_current(folder);
      if (!current || !current->exists()) continue;
      if (page.entries.size() == most) {
        page.next = page.entries.back().key;
        break;
      }
      current->value.clear();
      page.entries.push_back(to_entry(*std::move(current)));
    }
    return page;
  }

 private:
  Result<void> check_key(std::string_view key) const {
    if (!key.empty() && key.size() <= limits_.key_bytes_max) return {};
    return fail(ErrorCode::invalid_argument,
                fmt::format("A key has 1 to {} bytes, not {}.", limits_.key_bytes_max, key.size()));
  }

  static Failure no_such_key(std::string_view key) {
    return fail(ErrorCode::not_found, fmt::format("There is no state under the key '{}'.", key));
  }

  std::string folder_of(std::string_view key) const {
    return fmt::format("{}/{}", directory_, encode_name(key));
  }
  static std::string version_path(const std::string& folder, std::int64_t number) {
    return fmt::format("{}/{}", folder, number);
  }
  static std::string head_path(const std::string& folder) { return folder + "/head"; }

  Result<Version> read(const std::string& path) const {
    auto text = read_file(path, head_bytes_max + limits_.value_bytes_max);
    if (!text) return Failure(text.error());
    return read_version(*text, path);
  }

  /// The newest version; number 0 when the key was never written. The head is fresh; what follows it is
  /// there only after a write that was cut short, and is made the head.
  Result<Version> read_current(const std::string& folder) const {
    auto current = read(head_path(folder));
    if (!current && current.error().code() != ErrorCode::not_found) return current;
    Version newest = current ? *std::move(current) : Version{};
    bool ahead = false;
    while (true) {
      auto next = read(version_path(folder, newest.number + 1));
      if (!next && next.error().code() == ErrorCode::not_found) break;
      if (!next) return next;
      newest = *std::move(next);
      ahead = true;
    }
    if (ahead) {
      auto published = publish(folder, newest.number);
      if (!published) return Failure(published.error());
    }
    return newest;
  }

  /// Makes version `number` the head, unless a later one is. A writer that was held up here may put an
  /// older head over a newer one; it notices by looking for newer versions afterwards.
  Result<void> publish(const std::string& folder, std::int64_t number) const {
    while (true) {
      const auto head = read(head_path(folder));
      if (!head && head.error().code() != ErrorCode::not_found) return Failure(head.error());
      if (head && head->number >= number) return {};
      const std::string name = fmt::format("{}/tmp.{}", folder, random_hex(12));
      const auto linked = link_exclusively(version_path(folder, number), name);
      // Pruned meanwhile: far newer versions exist and are published by their writers.
      if (!linked && linked.error().code() == ErrorCode::not_found) return {};
      if (!linked) return linked;
      auto replaced = replace(name, head_path(folder));
      remove_quietly(name);
      if (!replaced) return replaced;
      const auto newest = newest_listed(folder);
      if (!newest || *newest <= number) return {};
      number = *newest;
    }
  }

  static std::optional<std::int64_t> version_number(std::string_view name) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
    return number;
  }

  static std::optional<std::int64_t> newest_listed(const std::string& folder) {
    const auto names = list_names(folder);
    if (!names) return std::nullopt;
    std::optional<std::int64_t> newest;
    for (const std::string& name : *names) newest = std::max(newest, version_number(name));
    return newest;
  }

  Result<std::int64_t> append(const StateWrite& write, bool deletes) {
    auto valid = check_key(write.key);
    if (!valid) return Failure(valid.error());
    const std::string folder = folder_of(write.key);
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      auto current = read_current(folder);
      if (!current) return Failure(current.error());
      if (deletes && !current->exists()) return no_such_key(write.key);
      const std::int64_t visible = current->exists() ? current->number : 0;
      if (write.expected && *write.expected != visible) return changed_meanwhile(write, visible);
      if (current->number == 0) {
        auto made = make_room(to_unix_ms(write.now));
        if (made) made = make_directories(folder);
        if (!made) return Failure(made.error());
      }
      auto added = add_version(folder, write, *current, deletes);
      if (added || added.error().code() != ErrorCode::conflict) return added;
    }
    return fail(ErrorCode::unavailable,
                fmt::format("'{}' is written by too many at once; try again.", write.key));
  }

  static Failure changed_meanwhile(const StateWrite& write, std::int64_t visible) {
    const std::string now = visible == 0 ? "it does not exist" : fmt::format("it is at version {}", visible);
    return fail(ErrorCode::conflict,
                fmt::format("'{}' was expected at version {}, but {}. Read it again and decide anew.",
                            write.key, *write.expected, now));
  }

  /// conflict: somebody else has taken the number.
  Result<std::int64_t> add_version(const std::string& folder, const StateWrite& write, const Version& before,
                                   bool deletes) {
    const Version next{.key = write.key,
                       .number = before.number + 1,
                       .id = random_hex(8),
                       .previous = before.id,
                       .deleted = deletes,
                       .writer = write.writer,
                       .written_unix_ms = to_unix_ms(write.now),
                       .value = {}};
    const auto temporary = write_temporary(folder, write_line(next),
                                           deletes ? std::string_view() : std::string_view(write.value));
    if (!temporary) return Failure(temporary.error());
    const std::string path = version_path(folder, next.number);
    const auto taken = link_exclusively(*temporary, path);
    remove_quietly(*temporary);
    if (!taken) return Failure(taken.error());
    if (!is_current(folder, next)) {
      remove_quietly(path);
      return fail(ErrorCode::conflict, "overtaken");
    }
    auto published = publish(folder, next.number);
    if (!published) return Failure(published.error());
    prune(folder, next.number, path);
    return next.number;
  }

  /// False when `mine` took the number of a version long gone: a writer held up between reading and
  /// linking, while others wrote versions_kept more. Those who built on `mine` name it.
  bool is_current(const std::string& folder, const Version& mine) const {
    const auto head = read(head_path(folder));
    if (!head || head->number <= mine.number) return true;
    const auto successor = read(version_path(folder, mine.number + 1));
    return successor && successor->previous == mine.id;
  }

  /// Removes versions nobody can be building on, and what cut-short writers left.
  static void prune(const std::string& folder, std::int64_t number, const std::string& just_written) {
    if (number % (versions_kept / 2) != 0) return;
    const auto names = list_names(folder);
    if (!names) return;
    for (const std::string& name : *names) {
      const std::string path = fmt::format("{}/{}", folder, name);
      const auto old = version_number(name);
      const bool leftover =
          name.starts_with("tmp.") && age_s(path, just_written).value_or(0) > leftover_age_s;
      if (leftover || (old && *old <= number - versions_kept)) remove_quietly(path);
    }
  }

  Result<void> make_room(std::int64_t now_ms) const {
    auto names = list_names(directory_);
    if (!names) return Failure(names.error());
    if (names->size() < limits_.keys_max) return {};
    const std::size_t freed = forget_deleted(*names, now_ms);
    if (names->size() - freed < limits_.keys_max) return {};
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("There are {} keys; at most {} are kept. Keep more in one value, or as artifacts.",
                    names->size() - freed, limits_.keys_max));
  }

  /// Removes keys deleted more than a day ago, for good: their versions start anew. A writer that comes
  /// between keeps its version, and the folder with it.
  std::size_t forget_deleted(const std::vector<std::string>& folders, std::int64_t now_ms) const {
    std::size_t freed = 0;
    for (const std::string& name : folders) {
      const std::string folder = fmt::format("{}/{}", directory_, name);
      const auto current = read_current(folder);
      if (!current || !current->deleted || now_ms - current->written_unix_ms < deleted_age_ms) continue;
      const auto files = list_names(folder);
      if (!files) continue;
      for (const std::string& file : *files) {
        const auto number = version_number(file);
        if (file == "head" || (number && *number <= current->number)) {
          remove_quietly(fmt::format("{}/{}", folder, file));
        }
      }
      if (remove_folder(folder)) ++freed;
    }
    return freed;
  }

  /// Keys and their folders, in the order of the keys.
  Result<std::vector<std::pair<std::string, std::string>>> list_keys(std::string_view prefix) const {
    const auto names = list_names(directory_);
    if (!names) return Failure(names.error());
    const std::string encoded = encode_prefix(prefix);
    std::vector<std::pair<std::string, std::string>> keys;
    for (const std::string& name : *names) {
      const std::string_view whole = std::string_view(name).substr(0, name.find('~'));
      if (!whole.starts_with(encoded) && !std::string_view(encoded).starts_with(whole)) continue;
      std::string folder = fmt::format("{}/{}", directory_, name);
      auto key = decode_name(name);
      if (!key) {
        const auto head = read_head(head_path(folder), head_bytes_max);
        const auto version = head ? read_version(*head, folder) : Result<Version>(Failure(head.error()));
        if (!version) continue;
        key = version->key;
      }
      if (key->starts_with(prefix)) keys.emplace_back(*std::move(key), std::move(folder));
    }
    std::ranges::sort(keys);
    return keys;
  }

  std::string directory_;
  StateLimits limits_;
};

}  // namespace

Result<std::unique_ptr<SharedState>> make_shared_state(std::string directory, StateLimits limits) {
  auto made = make_directories(directory);
  if (!made) return Failure(made.error().within("shared state"));
  return std::make_unique<FileState>(std::move(directory), limits);
}

}  // namespace berth::storage
