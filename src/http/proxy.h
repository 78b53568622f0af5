#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/secret.h"
#include "http/url.h"
#include "net/network.h"
#include "net/tls.h"

/// The way out of networks that let calls to the world pass by a proxy alone.
namespace berth::http {

/// Who is asked to connect onwards.
struct Proxy {
  UrlAddress address;    ///< its target is not used
  Secret authorization;  ///< of Proxy-Authorization: "Basic …"; empty without a login
};

/// The proxy of a call to `to`: what https_proxy or HTTPS_PROXY says ("http://user:password@host:port", also
/// without the scheme), unless no_proxy or NO_PROXY excepts the host: names with all below them, addresses,
/// networks (10.0.0.0/8), each with a port or not; "*" for all. Calls in clear, to this machine and to the
/// addresses of its own link (169.254.0.0/16, where clouds give out credentials) never take one.
/// invalid_argument for a value that is no such URL.
Result<std::optional<Proxy>> find_proxy(const std::map<std::string, std::string>& environment,
                                        const UrlAddress& to);

/// A network whose connections are tunnels to `to` (CONNECT, RFC 9110 §9.3.6) by way of `proxy`, with whose
/// address connect() is called. Refusals of the proxy are permission_denied, with its words. `tls` is for
/// a proxy that is spoken to by https. Listens as `network` does, which outlives it.
std::unique_ptr<net::Network> make_tunnels(net::Network& network, Proxy proxy, UrlAddress to,
                                           std::shared_ptr<net::TlsContext> tls);

}  // namespace berth::http
