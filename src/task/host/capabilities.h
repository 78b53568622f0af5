#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "mcp/core.h"
#include "model/spec.h"

namespace berth::task::host {

/// Needs more than passing messages on; hosted servers are not told of it.
inline constexpr std::string_view tasks_extension = "io.modelcontextprotocol/tasks";

/// The client capabilities a server acts on, in a form that compares. A legacy server is told them once, at
/// initialize, so callers with different sets never share a child.
struct CapabilitySet {
  bool elicitation_form = false;
  bool elicitation_url = false;
  bool sampling = false;
  bool sampling_tools = false;
  bool sampling_context = false;
  bool roots = false;
  std::string extensions;  ///< the `extensions` object as text, without Berth-owned members; empty: none

  auto operator<=>(const CapabilitySet&) const = default;

  /// Whether a server may ask such a client for anything.
  bool interactive() const { return elicitation_form || elicitation_url || sampling || roots; }
  /// ClientCapabilities for initialize. Form-only elicitation is written `{}`, which every revision reads so.
  std::string to_json() const;
};

/// Reads ClientCapabilities (JSON object text already known to be valid). Unknown members are left out.
/// `elicitation: {}` means form only (2026-07-28, elicitation).
CapabilitySet read_capabilities(std::string_view json);

/// Who shares a server process: callers with equal keys.
struct PoolKey {
  std::string scope;  ///< principal, session, or empty for everybody, as `isolation` says
  CapabilitySet capabilities;
  /// What initialize says of the client, where the process is one session's alone (Implementation, JSON
  /// text); empty: Berth.
  std::string client_info{};
  auto operator<=>(const PoolKey&) const = default;
};

/// `service`: everybody shares it, whatever their capabilities, so that it is told of none and asks nobody.
inline PoolKey sole_key() { return {}; }

/// The scope of `caller` under `isolation`. Under `session`, callers without a session (modern clients) are
/// told apart by principal.
std::string scope_of(const mcp::Caller& caller, model::Isolation isolation);

/// The pool of a legacy server's processes that serve `caller`.
PoolKey legacy_key(const mcp::Caller& caller, model::Isolation isolation, const CapabilitySet& capabilities);

/// Narrows what a server of that scope announces to the callers it is for; false: it is for nobody.
bool narrow_to_scope(mcp::Change& change, const std::string& scope, model::Isolation isolation);

}  // namespace berth::task::host
