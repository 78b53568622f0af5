#pragma once

#include <memory>

#include "task/peers.h"
#include "task/runtime/fleet_bus.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// Headers between sisters; they mean something on the peer listener alone and are dropped from what
/// clients send.
inline constexpr std::string_view principal_header = "Berth-Principal";
inline constexpr std::string_view generation_header = "Berth-Generation";
inline constexpr std::string_view home_header = "Berth-Home";  ///< RequestContext::to_home
inline constexpr std::string_view lost_life_header = "Berth-Lost";  ///< RequestContext::lost_life
inline constexpr std::string_view owner_gone_header = "Berth-Owner-Gone";
inline constexpr std::string_view owner_died = "another life";
inline constexpr std::string_view owner_disowns = "not here";

/// Without a sign of life for this long, a task that was handed a request is lost.
inline constexpr Duration owner_silence_max = std::chrono::seconds(10);

/// Forwards over `clients`; `bus` knows who lives. Both outlive it.
std::unique_ptr<PeerForwarder> make_peer_forwarder(PeerClients& clients, const FleetBus& bus);

}  // namespace berth::task
