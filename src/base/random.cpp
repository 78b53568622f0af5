#include "base/random.h"

#include <sys/random.h>

#include <cstring>

#include "base/check.h"

namespace berth {

std::string random_bytes(std::size_t bytes) {
  std::string out(bytes, '\0');
  std::size_t filled = 0;
  while (filled < bytes) {
    const auto count = ::getrandom(out.data() + filled, bytes - filled, 0);
    BERTH_CHECK(count > 0, "getrandom");
    filled += static_cast<std::size_t>(count);
  }
  return out;
}

std::string random_hex(std::size_t bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes * 2);
  for (const char c : random_bytes(bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

std::uint64_t random_u64() {
  const std::string bytes = random_bytes(sizeof(std::uint64_t));
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace berth
