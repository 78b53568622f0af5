#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

/// The certificate of the HTTPS listener: issued by a certificate authority that Berth keeps on this machine,
/// or given by the user.
namespace berth::security {

struct ServerCertificate {
  std::string chain_pem;  ///< leaf first; for net::TlsServerOptions
  Secret key_pem;
  WallTime not_after;
  std::string ca_path;  ///< what clients must trust; empty when the certificate was given
};

/// A certificate for localhost, 127.0.0.1, ::1 and `hosts` (DNS names or numeric addresses) from the local
/// authority in `directory`, valid for 397 days at most; both are made when missing, and the certificate
/// anew when fewer than 30 days are left. The authority's key (ECDSA P-256) never leaves `directory` (mode
/// 0700, key 0600) and vouches for servers alone. It is the same whatever `hosts` are, so that clients which
/// trust it go on doing so when they change. Several processes may ask at once. Errors: permission_denied
/// and others name the path; invalid_argument for a host that is none, or an authority file that is damaged.
Result<ServerCertificate> local_certificate(const std::string& directory,
                                            const std::vector<std::string>& hosts, WallTime now);

/// A certificate for localhost, 127.0.0.1, ::1 and `hosts` that vouches for itself (ECDSA P-256, 397 days),
/// made in memory: behind an AWS load balancer, which encrypts to its targets without checking who they are
/// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-target-groups.html),
/// and for nobody else. invalid_argument for a host that is none.
Result<ServerCertificate> self_signed_certificate(const std::vector<std::string>& hosts, WallTime now);

/// The certificate chain and key of these PEM files, checked: readable, PEM, the key belongs to the leaf and
/// has no passphrase, `now` within the validity. The errors name the file and the remedy.
Result<ServerCertificate> given_certificate(const std::string& certificate_file, const std::string& key_file,
                                            WallTime now);

/// One way to make a client trust the authority.
struct TrustInstruction {
  std::string client;  ///< "Claude Code and other Node programs"
  std::string line;    ///< to be typed as it is
};
std::vector<TrustInstruction> trust_instructions(std::string_view ca_path);

}  // namespace berth::security
