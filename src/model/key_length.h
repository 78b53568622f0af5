#pragma once

#include <cstddef>

namespace berth::model {

/// Of an API key where other machines can try some.
inline constexpr std::size_t key_bytes_min = 20;

}  // namespace berth::model
