#pragma once

#include <string>
#include <string_view>

namespace berth::model {

/// The JSON Schema (draft-07, which editors know best) of berth.yaml: schema/berth.schema.json.
std::string json_schema();

/// Every key with type, default, meaning and what happens at the limit, as Markdown: docs/berth.yaml.md.
std::string reference_markdown();

}  // namespace berth::model
