#include <fmt/format.h>

#include <vector>

#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/files.h"
#include "cli/project.h"
#include "cli/spec_file.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "model/parse.h"
#include "model/shell_words.h"

namespace berth::cli {
namespace {

std::string what_next(const Context& context, const Project& project) {
  std::vector<std::vector<Cell>> rows;
  for (const std::string& name : project.variables) {
    if (!context.environment.contains(name))
      rows.push_back({{fmt::format("export {}=…", name)}, {"first, because the file refers to it"}});
  }
  if (!project.hint.empty()) rows.push_back({{project.hint}, {"first, so that the server can start"}});
  rows.push_back({{"berth up"}, {"runs it on three tasks behind a load balancer"}});
  rows.push_back({{"berth validate"}, {"checks the file after you changed it"}});
  return "\nNext:\n" + table(rows, 2, false);
}

std::string what_found(const Project& project) {
  if (!project.command.empty()) {
    return fmt::format("It runs `{}` ({}).", printable(model::join_shell_words(project.command)),
                       project.found);
  }
  if (!project.servers.empty()) return fmt::format("It runs what it found in {}.", project.found);
  return "No MCP server was found in this folder, so it runs the built-in `workspace` server.\n"
         "Edit it, or name yours: berth init --force -- COMMAND ARGS…";
}

}  // namespace

Task<ExitCode> run_init(Context& context, const Arguments& arguments) {
  std::string path = context.directory + "/berth.yaml";
  if (exists(path) && !arguments.has("force") && !arguments.has("print")) {
    context.terminal.err(fitted(context.terminal,
                                "berth init: berth.yaml is there already; --force replaces it, --print shows "
                                "what would be written.\n"));
    co_return ExitCode::failed;
  }
  std::string name = model::default_service_name(context.directory);
  Result<Project> project = Project{};
  if (arguments.rest() && !arguments.rest()->empty()) {
    project->command = *arguments.rest();
    project->found = "the command given to berth init";
  } else {
    project = look_at(context.directory, name);
  }
  if (!project) co_return report(context, "init", project.error());
  std::string text = write_yaml(name, *project);
  if (arguments.has("print")) {
    context.terminal.out(text);
    co_return ExitCode::ok;
  }
  Result<void> written = write_file(path, text, arguments.has("force") ? IfExists::replace : IfExists::fail);
  if (!written) co_return report(context, "init", written.error());
  write_schema(context.directory + "/.berth");
  for (const std::string& note : project->notes)
    context.terminal.err(fitted(context.terminal, printable(note) + "\n"));
  const std::string wrote = fmt::format("Wrote berth.yaml. {}\n", what_found(*project));
  context.terminal.err(fitted(context.terminal, wrote) + what_next(context, *project));
  co_return ExitCode::ok;
}

}  // namespace berth::cli
