#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"

/// What a user types or pastes to connect a client. Pure. Secrets are referred to, never shown.
namespace berth::cli {

/// Of the random name of a client: two never have the same.
inline constexpr std::size_t client_bytes = 8;

struct Connection {
  std::string name;
  std::string url;
  std::optional<model::KeySpec> key;  ///< nullopt: open
  std::string client{};  ///< sent as Berth-Client, which gives the client a home of its own; empty: not sent
};

/// "claude mcp add --transport http NAME URL", with a header when there is a key, and one that names the
/// client.
std::string claude_line(const Connection& connection);
/// The last of them, as words of that line.
std::string client_words(std::string_view client);
/// The file that Cursor, VS Code or any other client reads, as JSON text.
std::string cursor_file(const std::vector<Connection>& connections);
std::string vscode_file(const std::vector<Connection>& connections);
std::string generic_file(const std::vector<Connection>& connections);

}  // namespace berth::cli
