#include "security/local_ca.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "security/openssl.h"
#include "security/private_files.h"

namespace berth::security {
namespace {

using namespace std::chrono_literals;

constexpr auto day = 24h;
const WallTime now{std::chrono::seconds(1'795'305'600)};

class LocalCaTest : public ::testing::Test {
 protected:
  LocalCaTest() {
    char path[] = "/tmp/berth-ca-XXXXXX";
    root_ = ::mkdtemp(path);
    folder = root_ + "/share/berth";
  }
  ~LocalCaTest() override { std::filesystem::remove_all(root_); }

  ServerCertificate certificate(const std::vector<std::string>& hosts = {}, WallTime time = now) {
    auto out = local_certificate(folder, hosts, time);
    EXPECT_TRUE(out) << out.error().message();
    return std::move(*out);
  }

  std::string write(const std::string& name, const std::string& text) {
    const std::string path = root_ + "/" + name;
    EXPECT_TRUE(write_file(path, text, 0600, Existing::replace));
    return path;
  }

  std::string root_;
  std::string folder;
};

/// What a client says that trusts `ca_pem` and asks for `name`.
std::string verify(const std::string& ca_pem, const std::string& leaf_pem, const std::string& name,
                   WallTime time) {
  const Certificate ca = read_certificate(ca_pem);
  const Certificate leaf = read_certificate(leaf_pem);
  X509_STORE* const store = X509_STORE_new();
  X509_STORE_add_cert(store, ca.get());
  X509_STORE_CTX* const context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf.get(), nullptr);
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_time(parameters, static_cast<std::time_t>(to_unix_ms(time) / 1000));
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) != 1) {
    X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), 0);
  }
  X509_verify_cert(context);
  const std::string said = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return said;
}

unsigned mode_of(const std::string& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777u;
}

TEST_F(LocalCaTest, IssuesACertificateForLoopbackThatItsAuthorityVouchesFor) {
  const ServerCertificate issued = certificate();
  const std::string ca = *read_file(issued.ca_path);
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) {
    EXPECT_EQ(verify(ca, issued.chain_pem, name, now), "ok") << name;
  }
  EXPECT_EQ(verify(ca, issued.chain_pem, "example.com", now), "hostname mismatch");
  EXPECT_EQ(verify(ca, issued.chain_pem, "localhost", now + 398 * day), "certificate has expired");
  EXPECT_LE(issued.not_after - now, 397 * day);
  EXPECT_EQ(read_certificate(ca) != nullptr, true);
  EXPECT_EQ(X509_check_private_key(read_certificate(issued.chain_pem).get(),
                                   read_private_key(issued.key_pem.reveal()).get()),
            1);
}

TEST_F(LocalCaTest, KeepsItsKeysToItself) {
  const ServerCertificate issued = certificate();
  EXPECT_EQ(mode_of(folder), 0700u);
  EXPECT_EQ(mode_of(folder + "/ca.key"), 0600u);
  EXPECT_EQ(mode_of(folder + "/server.key"), 0600u);
  EXPECT_EQ(mode_of(issued.ca_path), 0644u);
  EXPECT_EQ(read_file(issued.ca_path)->find("PRIVATE"), std::string::npos);
}

TEST_F(LocalCaTest, IsMadeOnceAndIssuesAgainWhenThirtyDaysAreLeft) {
  const ServerCertificate first = certificate();
  const std::string ca = *read_file(first.ca_path);
  EXPECT_EQ(certificate({}, now + 300 * day).chain_pem, first.chain_pem);
  const ServerCertificate renewed = certificate({}, now + 368 * day);
  EXPECT_NE(renewed.chain_pem, first.chain_pem);
  EXPECT_EQ(*read_file(first.ca_path), ca) << "clients go on trusting the same authority";
  EXPECT_EQ(verify(ca, renewed.chain_pem, "localhost", now + 700 * day), "ok");
}

TEST_F(LocalCaTest, AnAuthorityThatNearsItsEndIsReplaced) {
  const std::string ca = *read_file(certificate().ca_path);
  const WallTime late = now + 3400 * day;
  const ServerCertificate issued = certificate({}, late);
  EXPECT_NE(*read_file(issued.ca_path), ca);
  EXPECT_EQ(verify(*read_file(issued.ca_path), issued.chain_pem, "localhost", late + 300 * day), "ok");
}

TEST_F(LocalCaTest, OtherHostsGetACertificateOfTheSameAuthority) {
  const ServerCertificate plain = certificate();
  const std::string ca = *read_file(plain.ca_path);
  const ServerCertificate wider = certificate({"Mcp.Example.com", "10.1.2.3", "localhost", "fd00::7"});
  EXPECT_EQ(plain.ca_path, wider.ca_path);
  EXPECT_EQ(*read_file(wider.ca_path), ca) << "clients go on trusting it";
  for (const char* name : {"localhost", "mcp.example.com", "10.1.2.3", "fd00::7", "127.0.0.1"}) {
    EXPECT_EQ(verify(ca, wider.chain_pem, name, now), "ok") << name;
  }
  EXPECT_EQ(verify(ca, plain.chain_pem, "mcp.example.com", now), "hostname mismatch");
  EXPECT_EQ(certificate({"10.1.2.3", "fd00::7", "mcp.example.com"}).chain_pem, wider.chain_pem)
      << "in any order";
  EXPECT_EQ(certificate().chain_pem, plain.chain_pem) << "services with other hosts keep theirs";
}

TEST_F(LocalCaTest, SeveralProcessesAtOnceAgreeOnOneAuthority) {
  std::vector<std::thread> threads;
  std::vector<std::string> chains(8);
  for (std::string& chain : chains) {
    threads.emplace_back([this, &chain] { chain = local_certificate(folder, {}, now)->chain_pem; });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string ca = *read_file(folder + "/ca.pem");
  for (const std::string& chain : chains) EXPECT_EQ(verify(ca, chain, "localhost", now), "ok");
}

TEST_F(LocalCaTest, SaysWhatIsWrongWithAHostOrAFolderOrAFile) {
  const auto host = local_certificate(folder, {"https://x"}, now);
  ASSERT_FALSE(host);
  EXPECT_EQ(
      host.error().message(),
      "listener.hosts: 'https://x' is neither a host name nor a numeric address, so no certificate can name "
      "it; write one such as berth.example.com, without scheme, port or wildcard");
  const auto unwritable = local_certificate("/proc/berth", {}, now);
  ASSERT_FALSE(unwritable);
  EXPECT_NE(unwritable.error().message().find("/proc/berth"), std::string::npos);
  certificate();
  ASSERT_TRUE(write_file(folder + "/ca.key", "junk", 0600, Existing::replace));
  const auto damaged = local_certificate(folder, {}, now);
  ASSERT_FALSE(damaged);
  EXPECT_NE(damaged.error().message().find("ca.key is damaged"), std::string::npos);
}

TEST_F(LocalCaTest, AGivenCertificateIsChecked) {
  const ServerCertificate one = certificate();
  const ServerCertificate other = certificate({"a.example"});
  const std::string chain = write("chain.pem", one.chain_pem);
  const std::string key = write("key.pem", std::string(one.key_pem.reveal()));
  const std::string wrong_key = write("other.pem", std::string(other.key_pem.reveal()));
  const std::string junk = write("junk.pem", "junk");

  const auto good = given_certificate(chain, key, now);
  ASSERT_TRUE(good) << good.error().message();
  EXPECT_EQ(good->chain_pem, one.chain_pem);
  EXPECT_EQ(good->ca_path, "");

  struct Case {
    std::string certificate, key;
    WallTime time;
    std::string expected;
  };
  const std::vector<Case> cases{
      {root_ + "/none.pem", key, now, "listener.certificate_file: reading " + root_ + "/none.pem"},
      {chain, root_ + "/none.pem", now, "listener.key_file: reading " + root_ + "/none.pem"},
      {junk, key, now, junk + " holds no certificate in PEM"},
      {chain, junk, now, junk + " holds no private key in PEM"},
      {chain, wrong_key, now,
       "the key in " + wrong_key + " does not belong to the first certificate in " + chain},
      {chain, key, now + 400 * day, "the certificate in " + chain + " expired on 2027-12-23T23:00:00.000Z"},
      {chain, key, now - 10 * day,
       "the certificate in " + chain + " is not valid before 2026-11-21T23:00:00.000Z"},
  };
  for (const Case& one_case : cases) {
    const auto refused = given_certificate(one_case.certificate, one_case.key, one_case.time);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().message().starts_with(one_case.expected)) << refused.error().message();
  }
}

TEST(TrustInstructions, CanBeTypedAsTheyAre) {
  const auto plain = trust_instructions("/home/x/.local/share/berth/ca.pem");
  EXPECT_EQ(plain.front().line, "export NODE_EXTRA_CA_CERTS=/home/x/.local/share/berth/ca.pem");
  EXPECT_EQ(trust_instructions("/home/my name/ca.pem")[1].line, "curl --cacert '/home/my name/ca.pem' …");
}

TEST(SelfSignedCertificate, VouchesForItselfAtThatAddressFor397Days) {
  const auto made = self_signed_certificate({"10.20.2.106"}, now);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(made->ca_path, "");
  EXPECT_EQ(made->not_after, now - 1h + 397 * day);
  for (const char* const name : {"10.20.2.106", "127.0.0.1", "localhost"}) {
    EXPECT_EQ(verify(made->chain_pem, made->chain_pem, name, now), "ok") << name;
  }
  EXPECT_NE(verify(made->chain_pem, made->chain_pem, "10.20.2.107", now), "ok");
  EXPECT_TRUE(read_private_key(made->key_pem.reveal()));
  const auto another = self_signed_certificate({}, now);
  EXPECT_NE(another->key_pem.reveal(), made->key_pem.reveal());
  EXPECT_FALSE(self_signed_certificate({"no name"}, now));
}

}  // namespace
}  // namespace berth::security
