#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace berth {

/// `bytes` unpredictable bytes from the operating system (getrandom(2)).
std::string random_bytes(std::size_t bytes);
/// 2 × `bytes` lower-case hexadecimal digits, unpredictable.
std::string random_hex(std::size_t bytes);
std::uint64_t random_u64();

}  // namespace berth
