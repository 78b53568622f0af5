#include "base/descriptor.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace berth {

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

bool Descriptor::close() { return ::close(std::exchange(number_, -1)) == 0; }

bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

ReadEnd read_all(int descriptor, std::size_t bytes_max, std::string& into) {
  std::array<char, 16 * 1024> part;
  while (into.size() <= bytes_max) {
    const ssize_t count = ::read(descriptor, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ReadEnd::failed;
    if (count == 0) return ReadEnd::whole;
    into.append(part.data(), static_cast<std::size_t>(count));
  }
  return ReadEnd::too_long;
}

}  // namespace berth
