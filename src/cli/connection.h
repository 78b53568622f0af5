#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"

/// What a user types or pastes to connect a client. Pure. Secrets are referred to, never shown.
namespace berth::cli {

struct Connection {
  std::string name;
  std::string url;
  std::optional<model::KeySpec> key;  ///< nullopt: open
};

/// "claude mcp add --transport http NAME URL", with a header when there is a key.
std::string claude_line(const Connection& connection);
/// The file that Cursor, VS Code or any other client reads, as JSON text.
std::string cursor_file(const std::vector<Connection>& connections);
std::string vscode_file(const std::vector<Connection>& connections);
std::string generic_file(const std::vector<Connection>& connections);

}  // namespace berth::cli
