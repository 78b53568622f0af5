#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "deploy/pipeline.h"
#include "deploy/plan.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

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
    plan_.service_stack = names_.service_stack;
    plan_.status = state->status;
    plan_.blocker = blocker_of(*state);
    // CloudFormation compares while the change sets are made.
    const TimePoint deadline = clock_.now() + options_.drift_timeout;
    if (options_.drift && plan_.base_stands) co_await begin(names_.base_stack);
    if (options_.drift && plan_.service_stands) co_await begin(names_.service_stack);
    if (plan_.base_stands) {
      StackTarget target{.name = names_.base_stack, .body = base->json(), .parameters = {}, .tags = {}};
      target.tags = stack_tags(options_.spec);
      plan_.base_changes = co_await changes_of(*base_state, std::move(target));
    }
    if (plan_.service_stands) co_await ask_service(*base_state, *state, *service);
    for (const auto& [stack, detection] : detections_) co_await end(stack, detection, deadline);
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

  Task<void> begin(std::string stack) {
    const auto begun = co_await begin_drift(client_, stack);
    if (begun) detections_.emplace_back(std::move(stack), *begun);
    if (!begun) plan_.not_asked.push_back(fmt::format("drift of {}: {}", stack, why(begun.error())));
  }

  Task<void> end(std::string stack, std::string detection, TimePoint deadline) {
    auto report = co_await end_drift(client_, clock_, stack, std::move(detection), deadline);
    if (!report) {
      plan_.not_asked.push_back(fmt::format("drift of {}: {}", stack, why(report.error())));
      co_return;
    }
    if (!report->incomplete.empty())
      plan_.not_asked.push_back(fmt::format("drift of {}: {}", stack, report->incomplete));
    std::ranges::move(report->drift, std::back_inserter(plan_.drift));
    std::ranges::move(report->scaled, std::back_inserter(plan_.scaled));
  }

  aws::Client& client_;
  Clock& clock_;
  LivePlanOptions options_;
  Names names_;
  LivePlan plan_;
  std::vector<std::pair<std::string, std::string>> detections_;  ///< stack, id
};

}  // namespace

Task<Result<LivePlan>> ask_account(aws::Client& client, Clock& clock, LivePlanOptions options) {
  Asking asking(client, clock, std::move(options));
  co_return co_await asking.run();
}

}  // namespace berth::deploy
