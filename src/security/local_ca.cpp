#include "security/local_ca.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/ip_address.h"
#include "security/openssl.h"
#include "security/private_files.h"

namespace berth::security {

namespace {

using Days = std::chrono::duration<std::int64_t, std::ratio<86'400>>;
constexpr Days authority_validity{3650};
/// What browsers accept at most.
constexpr Days leaf_validity{397};
constexpr Days renewal_before{30};
/// Clocks of clients differ a little.
constexpr std::chrono::hours backdated{1};
constexpr std::size_t hosts_max = 100;

bool is_dns_name(std::string_view host) {
  const bool fine = std::ranges::all_of(
      host, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'; });
  return fine && !host.empty() && host.size() <= 253 && host.front() != '.' && host.back() != '.' &&
         host.find("..") == std::string_view::npos;
}

/// The hosts besides loopback: lower case, sorted, each once.
Result<std::vector<std::string>> normalize(const std::vector<std::string>& hosts) {
  std::vector<std::string> out;
  for (std::string host : hosts) {
    std::ranges::transform(host, host.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (host == "localhost" || host == "127.0.0.1" || host == "::1") continue;
    if (!is_ip_address(host) && !is_dns_name(host)) {
      return fail(ErrorCode::invalid_argument,
                  "listener.hosts: '" + host +
                      "' is neither a host name nor a numeric address, so no certificate can name it; write "
                      "one such as berth.example.com, without scheme, port or wildcard");
    }
    out.push_back(std::move(host));
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  if (out.size() > hosts_max) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("listener.hosts names {} hosts; a certificate holds {}", out.size(), hosts_max));
  }
  return out;
}

/// "" for loopback alone, otherwise "-" and a digest of the hosts.
std::string suffix_of(const std::vector<std::string>& hosts) {
  if (hosts.empty()) return {};
  std::string text;
  for (const std::string& host : hosts) text += host + "\n";
  unsigned char digest[SHA256_DIGEST_LENGTH];
  const auto* const bytes = static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
  SHA256(bytes, text.size(), digest);
  return fmt::format("-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
}

std::string alternative_names(const std::vector<std::string>& hosts) {
  std::string out = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& host : hosts) out += (is_ip_address(host) ? ",IP:" : ",DNS:") + host;
  return out;
}

std::time_t to_seconds(WallTime time) { return static_cast<std::time_t>(to_unix_ms(time) / 1000); }

/// A certificate without issuer, extensions and signature.
Certificate begin_certificate(const std::string& name, const Key& key, WallTime now, Days validity) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  unsigned char serial[16];
  BERTH_CHECK(RAND_bytes(serial, sizeof(serial)) == 1, "random numbers for a serial number");
  serial[0] = static_cast<unsigned char>((serial[0] & 0x3F) | 0x40);  // positive, and always as long
  BIGNUM* const number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), to_seconds(now - backdated));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), to_seconds(now - backdated + validity));
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const auto add = [subject](const char* field, const std::string& value) {
    const auto* const bytes = static_cast<const unsigned char*>(static_cast<const void*>(value.data()));
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8, bytes, static_cast<int>(value.size()), -1, 0);
  };
  add("O", "Berth");
  add("CN", name);
  return certificate;
}

Result<void> add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (extension == nullptr) {
    return fail(ErrorCode::invalid_argument, fmt::format("the certificate cannot carry {} '{}': {}",
                                                         OBJ_nid2sn(kind), value, take_openssl_error()));
  }
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return {};
}

using Extensions = std::vector<std::pair<int, std::string>>;

Result<void> sign(const Certificate& certificate, X509* issuer, const Key& issuer_key,
                  const Extensions& extensions) {
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  for (const auto& [kind, value] : extensions) {
    const auto added = add_extension(certificate.get(), issuer, kind, value);
    if (!added) return added;
  }
  if (X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return fail(ErrorCode::internal, "signing a certificate failed: " + take_openssl_error());
  }
  return {};
}

Key make_key() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  BERTH_CHECK(key, "OpenSSL makes a P-256 key");
  return key;
}

/// A certificate with its key.
struct Identity {
  Certificate certificate;
  Key key;
  std::string pem() const { return to_pem(certificate.get()) + to_pem(key.get()); }
};

/// For servers alone. Its names are not constrained: they would have to be known for as long as clients trust
/// it, and listener.hosts may change.
Result<Identity> make_authority(WallTime now) {
  Identity authority{nullptr, make_key()};
  authority.certificate = begin_certificate("Berth local authority", authority.key, now, authority_validity);
  const auto is_signed = sign(authority.certificate, authority.certificate.get(), authority.key,
                              {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                               {NID_key_usage, "critical,keyCertSign,cRLSign"},
                               {NID_ext_key_usage, "serverAuth"},
                               {NID_subject_key_identifier, "hash"}});
  if (!is_signed) return Failure(is_signed.error());
  return authority;
}

Result<Identity> issue(const Identity& authority, const std::vector<std::string>& hosts, WallTime now) {
  Identity leaf{nullptr, make_key()};
  leaf.certificate = begin_certificate("localhost", leaf.key, now, leaf_validity);
  const auto is_signed = sign(leaf.certificate, authority.certificate.get(), authority.key,
                              {{NID_basic_constraints, "critical,CA:FALSE"},
                               {NID_key_usage, "critical,digitalSignature"},
                               {NID_ext_key_usage, "serverAuth"},
                               {NID_subject_key_identifier, "hash"},
                               {NID_authority_key_identifier, "keyid"},
                               {NID_subject_alt_name, alternative_names(hosts)}});
  if (!is_signed) return Failure(is_signed.error());
  return leaf;
}

Result<Identity> parse_identity(const std::string& pem, const std::string& path) {
  Identity identity{read_certificate(pem), read_private_key(pem)};
  if (!identity.certificate || !identity.key ||
      X509_check_private_key(identity.certificate.get(), identity.key.get()) != 1) {
    return fail(ErrorCode::invalid_argument,
                path +
                    " is damaged: it should hold a certificate and its key in PEM; delete it and Berth makes "
                    "a new one, which clients must then trust anew");
  }
  return identity;
}

/// Whether it can vouch for any host, and for as long as a certificate of today.
bool is_usable(const Identity& authority, WallTime now) {
  const bool is_constrained = X509_get_ext_by_NID(authority.certificate.get(), NID_name_constraints, -1) >= 0;
  return !is_constrained && not_after(authority.certificate.get()) - now >= leaf_validity;
}

/// The authority in the file, made when there is none or when it is of no further use.
Result<Identity> load_authority(const std::string& path, WallTime now) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    Existing existing = Existing::keep;
    const auto pem = read_file(path);
    if (pem) {
      auto known = parse_identity(*pem, path);
      if (!known || is_usable(*known, now)) return known;
      existing = Existing::replace;
    } else if (pem.error().code() != ErrorCode::not_found) {
      return Failure(pem.error());
    }
    auto made = make_authority(now);
    if (!made) return made;
    const auto written = write_file(path, made->pem(), 0600, existing);
    if (written) return made;
    // Another process was quicker: its authority is the one.
    if (written.error().code() != ErrorCode::conflict) return Failure(written.error());
  }
  return fail(ErrorCode::conflict, path + " appears and disappears; is another program using the folder?");
}

bool still_good(const Identity& leaf, const Identity& authority, WallTime now) {
  return X509_verify(leaf.certificate.get(), authority.key.get()) == 1 &&
         not_after(leaf.certificate.get()) - now >= renewal_before &&
         not_before(leaf.certificate.get()) <= now;
}

Result<Identity> load_leaf(const std::string& path, const Identity& authority,
                           const std::vector<std::string>& hosts, WallTime now) {
  const auto pem = read_file(path);
  if (pem) {
    auto known = parse_identity(*pem, path);
    if (known && still_good(*known, authority, now)) return known;
  }
  auto made = issue(authority, hosts, now);
  if (!made) return made;
  const auto written = write_file(path, made->pem(), 0600, Existing::replace);
  if (!written) return Failure(written.error());
  return made;
}

}  // namespace

Result<ServerCertificate> local_certificate(const std::string& directory,
                                            const std::vector<std::string>& hosts, WallTime now) {
  const auto names = normalize(hosts);
  if (!names) return Failure(names.error());
  const auto folder = make_private_folder(directory);
  if (!folder) return Failure(folder.error());
  const std::string ca_path = directory + "/ca.pem";
  const auto authority = load_authority(directory + "/ca.key", now);
  if (!authority) return Failure(authority.error());
  const std::string ca_pem = to_pem(authority->certificate.get());
  const auto shown = read_file(ca_path);
  if (!shown || *shown != ca_pem) {
    const auto written = write_file(ca_path, ca_pem, 0644, Existing::replace);
    if (!written) return Failure(written.error());
  }
  const auto leaf = load_leaf(directory + "/server" + suffix_of(*names) + ".key", *authority, *names, now);
  if (!leaf) return Failure(leaf.error());
  return ServerCertificate{to_pem(leaf->certificate.get()), Secret(to_pem(leaf->key.get())),
                           not_after(leaf->certificate.get()), ca_path};
}

Result<ServerCertificate> self_signed_certificate(const std::vector<std::string>& hosts, WallTime now) {
  const auto names = normalize(hosts);
  if (!names) return Failure(names.error());
  const Key key = make_key();
  const Certificate certificate = begin_certificate("berth task", key, now, leaf_validity);
  const auto is_signed = sign(certificate, certificate.get(), key,
                              {{NID_basic_constraints, "critical,CA:FALSE"},
                               {NID_key_usage, "critical,digitalSignature"},
                               {NID_ext_key_usage, "serverAuth"},
                               {NID_subject_key_identifier, "hash"},
                               {NID_subject_alt_name, alternative_names(*names)}});
  if (!is_signed) return Failure(is_signed.error());
  return ServerCertificate{
      to_pem(certificate.get()), Secret(to_pem(key.get())), not_after(certificate.get()), {}};
}

Result<ServerCertificate> given_certificate(const std::string& certificate_file, const std::string& key_file,
                                            WallTime now) {
  const auto chain = read_file(certificate_file);
  if (!chain) return Failure(chain.error().within("listener.certificate_file"));
  auto key_text = read_file(key_file);
  if (!key_text) return Failure(key_text.error().within("listener.key_file"));
  const Certificate leaf = read_certificate(*chain);
  if (!leaf) {
    return fail(
        ErrorCode::invalid_argument,
        certificate_file + " holds no certificate in PEM; it should begin with -----BEGIN CERTIFICATE-----");
  }
  const Key key = read_private_key(*key_text);
  if (!key) {
    return fail(ErrorCode::invalid_argument,
                key_file +
                    " holds no private key in PEM without a passphrase; it should begin with "
                    "-----BEGIN PRIVATE KEY----- (remove a passphrase with: openssl pkey -in OLD -out NEW)");
  }
  if (X509_check_private_key(leaf.get(), key.get()) != 1) {
    return fail(ErrorCode::invalid_argument,
                "the key in " + key_file + " does not belong to the first certificate in " +
                    certificate_file +
                    "; the server's own certificate must come first, those of its issuers after it");
  }
  const WallTime until = not_after(leaf.get());
  if (now > until || now < not_before(leaf.get())) {
    const bool expired = now > until;
    return fail(ErrorCode::invalid_argument,
                fmt::format("the certificate in {} {} {}; get a current one", certificate_file,
                            expired ? "expired on" : "is not valid before",
                            to_rfc3339(expired ? until : not_before(leaf.get()))));
  }
  return ServerCertificate{*chain, Secret(std::move(*key_text)), until, {}};
}

namespace {

/// As a word of a shell command.
std::string shell_word(std::string_view text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:@").contains(c);
  });
  if (plain && !text.empty()) return std::string(text);
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace

std::vector<TrustInstruction> trust_instructions(std::string_view ca_path) {
  const std::string path = shell_word(ca_path);
  return {
      {"Claude Code and other Node programs", "export NODE_EXTRA_CA_CERTS=" + path},
      {"curl", "curl --cacert " + path + " …"},
      {"Python", "export SSL_CERT_FILE=" + path},
      {"every program on Debian and Ubuntu",
       "sudo cp " + path + " /usr/local/share/ca-certificates/berth.crt && sudo update-ca-certificates"},
      {"every program on macOS",
       "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain " + path},
  };
}

}  // namespace berth::security
