#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace berth::mcp {

/// What a legacy session began with. It travels in the session's sealed id, so that any task can begin the
/// session anew when its own is lost: clients do not initialize again by themselves.
struct SessionOrigin {
  std::string key;                  ///< of the session, in whichever task it lives
  std::string version;              ///< negotiated
  std::string capabilities = "{}";  ///< JSON text
  std::string client_info = "{}";   ///< JSON text
  bool operator==(const SessionOrigin&) const = default;
};

inline constexpr std::size_t session_origin_bytes_max = 1024;

/// At most session_origin_bytes_max bytes. What does not fit is reduced: of the client's info to name and
/// version, cut; of its capabilities to those of MCP, each without its details where those are long.
std::string write_session_origin(const SessionOrigin& origin);
/// nullopt: not written by write_session_origin.
std::optional<SessionOrigin> read_session_origin(std::string_view text);

}  // namespace berth::mcp
