#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "monitoring/trace.h"

namespace berth::monitoring {

/// Who the spans come from: OTLP's resource attributes, such as {"service.name", "everything"}.
using ResourceAttributes = std::vector<std::pair<std::string, std::string>>;

/// The body of POST …/v1/traces in OTLP's JSON form (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-
/// encoding: ids in hexadecimal, 64-bit numbers as strings). Text that is not UTF-8 is repaired.
std::string encode_otlp(const ResourceAttributes& resource, std::string_view version,
                        std::span<const Span> spans);

}  // namespace berth::monitoring
