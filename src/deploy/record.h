#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace berth::deploy {

/// Data that belongs to no stack any more.
struct Kept {
  std::string kind;  ///< "file system", "bucket", "log group"
  std::string id;
  bool operator==(const Kept&) const = default;
};

/// What `berth deploy` leaves in the state folder (`.berth/deployed/ACCOUNT-REGION-SERVICE.json`), by which
/// the other verbs know where to ask. One belongs to one service in one region of one account, because
/// several files and renamed services share a folder. Holds no secret.
struct Record {
  std::string region;
  std::string account;
  std::string service_stack;
  std::string base_stack;
  std::string url;  ///< https://…, without a path; empty until the service stack is there
  /// Data of the service, which outlives its stacks.
  std::string file_system;
  std::vector<std::string> buckets;
  std::vector<std::string> log_groups;
  /// Of stacks that are gone or never came to be: what `berth destroy --delete-data` still finds after
  /// `berth destroy --keep-data`, or after a first deploy that failed.
  std::vector<Kept> kept;
  bool destroyed = false;  ///< the stacks are gone, the data was kept
  bool operator==(const Record&) const = default;
};

/// The service has this data from now on; what it had before and has no more is kept.
void move_on(Record& record, std::string file_system, std::vector<std::string> buckets);

/// What is known of the service's data stays known, whatever becomes of the deploy that `record` is of.
void inherit_data(Record& record, std::optional<Record> before);

std::string to_json(const Record& record);
/// invalid_argument when `text` is no such file.
Result<Record> parse_record(const std::string& text);

/// Whose record is meant. An empty region or account: whichever there is.
struct RecordKey {
  std::string service_stack;
  std::string region;
  std::string account;
};
RecordKey key_of(const Record& record);

/// nullopt when nothing of this service was deployed from here, the file cannot be read, or several fit:
/// nothing says then which is meant. Reads `deployed.json` too, where one record stood for all services, if
/// it names this one.
std::optional<Record> read_record(const std::string& state_directory, const RecordKey& key);
/// Makes the folder when missing (mode 0700).
Result<void> write_record(const std::string& state_directory, const Record& record);
/// That of exactly this service, region and account; no other.
void remove_record(const std::string& state_directory, const RecordKey& key);

}  // namespace berth::deploy
