#include "mcp/sealed_handle.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "codec/json.h"

namespace berth::mcp {
namespace {

constexpr unsigned char format_version = 1;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t key_bytes = 32;
constexpr std::string_view base64url_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void append_base64url(std::string& out, std::string_view bytes) {
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : bytes) {
    buffer = (buffer << 8) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(base64url_digits[(buffer >> (bits - 6)) & 63]);
  }
  if (bits > 0) out.push_back(base64url_digits[(buffer << (6 - bits)) & 63]);
}

constexpr auto base64url_values = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < base64url_digits.size(); ++i) {
    table[static_cast<unsigned char>(base64url_digits[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}();

/// nullopt for a text that append_base64url never writes, unused bits included.
std::optional<std::string> decode_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = base64url_values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    buffer = (buffer << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>((buffer >> bits) & 0xFF));
  }
  if ((buffer & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

std::string hkdf_sha256(std::string_view key, std::string_view info) {
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  char digest[] = "SHA256";
  std::string key_copy(key);
  std::string info_copy(info);
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key_copy.data(), key_copy.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info_copy.data(), info_copy.size()),
      OSSL_PARAM_construct_end()};
  std::string out(key_bytes, '\0');
  const bool derived = EVP_KDF_derive(context, bytes_of(out), out.size(), params) == 1;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  BERTH_CHECK(derived, "HKDF-SHA256 works with every key");
  return out;
}

/// A handle as bytes: numbers in fixed width, texts with their length in front.
class Writer {
 public:
  void number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>((value >> shift) & 0xFF));
  }
  void text(std::string_view value) {
    BERTH_CHECK(value.size() <= 0xFFFF'FFFFu, "a handle's texts are small");
    const auto size = static_cast<std::uint32_t>(value.size());
    for (int shift = 24; shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>((size >> shift) & 0xFF));
    bytes_.append(value);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t number(std::size_t width = 8) {
    std::uint64_t value = 0;
    for (const char c : take(width)) value = (value << 8) | static_cast<unsigned char>(c);
    return value;
  }
  std::string text() { return std::string(take(static_cast<std::size_t>(number(4)))); }
  bool read_exactly_all() const { return good_ && bytes_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) {
      good_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }
  std::string_view bytes_;
  bool good_ = true;
};

std::string to_bytes(const Handle& handle) {
  Writer writer;
  writer.number(handle.generation);
  writer.number(static_cast<std::uint64_t>(handle.expires_unix_s));
  for (const std::string* text :
       {&handle.owner, &handle.owner_address, &handle.local, &handle.principal, &handle.digest}) {
    writer.text(*text);
  }
  return writer.take();
}

std::optional<Handle> from_bytes(HandleKind kind, std::string_view bytes) {
  Reader reader(bytes);
  Handle handle;
  handle.kind = kind;
  handle.generation = reader.number();
  handle.expires_unix_s = static_cast<std::int64_t>(reader.number());
  for (std::string* text :
       {&handle.owner, &handle.owner_address, &handle.local, &handle.principal, &handle.digest}) {
    *text = reader.text();
  }
  if (!reader.read_exactly_all()) return std::nullopt;
  return handle;
}

std::array<unsigned char, 2> associated_data(HandleKind kind) {
  return {format_version, static_cast<unsigned char>(kind)};
}

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

/// nullopt: `sealed` (nonce, text and tag) was not sealed under `key` as this kind.
std::optional<std::string> decrypt(EVP_CIPHER* cipher, const Secret& key, HandleKind kind,
                                   std::string_view sealed) {
  const auto associated = associated_data(kind);
  const std::size_t size = sealed.size() - nonce_bytes - tag_bytes;
  const unsigned char* const body = bytes_of(sealed) + nonce_bytes;
  std::string tag(sealed.substr(nonce_bytes + size));
  std::string plain(size, '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  bool good =
      EVP_DecryptInit_ex2(context.get(), cipher, bytes_of(key.reveal()), bytes_of(sealed), nullptr) == 1;
  good = good && EVP_DecryptUpdate(context.get(), nullptr, &length, associated.data(),
                                   static_cast<int>(associated.size())) == 1;
  good =
      good && EVP_DecryptUpdate(context.get(), bytes_of(plain), &length, body, static_cast<int>(size)) == 1;
  good = good && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, tag.data()) == 1;
  good = good && EVP_DecryptFinal_ex(context.get(), bytes_of(plain) + length, &length) == 1;
  if (!good) return std::nullopt;
  return plain;
}

}  // namespace

/// Fetched once: OpenSSL looks an algorithm up by name at every implicit use.
struct HandleSealer::Keys {
  EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  std::vector<Secret> keys;  ///< the first one seals
  Keys() = default;
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;
  ~Keys() { EVP_CIPHER_free(cipher); }
};

HandleSealer::HandleSealer(const Secret& fleet_key, const Secret& second) : keys_(std::make_unique<Keys>()) {
  BERTH_CHECK(keys_->cipher != nullptr, "OpenSSL offers AES-256-GCM");
  keys_->keys.push_back(derive_key(fleet_key, "handle"));
  if (!second.empty()) keys_->keys.push_back(derive_key(second, "handle"));
}
HandleSealer::~HandleSealer() = default;
HandleSealer::HandleSealer(HandleSealer&&) noexcept = default;

std::string HandleSealer::seal(const Handle& handle) const {
  const std::string plain = to_bytes(handle);
  const auto associated = associated_data(handle.kind);
  std::string sealed = random_bytes(nonce_bytes);
  sealed.resize(nonce_bytes + plain.size() + tag_bytes);
  unsigned char* const body = bytes_of(sealed) + nonce_bytes;
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  bool good = EVP_EncryptInit_ex2(context.get(), keys_->cipher, bytes_of(keys_->keys.front().reveal()),
                                  bytes_of(sealed), nullptr) == 1;
  good = good && EVP_EncryptUpdate(context.get(), nullptr, &length, associated.data(),
                                   static_cast<int>(associated.size())) == 1;
  good = good && EVP_EncryptUpdate(context.get(), body, &length, bytes_of(plain),
                                   static_cast<int>(plain.size())) == 1;
  good = good && EVP_EncryptFinal_ex(context.get(), body + length, &length) == 1;
  good =
      good && EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, body + plain.size()) == 1;
  BERTH_CHECK(good, "AES-256-GCM encrypts every handle");
  std::string token;
  token.reserve(sealed.size() * 4 / 3 + 4);
  append_base64url(token, sealed);
  return token;
}

Result<Handle> HandleSealer::open(HandleKind kind, std::string_view token, std::string_view principal,
                                  WallTime now) const {
  const auto refused = [] {
    return fail(ErrorCode::invalid_argument, "The handle was not issued by this service, or was altered.");
  };
  std::optional<std::string> sealed = decode_base64url(token);
  if (!sealed || sealed->size() < nonce_bytes + tag_bytes) return refused();
  std::optional<std::string> plain;
  for (const Secret& key : keys_->keys) {
    if (!plain) plain = decrypt(keys_->cipher, key, kind, *sealed);
  }
  if (!plain) return refused();
  std::optional<Handle> handle = from_bytes(kind, *plain);
  if (!handle) return refused();
  if (handle->principal != principal) {
    return fail(ErrorCode::permission_denied, "The handle belongs to another caller.");
  }
  const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (handle->expires_unix_s != 0 && handle->expires_unix_s <= now_s) {
    return fail(ErrorCode::deadline_exceeded, "The handle has expired.");
  }
  return *std::move(handle);
}

Secret derive_key(const Secret& fleet_key, std::string_view purpose) {
  return Secret(hkdf_sha256(fleet_key.reveal(), "berth v1 " + std::string(purpose)));
}

namespace {

void append_sized(std::string& out, char tag, std::string_view text) {
  out.push_back(tag);
  out.append(std::to_string(text.size())).push_back(':');
  out.append(text);
}

/// One text per value, whatever the white space, order of members, escapes or form of integers: a client may
/// write the same params again in another way.
void append_canonical(std::string& out, json::Slice value) {
  switch (value.kind()) {
    case json::Kind::null: out.push_back('0'); return;
    case json::Kind::boolean: out.push_back(value.as_bool().value_or(false) ? 't' : 'f'); return;
    case json::Kind::string: append_sized(out, 's', value.as_string().value_or("")); return;
    case json::Kind::number:
      if (const auto whole = value.as_int()) {
        append_sized(out, 'n', std::to_string(*whole));
      } else {
        append_sized(out, 'n', value.text());
      }
      return;
    case json::Kind::array:
      out.push_back('[');
      for (json::Elements elements(value); elements.next();) append_canonical(out, elements.value());
      out.push_back(']');
      return;
    case json::Kind::object: break;
  }
  std::vector<std::pair<std::string, json::Slice>> members;
  for (json::Members walk(value); walk.next();) members.emplace_back(walk.key(), walk.value());
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  out.push_back('{');
  for (const auto& [key, member] : members) {
    append_sized(out, 'k', key);
    append_canonical(out, member);
  }
  out.push_back('}');
}

}  // namespace

std::string request_digest(std::string_view method, std::string_view params) {
  std::string canonical;
  append_sized(canonical, 'm', method);
  std::vector<std::pair<std::string, json::Slice>> members;
  for (json::Members walk(json::Slice::trusted(params)); walk.next();) {
    if (walk.key_is("_meta") || walk.key_is("inputResponses") || walk.key_is("requestState")) continue;
    members.emplace_back(walk.key(), walk.value());
  }
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [key, member] : members) {
    append_sized(canonical, 'k', key);
    append_canonical(canonical, member);
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(bytes_of(std::string_view(canonical)), canonical.size(), bytes_of(digest));
  std::string out;
  append_base64url(out, digest);
  return out;
}

}  // namespace berth::mcp
