#include "aws/credentials.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "aws/digest.h"
#include "aws/dpop.h"
#include "aws/shared_config.h"
#include "aws/sources.h"
#include "aws/testing/scripted_http.h"
#include "codec/base64.h"

namespace berth::aws {
namespace {

constexpr std::string_view sts_answer =
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s"
    "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-22T01:00:00Z</Expiration></"
    "Credentials>"
    "</AssumeRoleResult></AssumeRoleResponse>";

/// A new key of the kind that `aws login` makes.
std::string key_pem() {
  char curve[] = "P-256";
  EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve);
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey_traditional(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  std::string pem(bytes, static_cast<std::size_t>(size));
  BIO_free(out);
  EVP_PKEY_free(key);
  return pem;
}

std::string url_decode(std::string text) {
  for (char& byte : text) byte = byte == '-' ? '+' : byte == '_' ? '/' : byte;
  text.append((4 - text.size() % 4) % 4, '=');
  return base64::decode(text).value();
}

/// Whether r and s are the key's signature of `text`.
bool verifies(const std::string& pem, const std::string& text, const std::string& pair) {
  const auto* const data = reinterpret_cast<const unsigned char*>(pair.data());
  ECDSA_SIG* const signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(data, 32, nullptr), BN_bin2bn(data + 32, 32, nullptr));
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature, &der);
  ECDSA_SIG_free(signature);
  BIO* const in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO_free(in);
  EVP_MD_CTX* const digest = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(digest, nullptr, EVP_sha256(), nullptr, key);
  const auto* const signed_text = reinterpret_cast<const unsigned char*>(text.data());
  const bool is_good = pair.size() == 64 && EVP_DigestVerify(digest, der, static_cast<std::size_t>(length),
                                                             signed_text, text.size()) == 1;
  EVP_MD_CTX_free(digest);
  EVP_PKEY_free(key);
  OPENSSL_free(der);
  return is_good;
}

/// The chain in a home folder of its own, with STS and the other endpoints on an in-memory network.
class CredentialsChain : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "berth-aws-XXXXXX";
    home = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(home + "/.aws/sso/cache");
    options.environment = {{"HOME", home},
                           {"PATH", "/usr/bin:/bin"},
                           {"AWS_EC2_METADATA_DISABLED", "true"},
                           {"AWS_ENDPOINT_URL", "http://10.0.0.1:80"}};
    options.region = "us-east-1";
  }
  void TearDown() override { std::filesystem::remove_all(home); }

  void write(const std::string& name, std::string_view content) {
    std::ofstream(home + "/" + name) << content;
  }
  void write_script(const std::string& name, std::string_view content) {
    write(name, content);
    ::chmod((home + "/" + name).c_str(), 0700);
  }

  /// "KEY token=… from SOURCE" of a fresh provider, or the error's text.
  std::string get() {
    provider = make_credentials(options, *network, *launcher);
    return again();
  }
  std::string again() {
    auto task = provider->get();
    const auto found = testing::finish(clock, std::move(task));
    if (!found) return found.error().message();
    return found->access_key_id + " token=" + std::string(found->session_token.reveal()) + " from " +
           found->source;
  }

  asio::io_context loop;
  berth::testing::SimClock clock{loop};
  std::unique_ptr<net::testing::MemoryNetwork> network = net::testing::make_memory_network(clock);
  std::unique_ptr<net::ProcessLauncher> launcher = net::make_process_launcher(clock);
  testing::ScriptedHttp server{*network, clock, {"10.0.0.1", 80}};
  CredentialsOptions options;
  std::unique_ptr<CredentialsProvider> provider;
  std::string home;
};

TEST_F(CredentialsChain, TakesTheEnvironmentFirst) {
  write(".aws/credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.environment["AWS_SESSION_TOKEN"] = "t";
  EXPECT_EQ(get(), "ENV token=t from the environment (AWS_ACCESS_KEY_ID)");
}

TEST_F(CredentialsChain, SaysThatHalfAKeyIsMissing) {
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  EXPECT_EQ(get(), "Of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both or neither.");
}

TEST_F(CredentialsChain, TakesAProfileThatWasNamedBeforeTheEnvironment) {
  write(".aws/credentials", "[work]\naws_access_key_id=FILE\naws_secret_access_key=s\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "work";
  EXPECT_EQ(get(),
            "FILE token= from profile 'work' of " + home + "/.aws/config and " + home + "/.aws/credentials");
  options.profile = "other";
  EXPECT_EQ(get(), "There is no profile 'other' in " + home + "/.aws/config and " + home +
                       "/.aws/credentials; it has: work.");
}

TEST_F(CredentialsChain, NamesEveryPlaceItLookedAt) {
  const std::string said = get();
  for (const std::string& place :
       {std::string("AWS_ACCESS_KEY_ID"), std::string("AWS_WEB_IDENTITY_TOKEN_FILE"), home + "/.aws/config",
        home + "/.aws/credentials (no such files)", std::string("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        std::string("AWS_EC2_METADATA_DISABLED"), std::string("aws configure")}) {
    EXPECT_NE(said.find(place), std::string::npos) << place << "\n" << said;
  }
}

TEST_F(CredentialsChain, AssumesARoleWithItsSourceProfile) {
  write(".aws/config",
        "[profile base]\naws_access_key_id = BASE # mine\naws_secret_access_key = s\n"
        "[profile role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = x/1\n");
  options.environment["AWS_PROFILE"] = "role";
  server.answer(200, std::string(sts_answer));
  EXPECT_EQ(get(), "ASIAROLE token=t from role arn:aws:iam::1:role/r");
  EXPECT_EQ(
      server.seen.at(0).body,
      "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=berth&"
      "ExternalId=x%2F1");
  EXPECT_TRUE(server.seen.at(0).header("Authorization").starts_with("AWS4-HMAC-SHA256 Credential=BASE/"));
}

TEST_F(CredentialsChain, AssumesARoleWithItsOwnStaticKeys) {
  write(".aws/config",
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\naws_access_key_id = OWN\n"
        "aws_secret_access_key = s\n");
  server.answer(200, std::string(sts_answer));
  EXPECT_EQ(get(), "ASIAROLE token=t from role arn:aws:iam::1:role/r");
}

TEST_F(CredentialsChain, AssumesARoleWithTheEnvironmentsKeys) {
  write(".aws/config", "[profile role]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "role";
  server.answer(200, std::string(sts_answer));
  EXPECT_EQ(get(), "ASIAROLE token=t from role arn:aws:iam::1:role/r");
  options.environment.erase("AWS_ACCESS_KEY_ID");
  options.environment.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(get(), "Profile 'role' takes its credentials from Environment, where there are none.");
}

TEST_F(CredentialsChain, FindsProfilesThatGoInACircle) {
  write(".aws/config",
        "[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a\n");
  options.profile = "a";
  EXPECT_NE(get().find("in a circle at 'a'"), std::string::npos);
}

TEST_F(CredentialsChain, SaysWhyARoleCannotBeAssumed) {
  write(".aws/config", "[default]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "default";
  server.answer(
      403,
      "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: u is not authorized to perform: "
      "sts:AssumeRole on resource: r</Message></Error></ErrorResponse>");
  const std::string said = get();
  EXPECT_NE(said.find("Cannot assume role arn:aws:iam::1:role/r with the keys of the environment"),
            std::string::npos);
  EXPECT_NE(said.find("not authorized to perform: sts:AssumeRole"), std::string::npos);
}

TEST_F(CredentialsChain, AsksForTheCodeOfAnMfaDeviceOnce) {
  write(".aws/config",
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nmfa_serial = arn:mfa\nduration_seconds = 3600\n"
        "credential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "default";
  EXPECT_NE(get().find("MFA device arn:mfa, and nobody is there to give it"), std::string::npos);
  std::vector<std::string> questions;
  options.ask = [&questions](std::string question) -> Task<std::optional<std::string>> {
    questions.push_back(std::move(question));
    co_return "123456";
  };
  server.answer(200, std::string(sts_answer));
  EXPECT_EQ(get(), "ASIAROLE token=t from role arn:aws:iam::1:role/r");
  EXPECT_NE(server.seen.at(0).body.find("&SerialNumber=arn%3Amfa&TokenCode=123456"), std::string::npos);
  EXPECT_EQ(get(), "ASIAROLE token=t from role arn:aws:iam::1:role/r") << "the next command finds it";
  EXPECT_EQ(questions, std::vector<std::string>{"Code of the MFA device arn:mfa (profile 'default'): "});
  // The name that botocore 1.43 gives this request.
  EXPECT_TRUE(
      std::filesystem::exists(home + "/.aws/cli/cache/acc8d8c32f1350e5013dcb6b855224e664ed8a4a.json"));
  clock.advance(std::chrono::minutes(56));
  get();
  EXPECT_EQ(questions.size(), 2u) << "the keys end at 01:00";
}

TEST_F(CredentialsChain, LooksOnBehindAProfileThatSaysNothingOfCredentials) {
  write(".aws/config", "[profile work]\nregion = eu-west-1\n");
  options.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/x";
  testing::ScriptedHttp container(*network, clock, {"169.254.170.2", 80});
  container.answer(200, R"({"AccessKeyId":"ASIATASK","SecretAccessKey":"s","Token":"t"})");
  options.environment["AWS_PROFILE"] = "work";
  EXPECT_EQ(get(), "ASIATASK token=t from the container endpoint 169.254.170.2");
  options.profile = "work";
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  EXPECT_EQ(get(), "ASIATASK token=t from the container endpoint 169.254.170.2");
  options.environment["AWS_PROFILE"] = "missing";
  options.profile = "";
  options.environment.erase("AWS_ACCESS_KEY_ID");
  EXPECT_TRUE(get().starts_with("There is no profile 'missing'"));
}

TEST_F(CredentialsChain, MendsAWrongClockForSts) {
  write(".aws/config", "[default]\nrole_arn = r\ncredential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "default";
  server.answer(403,
                "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message>"
                "</Error></ErrorResponse>",
                {{"Date", "Sun, 22 Nov 2026 00:30:00 GMT"}});
  server.answer(503, "");
  server.answer(200, std::string(sts_answer));
  EXPECT_EQ(get(), "ASIAROLE token=t from role r");
  EXPECT_EQ(server.seen.at(1).header("x-amz-date"), "20261122T003000Z");
}

TEST_F(CredentialsChain, TakesWhatAwsLoginHasLeft) {
  write(".aws/config", "[default]\nlogin_session = arn:aws:iam::1:user/ann\n");
  EXPECT_NE(get().find("run: aws login --profile default"), std::string::npos);
  const std::string cache = ".aws/login/cache/" + sha256_hex("arn:aws:iam::1:user/ann") + ".json";
  std::filesystem::create_directories(home + "/.aws/login/cache");
  boost::json::object token{{"accessToken",
                             {{"accessKeyId", "ASIALOGIN"},
                              {"secretAccessKey", "s"},
                              {"sessionToken", "t"},
                              {"accountId", "1"},
                              {"expiresAt", "2026-11-22T00:15:00Z"}}},
                            {"clientId", "arn:aws:signin:::devtools/same-device"},
                            {"refreshToken", "r1"},
                            {"dpopKey", key_pem()}};
  write(cache, boost::json::serialize(token));
  EXPECT_EQ(get(), "ASIALOGIN token=t from `aws login`, profile 'default'");
  clock.advance(std::chrono::minutes(11));
  server.answer(200, R"({"accessToken":{"accessKeyId":"ASIANEW","secretAccessKey":"s","sessionToken":"t2"},
                         "tokenType":"aws_sigv4","expiresIn":900,"refreshToken":"r2"})");
  server.answer(403, R"({"error":"TOKEN_EXPIRED"})");
  EXPECT_EQ(again(), "ASIANEW token=t2 from `aws login`, profile 'default'");
  EXPECT_EQ(server.seen.at(0).target, "/v1/token");
  EXPECT_EQ(server.seen.at(0).body,
            R"({"clientId":"arn:aws:signin:::devtools/same-device","refreshToken":"r1",)"
            R"("grantType":"refresh_token"})");
  EXPECT_TRUE(server.seen.at(0).header("DPoP").starts_with("eyJ"));
  const auto kept = read_small_file(home + "/" + cache);
  ASSERT_TRUE(kept);
  for (const char* const part : {"\"refreshToken\":\"r2\"", "\"accountId\":\"1\"", "ASIANEW",
                                 "\"expiresAt\":\"2026-11-22T00:26:00Z\""}) {
    EXPECT_NE(kept->find(part), std::string::npos) << part << *kept;
  }
  clock.advance(std::chrono::minutes(11));
  EXPECT_EQ(get(), "The login of profile 'default' has ended; run: aws login --profile default");
}

TEST_F(CredentialsChain, ProvesThatItHoldsTheLoginsKey) {
  const std::string pem = key_pem();
  const auto proof = dpop_proof(pem, "https://us-east-1.signin.aws.amazon.com/v1/token", clock.wall(), "id");
  ASSERT_TRUE(proof);
  const std::size_t claims_at = proof->find('.');
  const std::size_t signature_at = proof->rfind('.');
  const auto claims =
      boost::json::parse(url_decode(proof->substr(claims_at + 1, signature_at - claims_at - 1)));
  EXPECT_EQ(boost::json::serialize(claims),
            R"({"htm":"POST","htu":"https://us-east-1.signin.aws.amazon.com/v1/token",)"
            R"("iat":1795305600,"jti":"id"})");
  const auto header = boost::json::parse(url_decode(proof->substr(0, claims_at))).as_object();
  EXPECT_EQ(text(header, "typ") + text(header, "alg") + text(object(header, "jwk"), "crv"),
            "dpop+jwtES256P-256");
  EXPECT_TRUE(verifies(pem, proof->substr(0, signature_at), url_decode(proof->substr(signature_at + 1))));
  EXPECT_FALSE(dpop_proof("no key", "https://x/", clock.wall(), "id"));
}

TEST_F(CredentialsChain, TakesEndpointsAndMoreFromTheProfile) {
  write(".aws/config",
        "\xef\xbb\xbf[profile \"my own\"]\nregion = eu-west-1\nservices = local\nuse_fips_endpoint = true\n"
        "endpoint_url = http://all\nca_bundle = /corp.pem\nmax_attempts = 7\n"
        "[services local]\ns3 =\n  endpoint_url = http://s3 # mine\nelastic_load_balancing_v2 =\n"
        "  endpoint_url = http://elb\n");
  options.environment = {{"HOME", home}, {"AWS_PROFILE", "my own"}, {"AWS_MAX_ATTEMPTS", "2"}};
  auto settings = with_profile_settings(options)->environment;
  EXPECT_EQ(settings["AWS_ENDPOINT_URL_S3"], "http://s3");
  EXPECT_EQ(settings["AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"], "http://elb");
  EXPECT_EQ(settings["AWS_ENDPOINT_URL"], "http://all");
  EXPECT_EQ(settings["AWS_USE_FIPS_ENDPOINT"], "true");
  EXPECT_EQ(settings["AWS_CA_BUNDLE"], "/corp.pem");
  EXPECT_EQ(settings["AWS_MAX_ATTEMPTS"], "2");
  options.environment["AWS_ENDPOINT_URL"] = "http://mine";
  settings = with_profile_settings(options)->environment;
  EXPECT_EQ(settings["AWS_ENDPOINT_URL"], "http://mine");
  EXPECT_EQ(settings.count("AWS_ENDPOINT_URL_S3"), 0u);
}

TEST_F(CredentialsChain, AssumesAWebIdentitysRoleWithoutASignature) {
  write("token", "jwt.token\n");
  options.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = home + "/token";
  EXPECT_NE(get().find("AWS_ROLE_ARN is not"), std::string::npos);
  options.environment["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/web";
  std::string answer =
      "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAWEB</AccessKeyId>"
      "<SecretAccessKey>s</SecretAccessKey></Credentials></AssumeRoleWithWebIdentityResult></R>";
  server.answer(200, answer);
  EXPECT_EQ(get(), "ASIAWEB token= from web identity role arn:aws:iam::1:role/web");
  EXPECT_EQ(server.seen.at(0).header("Authorization"), "(none)");
  EXPECT_NE(server.seen.at(0).body.find("&WebIdentityToken=jwt.token"), std::string::npos);
}

TEST_F(CredentialsChain, AsksTheContainersEndpointWithItsToken) {
  options.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://10.0.0.1:80/creds?x=1";
  EXPECT_NE(get().find("without https it may only be loopback"), std::string::npos);
  testing::ScriptedHttp container(*network, clock, {"169.254.170.2", 80});
  container.answer(200, R"({"AccessKeyId":"ASIATASK","SecretAccessKey":"s","Token":"t",
                           "Expiration":"2026-11-22T06:00:00Z"})");
  options.environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/1";
  write("token", "bearer-1\n");
  options.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = home + "/token";
  EXPECT_EQ(get(), "ASIATASK token=t from the container endpoint 169.254.170.2");
  EXPECT_EQ(container.seen.at(0).target, "/v2/credentials/1");
  EXPECT_EQ(container.seen.at(0).header("Authorization"), "bearer-1");
}

TEST_F(CredentialsChain, AsksTheInstanceWithASessionToken) {
  options.environment.erase("AWS_EC2_METADATA_DISABLED");
  EXPECT_NE(get().find("the instance's metadata (no answer)"), std::string::npos);
  testing::ScriptedHttp instance(*network, clock, {"169.254.169.254", 80});
  instance.answer(200, "imds-token");
  instance.answer(200, "my-role");
  instance.answer(200, R"({"Code":"Success","AccessKeyId":"ASIAEC2","SecretAccessKey":"s","Token":"t",
                          "Expiration":"2026-11-22T06:00:00Z"})");
  EXPECT_EQ(get(), "ASIAEC2 token=t from the instance's role my-role");
  EXPECT_EQ(instance.seen.at(0).method, "PUT");
  EXPECT_EQ(instance.seen.at(2).target, "/latest/meta-data/iam/security-credentials/my-role");
  EXPECT_EQ(instance.seen.at(2).header("X-aws-ec2-metadata-token"), "imds-token");
}

TEST_F(CredentialsChain, KeepsKeysUntilTheyAreNearTheirEndOrRefused) {
  write(".aws/config", "[default]\nrole_arn = r\ncredential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "default";
  server.answer(200, std::string(sts_answer));
  get();
  again();
  EXPECT_EQ(server.seen.size(), 1u);
  clock.advance(std::chrono::minutes(56));
  again();
  EXPECT_EQ(server.seen.size(), 2u) << "the answer's keys end at 01:00";
  provider->forget();
  again();
  EXPECT_EQ(server.seen.size(), 3u);
}

TEST_F(CredentialsChain, UsesOldKeysThatStillWorkWhenNewOnesCannotBeHad) {
  write(".aws/config", "[default]\nrole_arn = r\ncredential_source = Environment\n");
  options.environment["AWS_ACCESS_KEY_ID"] = "ENV";
  options.environment["AWS_SECRET_ACCESS_KEY"] = "s";
  options.profile = "default";
  server.answer(200, std::string(sts_answer));
  server.answer(500, "");
  get();
  clock.advance(std::chrono::minutes(57));
  EXPECT_EQ(again(), "ASIAROLE token=t from role r");
  clock.advance(std::chrono::minutes(4));
  EXPECT_NE(again().find("Cannot assume role r"), std::string::npos);
}

TEST_F(CredentialsChain, ExchangesTheSignOnsToken) {
  write(".aws/config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Admin & Co\n"
        "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n");
  options.profile = "sso";
  EXPECT_NE(get().find("run: aws sso login --profile sso"), std::string::npos);
  const std::string cache = ".aws/sso/cache/" + sha1_hex("corp") + ".json";
  write(cache, R"({"accessToken":"sso-token","expiresAt":"2026-11-22T08:00:00Z"})");
  server.answer(200, R"({"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"t",
                        "expiration":1795309200000}})");
  EXPECT_EQ(get(), "ASIASSO token=t from single sign-on, profile 'sso'");
  EXPECT_EQ(server.seen.at(0).target,
            "/federation/credentials?role_name=Admin%20%26%20Co&account_id=123456789012");
  EXPECT_EQ(server.seen.at(0).header("x-amz-sso_bearer_token"), "sso-token");
}

TEST_F(CredentialsChain, RefreshesAnExpiredSignOnAndKeepsTheNewToken) {
  write(".aws/config",
        "[default]\nsso_start_url = https://corp.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 1\nsso_role_name = r\n");
  const std::string cache = ".aws/sso/cache/" + sha1_hex("https://corp.awsapps.com/start") + ".json";
  write(cache, R"({"accessToken":"old","expiresAt":"2026-11-21T00:00:00Z"})");
  EXPECT_NE(get().find("has expired; run: aws sso login --profile default"), std::string::npos);
  write(cache, R"({"accessToken":"old","expiresAt":"2026-11-21T00:00:00Z","clientId":"c","clientSecret":"cs",
                  "refreshToken":"r1"})");
  server.answer(200, R"({"accessToken":"new","expiresIn":3600,"refreshToken":"r2"})");
  server.answer(200,
                R"({"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"t"}})");
  EXPECT_EQ(get(), "ASIASSO token=t from single sign-on, profile 'default'");
  EXPECT_EQ(server.seen.at(0).target, "/token");
  EXPECT_EQ(server.seen.at(1).header("x-amz-sso_bearer_token"), "new");
  const auto kept = read_small_file(home + "/" + cache);
  ASSERT_TRUE(kept);
  EXPECT_NE(kept->find("\"refreshToken\":\"r2\""), std::string::npos);
  EXPECT_NE(kept->find("\"expiresAt\":\"2026-11-22T01:00:0"), std::string::npos) << *kept;
}

TEST(SharedConfigFile, ReadsWhatTheCliWrites) {
  const auto sections = parse_ini(
      "# a comment\n[default]\nRegion = us-east-1 ; here\nurl = http://x/#y\ns3 =\n  max_concurrent_requests "
      "= 20\n"
      "\n[profile a b]\r\nx=1=2\r\n",
      "config");
  ASSERT_TRUE(sections);
  EXPECT_EQ(sections->at("default").at("region"), "us-east-1");
  EXPECT_EQ(sections->at("default").at("url"), "http://x/#y");
  EXPECT_EQ(sections->at("default").at("s3.max_concurrent_requests"), "20");
  EXPECT_EQ(sections->at("profile a b").at("x"), "1=2");
}

TEST(SharedConfigFile, NamesTheLineThatIsNoSetting) {
  EXPECT_NE(parse_ini("[default]\nnonsense\n", "c").error().message().find("c line 2"), std::string::npos);
  EXPECT_NE(parse_ini("[default\n", "c").error().message().find("c line 1"), std::string::npos);
  EXPECT_NE(parse_ini("a = 1\n", "c").error().message().find("c line 1"), std::string::npos);
}

TEST_F(CredentialsChain, FindsTheRegion) {
  EXPECT_EQ(find_region("eu-west-1", options).value(), "eu-west-1");
  EXPECT_NE(find_region("", options).error().message().find("No AWS region"), std::string::npos);
  write(".aws/config", "[default]\nregion = ap-south-1\n");
  EXPECT_EQ(find_region("", options).value(), "ap-south-1");
  options.environment["AWS_DEFAULT_REGION"] = "us-west-1";
  EXPECT_EQ(find_region("", options).value(), "us-west-1");
  options.environment["AWS_REGION"] = "us-west-2";
  EXPECT_EQ(find_region("", options).value(), "us-west-2");
}

/// credential_process needs real processes, and so real time.
class CredentialProcess : public ::testing::Test {
 protected:
  std::string run(const std::string& command) {
    std::string shown;
    asio::io_context loop;
    const auto clock = make_real_clock(loop.get_executor());
    const auto network = net::make_network(*clock);
    const auto launcher = net::make_process_launcher(*clock);
    const Environment environment{{"HOME", "/nowhere"}, {"PATH", "/usr/bin:/bin"}};
    Transport transport(environment, *network);
    const std::function<Task<std::optional<std::string>>(std::string)> nobody;
    const SourceContext context{environment, "us-east-1", transport, *launcher, nobody};
    {
      TaskScope scope(loop.get_executor());
      scope.spawn([](SourceContext of, std::string line, std::string& out) -> Task<void> {
        const auto found = co_await from_process(of, line);
        out = found ? found->access_key_id + " from " + found->source : found.error().message();
      }(context, command, shown));
      loop.run();
    }
    return shown;
  }
};

TEST_F(CredentialProcess, ReadsWhatItPrints) {
  EXPECT_EQ(run(R"(echo '{"Version":1,"AccessKeyId":"AKIAPROC","SecretAccessKey":"s"}')"),
            "AKIAPROC from credential_process 'echo'");
}

TEST_F(CredentialProcess, TellsHowItFailedWithoutShowingItsOutput) {
  EXPECT_EQ(run(R"(sh -c 'echo secret-output; echo "not logged in" >&2; exit 3')"),
            "The credential_process 'sh' exited with code 3: not logged in.");
  EXPECT_EQ(run("echo secret-output"),
            "The credential_process 'echo' printed something that is not a JSON object.");
  EXPECT_EQ(run(R"(echo '{"Version":2}')"), "The credential_process 'echo' printed no \"Version\": 1.");
  EXPECT_EQ(run(R"(echo '{"Version":1,"AccessKeyId":"a"}')"),
            "The answer of credential_process 'echo' has no AccessKeyId or no SecretAccessKey.");
  EXPECT_NE(run("no-such-program-here").find("no-such-program-here"), std::string::npos);
  EXPECT_NE(run("echo a | cat").find("credential_process"), std::string::npos) << "there is no shell";
}

}  // namespace
}  // namespace berth::aws
