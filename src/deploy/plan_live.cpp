#include <fmt/format.h>

#include "deploy/pipeline.h"
#include "deploy/plan.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr Duration drift_poll = std::chrono::seconds(2);

std::string why(const aws::Fault& fault) { return explain_fault(fault).message(); }

class Asking {
 public:
  Asking(aws::Client& client, Clock& clock, LivePlanOptions options)
      : client_(client), clock_(clock), options_(std::move(options)), names_(names(options_.spec)) {}

  Task<Result<LivePlan>> run() {
    const Result<Caller> caller = co_await find_caller(client_, options_.spec.aws.account);
    if (!caller) co_return Failure(caller.error());
    plan_.region = client_.region();
    plan_.account = caller->account;
    const Result<Template> base = compose_base(options_.spec);
    if (!base) co_return Failure(base.error());
    const Result<Template> service = compose_service(options_.spec);
    if (!service) co_return Failure(service.error());
    const auto base_state = co_await describe_stack(client_, names_.base_stack);
    if (!base_state) plan_.not_asked.push_back("the stacks: " + why(base_state.error()));
    if (!base_state) co_return plan_;
    const auto state = co_await describe_stack(client_, names_.service_stack);
    if (!state) plan_.not_asked.push_back("the stacks: " + why(state.error()));
    if (!state) co_return plan_;
    plan_.base_stands = next_step(base_state->status) == StackStep::update;
    plan_.service_stands = next_step(state->status) == StackStep::update;
    plan_.status = state->status;
    plan_.blocker = blocker_of(*state);
    if (plan_.base_stands) {
      StackTarget target{.name = names_.base_stack, .body = base->json(), .parameters = {}, .tags = {}};
      target.tags = stack_tags(options_.spec);
      plan_.base_changes = co_await changes_of(*base_state, std::move(target));
    }
    if (plan_.service_stands) co_await ask_service(*base_state, *state, *service);
    co_return plan_;
  }

 private:
  static std::string blocker_of(const StackState& state) {
    switch (next_step(state.status)) {
      case StackStep::create:
      case StackStep::update: return "";
      case StackStep::wait:
      case StackStep::leave:
        return fmt::format("The stack is {}: a deploy waits for it or is refused.", state.status);
      case StackStep::replace:
        return fmt::format("The stack is {}: a deploy asks, deletes it and makes it anew.", state.status);
      case StackStep::unwind:
        return fmt::format("The stack is {}: a deploy asks and finishes the rollback first.", state.status);
    }
    return "";
  }

  Task<void> ask_service(StackState base, StackState state, const Template& service) {
    std::map<std::string, std::string> values = base.outputs;
    const auto account = co_await account_parameters(client_, service.document, state);
    if (!account) {
      plan_.not_asked.push_back("the changes: " + account.error().message());
      co_return;
    }
    values.insert(account->begin(), account->end());
    // The image is built by deploy alone: with the one that runs, the change set shows everything else.
    const auto image = state.parameters.find("ImageUri");
    if (image != state.parameters.end()) values["ImageUri"] = image->second;
    Result<std::map<std::string, std::string>> parameters = fill_parameters(service.document, values);
    if (parameters) {
      StackTarget target{.name = names_.service_stack,
                         .body = service.json(),
                         .parameters = std::move(*parameters),
                         .tags = {}};
      target.tags = stack_tags(options_.spec);
      plan_.changes = co_await changes_of(state, std::move(target));
    } else {
      plan_.not_asked.push_back("the changes: the base stack changes first, and gives what this one needs");
    }
    if (options_.drift) co_await ask_drift();
  }

  Task<std::vector<ResourceChange>> changes_of(StackState state, StackTarget target) {
    std::vector<ResourceChange> out;
    const auto body = co_await stack_body(client_, target.name);
    if (body && compare(target, state, *body) == StackChange::none) co_return out;
    // Its own name, so that it does not meet one of a deploy.
    const std::string name = "plan-" + token_of(target);
    const auto changes = co_await make_change_set(client_, clock_, target, ChangeKind::update, name);
    if (!changes) {
      plan_.not_asked.push_back(fmt::format("the changes of {}: {}", target.name, why(changes.error())));
      co_return out;
    }
    out = changes->changes;
    const auto removed = co_await delete_change_set(client_, target.name, name);
    if (!removed) {
      plan_.not_asked.push_back(
          fmt::format("the change set {} could not be deleted: {}", name, why(removed.error())));
    }
    co_return out;
  }

  Task<void> ask_drift() {
    json::object input{{"StackName", names_.service_stack}};
    const auto started = co_await client_.call("cloudformation", "DetectStackDrift", std::move(input));
    if (!started) {
      plan_.not_asked.push_back("drift: " + why(started.error()));
      co_return;
    }
    const std::string id = aws::text(*started, "StackDriftDetectionId");
    const TimePoint deadline = clock_.now() + options_.drift_timeout;
    while (true) {
      json::object ask{{"StackDriftDetectionId", id}};
      const auto reply =
          co_await client_.call("cloudformation", "DescribeStackDriftDetectionStatus", std::move(ask));
      if (!reply) plan_.not_asked.push_back("drift: " + why(reply.error()));
      if (!reply) co_return;
      const std::string status = aws::text(*reply, "DetectionStatus");
      if (status != "DETECTION_IN_PROGRESS") break;
      if (clock_.now() >= deadline) {
        plan_.not_asked.push_back("drift: CloudFormation still looks; ask again with `berth plan`");
        co_return;
      }
      co_await clock_.sleep_for(drift_poll);
    }
    json::object ask{{"StackName", names_.service_stack},
                     {"StackResourceDriftStatusFilters", json::array{"MODIFIED", "DELETED"}}};
    const auto drifts = co_await client_.list("cloudformation", "DescribeStackResourceDrifts", std::move(ask),
                                              "StackResourceDrifts");
    if (!drifts) {
      plan_.not_asked.push_back("drift: " + why(drifts.error()));
      co_return;
    }
    for (const json::value& item : *drifts) {
      if (item.is_object()) take_drift(item.get_object());
    }
  }

  void take_drift(const json::object& object) {
    Drift drift{.resource = aws::text(object, "LogicalResourceId"),
                .type = aws::text(object, "ResourceType"),
                .status = aws::text(object, "StackResourceDriftStatus"),
                .differences = {}};
    for (const json::value& item : aws::array(object, "PropertyDifferences")) {
      if (!item.is_object()) continue;
      const json::object& one = item.get_object();
      const std::string path = aws::text(one, "PropertyPath");
      // `berth scale`, scaling by itself and hours change this one: not by hand, and not to be undone.
      if (path == "/DesiredCount" && drift.type == "AWS::ECS::Service") continue;
      drift.differences.push_back(
          fmt::format("{}: {} → {}", path, aws::text(one, "ExpectedValue"), aws::text(one, "ActualValue")));
    }
    if (drift.status == "MODIFIED" && drift.differences.empty()) return;
    plan_.drift.push_back(std::move(drift));
  }

  aws::Client& client_;
  Clock& clock_;
  LivePlanOptions options_;
  Names names_;
  LivePlan plan_;
};

}  // namespace

Task<Result<LivePlan>> ask_account(aws::Client& client, Clock& clock, LivePlanOptions options) {
  Asking asking(client, clock, std::move(options));
  co_return co_await asking.run();
}

}  // namespace berth::deploy
