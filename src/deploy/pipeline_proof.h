#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "deploy/pipeline.h"
#include "deploy/stack.h"

/// The last phase of a deploy: a real client calls the service through its public URL.
namespace berth::deploy {

/// The key that Berth made, or the first of auth.keys, from this environment or the service's secrets. Empty:
/// the service is open. `base`: the base stack.
Task<aws::Reply<Secret>> find_proof_key(aws::Client& client, model::Spec spec, StackState base,
                                        std::map<std::string, std::string> environment);

struct Proof {
  bool reached = true;  ///< false: an internal load balancer, which is not reachable from here
  std::vector<ServerProof> servers;
  Duration took{};

  /// Names of those that answer.
  std::set<std::string> answering() const;
  /// "7 tools in 84 ms, over verified TLS"
  std::string summary() const;
};
/// Asks once.
Task<Proof> ask_servers(Clock& clock, Prove prove, std::string url, Secret key);
/// Asks until every server answers, at most five minutes: a new name takes a while to be known everywhere, a
/// new distribution to be everywhere. Once one answers the others have half a minute more, as a task has
/// waited for them before it was healthy. A refused key is not asked with again.
Task<Proof> await_proof(DeployWorld& world, Prove prove, std::string url, Secret key, bool internal);

/// Whether the deploy has to be undone: a server is silent that `before` names. One that refuses a key is not
/// silent.
bool lost_a_server(const Proof& proof, const std::set<std::string>& before);
/// Which servers do not answer and why, a line each.
std::string silent_servers(const Proof& proof);
/// That, and what to do where the deploy stays as it is.
Error proof_failure(const Proof& proof);

}  // namespace berth::deploy
