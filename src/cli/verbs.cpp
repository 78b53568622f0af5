#include "cli/verbs.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/help.h"
#include "cli/text.h"
#include "model/nearest_name.h"

namespace berth::cli {
namespace {

constexpr Option file_option{
    .name = "file", .value = "FILE", .meaning = "the service of this file instead of ./berth.yaml"};
constexpr Option json_option{.name = "json", .meaning = "print JSON"};
constexpr Option server_option{
    .name = "server", .letter = 's', .value = "NAME", .meaning = "which server, where there are several"};
constexpr Option key_option{.name = "key",
                            .letter = 'k',
                            .value = "NAME",
                            .meaning = "the key of auth.keys to call with; default: the first"};

constexpr Option init_options[] = {{.name = "force", .meaning = "replace a berth.yaml that is there"},
                                   {.name = "print", .meaning = "print it instead of writing it"}};
constexpr Option up_options[] = {
    file_option,
    {.name = "detach", .letter = 'd', .meaning = "go on in the background once every task is healthy"},
    {.name = "only", .value = "NAMES", .meaning = "of several servers take these, as in --only git,files"}};
constexpr Option status_options[] = {file_option, json_option, on_option, region_option, profile_option};
constexpr Option logs_options[] = {
    file_option,
    json_option,
    {.name = "follow", .letter = 'f', .meaning = "go on as lines come"},
    {.name = "task", .letter = 't', .value = "N", .meaning = "of this task alone"},
    {.name = "lines", .letter = 'n', .value = "N", .meaning = "how many of the last lines; default 50"},
    {.name = "since",
     .value = "TIME",
     .meaning = "on AWS: from 15m, 2h or 3d ago on, or a moment (RFC 3339)"},
    on_option,
    region_option,
    profile_option};
constexpr Option traces_options[] = {
    file_option,
    json_option,
    {.name = "since", .value = "TIME", .meaning = "from 15m, 2h or 3d ago on, or a moment; default 1h"},
    {.name = "failed", .meaning = "those alone that failed"},
    {.name = "number", .letter = 'n', .value = "N", .meaning = "how many of the newest; default 20"},
    on_option,
    region_option,
    profile_option};
constexpr Option tools_options[] = {file_option, server_option, key_option, json_option};
constexpr Option call_options[] = {
    file_option,
    server_option,
    key_option,
    json_option,
    {.name = "timeout", .value = "SECONDS", .meaning = "how long it may take; default 300"}};
constexpr Option prompts_options[] = {file_option, server_option, key_option, json_option};
constexpr Option connect_options[] = {
    file_option,
    json_option,
    {.name = "client",
     .letter = 'c',
     .value = "NAME",
     .meaning = "claude, cursor, vscode or json; default: all of them"},
    {.name = "https", .meaning = "use the HTTPS URL"},
    {.name = "show-key", .meaning = "on AWS: put the key itself into the line"},
    on_option,
    region_option,
    profile_option};
constexpr Option yes_option{.name = "yes", .letter = 'y', .meaning = "do not ask"};
constexpr Option scale_options[] = {
    file_option,   {.name = "wait", .meaning = "return when every task is healthy"},
    on_option,     yes_option,
    region_option, profile_option};
constexpr Option plan_options[] = {
    file_option,
    json_option,
    {.name = "iam",
     .meaning = "print the policy that whoever deploys needs (with --json: as parts that fit)"},
    {.name = "no-drift", .meaning = "do not look for what was changed by hand"},
    region_option,
    profile_option};
constexpr Option deploy_options[] = {
    file_option,
    yes_option,
    json_option,
    {.name = "dry-run", .meaning = "the same as `berth plan`"},
    {.name = "no-wait", .meaning = "return once the stack's operation has been started"},
    {.name = "image",
     .value = "IMAGE",
     .meaning = "deploy this image, which starts berth, instead of building one"},
    {.name = "berth-binary",
     .value = "FILE",
     .meaning =
         "the static berth for the image; default: this program, or for ARM64 tasks berth-arm64 beside it"},
    {.name = "ignore-scan", .meaning = "deploy whatever the registry's scan finds"},
    {.name = "revert-drift", .meaning = "put back what was changed by hand; `berth plan` shows it"},
    region_option,
    profile_option};
constexpr Option rollback_options[] = {
    file_option,   yes_option,
    json_option,   {.name = "no-wait", .meaning = "return once it has been started"},
    region_option, profile_option};
constexpr Option destroy_options[] = {
    file_option,
    yes_option,
    json_option,
    {.name = "keep-data", .meaning = "file system, buckets and logs stay, and what they cost is said"},
    {.name = "delete-data", .meaning = "they are deleted, for good"},
    {.name = "forget-secrets", .meaning = "secrets are gone at once, without a recovery window"},
    region_option,
    profile_option};
constexpr Option plain_options[] = {file_option};
constexpr Option validate_options[] = {file_option, json_option};
constexpr Option doctor_options[] = {file_option, key_option,    json_option,
                                     on_option,   region_option, profile_option};
constexpr Option schema_options[] = {
    {.name = "reference", .meaning = "print the reference of berth.yaml (Markdown) instead"}};
constexpr Option template_options[] = {
    file_option,
    json_option,
    {.name = "part", .value = "PART", .meaning = "base, service or all (default): which stack"},
    {.name = "output", .letter = 'o', .value = "FOLDER", .meaning = "write a file a stack there"}};
constexpr Option cost_options[] = {
    file_option,
    json_option,
    {.name = "what-if", .meaning = "compare other ways to build it"},
    {.name = "calls-per-month", .value = "N", .meaning = "tool calls a month; default 1000000"},
    {.name = "kb-per-call", .value = "KB", .meaning = "sent to the client, a call; default 4"},
    {.name = "kb-upstream", .value = "KB", .meaning = "the server fetches from elsewhere, a call; default 2"},
    {.name = "kb-log", .value = "KB", .meaning = "of logs, a call; default 0.5"},
    {.name = "kb-trace", .value = "KB", .meaning = "of traces, a call; default 1"},
    {.name = "kb-state", .value = "KB", .meaning = "read from and written to /mnt/data, a call; default 1"},
    {.name = "clients", .value = "N", .meaning = "clients connected at once; default 25"},
    {.name = "gb-state", .value = "GB", .meaning = "on /mnt/data; default 1"},
    {.name = "percent-cold", .value = "N", .meaning = "of it untouched for 30 days; default 50"},
    {.name = "gb-artifacts", .value = "GB", .meaning = "in the buckets; default 5"},
    {.name = "gb-images", .value = "GB", .meaning = "of images kept; default 0.5"},
    {.name = "gb-flow-logs", .value = "GB", .meaning = "of flow logs a month; default 0.3"},
    {.name = "tasks", .value = "N", .meaning = "that run on average; default tasks.count"},
    {.name = "percent-spot", .value = "N", .meaning = "that Spot is cheaper; default 70"}};
constexpr Option paper_on_option{.name = "on",
                                 .value = "aws|here",
                                 .meaning = "aws: what runs in the account; here (default): berth.yaml"};
constexpr Option audit_options[] = {
    file_option,
    json_option,
    {.name = "all", .meaning = "show checks that pass, too"},
    {.name = "fail-on",
     .value = "SEVERITY",
     .meaning = "low, medium (default) or high: from which on the exit code is 1"},
    paper_on_option,
    region_option,
    profile_option};
constexpr Option diagram_options[] = {
    file_option,
    {.name = "svg", .meaning = "draw a standalone SVG"},
    {.name = "mermaid", .meaning = "write Mermaid text (default, but for a FILE that ends in .svg)"},
    {.name = "output", .letter = 'o', .value = "FILE", .meaning = "write it there"},
    paper_on_option,
    region_option,
    profile_option};
constexpr Option serve_options[] = {
    {.name = "task-file", .value = "FILE", .meaning = "what `berth up` tells a task"},
    {.name = "spec", .value = "FILE", .meaning = "the spec of a task on its own; default /app/berth.yaml"},
    {.name = "http",
     .value = "ADDR:PORT",
     .meaning = "where to listen; default 0.0.0.0:3000 ($BERTH_LISTEN)"},
    {.name = "open",
     .meaning =
         "allow a listener beyond loopback without keys: something before it checks callers ($BERTH_OPEN=1)"},
    {.name = "data", .value = "FOLDER", .meaning = "the shared volume; default /mnt/data ($BERTH_DATA)"},
    {.name = "tls",
     .value = "HOW",
     .meaning = "off, or self-signed for a balancer that encrypts without checking ($BERTH_TLS)"}};

constexpr Verb verb_table[] = {
    {.name = "init",
     .summary = "look at this folder and write berth.yaml",
     .usage = "[--force] [--print] [-- COMMAND ARGS…]",
     .options = init_options,
     .takes_rest = true,
     .more = "Looks for .mcp.json, package.json, pyproject.toml and a Dockerfile, in this order, or takes "
             "the command after --. "
             "Writes a small berth.yaml with comments; an existing one is left alone without --force.",
     .run = run_init},
    {.name = "up",
     .summary = "run the service: tasks, front door, health checks",
     .usage = "[-d] [--only NAMES] [FILE]",
     .options = up_options,
     .words_max = 1,
     .more = "FILE is berth.yaml (default), or a client's own file such as .mcp.json. Shows live status in a "
             "terminal and plain "
             "lines elsewhere. Ctrl-C drains and stops everything; a second one stops at once. Without a "
             "terminal, SIGHUP is `berth restart`.",
     .run = run_up},
    {.name = "status",
     .summary = "show tasks, health and URLs",
     .usage = "[--json] [--on aws|here]",
     .options = status_options,
     .more =
         "Exit code 0 when every task is healthy and every server answers, 6 when not, 4 when the service "
         "is not running.",
     .run = run_status_anywhere},
    {.name = "logs",
     .summary = "show what tasks and servers wrote",
     .usage = "[-f] [--task N] [-n N] [--since TIME] [--on aws|here]",
     .options = logs_options,
     .more = "Every line is one JSON object; --json prints it as it is. On AWS the lines of all tasks come "
             "by time, "
             "and N is how a task's id begins.",
     .run = run_logs_anywhere},
    {.name = "traces",
     .summary = "show what calls did and where their time went, on AWS",
     .usage = "[ID] [--failed] [--since TIME] [-n N] [--json]",
     .options = traces_options,
     .words_max = 1,
     .more = "With an ID, or how one begins: every span of that call, as a waterfall. Reads CloudWatch's "
             "spans where "
             "the account has Transaction Search, otherwise X-Ray.",
     .run = run_traces},
    {.name = "tools",
     .summary = "list the server's tools",
     .usage = "[--server NAME] [--json]",
     .options = tools_options,
     .run = run_tools},
    {.name = "call",
     .summary = "call a tool through the front door",
     .usage = "TOOL ['{\"json\": \"args\"}' | NAME=VALUE…]",
     .options = call_options,
     .words_max = 64,
     .more = "Prints the text that the tool answers; --json prints the whole result. Questions of the tool "
             "are asked on the terminal. "
             "A VALUE that is JSON is sent as such (n=3), anything else as text (q=hello). Exit code 7 when "
             "the tool says that it "
             "failed.",
     .run = run_call},
    {.name = "prompts",
     .summary = "list the server's prompts, or get one",
     .usage = "[PROMPT [NAME=VALUE…]] [--server NAME] [--json]",
     .options = prompts_options,
     .words_max = 64,
     .more = "With a PROMPT: the messages that it makes of these arguments.",
     .run = run_prompts},
    {.name = "resources",
     .summary = "list the server's resources, or read one",
     .usage = "[URI] [--server NAME] [--json]",
     .options = prompts_options,
     .words_max = 1,
     .more = "With a URI: its contents. Templates are listed with their {variables} in place.",
     .run = run_resources},
    {.name = "connect",
     .summary = "print the line or file that connects a client",
     .usage = "[--client NAME] [--https] [--on aws|here] [--show-key]",
     .options = connect_options,
     .more =
         "Each client it prints for gets a name (Berth-Client), and with it a process of its own where the "
         "server keeps state in one.",
     .run = run_connect_anywhere},
    {.name = "scale",
     .summary = "change how many tasks run",
     .usage = "N [--wait] [--on aws|here]",
     .options = scale_options,
     .words_max = 1,
     .more =
         "Until the service stops; tasks.count in berth.yaml says how many it starts with. On AWS it asks "
         "first, and widens scaling.min and scaling.max where N lies outside, until the next deploy.",
     .run = run_scale},
    {.name = "restart",
     .summary = "replace every task, one after another",
     .usage = "",
     .options = plain_options,
     .more =
         "Takes servers, keys, limits and the number of tasks from the file as it is now, and returns when "
         "every task is a new one. Each is asked for the tools of every server that answered before, and "
         "serves only then. Where one does not answer, the tasks of before go on serving, and the exit "
         "code is 6. A new listener or name takes `berth down`, then `berth up`.",
     .run = run_restart},
    {.name = "down",
     .summary = "drain and stop the service",
     .usage = "",
     .options = plain_options,
     .run = run_down},
    {.name = "plan",
     .summary = "show what a deploy to AWS would make or change",
     .usage = "[--json] [--iam]",
     .options = plan_options,
     .more =
         "Every resource, permission and the monthly cost; for a running service what changes, what is "
         "replaced "
         "and what that interrupts (from a real change set, which is deleted again), and what was changed by "
         "hand. Without credentials it shows what it can.",
     .run = run_plan},
    {.name = "deploy",
     .summary = "bring the service to AWS, from source to a proven URL",
     .usage = "[--yes] [--no-wait] [--image IMAGE] [--dry-run]",
     .options = deploy_options,
     .more =
         "Builds or assembles the image, pushes it, awaits the scan, makes or updates two CloudFormation "
         "stacks, "
         "waits for healthy tasks and calls the service through its public URL. The same command again "
         "continues where one was interrupted. The URL's certificate is checked against $BERTH_CA_FILE or "
         "$SSL_CERT_FILE, where set.",
     .run = run_deploy},
    {.name = "rollback",
     .summary = "bring back the image that ran before, on AWS",
     .usage = "[--yes] [--no-wait]",
     .options = rollback_options,
     .more = "Cancels an update that is in progress instead.",
     .run = run_rollback},
    {.name = "destroy",
     .summary = "end the service on AWS, so that nothing costs money",
     .usage = "[--keep-data | --delete-data] [--yes]",
     .options = destroy_options,
     .more = "Data is never deleted without being told: with --yes, say --keep-data or --delete-data.",
     .run = run_destroy},
    {.name = "validate",
     .summary = "check berth.yaml and report every mistake",
     .usage = "[FILE] [--json]",
     .options = validate_options,
     .words_max = 1,
     .run = run_validate},
    {.name = "doctor",
     .summary = "check every link from the client to the server",
     .usage = "[--json] [--on aws|here]",
     .options = doctor_options,
     .more = "Names the first broken link and what to do about it.",
     .run = run_doctor_anywhere},
    {.name = "template",
     .summary = "print the CloudFormation that berth deploy makes",
     .usage = "[--part base|service|all] [--json] [-o FOLDER]",
     .options = template_options,
     .more = "Needs no AWS account. Two stacks: NAME-base (registry and secrets) and NAME (everything else).",
     .run = run_template},
    {.name = "cost",
     .summary = "estimate what the service costs a month on AWS",
     .usage = "[--what-if] [--json]",
     .options = cost_options,
     .more = "Needs no AWS account. Every resource of the templates at dated list prices, and use by stated "
             "assumptions, which options change.",
     .run = run_cost},
    {.name = "audit",
     .summary = "check best practices of security and operation",
     .usage = "[--all] [--json] [--fail-on SEVERITY] [--on aws]",
     .options = audit_options,
     .more =
         "Judges the templates, without an AWS account; with --on aws the service as it runs. Exit code 1 "
         "when a check of medium severity or above fails (--fail-on), or could not be made.",
     .run = run_audit},
    {.name = "diagram",
     .summary = "draw the service's architecture on AWS",
     .usage = "[--svg|--mermaid] [-o FILE] [--on aws]",
     .options = diagram_options,
     .more =
         "From berth.yaml, without an AWS account; with --on aws with tasks, health and image as they are.",
     .run = run_diagram},
    {.name = "schema",
     .summary = "print the JSON Schema of berth.yaml",
     .usage = "[--reference]",
     .options = schema_options,
     .run = run_schema},
    {.name = "serve",
     .summary = "be one task: the container's entry point",
     .usage = "[--spec FILE] [--http ADDR:PORT]",
     .options = serve_options,
     .more =
         "`berth up` starts its tasks this way, with --task-file. SIGTERM drains; a second one ends at once.",
     .run = run_serve},
    {.name = "health",
     .summary = "ask a task whether it lives: the container's health check",
     .usage = "[URL]",
     .words_max = 1,
     .more =
         "URL is /healthz where `berth serve` with this environment listens. Exit code 0 for an answer of "
         "2xx within two seconds, else 1. A self-signed certificate is accepted on this machine's own "
         "addresses.",
     .run = run_health,
     .hidden = true},
    {.name = "version", .summary = "print the version", .usage = "", .run = run_version},
};

/// What `berth help` knows besides verbs.
constexpr std::string_view exit_codes = "exit-codes";

const Verb* find_verb(std::string_view name) {
  auto found = std::ranges::find(verb_table, name, &Verb::name);
  return found == std::end(verb_table) ? nullptr : &*found;
}

/// What other tools call a verb, and what it is called here.
constexpr std::pair<std::string_view, std::string_view> habits[] = {
    {"ps", "status"},      {"ls", "status"},  {"list", "status"}, {"top", "status"},
    {"stop", "down"},      {"kill", "down"},  {"start", "up"},    {"run", "up"},
    {"delete", "destroy"}, {"rm", "destroy"}, {"push", "deploy"}, {"reload", "restart"}};

ExitCode unknown_verb(Context& context, const std::string& name) {
  std::vector<std::string_view> names{"help"};
  for (const Verb& verb : verb_table) names.push_back(verb.name);
  std::optional<std::string> meant = model::nearest_name(name, names);
  const auto habit = std::ranges::find(habits, name, &std::pair<std::string_view, std::string_view>::first);
  if (habit != std::end(habits)) meant = habit->second;
  std::string hint =
      meant ? fmt::format("did you mean `berth {}`?", *meant) : "`berth help` lists what it can do.";
  context.terminal.err(fmt::format("berth: there is no verb \"{}\"; {}\n", printable(name), hint));
  return ExitCode::usage;
}

ExitCode help(Context& context, const std::vector<std::string>& words) {
  bool colour = context.terminal.colour();
  if (words.size() < 2) {
    context.terminal.out(general_help(context.terminal.columns(), colour));
    return ExitCode::ok;
  }
  if (words[1] == exit_codes) {
    context.terminal.out(exit_code_help(context.terminal.columns(), colour));
    return ExitCode::ok;
  }
  const Verb* verb = find_verb(words[1]);
  if (verb == nullptr) return unknown_verb(context, words[1]);
  context.terminal.out(verb_help(*verb, context.terminal.columns(), colour));
  return ExitCode::ok;
}

bool asks_for_help(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

/// `berth --file FILE VERB …` as `berth VERB --file FILE …`.
std::vector<std::string> verb_first(std::vector<std::string> words) {
  if (words.empty() || !(words[0] == "--file" || words[0].starts_with("--file="))) return words;
  const auto verb = words.begin() + (words[0] == "--file" ? 2 : 1);
  if (verb < words.end()) std::rotate(words.begin(), verb, verb + 1);
  return words;
}

}  // namespace

std::span<const Verb> verbs() { return verb_table; }

Task<ExitCode> run(Context& context, const std::vector<std::string>& given) {
  const std::vector<std::string> words = verb_first(given);
  if (words.empty()) {
    context.terminal.err(general_help(context.terminal.columns(), false));
    co_return ExitCode::usage;
  }
  const std::string& name = words.front();
  if (name == "help" || name == "--help" || name == "-h") co_return help(context, words);
  if (name == "--version" || name == "-V") {
    Arguments none;
    co_return co_await run_version(context, none);
  }
  const Verb* verb = find_verb(name);
  if (verb == nullptr) co_return unknown_verb(context, name);
  if (asks_for_help(words)) co_return help(context, {"help", name});
  std::span<const std::string> tail(words.begin() + 1, words.end());
  Result<Arguments> arguments = parse_arguments(tail, verb->options, verb->words_max, verb->takes_rest);
  if (!arguments) {
    std::string usage = verb->usage.empty() ? "" : fmt::format(" {}", verb->usage);
    context.terminal.err(fmt::format("berth {0}: {1}\nUsage: berth {0}{2}\n", name,
                                     printable(arguments.error().message()), usage));
    co_return ExitCode::usage;
  }
  ExitCode code = co_await verb->run(context, *arguments);
  co_return code == ExitCode::ok&& context.terminal.broken() ? ExitCode::failed : code;
}

}  // namespace berth::cli
