#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/control.h"
#include "cli/cost_view.h"
#include "cli/files.h"
#include "cli/spec_file.h"
#include "cli/text.h"
#include "deploy/audit_account.h"
#include "deploy/diagram_live.h"
#include "deploy/template.h"
#include "model/units.h"

/// The verbs about AWS that need no account: template, cost, audit, diagram.
namespace berth::cli {
namespace {

/// The spec that a verb means. The region is that of the environment where the file does not say, as for
/// every other verb.
Result<model::Spec> find_spec_for_aws(const Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::spec);
  if (!location) return Failure(location.error());
  Result<model::Spec> spec = load_spec_for_aws(context, *location);
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    auto region = context.environment.find(name);
    if (spec && spec->aws.region.empty() && region != context.environment.end())
      spec->aws.region = region->second;
  }
  return spec;
}

/// --on aws: the service that is deployed is meant; --on here (default): what berth.yaml describes.
Result<bool> means_deployed(const Arguments& arguments) {
  std::string place = arguments.get("on").value_or("here");
  if (place == "aws" || place == "here") return place == "aws";
  return fail(ErrorCode::invalid_argument, fmt::format("--on is \"{}\"; it takes aws or here.", place));
}

struct Templates {
  deploy::Template base;
  deploy::Template service;
};

Result<Templates> compose(const model::Spec& spec) {
  Result<deploy::Template> base = deploy::compose_base(spec);
  if (!base) return Failure(base.error());
  Result<deploy::Template> service = deploy::compose_service(spec);
  if (!service) return Failure(service.error());
  return Templates{.base = std::move(*base), .service = std::move(*service)};
}

ExitCode misuse(Context& context, std::string_view verb, const std::string& sentence) {
  context.terminal.err(fmt::format("berth {}: {}\n", verb, printable(sentence)));
  return ExitCode::usage;
}

/// A file as the user names it, from the working directory.
std::string absolute(const Context& context, const std::string& path) {
  return (std::filesystem::path(context.directory) / path).lexically_normal().string();
}

ExitCode write_output(Context& context, std::string_view verb, const std::string& path,
                      const std::string& text) {
  Result<void> written = write_file(absolute(context, path), text, IfExists::replace);
  if (!written) return report(context, verb, written.error());
  context.terminal.err(fmt::format("wrote {}\n", printable(path)));
  return ExitCode::ok;
}

struct Part {
  std::string stack;
  const deploy::Template* content = nullptr;
};

std::string part_text(const Part& part, bool json) {
  return json ? pretty_json(part.content->json()) + "\n" : part.content->yaml;
}

ExitCode write_parts(Context& context, const std::vector<Part>& parts, const std::string& folder, bool json) {
  std::error_code error;
  std::filesystem::create_directories(absolute(context, folder), error);
  if (error) {
    return report(context, "template",
                  Error(ErrorCode::invalid_argument,
                        fmt::format("{} cannot be made a folder: {}.", folder, error.message())));
  }
  for (const Part& part : parts) {
    std::string path = fmt::format("{}/{}.{}", folder, part.stack, json ? "json" : "yaml");
    ExitCode code = write_output(context, "template", path, part_text(part, json));
    if (code != ExitCode::ok) return code;
  }
  return ExitCode::ok;
}

/// The options of `berth cost` that say what a month is like.
Result<deploy::Usage> read_usage(const Arguments& arguments) {
  deploy::Usage usage;
  for (const deploy::UsageField& field : deploy::usage_fields()) {
    std::optional<std::string> given = arguments.get(field.option);
    if (!given) continue;
    Result<double> number = model::parse_number(*given);
    if (!number || *number > field.max) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("--{} is \"{}\"; it takes a number from 0 to {:.0f}.", field.option, *given,
                              field.max));
    }
    usage.*field.value = *number;
  }
  return usage;
}

Result<deploy::Inventory> measure(const model::Spec& spec) {
  Result<Templates> templates = compose(spec);
  if (!templates) return Failure(templates.error());
  deploy::Document document(templates->base.document, templates->service.document);
  return deploy::take_inventory(spec, document);
}

/// What really runs, of the service that berth.yaml names.
Task<Result<deploy::Account>> read_deployed(Context& context, const Arguments& arguments) {
  Result<AwsSession> session = open_aws(context, arguments);
  if (!session) co_return Failure(session.error());
  co_return co_await deploy::read_account(*session->client, session->names);
}

std::optional<deploy::Gravity> read_gravity(const std::string& name) {
  for (deploy::Gravity gravity : {deploy::Gravity::low, deploy::Gravity::medium, deploy::Gravity::high}) {
    if (name == deploy::to_string(gravity)) return gravity;
  }
  return std::nullopt;
}

}  // namespace

Task<ExitCode> run_template(Context& context, const Arguments& arguments) {
  std::string which = arguments.get("part").value_or("all");
  if (which != "base" && which != "service" && which != "all") {
    co_return misuse(context, "template",
                     fmt::format("--part is \"{}\"; it takes base, service or all.", which));
  }
  Result<model::Spec> spec = find_spec_for_aws(context, arguments);
  if (!spec) co_return report(context, "template", spec.error(), Cause::spec);
  Result<Templates> templates = compose(*spec);
  if (!templates) co_return report(context, "template", templates.error(), Cause::spec);
  deploy::Names names = deploy::names(*spec);
  std::vector<Part> parts;
  if (which != "service") parts.push_back({names.base_stack, &templates->base});
  if (which != "base") parts.push_back({names.service_stack, &templates->service});
  bool json = arguments.has("json");
  if (std::optional<std::string> folder = arguments.get("output"))
    co_return write_parts(context, parts, *folder, json);
  if (json && parts.size() > 1) {
    boost::json::object both{{names.base_stack, templates->base.document},
                             {names.service_stack, templates->service.document}};
    context.terminal.out(pretty_json(boost::json::serialize(both)) + "\n");
    co_return ExitCode::ok;
  }
  for (const Part& part : parts) {
    if (parts.size() > 1) context.terminal.out(fmt::format("--- # stack {}\n", part.stack));
    context.terminal.out(part_text(part, json));
  }
  co_return ExitCode::ok;
}

Task<ExitCode> run_cost(Context& context, const Arguments& arguments) {
  Result<deploy::Usage> usage = read_usage(arguments);
  if (!usage) co_return misuse(context, "cost", usage.error().message());
  Result<model::Spec> spec = find_spec_for_aws(context, arguments);
  if (!spec) co_return report(context, "cost", spec.error(), Cause::spec);
  Result<deploy::Inventory> inventory = measure(*spec);
  if (!inventory) co_return report(context, "cost", inventory.error(), Cause::spec);
  deploy::Prices prices = deploy::built_in_prices();
  CostReport result{.service = spec->name,
                    .estimate = deploy::estimate(*spec, *inventory, *usage, prices),
                    .usage = *usage,
                    .million_calls = deploy::million_calls(*spec, *inventory, *usage, prices),
                    .what_if = {}};
  if (arguments.has("what-if")) result.what_if = deploy::what_if(*spec, *inventory, *usage, prices, measure);
  bool json = arguments.has("json");
  const std::size_t columns = context.terminal.columns();
  context.terminal.out(json ? cost_json(result) : cost_text(result, columns, context.terminal.colour()));
  co_return ExitCode::ok;
}

Task<ExitCode> run_audit(Context& context, const Arguments& arguments) {
  std::string name = arguments.get("fail-on").value_or("medium");
  std::optional<deploy::Gravity> gravity = read_gravity(name);
  if (!gravity) {
    co_return misuse(context, "audit",
                     fmt::format("--fail-on is \"{}\"; it takes low, medium or high.", name));
  }
  Result<bool> deployed = means_deployed(arguments);
  if (!deployed) co_return misuse(context, "audit", deployed.error().message());
  Result<model::Spec> spec = find_spec_for_aws(context, arguments);
  if (!spec) co_return report(context, "audit", spec.error(), Cause::spec);
  deploy::Account judged;
  if (*deployed) {
    Result<deploy::Account> account = co_await read_deployed(context, arguments);
    if (!account) co_return report(context, "audit", account.error(), Cause::deployment);
    judged = std::move(*account);
  } else {
    Result<Templates> templates = compose(*spec);
    if (!templates) co_return report(context, "audit", templates.error(), Cause::spec);
    judged = {.base = templates->base.document, .service = templates->service.document, .unread = {}};
  }
  std::vector<deploy::AuditResult> results =
      deploy::audit(*spec, deploy::Document(judged.base, judged.service));
  bool colour = context.terminal.colour();
  std::string text = arguments.has("json")
                         ? pretty_json(boost::json::serialize(deploy::to_json(results))) + "\n"
                         : audit_text({.service = spec->name,
                                       .results = results,
                                       .every = arguments.has("all"),
                                       .gravity = *gravity},
                                      context.terminal.columns(), colour);
  context.terminal.out(text);
  for (const std::string& unread : judged.unread)
    context.terminal.err(fmt::format("berth audit: not read: {}\n", printable(unread)));
  // What could not be read was not judged, so that it does not count as passed.
  bool passed = judged.unread.empty() && !deploy::fails(results, *gravity);
  co_return passed ? ExitCode::ok : ExitCode::failed;
}

Task<ExitCode> run_diagram(Context& context, const Arguments& arguments) {
  if (arguments.has("svg") && arguments.has("mermaid"))
    co_return misuse(context, "diagram", "--svg and --mermaid exclude one another.");
  Result<bool> deployed = means_deployed(arguments);
  if (!deployed) co_return misuse(context, "diagram", deployed.error().message());
  Result<model::Spec> spec = find_spec_for_aws(context, arguments);
  if (!spec) co_return report(context, "diagram", spec.error(), Cause::spec);
  std::optional<deploy::LiveState> live;
  if (*deployed) {
    Result<AwsSession> session = open_aws(context, arguments);
    if (!session) co_return report(context, "diagram", session.error(), cause_of(session.error()));
    spec->aws.region = session->region();
    Result<deploy::LiveState> state =
        co_await deploy::read_live_state(*session->client, session->names, context.clock.wall());
    if (!state) co_return report(context, "diagram", state.error(), Cause::deployment);
    live = std::move(*state);
  }
  std::optional<std::string> path = arguments.get("output");
  bool svg = arguments.has("svg") || (!arguments.has("mermaid") && path && path->ends_with(".svg"));
  std::string text = svg ? deploy::svg_diagram(*spec, live) : deploy::mermaid_diagram(*spec, live);
  if (path) co_return write_output(context, "diagram", *path, text);
  context.terminal.out(text);
  co_return ExitCode::ok;
}

}  // namespace berth::cli
