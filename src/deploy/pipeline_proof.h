#pragma once

#include <map>
#include <string>

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
  std::string summary;
};
/// Asks until the service answers, at most five minutes: a new name takes a while to be known everywhere, a
/// new distribution to be everywhere. A refused key is not asked with again.
Task<Result<Proof>> await_proof(DeployWorld& world, Prove prove, std::string url, Secret key, bool internal);

}  // namespace berth::deploy
