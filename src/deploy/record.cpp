#include "deploy/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "aws/client.h"
#include "storage/files.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t record_bytes_max = 64 * 1024;
constexpr std::string_view file_system = "file system";
constexpr std::string_view bucket = "bucket";

std::string records_folder(const std::string& state_directory) { return state_directory + "/deployed"; }

/// Where one record stood for all services of a folder.
std::string shared_record(const std::string& state_directory) { return state_directory + "/deployed.json"; }

std::string record_path(const std::string& state_directory, const RecordKey& key) {
  return fmt::format("{}/{}-{}-{}.json", records_folder(state_directory), key.account, key.region,
                     key.service_stack);
}

bool fits(const Record& record, const RecordKey& key) {
  return record.service_stack == key.service_stack && (key.region.empty() || record.region == key.region) &&
         (key.account.empty() || record.account == key.account);
}

std::optional<Record> load_record(const std::string& path, const RecordKey& key) {
  const Result<std::string> text = storage::read_file(path, record_bytes_max);
  if (!text) return std::nullopt;
  Result<Record> record = parse_record(*text);
  if (!record || !fits(*record, key)) return std::nullopt;
  return std::move(*record);
}

std::vector<std::string> strings(const json::object& object, std::string_view name) {
  std::vector<std::string> out;
  for (const json::value& value : aws::array(object, name)) {
    if (value.is_string()) out.emplace_back(value.get_string());
  }
  return out;
}

std::vector<Kept> kept_of(const json::object& object) {
  std::vector<Kept> out;
  for (const json::value& value : aws::array(object, "kept")) {
    if (!value.is_object()) continue;
    Kept kept{.kind = aws::text(value.get_object(), "kind"), .id = aws::text(value.get_object(), "id")};
    const bool known = kept.kind == file_system || kept.kind == bucket || kept.kind == "log group";
    if (known && !kept.id.empty()) out.push_back(std::move(kept));
  }
  return out;
}

void keep(Record& record, std::string_view kind, const std::string& id) {
  Kept kept{.kind = std::string(kind), .id = id};
  if (!id.empty() && std::ranges::find(record.kept, kept) == record.kept.end())
    record.kept.push_back(std::move(kept));
}

}  // namespace

void move_on(Record& record, std::string file_system_now, std::vector<std::string> buckets_now) {
  keep(record, file_system, record.file_system);
  for (const std::string& name : record.buckets) keep(record, bucket, name);
  std::erase_if(record.kept, [&](const Kept& kept) {
    return kept.id == file_system_now || std::ranges::find(buckets_now, kept.id) != buckets_now.end();
  });
  record.file_system = std::move(file_system_now);
  record.buckets = std::move(buckets_now);
}

void inherit_data(Record& record, std::optional<Record> before) {
  if (!before) return;
  record.file_system = std::move(before->file_system);
  record.buckets = std::move(before->buckets);
  record.log_groups = std::move(before->log_groups);
  record.kept = std::move(before->kept);
}

std::string to_json(const Record& record) {
  json::object out{{"region", record.region},
                   {"account", record.account},
                   {"service_stack", record.service_stack},
                   {"base_stack", record.base_stack},
                   {"url", record.url}};
  if (!record.file_system.empty()) out["file_system"] = record.file_system;
  if (!record.buckets.empty()) out["buckets"] = json::value_from(record.buckets);
  if (!record.log_groups.empty()) out["log_groups"] = json::value_from(record.log_groups);
  json::array kept;
  for (const Kept& one : record.kept) kept.push_back(json::object{{"kind", one.kind}, {"id", one.id}});
  if (!kept.empty()) out["kept"] = std::move(kept);
  if (record.destroyed) out["destroyed"] = true;
  return json::serialize(out) + "\n";
}

Result<Record> parse_record(const std::string& text) {
  json::error_code error;
  const json::value value = json::parse(text, error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr || aws::text(*object, "region").empty() ||
      aws::text(*object, "service_stack").empty()) {
    return fail(ErrorCode::invalid_argument,
                "The record is not what `berth deploy` writes; remove it and deploy again.");
  }
  const json::value* destroyed = object->if_contains("destroyed");
  Record record{.region = aws::text(*object, "region"),
                .account = aws::text(*object, "account"),
                .service_stack = aws::text(*object, "service_stack"),
                .base_stack = aws::text(*object, "base_stack"),
                .url = aws::text(*object, "url"),
                .file_system = aws::text(*object, "file_system"),
                .buckets = strings(*object, "buckets"),
                .log_groups = strings(*object, "log_groups"),
                .kept = kept_of(*object),
                .destroyed = destroyed != nullptr && destroyed->is_bool() && destroyed->get_bool()};
  return record;
}

RecordKey key_of(const Record& record) {
  return {.service_stack = record.service_stack, .region = record.region, .account = record.account};
}

std::optional<Record> read_record(const std::string& state_directory, const RecordKey& key) {
  const std::string folder = records_folder(state_directory);
  std::optional<Record> found;
  const Result<std::vector<std::string>> names = storage::list_names(folder);
  for (const std::string& name : names ? *names : std::vector<std::string>()) {
    if (!name.ends_with(".json")) continue;
    std::optional<Record> record = load_record(folder + "/" + name, key);
    if (!record) continue;
    if (found) return std::nullopt;
    found = std::move(record);
  }
  return found ? found : load_record(shared_record(state_directory), key);
}

Result<void> write_record(const std::string& state_directory, const Record& record) {
  const std::string folder = records_folder(state_directory);
  const Result<void> made = storage::make_directories(folder);
  if (!made) return made;
  const Result<std::string> written = storage::write_temporary(folder, to_json(record), "");
  if (!written) return Failure(written.error());
  const Result<void> placed = storage::replace(*written, record_path(state_directory, key_of(record)));
  const std::string shared = shared_record(state_directory);
  if (placed && load_record(shared, key_of(record))) storage::remove_quietly(shared);
  return placed;
}

void remove_record(const std::string& state_directory, const RecordKey& key) {
  storage::remove_quietly(record_path(state_directory, key));
  const std::string shared = shared_record(state_directory);
  if (load_record(shared, key)) storage::remove_quietly(shared);
}

}  // namespace berth::deploy
