#include <fmt/format.h>

#include <algorithm>

#include "deploy/doctor.h"
#include "deploy/drift.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t stopped_max = 10;
constexpr std::size_t failures_max = 5;

bool forwards_to(const json::array& actions, const std::string& group) {
  for (const json::value& item : actions) {
    if (!item.is_object()) continue;
    const json::object& action = item.get_object();
    if (aws::text(action, "TargetGroupArn") == group) return true;
    for (const json::value& weighted : aws::array(aws::object(action, "ForwardConfig"), "TargetGroups")) {
      if (weighted.is_object() && aws::text(weighted.get_object(), "TargetGroupArn") == group) return true;
    }
  }
  return false;
}

class Gatherer {
 public:
  Gatherer(aws::Client& client, Clock& clock, std::string stack)
      : client_(client), clock_(clock), stack_(std::move(stack)) {}

  Task<Facts> run(Duration drift_timeout) {
    json::object none;
    const auto caller = co_await client_.call("sts", "GetCallerIdentity", std::move(none));
    if (!caller) {
      facts_.no_account = caller.error();
      co_return std::move(facts_);
    }
    facts_.caller = aws::text(*caller, "Arn");
    auto live = co_await observe(client_, stack_);
    if (!live) {
      facts_.no_account = live.error();
      co_return std::move(facts_);
    }
    facts_.live = std::move(*live);
    if (!facts_.live.stack.exists()) co_return std::move(facts_);
    const bool asks_drift = drift_timeout > Duration::zero();
    std::string detection;
    if (asks_drift) {
      const auto begun = co_await begin_drift(client_, stack_);
      detection = begun.value_or("");
    }
    const TimePoint deadline = clock_.now() + drift_timeout;
    co_await ask_balancer();
    co_await ask_stopped();
    co_await ask_failures();
    if (!detection.empty()) co_await ask_drift(std::move(detection), deadline);
    co_return std::move(facts_);
  }

 private:
  Task<void> ask_drift(std::string detection, TimePoint deadline) {
    const auto report = co_await end_drift(client_, clock_, stack_, std::move(detection), deadline);
    if (!report) co_return;
    facts_.drift.asked = report->incomplete.empty() || !report->drift.empty();
    for (const Drift& drift : report->drift) facts_.drift.resources.push_back(sentence_of(drift));
  }

  Task<void> ask_balancer() {
    const auto resources = co_await stack_resources(client_, stack_);
    if (!resources) co_return;
    const auto at =
        std::ranges::find(*resources, "AWS::ElasticLoadBalancingV2::LoadBalancer", &StackResource::type);
    if (at == resources->end() || at->physical.empty()) co_return;
    const std::string arn = at->physical;
    LoadBalancerFacts facts;
    json::object input{{"LoadBalancerArns", json::array{json::value(arn)}}};
    const auto found =
        co_await client_.call("elasticloadbalancing", "DescribeLoadBalancers", std::move(input));
    if (!found && !found.error().is("LoadBalancerNotFound")) co_return;
    const bool is_there = found && !aws::array(*found, "LoadBalancers").empty() &&
                          aws::array(*found, "LoadBalancers").front().is_object();
    if (is_there) {
      const json::object& balancer = aws::array(*found, "LoadBalancers").front().get_object();
      facts.found = true;
      facts.state = aws::text(aws::object(balancer, "State"), "Code");
      facts.reason = aws::text(aws::object(balancer, "State"), "Reason");
      facts.scheme = aws::text(balancer, "Scheme");
      const auto asked = co_await ask_listeners(arn, facts);
      if (!asked) co_return;
    }
    facts_.balancer = facts;
  }

  /// False when the listeners could not be asked.
  Task<bool> ask_listeners(std::string arn, LoadBalancerFacts& facts) {
    const std::string group = facts_.live.stack.output("TargetGroupArn");
    json::object input{{"LoadBalancerArn", arn}};
    const auto listeners =
        co_await client_.list("elasticloadbalancing", "DescribeListeners", std::move(input), "Listeners");
    if (!listeners) co_return false;
    facts.listens = !listeners->empty();
    for (const json::value& item : *listeners) {
      if (!item.is_object() || facts.forwards) continue;
      facts.forwards = forwards_to(aws::array(item.get_object(), "DefaultActions"), group);
      json::object ask{{"ListenerArn", aws::text(item.get_object(), "ListenerArn")}};
      const auto rules =
          co_await client_.list("elasticloadbalancing", "DescribeRules", std::move(ask), "Rules");
      if (!rules) co_return false;
      for (const json::value& rule : *rules) {
        const bool does = rule.is_object() && forwards_to(aws::array(rule.get_object(), "Actions"), group);
        facts.forwards = facts.forwards || does;
      }
    }
    co_return true;
  }

  Task<void> ask_stopped() {
    const ServiceState& service = facts_.live.service;
    if (!service.exists() || service.running >= service.desired) {
      const bool steady = service.deployments.empty() || (service.deployments.front().rollout != "FAILED" &&
                                                          service.deployments.front().failed == 0);
      if (steady) co_return;
    }
    StoppedFilter all;
    auto stopped = co_await stopped_tasks(client_, service.cluster, service.name, std::move(all));
    if (!stopped) co_return;
    if (stopped->size() > stopped_max) stopped->resize(stopped_max);
    facts_.stopped = std::move(*stopped);
  }

  /// Why the stack's last operation failed, where it did.
  Task<void> ask_failures() {
    const std::string& status = facts_.live.stack.status;
    if (status.find("ROLLBACK") == std::string::npos && status.find("FAILED") == std::string::npos) co_return;
    json::object input{{"StackName", stack_}};
    const auto page = co_await client_.call("cloudformation", "DescribeStackEvents", std::move(input));
    if (!page) co_return;
    for (const json::value& item : aws::array(*page, "StackEvents")) {
      if (!item.is_object()) continue;
      const json::object& event = item.get_object();
      const std::string reason = aws::text(event, "ResourceStatusReason");
      const bool tells = aws::text(event, "ResourceStatus").ends_with("_FAILED") && !reason.empty() &&
                         reason.find("cancelled") == std::string::npos;
      if (!tells || facts_.failures.size() >= failures_max) continue;
      facts_.failures.push_back(fmt::format("{}: {}", aws::text(event, "LogicalResourceId"), reason));
    }
  }

  aws::Client& client_;
  Clock& clock_;
  std::string stack_;
  Facts facts_;
};

}  // namespace

Task<Facts> gather_facts(aws::Client& client, Clock& clock, std::string service_stack,
                         Duration drift_timeout) {
  Gatherer gatherer(client, clock, std::move(service_stack));
  auto facts = co_await gatherer.run(drift_timeout);
  co_return facts;
}

}  // namespace berth::deploy
