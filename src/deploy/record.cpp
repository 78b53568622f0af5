#include "deploy/record.h"

#include <boost/json.hpp>

#include "aws/client.h"
#include "storage/files.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t record_bytes_max = 64 * 1024;

std::string path_of(const std::string& state_directory) { return state_directory + "/deployed.json"; }

std::vector<std::string> strings(const json::object& object, std::string_view name) {
  std::vector<std::string> out;
  for (const json::value& value : aws::array(object, name)) {
    if (value.is_string()) out.emplace_back(value.get_string());
  }
  return out;
}

}  // namespace

std::string to_json(const Record& record) {
  json::object out{{"region", record.region},
                   {"account", record.account},
                   {"service_stack", record.service_stack},
                   {"base_stack", record.base_stack},
                   {"url", record.url}};
  if (!record.file_system.empty()) out["file_system"] = record.file_system;
  if (!record.buckets.empty()) out["buckets"] = json::value_from(record.buckets);
  if (!record.log_groups.empty()) out["log_groups"] = json::value_from(record.log_groups);
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
                "deployed.json is not what `berth deploy` writes; remove it and deploy again.");
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
                .destroyed = destroyed != nullptr && destroyed->is_bool() && destroyed->get_bool()};
  return record;
}

std::optional<Record> read_record(const std::string& state_directory) {
  const Result<std::string> text = storage::read_file(path_of(state_directory), record_bytes_max);
  if (!text) return std::nullopt;
  Result<Record> record = parse_record(*text);
  if (!record) return std::nullopt;
  return std::move(*record);
}

Result<void> write_record(const std::string& state_directory, const Record& record) {
  const Result<void> made = storage::make_directories(state_directory);
  if (!made) return made;
  const Result<std::string> written = storage::write_temporary(state_directory, to_json(record), "");
  if (!written) return Failure(written.error());
  return storage::replace(*written, path_of(state_directory));
}

void remove_record(const std::string& state_directory) { storage::remove_quietly(path_of(state_directory)); }

}  // namespace berth::deploy
