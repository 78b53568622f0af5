#pragma once

#include <string_view>

namespace berth {

/// Of this program, as semantic versioning writes it: "0.1.0".
std::string_view version();

}  // namespace berth
