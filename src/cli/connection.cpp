#include "cli/connection.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "cli/text.h"
#include "model/shell_words.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

/// `reference` is how the client's file format names an environment variable: "${{env:{}}}".
std::string file_text(const std::vector<Connection>& connections, std::string_view root, bool typed,
                      std::string_view reference) {
  json::object servers;
  for (const Connection& connection : connections) {
    json::object entry;
    if (typed) entry["type"] = "http";
    entry["url"] = connection.url;
    json::object headers;
    if (connection.key) {
      const model::KeySpec& key = *connection.key;
      std::string secret = key.environment.empty() ? fmt::format("<the key in {}>", key.file)
                                                   : fmt::format(fmt::runtime(reference), key.environment);
      headers["Authorization"] = fmt::format("Bearer {}", secret);
    }
    if (!connection.client.empty()) headers["Berth-Client"] = connection.client;
    if (!headers.empty()) entry["headers"] = std::move(headers);
    servers[connection.name] = std::move(entry);
  }
  json::object out{{json::string_view(root.data(), root.size()), std::move(servers)}};
  return pretty_json(json::serialize(out)) + "\n";
}

}  // namespace

std::string client_words(std::string_view client) {
  return client.empty() ? "" : fmt::format(" --header \"Berth-Client: {}\"", client);
}

std::string claude_line(const Connection& connection) {
  std::string line = fmt::format("claude mcp add --transport http {} {}", connection.name, connection.url);
  if (connection.key) {
    const model::KeySpec& key = *connection.key;
    std::string secret = key.environment.empty()
                             ? fmt::format("$(cat {})", model::join_shell_words({key.file}))
                             : "$" + key.environment;
    line += fmt::format(" --header \"Authorization: Bearer {}\"", secret);
  }
  return line + client_words(connection.client);
}

std::string cursor_file(const std::vector<Connection>& connections) {
  return file_text(connections, "mcpServers", false, "${{env:{}}}");
}

std::string vscode_file(const std::vector<Connection>& connections) {
  return file_text(connections, "servers", true, "${{env:{}}}");
}

std::string generic_file(const std::vector<Connection>& connections) {
  return file_text(connections, "mcpServers", true, "${{{}}}");
}

}  // namespace berth::cli
