#pragma once

#include <string>
#include <string_view>

/// Digests as AWS's protocols want them, by OpenSSL.
namespace berth::aws {

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::string_view bytes);
/// The same digest in Base64: S3's checksums.
std::string sha256_base64(std::string_view bytes);
/// 40 lower-case hexadecimal digits: the names of the SSO cache's files.
std::string sha1_hex(std::string_view bytes);
/// 32 raw bytes.
std::string hmac_sha256(std::string_view key, std::string_view bytes);
std::string to_hex(std::string_view bytes);

/// Percent-encodes all but RFC 3986's unreserved characters, as Signature Version 4 wants it.
std::string encode_uri(std::string_view text);
/// The same, with '/' kept.
std::string encode_uri_path(std::string_view path);

}  // namespace berth::aws
