#pragma once

#include <string>

#include "net/process.h"

namespace berth::net {

/// The file that spec.argv[0] names: as it is when it has a slash (from spec.directory when relative), looked
/// up in the PATH of spec.environment otherwise. Also checks the working directory. Errors name what was
/// searched.
Result<std::string> find_executable(const ProcessSpec& spec);

}  // namespace berth::net
