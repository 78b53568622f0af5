#pragma once

#include "model/reader.h"
#include "model/spec.h"

namespace berth::model {

/// What the field table cannot tell of `permissions`, `scaling` and `aws`: the shapes of region names, ARNs,
/// CIDR blocks and times, and which keys need or exclude each other. Puts times and days into one spelling.
void check_aws(Reader& reader, Spec& spec);

}  // namespace berth::model
