#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace berth {

/// A value that must not reach a log, an error, a process list or test output. It has no stream or format
/// operator; `reveal` is the one way out and is easy to find. Wiped on destruction.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  ~Secret() { wipe(); }
  Secret(const Secret&) = default;
  Secret(Secret&&) noexcept = default;
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    wipe();
    value_ = std::move(other.value_);
    return *this;
  }

  std::string_view reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  /// What may be shown instead.
  static constexpr std::string_view mask = "••••••";

 private:
  void wipe() {
    volatile char* bytes = value_.data();
    for (std::size_t i = 0; i < value_.size(); ++i) bytes[i] = 0;
  }
  std::string value_;
};

}  // namespace berth
