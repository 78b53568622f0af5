#include "registry/digest.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"

namespace berth::registry {

struct Sha256::State {
  State() {
    BERTH_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1,
                "OpenSSL has SHA-256");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::append(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string Sha256::finish() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, 32> sum{};
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, sum.data(), &size);
  std::string out = "sha256:";
  for (const unsigned char byte : sum) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string digest_of(std::string_view bytes) {
  Sha256 sum;
  sum.append(bytes);
  return sum.finish();
}

std::string_view hex_of(std::string_view digest) { return digest.substr(digest.find(':') + 1); }

}  // namespace berth::registry
