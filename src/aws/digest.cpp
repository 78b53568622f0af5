#include "aws/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "base/check.h"
#include "codec/base64.h"

namespace berth::aws {

namespace {

std::string digest(const EVP_MD* kind, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned int size = 0;
  BERTH_CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, kind, nullptr) == 1,
              "SHA digests are built in");
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

bool is_unreserved(char byte) {
  return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
         byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

std::string encode(std::string_view text, bool keeps_slash) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char byte : text) {
    if (is_unreserved(byte) || (keeps_slash && byte == '/')) {
      out.push_back(byte);
      continue;
    }
    const auto value = static_cast<unsigned char>(byte);
    out.append({'%', digits[value >> 4], digits[value & 15]});
  }
  return out;
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out.push_back(digits[value >> 4]);
    out.push_back(digits[value & 15]);
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) { return to_hex(digest(EVP_sha256(), bytes)); }

std::string sha256_base64(std::string_view bytes) { return base64::encode(digest(EVP_sha256(), bytes)); }

std::string sha1_hex(std::string_view bytes) { return to_hex(digest(EVP_sha1(), bytes)); }

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned int size = 0;
  const auto* const data = reinterpret_cast<const unsigned char*>(bytes.data());
  BERTH_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data, bytes.size(), out.data(),
                   &size) != nullptr,
              "HMAC is built in");
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

std::string encode_uri(std::string_view text) { return encode(text, false); }

std::string encode_uri_path(std::string_view path) { return encode(path, true); }

}  // namespace berth::aws
