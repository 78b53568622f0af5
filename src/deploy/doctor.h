#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "deploy/observe.h"
#include "deploy/trouble.h"

/// `berth doctor` for a service on AWS: every link from the client to the server process, and the first that
/// is broken. Gathering (doctor_facts.cpp) asks; judging (doctor.cpp) is a pure function.
namespace berth::deploy {

/// How far a request from here comes.
struct Probe {
  enum class Stage : std::uint8_t { not_tried, name, connect, tls, http, answered };
  Stage reached = Stage::not_tried;  ///< the stage that failed; answered: /healthz gave a status
  std::string error;
  int status = 0;
  std::optional<std::string> tools;  ///< "7 tools in 84 ms"
  std::string mcp_error;             ///< why tools/list failed; empty with no `tools`: not tried
};

struct LoadBalancerFacts {
  bool found = false;
  std::string state;  ///< "active", "provisioning", "failed"
  std::string reason;
  std::string scheme;     ///< "internal", "internet-facing"
  bool listens = false;   ///< there is a listener
  bool forwards = false;  ///< a listener or a rule of one forwards to the target group
};

struct DriftFacts {
  bool asked = false;
  std::vector<std::string> resources;  ///< sentence_of(Drift) each
};

struct Facts {
  std::string caller;                    ///< ARN; empty: the account could not be asked
  std::optional<aws::Fault> no_account;  ///< why not
  LiveService live;
  bool is_internal = false;  ///< by the spec: not reachable from everywhere
  Probe probe;
  std::optional<LoadBalancerFacts> balancer;
  std::vector<TaskEnd> stopped;  ///< oldest first
  DriftFacts drift;
  std::vector<std::string> failures;  ///< reasons of the stack's newest failed events
};

struct Link {
  enum class State : std::uint8_t { good, bad, skipped };
  std::string name;
  State state = State::good;
  std::string detail;
  std::string remedy;  ///< of a bad one
  std::vector<std::string> evidence;
};

/// From the account to the server process, in the order in which a request meets them; then what is no link
/// of one request: drift and alarms. A link that cannot be judged because one before it is missing is
/// skipped.
std::vector<Link> diagnose(const Facts& facts);

/// nullptr when every link holds.
const Link* first_broken(const std::vector<Link>& links);

boost::json::array to_json(const std::vector<Link>& links);

/// Asks AWS for everything but `probe` and `is_internal`. Waits at most `drift_timeout` for CloudFormation's
/// comparison of the stack with what is there; 0: does not ask.
Task<Facts> gather_facts(aws::Client& client, Clock& clock, std::string service_stack,
                         Duration drift_timeout);

}  // namespace berth::deploy
