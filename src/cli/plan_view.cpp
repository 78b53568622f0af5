#include "cli/plan_view.h"

#include <fmt/format.h>

#include <map>

#include "cli/text.h"
#include "deploy/cost.h"
#include "deploy/document.h"
#include "deploy/plan_time.h"
#include "model/homes.h"

namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t box_columns = 18;
constexpr std::size_t actions_shown_max = 4;

deploy::Estimate estimate_of(const PlanPicture& plan) {
  const deploy::Document document(plan.base.document, plan.service.document);
  const deploy::Inventory inventory = deploy::take_inventory(plan.spec, document);
  return deploy::estimate(plan.spec, inventory, deploy::Usage{}, deploy::built_in_prices());
}

/// "AWS::EC2::SubnetRouteTableAssociation" → "SubnetRouteTableAssociation".
std::string short_type(const std::string& type) { return type.substr(type.rfind(':') + 1); }

std::string resource_lines(const PlanPicture& plan, std::size_t columns, bool colour) {
  std::vector<std::pair<std::string, std::string>> boxes;
  std::size_t count = 0;
  for (const deploy::PlannedKind& kind : deploy::planned_resources(plan.base, plan.service)) {
    if (boxes.empty() || boxes.back().first != kind.box) boxes.emplace_back(kind.box, "");
    std::string& text = boxes.back().second;
    if (!text.empty()) text += ", ";
    text += kind.ids.size() > 1 ? fmt::format("{}×{}", kind.ids.size(), short_type(kind.type))
                                : short_type(kind.type);
    count += kind.ids.size();
  }
  std::string out = paint(Paint::bold, fmt::format("Resources ({})", count), colour) + "\n";
  for (const auto& [box, text] : boxes) {
    const std::string lines = wrap(text, columns, box_columns + 2);
    out += fmt::format("  {:<{}}{}", box, box_columns, lines.substr(std::min(lines.size(), box_columns + 2)));
  }
  return out;
}

std::string joined(const std::vector<std::string>& items, std::size_t max) {
  std::string out;
  for (std::size_t i = 0; i < items.size() && i < max; ++i) out += (i > 0 ? ", " : "") + items[i];
  if (items.size() > max) out += fmt::format(" and {} more", items.size() - max);
  return out;
}

std::string permission_lines(const PlanPicture& plan, std::size_t columns, bool colour) {
  std::string out = paint(Paint::bold, "Permissions", colour) + "\n";
  std::string role;
  for (const deploy::PlannedPermission& one : deploy::planned_permissions(plan.base, plan.service)) {
    if (one.role != role) out += fmt::format("  {}\n", paint(Paint::cyan, one.role, colour));
    role = one.role;
    out += wrap(fmt::format("{} on {}", joined(one.actions, actions_shown_max), joined(one.resources, 2)),
                columns, 4);
  }
  return out + paint(Paint::dim, "  Whoever deploys: `berth plan --iam` prints that policy.", colour) + "\n";
}

/// CloudFront is most of a first deploy, and whoever has a domain need not wait for it.
std::string time_lines(const model::Spec& spec) {
  const deploy::TimeModel first = deploy::first_deploy(spec);
  const std::chrono::seconds front = deploy::cloudfront_time(first);
  const std::string share = front.count() == 0 ? ""
                                               : fmt::format(", {} of it CloudFront's (none with aws.domain)",
                                                             deploy::roughly(front));
  return fmt::format(
      "\n  first deploy about {}{}; a new image about {}\n  (a model of published service times; --json has "
      "its steps)\n",
      deploy::roughly(first.total()), share, deploy::roughly(deploy::image_update(spec).total()));
}

std::string state_lines(const model::Spec& spec, std::size_t columns, bool colour) {
  std::string out;
  for (const model::StateHome& home : model::state_homes(spec))
    out += wrap(printable(home.sentence), columns, 2);
  return out.empty() ? "" : paint(Paint::bold, "State", colour) + "\n" + out + "\n";
}

std::string change_lines(const std::vector<deploy::ResourceChange>& changes, bool colour) {
  std::string out;
  for (const deploy::ResourceChange& change : changes) {
    const bool replaced = change.replacement == "True";
    const std::string what = deploy::interrupts(change);
    std::string mark = change.action == "Add" ? "+" : change.action == "Remove" ? "-" : replaced ? "±" : "~";
    std::string line = fmt::format("  {} {} ({})", mark, change.resource, change.type);
    if (replaced) line += ", replaced";
    if (!change.causes.empty()) line += ": " + joined(change.causes, 6);
    const Paint paint_of = !what.empty() ? Paint::red : change.action == "Add" ? Paint::green : Paint::yellow;
    out += paint(paint_of, line, colour) + "\n";
    if (!what.empty()) out += paint(Paint::red, "      " + what, colour) + "\n";
  }
  return out;
}

std::string fate_of(const deploy::LivePlan& live, const deploy::Drift& drift) {
  const bool in_service = drift.stack == live.service_stack;
  return deploy::deploy_does(drift, in_service ? live.changes : live.base_changes);
}

std::string drift_lines(const deploy::LivePlan& live, std::size_t columns, bool colour) {
  std::string out;
  for (const deploy::Drift& drift : live.drift) {
    const std::string line = fmt::format("  {} ({}) {}", drift.resource, drift.type, drift.status);
    out += paint(Paint::yellow, line, colour) + "\n";
    for (const deploy::Difference& difference : drift.differences)
      out += wrap(printable(deploy::sentence_of(difference)), columns, 6);
    out += wrap(fate_of(live, drift), columns, 6);
  }
  return out;
}

std::string live_lines(const deploy::LivePlan& live, std::size_t columns, bool colour) {
  std::string out;
  if (!live.blocker.empty()) out += paint(Paint::yellow, live.blocker, colour) + "\n\n";
  if (live.service_stands) {
    out += paint(Paint::bold, "Changes to what runs", colour) + "\n";
    const std::string changes = change_lines(live.base_changes, colour) + change_lines(live.changes, colour);
    out += changes.empty()
               ? "  none besides the image, which deploy builds: if it differs, new tasks replace the "
                 "old ones one after another\n"
               : changes;
  } else if (live.blocker.empty()) {
    out += fmt::format("Nothing of this is there yet: `berth deploy` makes it.\n");
  }
  if (!live.drift.empty()) {
    out += "\n" + paint(Paint::bold, "Changed by hand (drift)", colour) + "\n";
    out += drift_lines(live, columns, colour);
  }
  if (!live.scaled.empty()) {
    out += "\n" + paint(Paint::bold, "Scaled meanwhile (a deploy leaves it)", colour) + "\n";
    for (const std::string& line : live.scaled) out += "  " + line + "\n";
  }
  if (!live.not_asked.empty()) {
    out += "\n" + paint(Paint::bold, "Could not be asked", colour) + "\n";
    for (const std::string& line : live.not_asked) out += paint(Paint::yellow, "  " + line, colour) + "\n";
  }
  return out;
}

json::object time_json(const deploy::TimeModel& model) {
  json::array steps;
  for (const deploy::TimeStep& step : model.steps) {
    steps.push_back(json::object{
        {"what", std::string(step.what)}, {"seconds", step.seconds}, {"source", std::string(step.source)}});
  }
  return json::object{{"seconds", model.total().count()}, {"steps", std::move(steps)}};
}

json::object live_json(const deploy::LivePlan& live) {
  auto list = [](const auto& items) {
    json::array out;
    for (const auto& item : items) out.push_back(deploy::to_json(item));
    return out;
  };
  json::array drift;
  for (const deploy::Drift& one : live.drift) {
    json::object object = deploy::to_json(one);
    object["deploy"] = fate_of(live, one);
    drift.push_back(std::move(object));
  }
  return json::object{{"stands", live.service_stands},
                      {"status", live.status},
                      {"blocker", live.blocker},
                      {"base_changes", list(live.base_changes)},
                      {"changes", list(live.changes)},
                      {"drift", std::move(drift)},
                      {"scaled", json::value_from(live.scaled)},
                      {"not_asked", json::value_from(live.not_asked)}};
}

}  // namespace

std::string plan_text(const PlanPicture& plan, std::size_t columns, bool colour) {
  const deploy::Estimate cost = estimate_of(plan);
  std::string where =
      plan.live ? fmt::format(" in account {}, {}", plan.live->account, plan.live->region) : "";
  const std::string title = fmt::format("Plan for {}{}", plan.spec.name, where);
  std::string out = paint(Paint::bold, title, colour) + "\n\n";
  out += resource_lines(plan, columns, colour) + "\n" + permission_lines(plan, columns, colour) + "\n";
  out += paint(Paint::bold, "Cost", colour) +
         fit(fmt::format("\n  about ${:.0f} a month, ${:.0f} of it without a call (list prices of {}, {}); "
                         "`berth cost` itemises\n\n",
                         cost.total(), cost.standing(), cost.priced_as, cost.date),
             columns);
  out += paint(Paint::bold, "Time", colour) + fit(time_lines(plan.spec), columns) + "\n";
  out += state_lines(plan.spec, columns, colour);
  if (plan.live) out += live_lines(*plan.live, columns, colour);
  if (!plan.not_live.empty()) {
    out +=
        paint(Paint::yellow, "AWS was not asked what is there: " + printable(plan.not_live), colour) + "\n";
  }
  return out;
}

std::string plan_json(const PlanPicture& plan) {
  const deploy::Estimate cost = estimate_of(plan);
  json::array resources;
  for (const deploy::PlannedKind& kind : deploy::planned_resources(plan.base, plan.service)) {
    resources.push_back(
        json::object{{"box", kind.box}, {"type", kind.type}, {"ids", json::value_from(kind.ids)}});
  }
  json::array permissions;
  for (const deploy::PlannedPermission& one : deploy::planned_permissions(plan.base, plan.service)) {
    permissions.push_back(json::object{{"role", one.role},
                                       {"actions", json::value_from(one.actions)},
                                       {"resources", json::value_from(one.resources)}});
  }
  json::array state;
  for (const model::StateHome& home : model::state_homes(plan.spec)) {
    const bool is_sole = home.of == model::StateHome::Of::service;
    state.push_back(json::object{
        {"server", home.server}, {"home_of", is_sole ? "service" : "caller"}, {"meaning", home.sentence}});
  }
  json::object out{
      {"service", plan.spec.name},
      {"region", plan.live ? json::value(plan.live->region) : json::value(nullptr)},
      {"account", plan.live ? json::value(plan.live->account) : json::value(nullptr)},
      {"resources", std::move(resources)},
      {"permissions", std::move(permissions)},
      {"cost", {{"usd_a_month", cost.total()}, {"usd_standing", cost.standing()}, {"date", cost.date}}},
      {"time",
       {{"first_deploy", time_json(deploy::first_deploy(plan.spec))},
        {"update", time_json(deploy::image_update(plan.spec))}}},
      {"state", std::move(state)}};
  out["deployed"] = plan.live ? json::value(live_json(*plan.live)) : json::value(nullptr);
  if (!plan.not_live.empty()) out["not_asked"] = plan.not_live;
  return pretty_json(json::serialize(out)) + "\n";
}

}  // namespace berth::cli
