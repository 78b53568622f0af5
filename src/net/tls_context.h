#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/secret.h"
#include "net/tls.h"

/// What tls.cpp and tls_stream.cpp share; internal to net/ (needs OpenSSL's headers).
namespace berth::net {

template <auto Function>
struct Release {
  template <class T>
  void operator()(T* object) const {
    Function(object);
  }
};
using SslPointer = std::unique_ptr<SSL, Release<SSL_free>>;
using SslContextPointer = std::unique_ptr<SSL_CTX, Release<SSL_CTX_free>>;
using SslSessionPointer = std::unique_ptr<SSL_SESSION, Release<SSL_SESSION_free>>;

/// Used from several event loops at once: OpenSSL locks its own state, `sessions_` has a mutex.
class TlsContext {
 public:
  enum class Kind : std::uint8_t { server, client, peer };

  /// What a peer may prove to know, and by which name it says so. The first is what we prove ourselves.
  struct PeerKey {
    std::string identity;
    Secret key;
  };
  TlsContext(Kind kind, SslContextPointer context, std::vector<PeerKey> keys = {});

  Kind kind() const { return kind_; }
  const std::vector<PeerKey>& keys() const { return keys_; }

  /// A connection in that role. `host_name` is what a client expects to find in the certificate.
  SslPointer make_connection(bool accepting, const std::string& host_name) const;

  /// The newest session of each host, for a client's next connection (RFC 8446 §4.6.1).
  void remember_session(const std::string& host_name, SslSessionPointer session);
  SslSessionPointer session_for(const std::string& host_name) const;

 private:
  Kind kind_;
  SslContextPointer context_;
  std::vector<PeerKey> keys_;
  mutable std::mutex mutex_;
  std::map<std::string, SslSessionPointer> sessions_;
};

/// The newest entry of OpenSSL's error queue as text, and an empty queue.
std::string take_tls_error();

}  // namespace berth::net
