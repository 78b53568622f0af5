#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace berth::mcp {

/// The header fields of a request that MCP gives a meaning, found in one pass. Values are trimmed; views
/// borrow the headers.
struct McpHeaders {
  std::optional<std::string_view> content_type;
  std::optional<std::string_view> content_encoding;
  std::optional<std::string_view> accept;
  std::vector<std::string_view> more_accept;  ///< further fields of that name: together they are one list
  std::optional<std::string_view> protocol_version;
  std::optional<std::string_view> method;
  std::optional<std::string_view> name;
  std::optional<std::string_view> session_id;
  std::optional<std::string_view> last_event_id;
  std::optional<std::string_view> trace_parent;
  /// A field of MCP's that came more than once: an intermediary and we could read different values. Empty:
  /// none.
  std::string_view repeated;
  bool has_params = false;  ///< at least one Mcp-Param-*
};
McpHeaders read_headers(const http::Headers& headers);

/// `application/json`, with any parameters.
bool is_json_content(const McpHeaders& headers);
/// Whether the body is as it is, and not compressed or otherwise encoded.
bool is_plain_content(const McpHeaders& headers);
/// Whether Accept lets us answer with this type; a missing field accepts everything (RFC 9110 §12.5.1).
bool accepts(const McpHeaders& headers, std::string_view type);

/// Header values as 2026-07-28 encodes them: `=?base64?…?=` around anything that is not plain visible ASCII
/// with inner spaces and tabs.
std::string encode_header_value(std::string_view value);
/// nullopt for a sentinel whose inside is not canonical padded base64 of UTF-8.
std::optional<std::string> decode_header_value(std::string_view value);

}  // namespace berth::mcp
