#include "deploy/pipeline_questions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "deploy/cost.h"
#include "deploy/document.h"
#include "deploy/plan.h"
#include "deploy/plan_time.h"

namespace berth::deploy {

std::string first_question(const model::Spec& spec, const Template& base, const Template& service,
                           const Caller& caller, const std::string& region) {
  const Document document(base.document, service.document);
  const Estimate month = estimate(spec, take_inventory(spec, document), Usage{}, built_in_prices());
  const std::size_t count =
      aws::object(base.document, "Resources").size() + aws::object(service.document, "Resources").size();
  return fmt::format(
      "Deploy {} to account {}, {}? That makes {} resources (`berth plan` lists them), costs about ${:.0f} "
      "a month from then on, and takes about {}.",
      spec.name, caller.account, region, count, month.standing(), roughly(first_deploy(spec).total()));
}

std::string replacement_question(const ChangeSet& set) {
  std::string list;
  for (const ResourceChange& change : set.changes) {
    const std::string what = interrupts(change);
    if (!what.empty()) list += fmt::format("\n  {} ({}): {}", change.resource, change.type, what);
  }
  return list.empty() ? list : fmt::format("This update interrupts or replaces:{}\nGo on?", list);
}

std::string revert_notice(const ResourceChange& change) {
  const bool anew = change.action == "Add" || change.replacement == "True";
  const std::string causes = change.causes.empty() ? "" : fmt::format(": {}", fmt::join(change.causes, ", "));
  return fmt::format("{} {} ({}){}", anew ? "Makes anew" : "Sets", change.resource, change.type, causes);
}

}  // namespace berth::deploy
