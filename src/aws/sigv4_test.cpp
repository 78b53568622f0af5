#include "aws/sigv4.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "aws/time_text.h"

namespace berth::aws {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// The example key and moment of AWS's Signature Version 4 test suite. What is expected was computed by
/// botocore, an independent implementation; the plain GET and the unsorted query are cases of the suite and
/// have its published signatures.
struct Vector {
  std::string name;
  std::string service;
  std::string method;
  std::string path;
  Pairs query;
  Pairs headers;
  std::string body;
  std::string token;
  std::string signed_headers;
  std::string signature;
  std::string presigned;  ///< signature of the presigned URL, valid for an hour; empty: not checked
};

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all{
      {"a plain GET",
       "service",
       "GET",
       "/",
       {},
       {},
       "",
       "",
       "host;x-amz-date",
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
       "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d"},
      {"unsorted query",
       "service",
       "GET",
       "/",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       {},
       "",
       "",
       "host;x-amz-date",
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
       "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5"},
      {"a name that repeats, with unsorted values",
       "service",
       "GET",
       "/",
       {{"Param1", "value2"}, {"Param1", "Value1"}, {"Param1", ""}},
       {},
       "",
       "",
       "host;x-amz-date",
       "a91384507eef6b89b751c44ad80a54f6289d5c533893be1835bf86b5dc9d76c0",
       ""},
      {"an empty value",
       "service",
       "GET",
       "/x",
       {{"policy", ""}},
       {},
       "",
       "",
       "host;x-amz-date",
       "c94320c0e5e95d62c0310e8c483f378f9ceae4de30d782f8936f00b793bc1509",
       "5c664246fa899ede81e20a054f7c4866a512d07f53d5103dcd11e1d7ee2bb99f"},
      {"a slash, a plus, an ampersand and an equals sign in a value",
       "service",
       "GET",
       "/x",
       {{"prefix", "a/b+c&d=e f"}},
       {},
       "",
       "",
       "host;x-amz-date",
       "c9d29e951dbee8de8862c4f0514dd8718470d0a9059a6cca0d98a15fd1851c39",
       "f095999bfcf15acab643a7515043d953ab2e527d1d9f45bbb6122d4ddfa466d3"},
      {"names that sort by their encoded form",
       "service",
       "GET",
       "/x",
       {{"a-b", "1"}, {"a", "2"}, {"aB", "3"}, {"a.b", "4"}, {"ä", "5"}},
       {},
       "",
       "",
       "host;x-amz-date",
       "abb7a128a21685d5b913950e35e0cb1d86d7f3ee7be5f14a1171648bd77c87cd",
       "6e233ca186708c06e77aed57a202723818813750c5a7e8d488ed8ea31bd2f60b"},
      {"unicode in path and query",
       "service",
       "GET",
       "/ሴ/日本",
       {{"ሴ", "bar"}},
       {},
       "",
       "",
       "host;x-amz-date",
       "0add278257b0e4741e86a7326c23d2eadbe8e30cbf6edca2e8df8868998a39c4",
       "cca5812bdde44b1f957db9ddef885988f8756f881d987e7b88cc1cba951353d0"},
      {"a space in the path",
       "service",
       "GET",
       "/example space/x",
       {},
       {},
       "",
       "",
       "host;x-amz-date",
       "332900702d7768cb813d8ee82a155b95aae1bb98cd6ba12e02eb20dcb973ebf0",
       "4d2da3b863344e33224f8d2437ccc80860dd9ee5f4dbf2ebcba5dd449c048418"},
      {"reserved characters in the path",
       "service",
       "GET",
       "/a:b@c,d;e=f/(g)*!'~h%20i",
       {},
       {},
       "",
       "",
       "host;x-amz-date",
       "6445e5579295a7e0a7659d0638cb042ab638fc3523d7d80341abea6cb6d9c4a0",
       "6c06e4e04693b01d59d4ef12aae554b9f3abe157e72c89ef4ebe4046f8a87c66"},
      {"a resource's ARN in the path",
       "elasticfilesystem",
       "GET",
       "/2015-02-01/resource-tags/arn:aws:elasticfilesystem:us-east-1:1:file-system/fs-1",
       {},
       {},
       "",
       "",
       "host;x-amz-date",
       "9418ff85ca9ebe577e438577e3c08b0ef056cced1be9ccac2a01937255d15f4c",
       "9c598d14d22698079fe0012bea11ba32564f3c2ad9905ab48396b94c7effa150"},
      {"spaces in header values",
       "service",
       "GET",
       "/",
       {},
       {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\" "}},
       "",
       "",
       "host;my-header1;my-header2;x-amz-date",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
       "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4"},
      {"a header that repeats",
       "service",
       "GET",
       "/",
       {},
       {{"My-Header1", "value4"}, {"My-Header1", "value1"}},
       "",
       "",
       "host;my-header1;x-amz-date",
       "05577627fbea18c3ba9929345e1f2548ebb9382c9b370c84849c847a9472c07a",
       "1eb6ee73292d3c0d3d5750cb055a241873aaef346f3528772db4aaba841dd5e0"},
      {"a form",
       "sts",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}},
       "Action=GetCallerIdentity&Version=2011-06-15",
       "",
       "content-type;host;x-amz-date",
       "650e2b8d7f08a2f752a985c427e0a3d3f4fd65137366a31875242ab0875057b5",
       ""},
      {"a JSON body with a session token",
       "ecs",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-amz-json-1.1"},
        {"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters"}},
       "{}",
       "AQoDYXdzEPT//////////"
       "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
       "qkPpKPi/kMcGd",
       "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
       "290f933a5ecef5d6687c3f0d1d23cb911b0ed6428b85489c955f37ae741fa965",
       ""},
      {"S3 in path style",
       "s3",
       "GET",
       "/bucket/folder/a b+c/ü.txt",
       {},
       {},
       "",
       "",
       "host;x-amz-content-sha256;x-amz-date",
       "dc50ab1ba6aa7999b0c2d5bcd640615c9d36c7666f1f1cd9b1eabb004f63e2f3",
       "52bdb6ff6cb4eb6965dd47ff9c8842162b222f194dbfb0eb3e43854e5c6dda21"},
      {"an S3 key with dot segments and doubled slashes",
       "s3",
       "PUT",
       "/bucket//a/../b/./c//",
       {},
       {{"Content-Type", "text/plain"}},
       "hello",
       "",
       "content-type;host;x-amz-content-sha256;x-amz-date",
       "a24446f39eb81951c9e22c2ba8bc18ecd6af61e83c6012006d323480b88c5f3a",
       ""},
      {"S3 list with a prefix and an empty parameter",
       "s3",
       "GET",
       "/bucket",
       {{"prefix", "a/b c"}, {"list-type", "2"}, {"delimiter", "/"}, {"uploads", ""}},
       {},
       "",
       "token/with+signs==",
       "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
       "5062badb1ea19761e6151bf0504321ef7dffa00cf51d7182bd3a5310739c55c0",
       "10c38fb754bb64e49e34900530e69d6e7f4eab92104d810f0e55a1a3905bb7d3"},
  };
  return all;
}

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
  for (const Vector& vector : vectors()) {
    const Pairs added = sign(request_of(vector), credentials_of(vector), signing_of(vector));
    EXPECT_EQ(field(added, "authorization"),
              "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/" + vector.service +
                  "/aws4_request, SignedHeaders=" + vector.signed_headers + ", Signature=" + vector.signature)
        << vector.name;
  }
}

TEST(SigV4, PresignsEveryVector) {
  for (const Vector& vector : vectors()) {
    if (vector.presigned.empty()) continue;
    const std::string target = presign(request_of(vector), credentials_of(vector), signing_of(vector), 3600);
    const std::size_t at = target.find("&X-Amz-Signature=");
    ASSERT_NE(at, std::string::npos) << vector.name;
    EXPECT_EQ(target.substr(at + 17), vector.presigned) << vector.name << "\n" << target;
  }
}

TEST(SigV4, SendsWhatItSigns) {
  const Vector& s3 = vectors().back();
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
  const Vector& plain = vectors().front();
  SignableRequest request = request_of(plain);
  request.headers = {{"User-Agent", "berth"}, {"Expect", "100-continue"}};
  const Pairs added = sign(request, credentials_of(plain), signing_of(plain));
  EXPECT_TRUE(field(added, "authorization").ends_with(plain.signature));
}

TEST(SigV4, LimitsAPresignedUrlToAWeek) {
  const Vector& plain = vectors().front();
  const std::string target = presign(request_of(plain), credentials_of(plain), signing_of(plain), 9'999'999);
  EXPECT_NE(target.find("X-Amz-Expires=604800&"), std::string::npos);
}

}  // namespace
}  // namespace berth::aws
