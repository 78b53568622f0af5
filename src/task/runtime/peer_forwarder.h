#pragma once

#include <memory>

#include "task/peers.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// Headers between sisters; they mean something on the peer listener alone and are dropped from what
/// clients send.
inline constexpr std::string_view principal_header = "Berth-Principal";
inline constexpr std::string_view generation_header = "Berth-Generation";
inline constexpr std::string_view owner_gone_header = "Berth-Owner-Gone";

/// Forwards over `clients`, which outlive it.
std::unique_ptr<PeerForwarder> make_peer_forwarder(PeerClients& clients);

}  // namespace berth::task
