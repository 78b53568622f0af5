#pragma once

#include "net/network.h"
#include "network/target_group.h"

namespace berth::network {

/// Asks one target how it is: `GET path` on a connection of its own. Healthy means status 200 within the
/// timeout, as with an Application Load Balancer's default matcher.
Task<ProbeOutcome> probe_target(net::Network& network, Probe probe);

}  // namespace berth::network
