#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/spec.h"

/// Where a service is reached, as far as its file says.
namespace berth::model {

/// Every address of the machine: 0.0.0.0 or ::.
bool is_any_address(std::string_view address);

/// "name", "name:80", "[::1]:80" of a Host field or a URL without the port and the brackets.
std::string host_of(std::string_view authority);
/// The host of listener.public_url; empty where there is none.
std::string public_host(const ListenerSpec& listener);

/// The names and addresses besides loopback by which clients come: listener.hosts without ports, the host of
/// listener.public_url, and listener.address where it is one that others can reach.
std::vector<std::string> own_hosts(const ListenerSpec& listener);

}  // namespace berth::model
