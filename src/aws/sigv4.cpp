#include "aws/sigv4.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "aws/digest.h"
#include "aws/time_text.h"

namespace berth::aws {

namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
  });
  return out;
}

/// Without white space at its ends, and runs of spaces made one.
std::string trim_value(std::string_view value) {
  std::string out;
  for (const char byte : value) {
    const bool is_space = byte == ' ' || byte == '\t';
    if (is_space && (out.empty() || out.back() == ' ')) continue;
    out.push_back(is_space ? ' ' : byte);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// Without empty, "." and ".." segments (RFC 3986 §5.2.4); a slash at the end stays.
std::string normalize(std::string_view path) {
  std::vector<std::string_view> kept;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!segment.empty() && segment != "." && segment != "..") kept.push_back(segment);
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  const bool ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  if (out.empty() || ends_open) out.push_back('/');
  return out;
}

/// S3's keys are bytes: a key "a//b" or "../x" is what it says.
std::string wire_path(const SignableRequest& request, const Signing& signing) {
  if (signing.encode_path_twice) return encode_uri_path(normalize(request.path));
  return encode_uri_path(request.path.starts_with('/') ? request.path : "/" + request.path);
}

/// Sorted by encoded name, then by encoded value.
std::string sorted_query(const Fields& query) {
  Fields encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) encoded.emplace_back(encode_uri(name), encode_uri(value));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out.push_back('&');
    out.append(name).append("=").append(value);
  }
  return out;
}

struct SignedFields {
  std::string canonical;  ///< "host:example.com\nx-amz-date:…\n"
  std::string names;      ///< "host;x-amz-date"
};

/// `headers` and Host. Fields that something on the way may change are left out, as the SDKs do.
SignedFields signed_fields(const std::string& host, const Fields& headers) {
  static constexpr std::array<std::string_view, 6> unsigned_names{
      "authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"};
  std::map<std::string, std::string> sorted{{"host", host}};
  for (const auto& [name, value] : headers) {
    const std::string key = lower(name);
    if (std::ranges::find(unsigned_names, key) != unsigned_names.end()) continue;
    const auto [at, is_new] = sorted.emplace(key, trim_value(value));
    if (!is_new && key != "host") at->second.append(",").append(trim_value(value));
  }
  SignedFields out;
  for (const auto& [name, value] : sorted) {
    out.canonical.append(name).append(":").append(value).append("\n");
    if (!out.names.empty()) out.names.push_back(';');
    out.names.append(name);
  }
  return out;
}

std::string scope_of(const Signing& signing, std::string_view date) {
  return fmt::format("{}/{}/{}/aws4_request", date, signing.region, signing.service);
}

std::string signature(const Credentials& credentials, const Signing& signing,
                      const std::string& canonical_request) {
  const std::string time = to_basic_time(signing.time);
  const std::string date = time.substr(0, 8);
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", algorithm, time, scope_of(signing, date), sha256_hex(canonical_request));
  std::string secret = "AWS4";
  secret.append(credentials.secret_access_key.reveal());
  const Secret seed(std::move(secret));
  const Secret of_date(hmac_sha256(seed.reveal(), date));
  const Secret of_region(hmac_sha256(of_date.reveal(), signing.region));
  const Secret of_service(hmac_sha256(of_region.reveal(), signing.service));
  const Secret key(hmac_sha256(of_service.reveal(), "aws4_request"));
  return to_hex(hmac_sha256(key.reveal(), to_sign));
}

std::string canonical_path(const SignableRequest& request, const Signing& signing) {
  const std::string path = wire_path(request, signing);
  return signing.encode_path_twice ? encode_uri_path(path) : path;
}

std::string canonical(const SignableRequest& request, const Signing& signing, const std::string& query,
                      const SignedFields& fields, const std::string& payload_hash) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, canonical_path(request, signing), query,
                     fields.canonical, fields.names, payload_hash);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> sign(const SignableRequest& request,
                                                      const Credentials& credentials,
                                                      const Signing& signing) {
  const std::string time = to_basic_time(signing.time);
  const std::string payload_hash = sha256_hex(request.body);
  Fields added{{"x-amz-date", time}};
  if (!credentials.session_token.empty()) {
    added.emplace_back("x-amz-security-token", credentials.session_token.reveal());
  }
  if (signing.sign_payload_hash) added.emplace_back("x-amz-content-sha256", payload_hash);
  Fields all = request.headers;
  all.insert(all.end(), added.begin(), added.end());
  const SignedFields fields = signed_fields(request.host, all);
  const std::string text = canonical(request, signing, sorted_query(request.query), fields, payload_hash);
  added.emplace_back(
      "authorization",
      fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", algorithm, credentials.access_key_id,
                  scope_of(signing, time.substr(0, 8)), fields.names, signature(credentials, signing, text)));
  return added;
}

std::string presign(const SignableRequest& request, const Credentials& credentials, const Signing& signing,
                    unsigned expires) {
  const std::string time = to_basic_time(signing.time);
  const SignedFields fields = signed_fields(request.host, request.headers);
  SignableRequest with_query = request;
  with_query.query.emplace_back("X-Amz-Algorithm", algorithm);
  with_query.query.emplace_back("X-Amz-Credential",
                                credentials.access_key_id + "/" + scope_of(signing, time.substr(0, 8)));
  with_query.query.emplace_back("X-Amz-Date", time);
  with_query.query.emplace_back("X-Amz-Expires", std::to_string(std::min(expires, 604800u)));
  with_query.query.emplace_back("X-Amz-SignedHeaders", fields.names);
  if (!credentials.session_token.empty()) {
    with_query.query.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal());
  }
  const std::string payload_hash = signing.sign_payload_hash ? "UNSIGNED-PAYLOAD" : sha256_hex(request.body);
  const std::string text = canonical(request, signing, sorted_query(with_query.query), fields, payload_hash);
  return encode_target(with_query, signing) + "&X-Amz-Signature=" + signature(credentials, signing, text);
}

std::string encode_target(const SignableRequest& request, const Signing& signing) {
  const std::string path = wire_path(request, signing);
  return request.query.empty() ? path : path + "?" + sorted_query(request.query);
}

}  // namespace berth::aws
