#pragma once

#include <string>

#include "model/reader.h"
#include "model/spec.h"

namespace berth::model {

/// Reads one `server` block of berth.yaml, or one entry of a client's file.
class ServerReader {
 public:
  explicit ServerReader(Reader& reader) : reader_(reader) {}
  ServerSpec read(const YamlNode& node, const std::string& path);
  /// Of a client's file: command, args, env, envFile, cwd, type, url, headers; ${NAME} is replaced in each.
  ServerSpec read_of_client(const YamlNode& node, const std::string& path);

 private:
  void read_client_key(ServerSpec& server, const YamlNode& key, const YamlNode& value,
                       const std::string& inner);
  void check_kind(ServerSpec& server, const YamlNode& node, const std::string& path);
  void check_url(const ServerSpec& server, const std::string& path);

  Reader& reader_;
};

/// Letters, digits, hyphens and underscores, at most 64, not starting with a hyphen.
bool is_service_name(std::string_view name);
/// `text` with a hyphen for each byte that such a name cannot have; empty where nothing is left.
std::string to_service_name(std::string_view text);
}  // namespace berth::model
