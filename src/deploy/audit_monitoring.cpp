#include <algorithm>
#include <array>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;
using namespace std::string_view_literals;

bool names_rule_changes(const json::value* value) {
  std::string text = value != nullptr ? json::serialize(*value) : "";
  return text.find("AuthorizeSecurityGroupIngress") != std::string::npos &&
         text.find("ModifySecurityGroupRules") != std::string::npos;
}

void group_changes(const Subject& subject, Outcome& outcome) {
  if (subject.document.count("AWS::EC2::SecurityGroup") == 0) return;
  bool watched = false;
  for (const Resource& rule : subject.document.of_type("AWS::Events::Rule")) {
    bool on =
        text_at(*rule.properties, "State") != "DISABLED" && !list_at(*rule.properties, "Targets").empty();
    watched = watched || (on && names_rule_changes(rule.properties->if_contains("EventPattern")));
  }
  for (const Resource& filter : subject.document.of_type("AWS::Logs::MetricFilter"))
    watched = watched || names_rule_changes(filter.properties->if_contains("FilterPattern"));
  outcome.expect(watched, "",
                 "Neither a rule nor a metric filter looks for calls that change a group's rules.");
}

std::vector<Resource> alarms_on(const Subject& subject, std::string_view metric) {
  std::vector<Resource> found;
  for (const Resource& alarm : subject.document.of_type("AWS::CloudWatch::Alarm")) {
    if (text_at(*alarm.properties, "MetricName").find(metric) != std::string::npos) found.push_back(alarm);
  }
  return found;
}

void usual_alarms(const Subject& subject, Outcome& outcome) {
  if (subject.document.count("AWS::ECS::Service") == 0) return;
  constexpr std::array metrics{"5XX"sv, "TargetResponseTime"sv, "HostCount"sv, "CPUUtilization"sv,
                               "MemoryUtilization"sv};
  for (std::string_view metric : metrics) {
    outcome.expect(!alarms_on(subject, metric).empty(), "",
                   std::string("No alarm looks at ") + std::string(metric) + ".");
  }
}

void alarms_lead_somewhere(const Subject& subject, Outcome& outcome) {
  for (const Resource& alarm : subject.document.of_type("AWS::CloudWatch::Alarm"))
    outcome.expect(!list_at(*alarm.properties, "AlarmActions").empty(), alarm.id, "It tells nobody.");
}

void somebody_is_told(const Subject& subject, Outcome& outcome) {
  for (const Resource& topic : subject.document.of_type("AWS::SNS::Topic")) {
    bool heard = !list_at(*topic.properties, "Subscription").empty();
    for (const Resource& subscription : subject.document.of_type("AWS::SNS::Subscription")) {
      const json::value* of = subscription.properties->if_contains("TopicArn");
      heard = heard || (of != nullptr && referred(*of) == topic.id);
    }
    outcome.expect(heard, topic.id, "Nobody has subscribed to it.");
  }
}

void logs_expire(const Subject& subject, Outcome& outcome) {
  for (const Resource& group : subject.document.of_type("AWS::Logs::LogGroup"))
    outcome.expect(!text_at(*group.properties, "RetentionInDays").empty(), group.id,
                   "Logs are kept for ever.");
}

bool attribute_is(const Resource& balancer, std::string_view key, std::string_view value) {
  auto attributes = list_at(*balancer.properties, "LoadBalancerAttributes");
  return std::ranges::any_of(attributes, [&](const json::value* attribute) {
    return attribute->is_object() && text_at(attribute->get_object(), "Key") == key &&
           text_at(attribute->get_object(), "Value") == value;
  });
}

void access_logs(const Subject& subject, Outcome& outcome) {
  for (const Resource& balancer : subject.document.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"))
    outcome.expect(attribute_is(balancer, "access_logs.s3.enabled", "true"), balancer.id,
                   "access_logs.s3.enabled is not true.");
}

void invalid_headers(const Subject& subject, Outcome& outcome) {
  for (const Resource& balancer : subject.document.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"))
    outcome.expect(attribute_is(balancer, "routing.http.drop_invalid_header_fields.enabled", "true"),
                   balancer.id, "Invalid header fields are passed on.");
}

void firewall(const Subject& subject, Outcome& outcome) {
  if (!subject.spec.aws.waf) return;
  outcome.expect(subject.document.count("AWS::WAFv2::WebACLAssociation") > 0, "LoadBalancer",
                 "No web application firewall stands before it.");
}

void traced(const Subject& subject, Outcome& outcome) {
  outcome.expect(subject.spec.aws.traces, "", "aws.traces is false.");
}

constexpr Check all_monitoring_checks[] = {
    {"group-changes-watched", "Changes of security groups raise an alarm", Gravity::medium, group_changes,
     "Whoever opens a port stays unnoticed.", by_hand},
    {"usual-alarms", "Errors, latency, health, CPU and memory raise alarms", Gravity::medium, usual_alarms,
     "Users notice first.", by_hand},
    {"alarms-lead-somewhere", "Every alarm does something", Gravity::medium, alarms_lead_somewhere,
     "An alarm that nobody hears is none.", by_hand},
    {"somebody-is-told", "Somebody hears of alarms", Gravity::low, somebody_is_told,
     "An alarm that nobody hears is none.", "aws.alarms: {email: you@example.com}"},
    {"access-logs", "The load balancer logs requests", Gravity::medium, access_logs,
     "After an incident nobody can say who called.", by_hand},
    {"invalid-headers-dropped", "The load balancer drops invalid header fields", Gravity::medium,
     invalid_headers, "Requests can be smuggled past it inside others.", by_hand},
    {"firewall", "A web application firewall stands before the service", Gravity::low, firewall,
     "Known attacks reach the tasks.", "aws.waf: true"},
    {"logs-expire", "Logs are deleted after a while", Gravity::low, logs_expire,
     "They are paid for for ever, and hold what should be forgotten.", "aws.logs: {days: 30}"},
    {"traced", "Calls are traced", Gravity::low, traced, "Nobody can say where a slow call lost its time.",
     "aws.traces: true"},
};

}  // namespace

std::span<const Check> monitoring_checks() { return all_monitoring_checks; }

}  // namespace berth::deploy
