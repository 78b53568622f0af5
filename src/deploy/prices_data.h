#pragma once

#include <string_view>

namespace berth::deploy {

/// The text of infra/prices.json; the build writes it into the program.
std::string_view prices_data();

}  // namespace berth::deploy
