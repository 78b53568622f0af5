#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/json.h"
#include "http/message.h"
#include "mcp/core.h"

/// `x-mcp-header` (2026-07-28): a tool's input schema can ask for arguments to be mirrored in Mcp-Param-*
/// headers.
namespace berth::mcp {

/// One annotated property.
struct HeaderParam {
  std::string header;             ///< what follows "Mcp-Param-"
  std::vector<std::string> path;  ///< chain of properties below `arguments`
  bool is_integer = false;        ///< compared as a number
  bool operator==(const HeaderParam&) const = default;
};

/// The annotations of an inputSchema. invalid_argument, naming the property and the rule, where one is not a
/// non-empty token (RFC 9110 §5.6.2), not unique ignoring case, not on a string, integer or boolean, or not
/// reachable by `properties` alone.
Result<std::vector<HeaderParam>> read_header_params(json::Slice input_schema);

/// -32020 when an argument and its header disagree, or one is there without the other.
std::optional<RpcError> check_header_params(std::span<const HeaderParam> params, json::Slice arguments,
                                            const http::Headers& headers);

/// The fields "Mcp-Param-…" a client must send with these arguments.
void add_header_params(std::span<const HeaderParam> params, json::Slice arguments, http::Headers& out);

/// A tools/list result of a server of 2026-07-28 without the tools that have illegal annotations, which
/// clients must not offer: `left_out` receives for each a sentence that names it. Returned as it is when
/// there are none.
std::string leave_out_illegal_tools(std::string result, std::vector<std::string>& left_out);
/// The same of an older server, for which the word means nothing: such tools lose their annotations instead.
std::string repair_header_params(std::string result);

}  // namespace berth::mcp
