#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace berth::storage {

struct StateLimits {
  std::size_t key_bytes_max = 512;
  std::size_t value_bytes_max = std::size_t{1} << 20;
  std::size_t keys_max = 10'000;  ///< deleted ones count for a day
  std::size_t page_keys_max = 1'000;
};

/// One value, as it was written.
struct StateEntry {
  std::string key;
  std::string value;
  std::int64_t version = 0;  ///< grows with every write of the key, from 1
  std::string writer;        ///< principal
  std::int64_t written_unix_ms = 0;
  bool operator==(const StateEntry&) const = default;
};

struct StateWrite {
  std::string key;
  std::string value;
  /// Write only over this version; 0: only when there is none. nullopt: whatever there is.
  std::optional<std::int64_t> expected;
  std::string writer;
  WallTime now{};
};

/// A page of keys in the order of their bytes, values left out.
struct StatePage {
  std::vector<StateEntry> entries;
  std::string next;  ///< give it as `after` for the next page; empty at the end
};

/// Keys and values on the shared volume, for every task at once. A key is a folder of immutable files, one
/// a version: a writer takes the next number by exclusive creation, so no compare-and-set is ever lost and
/// nobody waits for a lock. The file `head` is a further name of the newest version, replaced by rename,
/// and makes reads fresh on NFS. Between the two steps of a write that was cut short, a read may still see
/// the version before (on NFS for up to a minute); a write never does. Operations block for the time of a
/// few file operations.
class SharedState {
 public:
  virtual ~SharedState() = default;

  /// not_found: never written, or deleted.
  virtual Result<StateEntry> get(std::string_view key) = 0;
  /// The version written. conflict: `expected` is not the current version (the message names that),
  /// invalid_argument: an empty or too long key, resource_exhausted: a too long value, too many keys.
  virtual Result<std::int64_t> put(const StateWrite& write) = 0;
  /// Deletes, by writing a version that says so; `value` is not used. Errors as get and put.
  virtual Result<std::int64_t> erase(const StateWrite& write) = 0;
  /// Keys that start with `prefix`, after the key `after`, at most `count` (and page_keys_max). May miss
  /// the last minute on NFS.
  virtual Result<StatePage> list(std::string_view prefix, std::string_view after, std::size_t count) = 0;
};

/// Keeps everything in `directory`, which is made when missing. Errors: permission_denied and what else
/// making it brings.
Result<std::unique_ptr<SharedState>> make_shared_state(std::string directory, StateLimits limits = {});

}  // namespace berth::storage
