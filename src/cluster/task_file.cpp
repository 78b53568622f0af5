#include "cluster/task_file.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "base/random.h"
#include "model/parse.h"

namespace berth::cluster {

namespace json = boost::json;

std::string write_task_file(const TaskFile& file) {
  const auto member = [](std::string_view name, std::string_view value) {
    return fmt::format("\"{}\":{}", name, json_quote(value));
  };
  return fmt::format("{{{},{},{},{},{},{},{},{},\"spec\":{}}}\n", member("id", file.id),
                     member("zone", file.zone), member("listen", net::to_string(file.listen)),
                     member("peer_address", file.peer_address), member("data_directory", file.data_directory),
                     member("fleet_key_file", file.fleet_key_file),
                     member("spec_directory", file.spec.directory), member("spec_file", file.spec.file),
                     model::write_spec(file.spec));
}

namespace {

Result<std::string> read_file(const std::string& path, std::string_view what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Failure(errno_error(errno, fmt::format("cannot read the {} {}", what, path)));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string text_member(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value && value->is_string() ? json::value_to<std::string>(*value) : std::string();
}

}  // namespace

Result<task::RuntimeOptions> read_task_file(const std::string& path) {
  const auto text = read_file(path, "task file");
  if (!text) return Failure(text.error());
  boost::system::error_code error;
  const json::value value = json::parse(*text, error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* spec_value = object ? object->if_contains("spec") : nullptr;
  if (!spec_value || !spec_value->is_object()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not a task file: it should be a JSON object with a member \"spec\"; "
                            "`berth up` writes these files",
                            path));
  }
  model::SpecSource source;
  source.format = model::SpecSource::Format::berth_yaml;
  source.text = json::serialize(*spec_value);
  source.file = text_member(*object, "spec_file");
  source.directory = text_member(*object, "spec_directory");
  auto spec = model::parse_spec(source);
  if (!spec) return Failure(spec.error().within(path));
  const auto listen = net::parse_endpoint(text_member(*object, "listen"));
  if (!listen) return Failure(listen.error().within(path));
  auto key = read_file(text_member(*object, "fleet_key_file"), "fleet key");
  if (!key) return Failure(key.error().within(path));

  task::RuntimeOptions options;
  options.spec = std::move(*spec);
  options.spec.directory = source.directory;
  options.spec.file = source.file;
  options.identity.id = text_member(*object, "id");
  options.identity.zone = text_member(*object, "zone");
  options.identity.generation = random_u64();
  options.identity.peer_address = text_member(*object, "peer_address");
  options.listen = *listen;
  options.data_directory = text_member(*object, "data_directory");
  options.fleet_key = Secret(std::move(*key));
  return options;
}

}  // namespace berth::cluster
