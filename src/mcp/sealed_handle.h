#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace berth::mcp {

/// What a handle stands for. The kind is authenticated: a handle of one kind never opens as another.
enum class HandleKind : std::uint8_t {
  session = 1,
  request_state,
  server_request,
  event,
  task,
  cursor,
  change,
  session_record,
  http_sse,  ///< a stream of HTTP+SSE
};

/// Everything a client echoes back to us so that any task can find the state's owner. Plain value.
struct Handle {
  HandleKind kind = HandleKind::session;
  std::string owner;                ///< task id
  std::string owner_address;        ///< peer endpoint "10.0.1.7:3001"
  std::uint64_t generation = 0;     ///< boot of the owner; another boot of the same task is another owner
  std::string local;                ///< the owner's own key or state
  std::string principal;            ///< who may use it; checked by open()
  std::string digest;               ///< of the originating request (method + params), or empty
  std::int64_t expires_unix_s = 0;  ///< 0: never
  bool operator==(const Handle&) const = default;
};

/// Seals and opens handles under the fleet key: AES-256-GCM with a random 96-bit nonce under a key derived
/// with HKDF-SHA256, the kind and a format version as associated data; base64url without padding, so visible
/// ASCII fit for `Mcp-Session-Id`. Tokens are unforgeable and reveal nothing.
class HandleSealer {
 public:
  /// Seals under `fleet_key`; opens what was sealed under it or, while one is rotated, under `second`.
  explicit HandleSealer(const Secret& fleet_key, const Secret& second = {});
  ~HandleSealer();
  HandleSealer(HandleSealer&&) noexcept;

  std::string seal(const Handle& handle) const;

  /// invalid_argument: not a token of ours, altered, or of another kind. permission_denied: another
  /// principal's. deadline_exceeded: expired.
  Result<Handle> open(HandleKind kind, std::string_view token, std::string_view principal,
                      WallTime now) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
};

/// A key for another purpose ("peer tls", "cursor", …), derived from the fleet key with HKDF-SHA256.
Secret derive_key(const Secret& fleet_key, std::string_view purpose);

/// Digest of what a retry must repeat: method and canonical params without _meta, inputResponses,
/// requestState.
std::string request_digest(std::string_view method, std::string_view params);

}  // namespace berth::mcp
