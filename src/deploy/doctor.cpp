#include "deploy/doctor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t shown_max = 5;

struct TargetRule {
  std::string_view reason;  ///< code of ELB
  std::string_view remedy;
};

/// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
constexpr TargetRule target_rules[] = {
    {"Target.Timeout",
     "The load balancer cannot reach the tasks, or they answer too slowly. Compare the security groups with "
     "the "
     "template (`berth plan` shows what was changed by hand): port 3000 must be open from the load balancer "
     "to the "
     "tasks."},
    {"Target.ResponseCodeMismatch",
     "The task runs and its health path answers with an error; `berth logs` shows what its server says."},
    {"Target.FailedHealthChecks",
     "The connection to the tasks is refused or cut: nothing listens on port 3000, or TLS does not come up. "
     "`berth "
     "logs` shows how the task started."},
    {"Elb.InternalError",
     "The load balancer itself has a fault; it mends itself or AWS does. Look again in minutes."},
    {"Elb.RegistrationInProgress", "New tasks are being taken in; look again in a minute."},
    {"Elb.InitialHealthChecking", "The first health checks are under way; look again in a minute."},
    {"Target.NotRegistered",
     "ECS has not registered the task yet, or has taken it out; look again in a minute."},
    {"Target.NotInUse",
     "The target group is not behind a listener, or the task's zone is not one of the load balancer's. "
     "`berth deploy` "
     "puts the listener back."},
    {"Target.HealthCheckDisabled", "Health checks are off; `berth deploy` puts them back."},
};

std::string target_remedy(const std::string& reason) {
  for (const TargetRule& rule : target_rules) {
    if (reason.starts_with(rule.reason)) return std::string(rule.remedy);
  }
  return "`berth logs` shows what the tasks say.";
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

/// Judges link after link.
class Diagnosis {
 public:
  explicit Diagnosis(const Facts& facts) : facts_(facts), live_(facts.live) {}

  std::vector<Link> run() {
    if (!account() || !stack()) return std::move(links_);
    address();
    balancer();
    service();
    targets();
    server();
    drift();
    alarms();
    return std::move(links_);
  }

 private:
  void good(std::string name, std::string detail) {
    links_.push_back({std::move(name), Link::State::good, std::move(detail), {}, {}});
  }
  void skipped(std::string name, std::string detail) {
    links_.push_back({std::move(name), Link::State::skipped, std::move(detail), {}, {}});
  }
  void bad(std::string name, std::string detail, std::string remedy, std::vector<std::string> evidence = {}) {
    links_.push_back(
        {std::move(name), Link::State::bad, std::move(detail), std::move(remedy), std::move(evidence)});
  }

  bool account() {
    if (!facts_.no_account) {
      good("account", facts_.caller);
      return true;
    }
    const aws::Fault& fault = *facts_.no_account;
    const bool no_keys = fault.is("NoCredentials") || fault.status == 401 || fault.status == 403;
    bad("account", fault.message,
        fault.denied() ? explain_fault(fault).message()
        : no_keys      ? "Get credentials that work: `aws sso login`, `aws configure`, or another --profile."
                       : "AWS could not be asked from here; check the network, a proxy and AWS_CA_BUNDLE.");
    return false;
  }

  bool stack() {
    const StackState& stack = live_.stack;
    if (!stack.exists() || stack.status == "REVIEW_IN_PROGRESS") {
      bad("stack",
          stack.exists()
              ? fmt::format("the stack {} in {} is empty: no deploy has come so far as to make anything",
                            stack.name, live_.region)
              : fmt::format("there is no stack {} in {}", stack.name, live_.region),
          "Run `berth deploy`, or name the region it was deployed to with --region.");
      return false;
    }
    std::vector<std::string> evidence = facts_.failures;
    if (stack.status.ends_with("_FAILED") || stack.status == "ROLLBACK_COMPLETE") {
      bad("stack",
          fmt::format("{} is in {}{}{}", stack.name, stack.status, stack.reason.empty() ? "" : ": ",
                      stack.reason),
          "Mend what the events name and run `berth deploy` again: it takes the stack from any state.",
          std::move(evidence));
      return !live_.service.name.empty();
    }
    const bool rolled_back = stack.status == "UPDATE_ROLLBACK_COMPLETE";
    good("stack", fmt::format("{} is in {}{}", stack.name, stack.status,
                              rolled_back ? ": the last update was taken back, the version before it serves"
                              : in_progress(stack.status) ? ": an operation is under way"
                                                          : ""));
    return true;
  }

  void address() {
    const Probe& probe = facts_.probe;
    const std::string url = live_.url();
    if (url.empty()) return bad("address", "the stack has no output Url", "Run `berth deploy` again.");
    switch (probe.reached) {
      case Probe::Stage::not_tried:
        return skipped("address",
                       facts_.is_internal ? url + " is internal: ask from inside the VPC" : "not tried");
      case Probe::Stage::name:
        return bad("address", fmt::format("the name of {} is not known: {}", url, probe.error),
                   name_remedy());
      case Probe::Stage::connect:
        return bad("address", fmt::format("{} cannot be reached: {}", url, probe.error), connect_remedy());
      case Probe::Stage::tls:
        return bad(
            "address", fmt::format("TLS with {} fails: {}", url, probe.error),
            "The certificate must be for this very name, issued, and on the listener; with aws.certificate, "
            "check that it covers the domain and has not expired. A proxy that opens TLS needs "
            "SSL_CERT_FILE.");
      case Probe::Stage::http:
        return bad("address",
                   fmt::format("{} takes the connection and gives no answer: {}", url, probe.error),
                   "Something between here and the load balancer breaks connections; try another network.");
      case Probe::Stage::answered: return good("address", fmt::format("{} answers over TLS", url));
    }
  }

  std::string name_remedy() const {
    const bool is_cloudfront = live_.url().ends_with(".cloudfront.net");
    return is_cloudfront
               ? "A new CloudFront name takes minutes to be known everywhere; ask again, or another "
                 "resolver."
               : "The domain needs a record that points to the load balancer: set aws.hosted_zone and Berth "
                 "makes it, or make an alias by hand.";
  }
  std::string connect_remedy() const {
    return facts_.is_internal
               ? "The load balancer is internal: ask from inside the VPC or through a VPN."
               : "Port 443 must be open: here towards the internet, and in the load balancer's security "
                 "group. `berth plan` shows what was changed by hand.";
  }

  void balancer() {
    if (!facts_.balancer) return skipped("load balancer", "it could not be asked");
    const LoadBalancerFacts& balancer = *facts_.balancer;
    constexpr std::string_view again = "`berth deploy` puts back what was deleted by hand.";
    if (!balancer.found) return bad("load balancer", "it is not there", std::string(again));
    if (balancer.state != "active" && !balancer.state.empty()) {
      const bool is_coming = balancer.state == "provisioning";
      return bad(
          "load balancer",
          fmt::format("it is {}{}{}", balancer.state, balancer.reason.empty() ? "" : ": ", balancer.reason),
          is_coming ? "AWS is making it, which takes two or three minutes."
                    : "AWS could not keep it up: look at its reason, and at free addresses in its subnets.");
    }
    if (!balancer.listens) return bad("listener", "the load balancer has no listener", std::string(again));
    if (!balancer.forwards) {
      return bad("listener", "no listener or rule forwards to the tasks", std::string(again));
    }
    good("load balancer", "active; a listener forwards to the tasks");
  }

  void service() {
    const ServiceState& service = live_.service;
    if (!service.exists()) {
      return bad("service", "the ECS service is not there",
                 "It was deleted by hand or its creation was taken back. Run `berth deploy` again.",
                 facts_.failures);
    }
    if (service.desired == 0) {
      const bool scheduled = live_.scaling && !live_.scaling->schedules.empty();
      return bad("service", "it is scaled to zero: nothing runs",
                 scheduled
                     ? "Its schedule says so now; `berth scale 1` wakes it until the schedule's next turn."
                     : "`berth scale 3` starts tasks.",
                 live_.scaling ? live_.scaling->schedules : std::vector<std::string>());
    }
    const ServiceDeployment* const newest =
        service.deployments.empty() ? nullptr : &service.deployments.front();
    const bool failed = newest != nullptr && newest->rollout == "FAILED";
    if (service.running < service.desired || failed) return not_enough(newest, failed);
    if (newest != nullptr && newest->rollout == "IN_PROGRESS" && newest->failed > 0) {
      return not_enough(newest, false);
    }
    good("service",
         fmt::format(
             "{} of {} tasks run{}", service.running, service.desired,
             newest != nullptr && newest->rollout == "IN_PROGRESS" ? "; a deployment is under way" : ""));
  }

  /// Tasks are missing: what ended them is the broken link.
  void not_enough(const ServiceDeployment* newest, bool failed) {
    const ServiceState& service = live_.service;
    Evidence evidence;
    evidence.tasks = facts_.stopped;
    evidence.service_events = service.events;
    std::string count = fmt::format("{} of {} tasks run", service.running, service.desired);
    if (failed) count += fmt::format("; the last deployment failed ({})", newest->reason);
    const bool tells = !facts_.stopped.empty() || speaks_of_trouble();
    if (!tells && service.pending > 0) {
      return bad("service", fmt::format("{}, {} start", count, service.pending),
                 "Tasks need about half a minute to start; look again.");
    }
    if (!tells) {
      return bad("service", count, "ECS gives no reason yet; look again in a minute.", last_events());
    }
    const Explanation why = explain(evidence);
    bad(facts_.stopped.empty() ? "service" : "tasks", fmt::format("{}. {}", count, why.cause), why.remedy,
        why.evidence);
  }

  bool speaks_of_trouble() const {
    return std::ranges::any_of(live_.service.events, [](const std::string& event) {
      return event.find("unable") != std::string::npos || event.find("unhealthy") != std::string::npos ||
             event.find("failed") != std::string::npos;
    });
  }

  std::vector<std::string> last_events() const {
    const auto& events = live_.service.events;
    const std::size_t from = events.size() - std::min(events.size(), shown_max);
    return {events.begin() + static_cast<std::ptrdiff_t>(from), events.end()};
  }

  void targets() {
    if (live_.service.desired == 0 || !live_.service.exists()) return skipped("targets", "no task is wanted");
    if (live_.tasks.empty()) return skipped("targets", "no task runs that could be asked");
    std::vector<std::string> evidence;
    std::string worst;
    for (const LiveTask& task : live_.tasks) {
      if (task.target == "healthy" || task.target == "draining" || task.status != "RUNNING") continue;
      const std::string state = task.target.empty() ? "not registered" : task.target;
      const std::string reason = task.target_reason.empty() ? "Target.NotRegistered" : task.target_reason;
      evidence.push_back(
          fmt::format("task {} in {} is {}: {}", task.id.substr(0, 8), task.zone, state, reason));
      // What is wrong weighs more than what has only begun.
      if (worst.empty() || task.target == "unhealthy") worst = reason;
    }
    const std::size_t running =
        static_cast<std::size_t>(std::ranges::count(live_.tasks, "RUNNING", &LiveTask::status));
    if (running == 0) return skipped("targets", "no task has started that could be asked");
    if (evidence.empty())
      return good("targets", fmt::format("{} of {} tasks are healthy", live_.healthy(), running));
    bad("targets", fmt::format("{} of {} tasks get no requests: {}", evidence.size(), running, worst),
        target_remedy(worst), std::move(evidence));
  }

  void server() {
    const Probe& probe = facts_.probe;
    if (probe.tools) return good("server", *probe.tools);
    if (probe.reached != Probe::Stage::answered) return skipped("server", "it cannot be reached from here");
    if (!probe.mcp_error.empty()) {
      const bool is_key = probe.mcp_error.find("401") != std::string::npos ||
                          probe.mcp_error.find("403") != std::string::npos;
      return bad(
          "server", fmt::format("tools/list fails: {}", first_line(probe.mcp_error)),
          is_key
              ? "The key that this program knows is not one that the tasks know. After a secret has changed, "
                "tasks take it only when they start: `berth deploy` starts them anew."
              : "The task answers and its MCP server does not; `berth logs -f` shows what it says.");
    }
    if (probe.status >= 500) {
      return bad("server", fmt::format("the address answers with status {}", probe.status),
                 probe.status == 503
                     ? "No task is healthy behind the load balancer; the links above say why."
                     : "The load balancer reaches tasks and gets no proper answer; `berth logs` shows "
                       "what they say.");
    }
    skipped("server", "tools/list was not tried");
  }

  void drift() {
    if (!facts_.drift.asked)
      return skipped("drift", "CloudFormation was not asked, or did not answer in time");
    if (facts_.drift.resources.empty()) return good("drift", "everything is as the template says");
    bad("drift",
        fmt::format("{} resource{} changed by hand", facts_.drift.resources.size(),
                    facts_.drift.resources.size() == 1 ? " was" : "s were"),
        "`berth deploy --revert-drift` puts back what the template says. What is to stay, write into "
        "berth.yaml and deploy.",
        facts_.drift.resources);
  }

  void alarms() {
    if (live_.alarms.empty()) return skipped("alarms", "there are none to ask");
    std::vector<std::string> evidence;
    for (const LiveAlarm& alarm : live_.alarms) {
      if (alarm.state != "ALARM" || alarm.scales) continue;
      evidence.push_back(
          fmt::format("{}: {}", alarm.name, alarm.description.empty() ? alarm.reason : alarm.description));
    }
    if (evidence.empty())
      return good("alarms", fmt::format("none of {} tells of a fault", live_.alarms.size()));
    const std::string first = evidence.front();
    bad("alarms", fmt::format("{} of {} ring", evidence.size(), live_.alarms.size()),
        fmt::format("{} `berth logs` and `berth traces` show the calls of that time.", first),
        std::move(evidence));
  }

  const Facts& facts_;
  const LiveService& live_;
  std::vector<Link> links_;
};

}  // namespace

std::vector<Link> diagnose(const Facts& facts) { return Diagnosis(facts).run(); }

const Link* first_broken(const std::vector<Link>& links) {
  const auto found = std::ranges::find(links, Link::State::bad, &Link::state);
  return found == links.end() ? nullptr : &*found;
}

json::array to_json(const std::vector<Link>& links) {
  constexpr std::string_view states[] = {"ok", "failed", "skipped"};
  json::array out;
  for (const Link& link : links) {
    json::array evidence;
    for (const std::string& line : link.evidence) evidence.push_back(json::value(line));
    out.push_back(json::object{{"check", link.name},
                               {"state", states[static_cast<std::size_t>(link.state)]},
                               {"detail", link.detail},
                               {"remedy", link.remedy},
                               {"evidence", std::move(evidence)}});
  }
  return out;
}

}  // namespace berth::deploy
