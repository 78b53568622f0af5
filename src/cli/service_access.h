#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "cli/context.h"
#include "cli/mcp_client.h"
#include "cli/options.h"
#include "cli/spec_file.h"
#include "cluster/service.h"
#include "security/local_ca.h"

namespace berth::cli {

/// One MCP server of a running service, as a client reaches it.
struct ServerAddress {
  std::string name;
  std::string http;     ///< URL on this machine; empty when there is no HTTP listener
  std::string https;    ///< likewise
  std::string outside;  ///< URL for clients elsewhere; empty when the file names none

  /// What to give to a client.
  const std::string& for_clients() const { return !outside.empty() ? outside : !http.empty() ? http : https; }
};

/// A running service, and how to call its servers.
struct ServiceAccess {
  SpecLocation location;
  cluster::ServiceStatus status;
  std::vector<ServerAddress> servers;
  std::vector<model::KeySpec> keys;  ///< of auth.keys; empty: open
  std::string ca_file;               ///< the CA of the HTTPS listener; empty: the system's
};

/// Asks the running service. Errors: not_found (no berth.yaml), unavailable (not running).
Task<Result<ServiceAccess>> find_service(Context& context, const Arguments& arguments);

/// The servers of `status`, each with its URLs.
std::vector<ServerAddress> group_urls(const std::vector<cluster::ServiceUrl>& urls);

/// The server named by --server, or the only one. not_found names those that there are.
Result<ServerAddress> choose_server(const ServiceAccess& access, const Arguments& arguments);

/// The URL of `server` (HTTP if there is one), TLS trust and the key of --key, or the first.
Result<McpAddress> address_of(Context& context, const ServiceAccess& access, const ServerAddress& server,
                              const Arguments& arguments);

/// The secret itself, from the environment variable or file that the spec names. not_found when it is missing
/// or empty.
Result<Secret> read_key(const model::KeySpec& key, const std::map<std::string, std::string>& environment);

/// Whether every key can be read and, where the address `listener` can be reached from other machines, is
/// long enough not to be guessed and in a file that its owner alone reads. Errors name the key and the
/// remedy.
Result<void> check_keys(const std::vector<model::KeySpec>& keys, const std::string& listener,
                        const std::map<std::string, std::string>& environment);

/// Where Berth keeps its certificate authority: $XDG_DATA_HOME/berth, default ~/.local/share/berth. Empty:
/// neither variable is set.
std::string authority_directory(const Context& context);

/// The certificate of the HTTPS listener: the files of listener.certificate_file, or issued by the local CA
/// that Berth keeps in
/// $XDG_DATA_HOME/berth (default ~/.local/share/berth).
Result<security::ServerCertificate> server_certificate(const Context& context,
                                                       const model::ListenerSpec& listener);

/// What clients need to trust it; empty where they trust it already, or where there is none.
std::string ca_file(const Context& context, const model::ListenerSpec& listener);

}  // namespace berth::cli
