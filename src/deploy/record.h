#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace berth::deploy {

/// What `berth deploy` leaves in the state folder (`.berth/deployed.json`), so that the other verbs know
/// where to ask. Holds no secret.
struct Record {
  std::string region;
  std::string account;
  std::string service_stack;
  std::string base_stack;
  std::string url;  ///< https://…, without a path; empty until the service stack is there
  /// Data of the service, which outlives its stacks: what `berth destroy --delete-data` still finds after
  /// `berth destroy --keep-data`.
  std::string file_system;
  std::vector<std::string> buckets;
  std::vector<std::string> log_groups;
  bool destroyed = false;  ///< the stacks are gone, the data was kept
  bool operator==(const Record&) const = default;
};

std::string to_json(const Record& record);
/// invalid_argument when `text` is no such file.
Result<Record> parse_record(const std::string& text);

/// nullopt when nothing was deployed from here, or the file cannot be read.
std::optional<Record> read_record(const std::string& state_directory);
/// Makes the folder when missing (mode 0700).
Result<void> write_record(const std::string& state_directory, const Record& record);
void remove_record(const std::string& state_directory);

}  // namespace berth::deploy
