#pragma once

#include <string>
#include <string_view>

namespace berth::model {

/// Where editors find the schema that `json_schema` prints.
inline constexpr std::string_view schema_url =
    "https://raw.githubusercontent.com/berth-mcp/berth/main/schema/berth.schema.json";

/// The JSON Schema (draft-07, which editors know best) of berth.yaml: schema/berth.schema.json.
std::string json_schema();

/// Every key with type, default, meaning and what happens at the limit, as Markdown: docs/berth.yaml.md.
std::string reference_markdown();

}  // namespace berth::model
