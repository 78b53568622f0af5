#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "model/spec.h"

namespace berth::task {

/// Refuses requests that a foreign web page could have sent with a rebound host name (DNS rebinding; MCP
/// Streamable HTTP, "Security Warning"): Host must be a loopback name, an IP address (no name, so nothing
/// to rebind) or one of listener.hosts; Origin, where a browser sends one, a loopback name, one of
/// listener.hosts, or exactly one of listener.origins. Ports are not compared.
class HostGuard {
 public:
  explicit HostGuard(const model::ListenerSpec& listener);

  /// nullopt when the request may pass; else what is wrong, as a sentence.
  std::optional<std::string> refuse(const http::Headers& headers) const;

  bool allows_host(std::string_view host) const;
  bool allows_origin(std::string_view origin) const;

 private:
  bool is_ours(std::string_view name) const;
  std::vector<std::string> hosts_;
  std::vector<std::string> origins_;
};

}  // namespace berth::task
