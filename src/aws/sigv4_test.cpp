#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "aws/testing/sigv4_vectors.h"
#include "aws/time_text.h"

namespace berth::aws {
namespace {

using testing::Pairs;
using testing::Vector;
using testing::vectors;

Credentials credentials_of(const Vector& vector) {
  Credentials credentials;
  credentials.access_key_id = "AKIDEXAMPLE";
  credentials.secret_access_key = Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  credentials.session_token = Secret(vector.token);
  return credentials;
}

Signing signing_of(const Vector& vector) {
  Signing signing;
  signing.region = "us-east-1";
  signing.service = vector.service;
  signing.time = parse_rfc3339("2015-08-30T12:36:00Z").value();
  signing.encode_path_twice = vector.service != "s3";
  signing.sign_payload_hash = vector.service == "s3";
  return signing;
}

SignableRequest request_of(const Vector& vector) {
  return {vector.method, "example.amazonaws.com", vector.path, vector.query, vector.headers, vector.body};
}

std::string field(const Pairs& fields, std::string_view name) {
  const auto at = std::ranges::find(fields, name, &Pairs::value_type::first);
  return at == fields.end() ? "(none)" : at->second;
}

TEST(SigV4, SignsEveryVector) {
  for (const Vector& vector : vectors) {
    const Pairs added = sign(request_of(vector), credentials_of(vector), signing_of(vector));
    EXPECT_EQ(field(added, "authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" + vector.service +
                  "/aws4_request, SignedHeaders=" + vector.signed_headers + ", Signature=" + vector.signature)
        << vector.name;
  }
}

TEST(SigV4, PresignsEveryVector) {
  for (const Vector& vector : vectors) {
    if (vector.presigned.empty()) continue;
    const std::string target = presign(request_of(vector), credentials_of(vector), signing_of(vector), 3600);
    const std::size_t at = target.find("&X-Amz-Signature=");
    ASSERT_NE(at, std::string::npos) << vector.name;
    EXPECT_EQ(target.substr(at + 17), vector.presigned) << vector.name << "\n" << target;
  }
}

TEST(SigV4, SendsWhatItSigns) {
  const Vector& s3 = vectors.back();
  const Pairs added = sign(request_of(s3), credentials_of(s3), signing_of(s3));
  EXPECT_EQ(field(added, "x-amz-date"), "20150830T123600Z");
  EXPECT_EQ(field(added, "x-amz-security-token"), s3.token);
  EXPECT_EQ(field(added, "x-amz-content-sha256"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(SigV4, WritesTheTargetThatItSigned) {
  Signing signing;
  SignableRequest request;
  request.path = "/a b/../c/é";
  request.query = {{"z", ""}, {"a", "x/y +"}};
  EXPECT_EQ(encode_target(request, signing), "/c/%C3%A9?a=x%2Fy%20%2B&z=");
  signing.encode_path_twice = false;
  EXPECT_EQ(encode_target(request, signing), "/a%20b/../c/%C3%A9?a=x%2Fy%20%2B&z=");
  request.path = "";
  request.query.clear();
  EXPECT_EQ(encode_target(request, signing), "/");
}

TEST(SigV4, LeavesOutFieldsThatMayChangeOnTheWay) {
  const Vector& plain = vectors.front();
  SignableRequest request = request_of(plain);
  request.headers = {{"User-Agent", "berth"}, {"Expect", "100-continue"}};
  const Pairs added = sign(request, credentials_of(plain), signing_of(plain));
  EXPECT_TRUE(field(added, "authorization").ends_with(plain.signature));
}

TEST(SigV4, LimitsAPresignedUrlToAWeek) {
  const Vector& plain = vectors.front();
  const std::string target = presign(request_of(plain), credentials_of(plain), signing_of(plain), 9'999'999);
  EXPECT_NE(target.find("X-Amz-Expires=604800&"), std::string::npos);
}

}  // namespace
}  // namespace berth::aws
