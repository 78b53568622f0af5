#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mcp/core.h"
#include "mcp/message.h"

/// What 2025-11-25 and later say in a form that revisions before it know. What they do not know is turned
/// into the nearest they do, else left out. Pure.
namespace berth::mcp {

/// A result for a client of `version`. Before 2025-06-18 there is neither structured content nor an output
/// schema, and a link to a resource is a text; in 2024-11-05 sound is an embedded resource.
std::string older_result(Method method, std::string result, std::string_view version);

/// Params of a request to a client of `version`, before 2025-11-25. A form has no `mode`, defaults for
/// booleans alone, named choices as enumNames, and no list of choices unless it is required; sampled
/// messages have one content each.
std::string older_input_params(std::string_view method, std::string params, std::string_view version);

/// A tools/call result without its structured content: where it has no other content, that becomes a text.
std::string without_structured_content(json::Slice result);

/// An output schema as revisions before 2026-07-28 want it, with `type: object` at its root: as it is, or
/// what its root refers to (a local $ref). nullopt: it describes no object.
std::optional<std::string> object_schema(json::Slice schema);

}  // namespace berth::mcp
