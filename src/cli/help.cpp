#include "cli/help.h"

#include <fmt/format.h>

#include <vector>

#include "cli/exit_code.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace berth::cli {
namespace {

struct HelpLine {
  std::string_view verbs;  ///< empty: `text` heads a group
  std::string_view text;
};

constexpr HelpLine help_lines[] = {
    {"", "Run a server here"},
    {"init", "look at this folder and write berth.yaml"},
    {"up", "run it: tasks, front door, health checks"},
    {"status, logs", "show tasks, health and URLs; what tasks and servers wrote"},
    {"scale, restart", "change how many tasks run; take the file as it is now"},
    {"down", "drain and stop it"},
    {"", "Use it"},
    {"connect", "print the line or file that connects a client"},
    {"tools, call", "list its tools; call one"},
    {"prompts, resources", "list them; get one"},
    {"", "Bring it to AWS"},
    {"plan, deploy", "show what would change; do it, up to a proven URL"},
    {"rollback, destroy", "bring back the image before; end everything"},
    {"traces", "show what calls did and where their time went"},
    {"template, cost", "CloudFormation and price a month, without an account"},
    {"audit, diagram", "check best practices; draw the architecture"},
    {"", "Look closer"},
    {"validate, doctor", "check the file; check every link to the server"},
    {"schema, version", "print the keys of berth.yaml; print the version"},
    {"serve", "be one task: the container's entry point"},
};

struct CodeMeaning {
  ExitCode code;
  std::string_view meaning;
};

constexpr CodeMeaning code_meanings[] = {
    {ExitCode::ok, "it is done, and what was asked about is well"},
    {ExitCode::failed, "something went wrong, or a check of `audit` failed: stderr says what, and what next"},
    {ExitCode::usage, "the command line: a verb, option, server, tool, key or task that is not there"},
    {ExitCode::invalid_spec,
     "the file (berth.yaml or that of --file) is missing, has mistakes, or names a "
     "key that cannot be read"},
    {ExitCode::not_running, "nothing runs: `berth up`, or `berth deploy`, comes first"},
    {ExitCode::already_running, "it is up already"},
    {ExitCode::unhealthy,
     "it runs, but not well: a task is not healthy, a server silent, a link broken, a restart undone"},
    {ExitCode::tool_error, "the tool was called and says that it failed"},
    {ExitCode::not_confirmed, "nothing was changed: the answer was no, or nobody could be asked"},
    {ExitCode::interrupted, "Ctrl-C; stderr says what goes on by itself"},
};

}  // namespace

std::string general_help(std::size_t columns, bool colour) {
  std::string out = paint(Paint::bold, "berth", colour) +
                    " runs any MCP server as a secure, load-balanced, observable service.\n";
  std::vector<std::vector<Cell>> rows;
  for (const HelpLine& line : help_lines) {
    if (line.verbs.empty()) continue;
    rows.push_back({{std::string(line.verbs), Paint::cyan}, {std::string(line.text)}});
  }
  // One table, so that the groups stand under one another; its lines come back one a verb.
  const std::string lines = table(rows, 2, colour, columns);
  std::string_view rest = lines;
  for (const HelpLine& line : help_lines) {
    if (line.verbs.empty()) {
      out += paint(Paint::bold, line.text, colour) + "\n";
      continue;
    }
    do {
      const std::size_t end = rest.find('\n') + 1;
      out += rest.substr(0, end);
      rest.remove_prefix(end);
      // A line of a narrow terminal goes on below itself.
    } while (rest.starts_with("    "));
  }
  return out + "`berth help VERB` tells more, `berth help exit-codes` what scripts can rely on.\n";
}

std::string verb_help(const Verb& verb, std::size_t columns, bool colour) {
  std::string usage = verb.usage.empty() ? "" : fmt::format(" {}", verb.usage);
  std::string out =
      fmt::format("Usage: {}{}\n\n{}", paint(Paint::bold, fmt::format("berth {}", verb.name), colour), usage,
                  wrap(fmt::format("{}.", verb.summary), columns, 2));
  if (!verb.more.empty()) out += "\n" + wrap(verb.more, columns, 2);
  if (verb.options.empty()) return out;
  std::vector<std::vector<Cell>> rows;
  for (const Option& option : verb.options) {
    std::string name = option.letter != 0 ? fmt::format("-{}, ", option.letter) : "    ";
    name += fmt::format("--{}", option.name);
    if (!option.value.empty()) name += fmt::format(" {}", option.value);
    rows.push_back({{name, Paint::cyan}, {std::string(option.meaning)}});
  }
  return out + "\n" + table(rows, 2, colour, columns);
}

std::string exit_code_help(std::size_t columns, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (const CodeMeaning& row : code_meanings) {
    rows.push_back(
        {{fmt::format("{:>3}", static_cast<int>(row.code)), Paint::cyan}, {std::string(row.meaning)}});
  }
  return "Exit codes, the same for every verb:\n" + table(rows, 2, colour, columns);
}

}  // namespace berth::cli
