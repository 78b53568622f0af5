#pragma once

#include <functional>
#include <memory>

#include "task/peers.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// Headers between sisters; they mean something on the peer listener alone and are dropped from what
/// clients send.
inline constexpr std::string_view principal_header = "Berth-Principal";
inline constexpr std::string_view generation_header = "Berth-Generation";
inline constexpr std::string_view owner_gone_header = "Berth-Owner-Gone";

/// Without a sign of life for this long, a task that was handed a request is lost.
inline constexpr Duration owner_silence_max = std::chrono::seconds(10);

/// Tells whether the fleet hears from the handle's owner, in the very life that the handle names.
using IsAlive = std::function<bool(const mcp::Handle& handle)>;

/// Forwards over `clients`, which outlive it, as does what `is_alive` refers to.
std::unique_ptr<PeerForwarder> make_peer_forwarder(PeerClients& clients, IsAlive is_alive);

}  // namespace berth::task
