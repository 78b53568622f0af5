#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace berth::registry {

/// SHA-256 of bytes that come in parts.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void append(std::string_view bytes);
  /// "sha256:…" of what has come, once; nothing may be appended afterwards.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "sha256:…".
std::string digest_of(std::string_view bytes);
/// The hexadecimal part of a digest.
std::string_view hex_of(std::string_view digest);

}  // namespace berth::registry
