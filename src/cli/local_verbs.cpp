#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/version.h"
#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/service_access.h"
#include "cli/spec_file.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "model/homes.h"
#include "model/parse.h"
#include "model/schema.h"

/// The verbs that need no running service: validate, schema, version, serve.
namespace berth::cli {
namespace {

std::string problems_json(const model::SpecReading& reading, const std::string& file) {
  boost::json::array problems;
  for (const model::Problem& problem : reading.problems) {
    problems.push_back(
        {{"file", file}, {"line", problem.line}, {"column", problem.column}, {"message", problem.text}});
  }
  boost::json::object out{{"valid", reading.ok()}, {"problems", std::move(problems)}};
  return pretty_json(boost::json::serialize(out)) + "\n";
}

std::string summary(const model::Spec& spec, const std::string& shown) {
  std::string names;
  for (const model::ServerSpec& server : spec.servers)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", server.name);
  return fmt::format("{} is valid: service {}, {} task{} in zone{} {}, server{} {}.\n", shown, spec.name,
                     spec.tasks.count, spec.tasks.count == 1 ? "" : "s",
                     spec.tasks.zones.size() == 1 ? "" : "s", fmt::join(spec.tasks.zones, ", "),
                     spec.servers.size() == 1 ? "" : "s", names);
}

}  // namespace

Task<ExitCode> run_validate(Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = find_spec(context, given_file(arguments), Need::spec);
  Result<model::SpecSource> source =
      location ? spec_source(context, *location) : Result<model::SpecSource>(Failure(location.error()));
  if (!source) {
    co_return report(context, "validate", source.error(), Cause::spec);
  }
  bool client_file = model::is_client_file(location->path);
  model::SpecReading reading = client_file ? model::read_client_file(*source) : model::read_spec(*source);
  if (reading.ok()) {
    const Result<void> keys =
        check_keys(reading.spec.auth.keys, reading.spec.listener.address, context.environment);
    if (!keys) reading.problems.push_back({.line = 1, .column = 1, .text = keys.error().message()});
  }
  if (arguments.has("json")) {
    context.terminal.out(problems_json(reading, location->shown));
  } else if (reading.ok()) {
    context.terminal.out(summary(reading.spec, location->shown));
    for (const model::StateHome& home : model::state_homes(reading.spec)) {
      if (home.of == model::StateHome::Of::service)
        context.terminal.out(fitted(context.terminal, printable(home.sentence) + "\n"));
    }
    for (const std::string& note : reading.spec.notes) context.terminal.err(printable(note) + "\n");
  } else {
    for (const model::Problem& problem : reading.problems) {
      context.terminal.out(printable(to_string(problem, location->shown)) + "\n");
    }
    std::size_t count = reading.problems.size();
    context.terminal.err(fmt::format("{} problem{} in {}.\n", count, count == 1 ? "" : "s", location->shown));
  }
  co_return reading.ok() ? ExitCode::ok : ExitCode::invalid_spec;
}

Task<ExitCode> run_schema(Context& context, const Arguments& arguments) {
  context.terminal.out(arguments.has("reference") ? model::reference_markdown() : model::json_schema());
  co_return ExitCode::ok;
}

Task<ExitCode> run_version(Context& context, const Arguments& /*arguments*/) {
  context.terminal.out(fmt::format("berth {}\n", version()));
  co_return ExitCode::ok;
}

Task<ExitCode> run_serve(Context& context, const Arguments& arguments) {
  co_return co_await context.serve(context, arguments);
}

}  // namespace berth::cli
