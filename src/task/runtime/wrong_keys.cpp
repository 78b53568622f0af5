#include "task/runtime/wrong_keys.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace berth::task {

namespace {

constexpr double refill_per_second = static_cast<double>(WrongKeys::burst) / 60;
constexpr std::size_t shown_address_bytes_max = 64;

std::string group_of(std::string_view address) {
  std::string text(address.substr(0, shown_address_bytes_max));
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return text;
  return std::string(reinterpret_cast<const char*>(bytes.data()), 8);
}

}  // namespace

std::optional<Duration> WrongKeys::count(std::string_view address, TimePoint now) {
  const std::string group = group_of(address);
  const auto known = by_address_.find(group);
  if (known != by_address_.end()) {
    latest_.splice(latest_.begin(), latest_, known->second);
  } else {
    if (latest_.size() == addresses_max) {
      by_address_.erase(latest_.back().address);
      latest_.pop_back();
    }
    latest_.push_front({.address = group, .seen = now});
    by_address_.emplace(latest_.front().address, latest_.begin());
  }
  Sender& sender = latest_.front();
  const double seconds = std::chrono::duration<double>(now - sender.seen).count();
  sender.left = std::min(static_cast<double>(burst), sender.left + seconds * refill_per_second);
  sender.seen = now;
  if (sender.left >= 1) {
    sender.left -= 1;
    return std::nullopt;
  }
  const double wait = (1 - sender.left) / refill_per_second;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait));
}

}  // namespace berth::task
