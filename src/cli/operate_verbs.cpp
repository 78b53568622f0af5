#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "base/random.h"
#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/connection.h"
#include "cli/control.h"
#include "cli/operate_probe.h"
#include "cli/operate_view.h"
#include "cli/text.h"
#include "deploy/secrets.h"
#include "model/shell_words.h"

/// The operator's verbs for a service on AWS: status, logs, traces, doctor, connect.
namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t lines_default = 50;
constexpr std::size_t traces_default = 20;
constexpr Duration follow_poll = std::chrono::seconds(2);
constexpr Duration drift_timeout = std::chrono::seconds(30);
constexpr std::string_view traces_since = "1h";
constexpr std::string_view key_variable = "BERTH_API_KEY";

using Runner = Task<ExitCode> (*)(Context&, const Arguments&);

ExitCode refuse(Context& context, std::string_view verb, const aws::Fault& fault) {
  return report(context, verb, deploy::explain_fault(fault));
}

/// Runs the verb of the place that is meant.
Task<ExitCode> dispatch(Context& context, const Arguments& arguments, std::string_view verb, Runner here,
                        Runner on_aws) {
  const Result<Place> place = find_place(context, arguments);
  if (!place) co_return report(context, verb, place.error(), Cause::command_line);
  const Runner chosen = *place == Place::aws ? on_aws : here;
  co_return co_await chosen(context, arguments);
}

/// berth.yaml and a client; says what is wrong with them.
std::optional<AwsSession> open(Context& context, const Arguments& arguments, std::string_view verb,
                               ExitCode& code) {
  Result<AwsSession> session = open_aws(context, arguments);
  if (session) return std::move(*session);
  code = report(context, verb, session.error(), cause_of(session.error()));
  return std::nullopt;
}

ExitCode not_deployed(Context& context, std::string_view verb, const AwsSession& session) {
  context.terminal.err(
      fmt::format("berth {}: there is no stack {} in {}. `berth deploy` makes it; --region names "
                  "another region.\n",
                  verb, session.names.service_stack, session.region()));
  return ExitCode::not_running;
}

// --- status

Task<ExitCode> status_on_aws(Context& context, const Arguments& arguments) {
  ExitCode code = ExitCode::ok;
  auto session = open(context, arguments, "status", code);
  if (!session) co_return code;
  const auto live = co_await deploy::observe(*session->client, session->names.service_stack);
  if (!live) co_return refuse(context, "status", live.error());
  if (!live->stack.exists()) co_return not_deployed(context, "status", *session);
  if (arguments.has("json")) {
    context.terminal.out(pretty_json(json::serialize(deploy::to_json(*live))) + "\n");
  } else {
    const auto urls = server_urls(session->spec, live->url());
    context.terminal.out(aws_status_text(*live, urls, context.clock.wall(), context.terminal.columns(),
                                         context.terminal.colour()));
  }
  co_return deploy::is_healthy(*live) ? ExitCode::ok : ExitCode::unhealthy;
}

// --- logs

void print(Context& context, const std::vector<deploy::LogLine>& lines, bool as_json) {
  for (const deploy::LogLine& line : lines) {
    if (as_json) {
      context.terminal.out(aws_log_json(line) + "\n");
    } else if (!deploy::is_metrics(line.text)) {
      context.terminal.out(aws_log_line(line, context.terminal.colour()) + "\n");
    }
  }
}

Task<ExitCode> logs_on_aws(Context& context, const Arguments& arguments) {
  const auto count = arguments.number("lines", 0, deploy::log_lines_max);
  if (!count) co_return report(context, "logs", count.error(), Cause::command_line);
  deploy::LogQuery query;
  query.lines = count->value_or(arguments.has("since") ? 0 : lines_default);
  query.task = arguments.get("task").value_or("");
  if (const auto since = arguments.get("since")) {
    const auto moment = deploy::parse_since(*since, context.clock.wall());
    if (!moment) co_return report(context, "logs", moment.error(), Cause::command_line);
    query.since_ms = *moment;
  }
  ExitCode code = ExitCode::ok;
  auto session = open(context, arguments, "logs", code);
  if (!session) co_return code;
  query.group = session->names.log_group;
  const bool as_json = arguments.has("json");
  const WallTime begun = context.clock.wall();
  std::vector<deploy::LogLine> shown;
  if (!count->has_value() || **count > 0) {
    auto lines = co_await deploy::read_lines(*session->client, context.clock, query);
    if (!lines && lines.error().is("ResourceNotFoundException"))
      co_return not_deployed(context, "logs", *session);
    if (!lines) co_return refuse(context, "logs", lines.error());
    shown = std::move(*lines);
  }
  print(context, shown, as_json);
  if (!arguments.has("follow")) {
    if (shown.empty()) context.terminal.err("No lines. --since 7d looks further back.\n");
    co_return ExitCode::ok;
  }
  deploy::LogFollower follower(*session->client, query, shown, begun);
  while (!context.terminal.broken()) {
    co_await context.clock.sleep_for(follow_poll);
    const auto lines = co_await follower.next();
    if (!lines) co_return refuse(context, "logs", lines.error());
    print(context, *lines, as_json);
  }
  co_return ExitCode::ok;
}

// --- traces

Task<ExitCode> one_trace(Context& context, const AwsSession& session, deploy::TraceQuery query,
                         std::string id, bool as_json) {
  const auto trace = co_await deploy::read_trace(*session.client, context.clock, query, id);
  if (!trace) co_return refuse(context, "traces", trace.error());
  if (!*trace) {
    context.terminal.err(
        fmt::format("berth traces: there is no trace {} of {} in that time; --since 1d looks "
                    "further back.\n",
                    printable(id), query.service));
    co_return ExitCode::failed;
  }
  if (as_json) {
    context.terminal.out(pretty_json(json::serialize(deploy::to_json(**trace))) + "\n");
  } else {
    context.terminal.out(fmt::format("{}\n{}", (*trace)->id,
                                     printable(deploy::waterfall(**trace, context.terminal.columns()))));
  }
  co_return ExitCode::ok;
}

Task<ExitCode> traces_on_aws(Context& context, const Arguments& arguments) {
  const auto count = arguments.number("number", 1, 500);
  if (!count) co_return report(context, "traces", count.error(), Cause::command_line);
  const auto since =
      deploy::parse_since(arguments.get("since").value_or(std::string(traces_since)), context.clock.wall());
  if (!since) co_return report(context, "traces", since.error(), Cause::command_line);
  ExitCode code = ExitCode::ok;
  auto session = open(context, arguments, "traces", code);
  if (!session) co_return code;
  deploy::TraceQuery query{.service = session->spec.name,
                           .since_ms = *since,
                           .count = count->value_or(traces_default),
                           .failed_only = arguments.has("failed")};
  const bool as_json = arguments.has("json");
  if (!arguments.words().empty()) {
    co_return co_await one_trace(context, *session, query, arguments.words().front(), as_json);
  }
  const auto stack = co_await deploy::describe_stack(*session->client, session->names.service_stack);
  if (!stack) co_return refuse(context, "traces", stack.error());
  if (!stack->exists()) co_return not_deployed(context, "traces", *session);
  const auto traces = co_await deploy::read_traces(*session->client, context.clock, query);
  if (!traces) co_return refuse(context, "traces", traces.error());
  if (as_json) {
    json::array out;
    for (const deploy::Trace& trace : *traces) out.push_back(deploy::to_json(trace));
    context.terminal.out(pretty_json(json::serialize(out)) + "\n");
    co_return ExitCode::ok;
  }
  if (traces->empty()) {
    context.terminal.err(
        fmt::format("No traces of {} in that time{}.\n", query.service,
                    session->spec.aws.traces ? "; --since 1d looks further back" : ": aws.traces is false"));
    co_return ExitCode::ok;
  }
  context.terminal.out(trace_table(*traces, context.clock.wall(), context.terminal.colour()));
  context.terminal.out(
      fmt::format("\n`berth traces {}` shows where its time went.\n", traces->front().id.substr(0, 16)));
  co_return ExitCode::ok;
}

Task<ExitCode> traces_here(Context& context, const Arguments& arguments) {
  const Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::service);
  if (!location) co_return report(context, "traces", location.error(), Cause::spec);
  context.terminal.err(
      "berth traces: traces are kept on AWS alone, and this service is not deployed, or runs here (--on aws "
      "asks AWS). `berth logs` shows what its tasks and servers write.\n");
  co_return ExitCode::not_running;
}

// --- doctor

Task<ExitCode> doctor_on_aws(Context& context, const Arguments& arguments) {
  ExitCode code = ExitCode::ok;
  auto session = open(context, arguments, "doctor", code);
  if (!session) co_return code;
  deploy::Facts facts = co_await deploy::gather_facts(*session->client, context.clock,
                                                      session->names.service_stack, drift_timeout);
  facts.is_internal = session->spec.aws.internal;
  if (!facts.no_account && !facts.live.url().empty()) {
    std::string why;
    Secret key = co_await find_key(context, *session, why);
    const bool is_open = key.empty() && why.empty();
    facts.probe = co_await probe(context, session->spec, facts.live.url(), std::move(key), is_open);
    if (!why.empty()) context.terminal.err(fmt::format("Calls go without a key: {}\n", printable(why)));
  }
  const std::vector<deploy::Link> links = deploy::diagnose(facts);
  const deploy::Link* const broken = deploy::first_broken(links);
  const bool colour = context.terminal.colour();
  if (arguments.has("json")) {
    context.terminal.out(pretty_json(json::serialize(deploy::to_json(links))) + "\n");
  } else {
    context.terminal.out(doctor_text(links, context.terminal.columns(), colour));
    context.terminal.out(broken == nullptr
                             ? std::string("\nEvery link holds.\n")
                             : fmt::format("\n{} {}: {}\n",
                                           paint(Paint::bold, "The first broken link is", colour),
                                           broken->name, printable(broken->remedy)));
  }
  co_return broken == nullptr ? ExitCode::ok : ExitCode::unhealthy;
}

// --- connect

std::string fetch_command(const AwsSession& session, const std::string& arn) {
  return fmt::format(
      "export {}=$(aws secretsmanager get-secret-value --region {} --secret-id {} --query SecretString "
      "--output text)",
      key_variable, session.region(), model::join_shell_words({arn}));
}

/// The connections as files name them, with the key in an environment variable.
std::vector<Connection> connections_of(const AwsSession& session, const std::string& url, bool has_own_key) {
  std::vector<Connection> out;
  for (const auto& [name, address] : server_urls(session.spec, url)) {
    Connection connection{.name = name, .url = address, .key = {}, .client = random_hex(client_bytes)};
    if (has_own_key) {
      model::KeySpec key;
      key.environment = key_variable;
      connection.key = key;
    } else if (!session.spec.auth.keys.empty()) {
      connection.key = session.spec.auth.keys.front();
    }
    out.push_back(std::move(connection));
  }
  return out;
}

std::string client_text(const std::string& client, const std::vector<Connection>& connections) {
  if (client == "cursor") return cursor_file(connections);
  return client == "vscode" ? vscode_file(connections) : generic_file(connections);
}

Task<ExitCode> connect_on_aws(Context& context, const Arguments& arguments) {
  const std::string client = arguments.has("json") ? "json" : arguments.get("client").value_or("claude");
  if (client != "claude" && client != "cursor" && client != "vscode" && client != "json") {
    context.terminal.err(
        fmt::format("berth connect: there is no client \"{}\"; the clients are claude, cursor, vscode "
                    "and json.\n",
                    printable(client)));
    co_return ExitCode::usage;
  }
  ExitCode code = ExitCode::ok;
  auto session = open(context, arguments, "connect", code);
  if (!session) co_return code;
  const auto stack = co_await deploy::describe_stack(*session->client, session->names.service_stack);
  if (!stack) co_return refuse(context, "connect", stack.error());
  const std::string url = stack->output("Url");
  if (url.empty()) co_return not_deployed(context, "connect", *session);
  const auto arn = co_await find_key_secret(*session);
  if (!arn) co_return refuse(context, "connect", arn.error());
  if (client != "claude") {
    context.terminal.out(client_text(client, connections_of(*session, url, !arn->empty())));
    if (!arn->empty()) {
      context.terminal.err(fmt::format("\nThe key, for the environment of the client:\n  {}\n",
                                       fetch_command(*session, *arn)));
    }
    co_return ExitCode::ok;
  }
  Secret key;
  if (arguments.has("show-key") && !arn->empty()) {
    auto text = co_await deploy::read_secret(*session->client, *arn);
    if (!text) co_return refuse(context, "connect", text.error());
    key = std::move(*text);
  }
  for (const auto& [name, address] : server_urls(session->spec, url)) {
    const std::string client = client_words(random_hex(client_bytes));
    if (key.empty()) {
      context.terminal.out(
          claude_line_on_aws(name, address, *arn, session->region(), session->spec.auth.keys) + client +
          "\n");
    } else {
      context.terminal.out(
          fmt::format("claude mcp add --transport http {} {} --header \"Authorization: Bearer {}\"{}\n", name,
                      address, key.reveal(), client));
    }
  }
  if (!arn->empty() && key.empty()) {
    context.terminal.err(
        "\nThe shell fetches the key from Secrets Manager; --show-key puts it into the line.\n");
  }
  co_return ExitCode::ok;
}

}  // namespace

Task<ExitCode> run_status_anywhere(Context& context, const Arguments& arguments) {
  co_return co_await dispatch(context, arguments, "status", run_status, status_on_aws);
}

Task<ExitCode> run_logs_anywhere(Context& context, const Arguments& arguments) {
  co_return co_await dispatch(context, arguments, "logs", run_logs, logs_on_aws);
}

Task<ExitCode> run_traces(Context& context, const Arguments& arguments) {
  co_return co_await dispatch(context, arguments, "traces", traces_here, traces_on_aws);
}

Task<ExitCode> run_doctor_anywhere(Context& context, const Arguments& arguments) {
  co_return co_await dispatch(context, arguments, "doctor", run_doctor, doctor_on_aws);
}

Task<ExitCode> run_connect_anywhere(Context& context, const Arguments& arguments) {
  co_return co_await dispatch(context, arguments, "connect", run_connect, connect_on_aws);
}

}  // namespace berth::cli
