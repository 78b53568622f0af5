#include "deploy/drift.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr Duration drift_poll = std::chrono::seconds(2);
constexpr std::size_t value_characters_max = 160;

bool is_set_by_scaling(const std::string& type, const std::string& property) {
  if (type == "AWS::ECS::Service") return property == "/DesiredCount";
  return type == "AWS::ApplicationAutoScaling::ScalableTarget" &&
         (property == "/MinCapacity" || property == "/MaxCapacity");
}

std::string shown(const std::string& value) {
  if (value.empty() || value == "null") return "nothing";
  if (value.size() <= value_characters_max) return value;
  return std::string(cut_utf8(value, value_characters_max)) + "…";
}

/// "/SecurityGroupIngress/1/CidrIp" → "SecurityGroupIngress".
std::string top_of(const std::string& property) {
  const std::size_t begin = property.starts_with('/') ? 1 : 0;
  return property.substr(begin, property.find('/', begin) - begin);
}

void take(DriftReport& report, const std::string& stack, const json::object& object) {
  Drift drift{.stack = stack,
              .resource = aws::text(object, "LogicalResourceId"),
              .type = aws::text(object, "ResourceType"),
              .status = aws::text(object, "StackResourceDriftStatus"),
              .differences = {}};
  for (const json::value& item : aws::array(object, "PropertyDifferences")) {
    if (!item.is_object()) continue;
    const json::object& one = item.get_object();
    Difference difference{.property = aws::text(one, "PropertyPath"),
                          .expected = aws::text(one, "ExpectedValue"),
                          .actual = aws::text(one, "ActualValue")};
    if (is_set_by_scaling(drift.type, difference.property)) {
      report.scaled.push_back(fmt::format("{} {}", drift.resource, sentence_of(difference)));
    } else {
      drift.differences.push_back(std::move(difference));
    }
  }
  if (drift.status == "DELETED" || !drift.differences.empty()) report.drift.push_back(std::move(drift));
}

}  // namespace

std::string sentence_of(const Difference& difference) {
  return fmt::format("{}: {} → {}", difference.property, shown(difference.expected),
                     shown(difference.actual));
}

std::string sentence_of(const Drift& drift) {
  std::string out = fmt::format("{} ({}) {}", drift.resource, drift.type, drift.status);
  for (const Difference& difference : drift.differences) out += "; " + sentence_of(difference);
  return out;
}

std::string deploy_does(const Drift& drift, const std::vector<ResourceChange>& changes) {
  const auto change = std::ranges::find(changes, drift.resource, &ResourceChange::resource);
  if (change != changes.end() && (change->action == "Remove" || change->replacement == "True")) {
    return change->action == "Remove" ? "a deploy takes it out of the service"
                                      : "a deploy makes it anew, as the template says";
  }
  if (drift.status == "DELETED") {
    return change != changes.end() ? "a deploy fails here, as it changes what is gone; `berth deploy "
                                     "--revert-drift` makes it anew"
                                   : "a deploy does not notice; `berth deploy --revert-drift` makes it anew";
  }
  const bool sets =
      change != changes.end() && std::ranges::all_of(drift.differences, [&](const Difference& difference) {
        return std::ranges::find(change->causes, top_of(difference.property)) != change->causes.end();
      });
  if (sets) return "a deploy sets it to what the template says";
  return "a deploy leaves it as it is; `berth deploy --revert-drift` puts back what the template says";
}

Task<aws::Reply<std::string>> begin_drift(aws::Client& client, std::string stack) {
  json::object input{{"StackName", stack}};
  const auto begun = co_await client.call("cloudformation", "DetectStackDrift", std::move(input));
  if (!begun) co_return std::unexpected(begun.error());
  co_return aws::text(*begun, "StackDriftDetectionId");
}

Task<aws::Reply<DriftReport>> end_drift(aws::Client& client, Clock& clock, std::string stack,
                                        std::string detection, TimePoint deadline) {
  DriftReport report;
  for (;;) {
    json::object input{{"StackDriftDetectionId", detection}};
    const auto state =
        co_await client.call("cloudformation", "DescribeStackDriftDetectionStatus", std::move(input));
    if (!state) co_return std::unexpected(state.error());
    const std::string status = aws::text(*state, "DetectionStatus");
    // A detection that failed has results of every resource that could be compared.
    if (status == "DETECTION_FAILED") report.incomplete = aws::text(*state, "DetectionStatusReason");
    if (status != "DETECTION_IN_PROGRESS") break;
    if (clock.now() >= deadline) {
      report.incomplete = "CloudFormation is still comparing; ask again in a minute";
      co_return report;
    }
    co_await clock.sleep_for(drift_poll);
  }
  json::object input{{"StackName", stack},
                     {"StackResourceDriftStatusFilters", json::array{"MODIFIED", "DELETED"}}};
  const auto drifts = co_await client.list("cloudformation", "DescribeStackResourceDrifts", std::move(input),
                                           "StackResourceDrifts");
  if (!drifts) co_return std::unexpected(drifts.error());
  for (const json::value& item : *drifts) {
    if (item.is_object()) take(report, stack, item.get_object());
  }
  co_return report;
}

json::object to_json(const Drift& drift) {
  json::array differences;
  for (const Difference& one : drift.differences) {
    differences.push_back(
        json::object{{"property", one.property}, {"expected", one.expected}, {"actual", one.actual}});
  }
  return json::object{{"stack", drift.stack},
                      {"resource", drift.resource},
                      {"type", drift.type},
                      {"status", drift.status},
                      {"differences", std::move(differences)}};
}

}  // namespace berth::deploy
