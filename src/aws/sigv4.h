#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.h"
#include "base/clock.h"

/// AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-
/// request.html).
namespace berth::aws {

struct SignableRequest {
  std::string method = "POST";
  std::string host;                                          ///< with the port, where it is not the scheme's
  std::string path = "/";                                    ///< decoded
  std::vector<std::pair<std::string, std::string>> query;    ///< decoded
  std::vector<std::pair<std::string, std::string>> headers;  ///< to be signed, besides host and x-amz-*
  std::string body;
};

struct Signing {
  std::string region;
  std::string service;  ///< signing name: "ecs", "s3", "xray"
  WallTime time;
  bool encode_path_twice = true;   ///< every service but S3
  bool sign_payload_hash = false;  ///< S3: x-amz-content-sha256 is sent and signed
};

/// The header fields to add: authorization, x-amz-date, x-amz-security-token and (S3) x-amz-content-sha256.
std::vector<std::pair<std::string, std::string>> sign(const SignableRequest& request,
                                                      const Credentials& credentials, const Signing& signing);

/// The URL's path and query, signed in the query; `expires` in seconds, at most 604800.
std::string presign(const SignableRequest& request, const Credentials& credentials, const Signing& signing,
                    unsigned expires);

/// The target on the wire: the encoded path and sorted query.
std::string encode_target(const SignableRequest& request, const Signing& signing);

}  // namespace berth::aws
