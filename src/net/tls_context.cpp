#include "net/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/ip_address.h"
#include "net/socket_stream.h"

namespace berth::net {

namespace {

using BioPointer = std::unique_ptr<BIO, Release<BIO_free>>;
using CertificatePointer = std::unique_ptr<X509, Release<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;

constexpr std::size_t sessions_max = 64;
constexpr std::string_view peer_identity = "berth-peer";
/// TLS_AES_128_GCM_SHA256 (RFC 8446 §B.4): the hash of an external PSK is part of its definition.
constexpr const char* peer_suite = "TLS_AES_128_GCM_SHA256";
constexpr std::array<unsigned char, 2> peer_suite_number{0x13, 0x01};
constexpr std::array<unsigned char, 9> alpn_http11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

/// Names what our sessions are for; OpenSSL resumes none from another context.
constexpr std::array<unsigned char, 5> session_context{'b', 'e', 'r', 't', 'h'};

BioPointer reader_of(std::string_view pem) {
  return BioPointer(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

/// Answers every request for a pass phrase with "none", so that nothing is asked on the terminal.
int no_pass_phrase(char*, int, int, void*) { return 0; }

SslContextPointer new_context(const SSL_METHOD* method) {
  ignore_broken_pipes();
  SslContextPointer context(SSL_CTX_new(method));
  BERTH_CHECK(context, "OpenSSL has memory for a context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A moving buffer: a write that waited goes on from wherever the bytes are then. Idle connections give
  // their 34 KB of buffers back. Reading ahead saves a system call a record.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_session_id_context(context.get(), session_context.data(), session_context.size());
  return context;
}

/// RFC 7301 §3.2: a client that speaks only other protocols is refused rather than misunderstood.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                    unsigned int offered_length, void*) {
  unsigned char* chosen = nullptr;
  const int outcome =
      SSL_select_next_proto(&chosen, out_length, alpn_http11.data(),
                            static_cast<unsigned int>(alpn_http11.size()), offered, offered_length);
  if (outcome != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

TlsContext& context_of(SSL* connection) {
  return *static_cast<TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
}

int remember_new_session(SSL* connection, SSL_SESSION* session) {
  const char* const host = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
  if (host == nullptr) return 0;
  context_of(connection).remember_session(host, SslSessionPointer(session));
  return 1;  // the session is ours now
}

/// The identity of a key while there are two: RFC 8446 has the client name the key that it proves. A few
/// bytes of its hash tell nothing of it.
std::string name_of(const Secret& key) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  const std::string_view text = key.reveal();
  SHA256(static_cast<const unsigned char*>(static_cast<const void*>(text.data())), text.size(),
         digest.data());
  return fmt::format("{} {:02x}{:02x}{:02x}{:02x}", peer_identity, digest[0], digest[1], digest[2],
                     digest[3]);
}

/// The external PSK as OpenSSL wants it: a session with the key as its master secret.
SSL_SESSION* make_peer_session(SSL* connection, const Secret& secret) {
  SslSessionPointer session(SSL_SESSION_new());
  const SSL_CIPHER* const cipher = SSL_CIPHER_find(connection, peer_suite_number.data());
  const std::string_view key = secret.reveal();
  if (!session || cipher == nullptr) return nullptr;
  const auto* const bytes = static_cast<const unsigned char*>(static_cast<const void*>(key.data()));
  if (SSL_SESSION_set1_master_key(session.get(), bytes, key.size()) != 1) return nullptr;
  if (SSL_SESSION_set_cipher(session.get(), cipher) != 1) return nullptr;
  SSL_SESSION_set1_id_context(session.get(), session_context.data(), session_context.size());
  if (SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) != 1) return nullptr;
  return session.release();
}

int use_peer_key(SSL* connection, const EVP_MD* digest, const unsigned char** identity, std::size_t* length,
                 SSL_SESSION** session) {
  *session = nullptr;
  if (digest != nullptr && !EVP_MD_is_a(digest, "SHA256")) return 1;
  const TlsContext::PeerKey& own = context_of(connection).keys().front();
  *session = make_peer_session(connection, own.key);
  *identity = static_cast<const unsigned char*>(static_cast<const void*>(own.identity.data()));
  *length = own.identity.size();
  return *session != nullptr ? 1 : 0;
}

int find_peer_key(SSL* connection, const unsigned char* identity, std::size_t length, SSL_SESSION** session) {
  *session = nullptr;
  const std::string_view name(static_cast<const char*>(static_cast<const void*>(identity)), length);
  const std::vector<TlsContext::PeerKey>& keys = context_of(connection).keys();
  for (const TlsContext::PeerKey& known : keys) {
    const bool is_meant = name == known.identity || name == name_of(known.key);
    if (is_meant && *session == nullptr) *session = make_peer_session(connection, known.key);
  }
  if (*session == nullptr && name == peer_identity)
    *session = make_peer_session(connection, keys.front().key);
  return 1;
}

/// Where distributions keep what they trust, for a static program on another one than it was made on: Debian,
/// Fedora and Amazon Linux, openSUSE, Alpine.
constexpr std::array<const char*, 4> trust_files{"/etc/ssl/certs/ca-certificates.crt",
                                                 "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                                 "/etc/ssl/cert.pem"};

/// OpenSSL's own places (with SSL_CERT_FILE and SSL_CERT_DIR), or the first file there is when they are not.
void trust_system(SSL_CTX* context) {
  SSL_CTX_set_default_verify_paths(context);
  for (const char* const own : {X509_get_default_cert_file(), X509_get_default_cert_dir()}) {
    if (::access(own, R_OK) == 0) return;
  }
  for (const char* const path : trust_files) {
    if (SSL_CTX_load_verify_file(context, path) == 1) return;
  }
  ERR_clear_error();
}

Result<void> use_certificate(SSL_CTX* context, const std::string& pem) {
  const BioPointer reader = reader_of(pem);
  const CertificatePointer leaf(PEM_read_bio_X509_AUX(reader.get(), nullptr, no_pass_phrase, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return fail(ErrorCode::invalid_argument,
                "the certificate is not readable (" + take_tls_error() +
                    "); give a PEM file that starts with the server's own certificate");
  }
  while (CertificatePointer next{PEM_read_bio_X509(reader.get(), nullptr, no_pass_phrase, nullptr)}) {
    SSL_CTX_add0_chain_cert(context, next.release());
  }
  ERR_clear_error();  // the end of the file
  return {};
}

Result<void> use_key(SSL_CTX* context, const Secret& pem) {
  const BioPointer reader = reader_of(pem.reveal());
  const KeyPointer key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_pass_phrase, nullptr));
  if (!key) {
    ERR_clear_error();
    return fail(ErrorCode::invalid_argument,
                "the private key is not readable; give an unencrypted PEM file (BEGIN PRIVATE KEY)");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return fail(
        ErrorCode::invalid_argument,
        "the private key does not belong to the certificate; give the two files that were issued together");
  }
  return {};
}

}  // namespace

std::string take_tls_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

TlsContext::TlsContext(Kind kind, SslContextPointer context, std::vector<PeerKey> keys)
    : kind_(kind), context_(std::move(context)), keys_(std::move(keys)) {
  SSL_CTX_set_app_data(context_.get(), this);
}

SslPointer TlsContext::make_connection(bool accepting, const std::string& host_name) const {
  SslPointer connection(SSL_new(context_.get()));
  BERTH_CHECK(connection, "OpenSSL has memory for a connection");
  if (accepting) {
    SSL_set_accept_state(connection.get());
    return connection;
  }
  SSL_set_connect_state(connection.get());
  if (kind_ != Kind::client) return connection;
  if (is_ip_address(host_name)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection.get()), host_name.c_str());
  } else {
    SSL_set1_host(connection.get(), host_name.c_str());
    // The macro casts const away; OpenSSL copies the name.
    SSL_ctrl(connection.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(host_name.c_str()));
  }
  if (const SslSessionPointer session = session_for(host_name))
    SSL_set_session(connection.get(), session.get());
  return connection;
}

void TlsContext::remember_session(const std::string& host_name, SslSessionPointer session) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= sessions_max && !sessions_.contains(host_name)) sessions_.erase(sessions_.begin());
  sessions_[host_name] = std::move(session);
}

SslSessionPointer TlsContext::session_for(const std::string& host_name) const {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(host_name);
  if (found == sessions_.end() || SSL_SESSION_up_ref(found->second.get()) != 1) return nullptr;
  return SslSessionPointer(found->second.get());
}

Result<std::shared_ptr<TlsContext>> make_tls_server(const TlsServerOptions& options) {
  SslContextPointer context = new_context(TLS_server_method());
  if (const auto used = use_certificate(context.get(), options.certificate_pem); !used) {
    return Failure(used.error());
  }
  if (const auto used = use_key(context.get(), options.key_pem); !used) return Failure(used.error());
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  // Resumption is by tickets, which cost the server no memory.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  return std::make_shared<TlsContext>(TlsContext::Kind::server, std::move(context));
}

Result<std::shared_ptr<TlsContext>> make_tls_client(const std::string& ca_pem) {
  SslContextPointer context = new_context(TLS_client_method());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), alpn_http11.data(), static_cast<unsigned int>(alpn_http11.size()));
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), remember_new_session);
  if (ca_pem.empty()) {
    trust_system(context.get());
    return std::make_shared<TlsContext>(TlsContext::Kind::client, std::move(context));
  }
  const BioPointer reader = reader_of(ca_pem);
  X509_STORE* const store = SSL_CTX_get_cert_store(context.get());
  std::size_t count = 0;
  while (
      const CertificatePointer authority{PEM_read_bio_X509(reader.get(), nullptr, no_pass_phrase, nullptr)}) {
    X509_STORE_add_cert(store, authority.get());
    ++count;
  }
  ERR_clear_error();
  if (count == 0) {
    return fail(ErrorCode::invalid_argument,
                "the CA file holds no certificate; give a PEM file (BEGIN CERTIFICATE)");
  }
  return std::make_shared<TlsContext>(TlsContext::Kind::client, std::move(context));
}

std::shared_ptr<TlsContext> make_tls_client_unchecked() {
  SslContextPointer context = new_context(TLS_client_method());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), alpn_http11.data(), static_cast<unsigned int>(alpn_http11.size()));
  return std::make_shared<TlsContext>(TlsContext::Kind::client, std::move(context));
}

std::shared_ptr<TlsContext> make_tls_peer(const Secret& key, const Secret& second) {
  BERTH_CHECK(key.reveal().size() == 32, "a peer key has 32 bytes");
  BERTH_CHECK(second.empty() || second.reveal().size() == 32, "a peer key has 32 bytes");
  SslContextPointer context = new_context(TLS_method());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context.get(), peer_suite);
  // No certificate is trusted: a server that offers one instead of knowing the key is refused.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_psk_use_session_callback(context.get(), use_peer_key);
  SSL_CTX_set_psk_find_session_callback(context.get(), find_peer_key);
  std::vector<TlsContext::PeerKey> keys{{std::string(peer_identity), key}};
  if (!second.empty()) keys = {{name_of(key), key}, {name_of(second), second}};
  return std::make_shared<TlsContext>(TlsContext::Kind::peer, std::move(context), std::move(keys));
}

}  // namespace berth::net
