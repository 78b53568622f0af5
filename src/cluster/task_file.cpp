#include "cluster/task_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/descriptor.h"
#include "base/log.h"
#include "base/random.h"
#include "codec/json.h"
#include "model/parse.h"

namespace berth::cluster {

namespace {

std::string task_file_text(const TaskFile& file) {
  const auto member = [](std::string_view name, std::string_view value) {
    return fmt::format("\"{}\":{}", name, json_quote(value));
  };
  return fmt::format(
      "{{{},{},{},{},{},{},{},{},{},{},\"spec\":{}}}\n", member("id", file.id), member("zone", file.zone),
      member("listen", net::to_string(file.listen)), member("peer_address", file.peer_address),
      member("data_directory", file.data_directory), member("fleet_key_file", file.fleet_key_file),
      member("readiness_file", file.readiness_file), member("authority_directory", file.authority_directory),
      member("spec_directory", file.spec.directory), member("spec_file", file.spec.file),
      model::write_spec(file.spec));
}

}  // namespace

Result<void> write_task_file(const std::string& path, const TaskFile& file) {
  const Descriptor opened(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (opened.number() >= 0 && write_all(opened.number(), task_file_text(file))) return {};
  return Failure(errno_error(errno, "writing " + path));
}

namespace {

constexpr std::size_t file_bytes_max = 4u << 20;

Result<std::string> read_file(const std::string& path, std::string_view what) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failure(errno_error(errno, fmt::format("cannot read the {} {}", what, path)));
  std::string text;
  std::array<char, 16 * 1024> buffer;
  ssize_t count = 0;
  while (text.size() < file_bytes_max && (count = ::read(file, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  const int number = errno;
  ::close(file);
  if (count < 0) return Failure(errno_error(number, fmt::format("cannot read the {} {}", what, path)));
  return text;
}

std::string text_member(json::Slice object, std::string_view name) {
  return object.find(name).as_string().value_or(std::string());
}

}  // namespace

Result<task::RuntimeOptions> take_task_file(const std::string& path) {
  const auto text = read_file(path, "task file");
  if (!text) return Failure(text.error());
  if (::unlink(path.c_str()) != 0) return Failure(errno_error(errno, "removing the task file " + path));
  const auto object = json::parse(*text);
  const json::Slice spec_value = object ? object->find("spec") : json::Slice();
  if (!spec_value.is(json::Kind::object)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not a task file: it should be a JSON object with a member \"spec\"; "
                            "`berth up` writes these files",
                            path));
  }
  model::SpecSource source;
  source.format = model::SpecSource::Format::berth_yaml;
  source.text = std::string(spec_value.text());
  source.file = text_member(*object, "spec_file");
  source.directory = text_member(*object, "spec_directory");
  auto spec = model::parse_spec(source);
  if (!spec) return Failure(spec.error().within(path));
  const auto listen = net::parse_endpoint(text_member(*object, "listen"));
  if (!listen) return Failure(listen.error().within(path));
  const std::string key_file = text_member(*object, "fleet_key_file");
  auto key = read_file(key_file, "fleet key");
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
  if (key->size() == 2 * fleet_key_bytes) {
    options.second_fleet_key = Secret(key->substr(fleet_key_bytes));
    key->resize(fleet_key_bytes);
  }
  options.fleet_key = Secret(std::move(*key));
  options.readiness_file = text_member(*object, "readiness_file");
  const std::string authority = text_member(*object, "authority_directory");
  if (!authority.empty()) options.secret_paths.push_back(authority);
  options.state_directory = key_file.substr(0, key_file.rfind('/'));
  return options;
}

}  // namespace berth::cluster
