#include "aws/dpop.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <boost/json.hpp>
#include <memory>

#include "codec/base64.h"

namespace berth::aws {

namespace {

constexpr int coordinate_bytes = 32;

template <auto function>
struct Release {
  template <class T>
  void operator()(T* object) const {
    function(object);
  }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using BioPointer = std::unique_ptr<BIO, Release<BIO_free>>;
using DigestPointer = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX_free>>;
using NumberPointer = std::unique_ptr<BIGNUM, Release<BN_free>>;
using SignaturePointer = std::unique_ptr<ECDSA_SIG, Release<ECDSA_SIG_free>>;

/// Base64 for URLs, without padding (RFC 4648 §5).
std::string url_encode(std::string_view bytes) {
  std::string out = base64::encode(bytes);
  while (out.ends_with('=')) out.pop_back();
  for (char& byte : out) byte = byte == '+' ? '-' : byte == '/' ? '_' : byte;
  return out;
}

/// 32 bytes, big endian; empty for a number that has more.
std::string bytes_of(const BIGNUM* number) {
  std::string out(coordinate_bytes, '\0');
  auto* const data = reinterpret_cast<unsigned char*>(out.data());
  return number != nullptr && BN_bn2binpad(number, data, coordinate_bytes) == coordinate_bytes
             ? out
             : std::string();
}

std::string coordinate(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  const NumberPointer owned(number);
  return bytes_of(number);
}

/// r and s one behind the other, as JWTs want them (RFC 7518 §3.4).
std::string sign(EVP_PKEY* key, std::string_view text) {
  const DigestPointer digest(EVP_MD_CTX_new());
  std::array<unsigned char, 128> der;
  std::size_t length = der.size();
  const auto* const data = reinterpret_cast<const unsigned char*>(text.data());
  const bool is_signed = EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
                         EVP_DigestSign(digest.get(), der.data(), &length, data, text.size()) == 1;
  if (!is_signed) return {};
  const unsigned char* at = der.data();
  const SignaturePointer pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(length)));
  if (!pair) return {};
  return bytes_of(ECDSA_SIG_get0_r(pair.get())) + bytes_of(ECDSA_SIG_get0_s(pair.get()));
}

}  // namespace

Result<std::string> dpop_proof(const std::string& key_pem, const std::string& url, WallTime time,
                               const std::string& id) {
  const BioPointer reader(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const auto no_pass_phrase = [](char*, int, int, void*) { return 0; };
  const KeyPointer key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_pass_phrase, nullptr));
  const bool is_ec = key && EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC;
  const std::string x = is_ec ? coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_X) : std::string();
  const std::string y = is_ec ? coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y) : std::string();
  if (x.empty() || y.empty()) return fail(ErrorCode::invalid_argument, "the key is none on the curve P-256");
  const boost::json::object header{
      {"typ", "dpop+jwt"},
      {"alg", "ES256"},
      {"jwk", {{"kty", "EC"}, {"x", url_encode(x)}, {"y", url_encode(y)}, {"crv", "P-256"}}}};
  const auto issued_s = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  const boost::json::object claims{{"htm", "POST"}, {"htu", url}, {"iat", issued_s}, {"jti", id}};
  const std::string text =
      url_encode(boost::json::serialize(header)) + "." + url_encode(boost::json::serialize(claims));
  const std::string signature = sign(key.get(), text);
  if (signature.size() != 2 * coordinate_bytes) {
    return fail(ErrorCode::invalid_argument, "the key cannot sign by ES256");
  }
  return text + "." + url_encode(signature);
}

}  // namespace berth::aws
