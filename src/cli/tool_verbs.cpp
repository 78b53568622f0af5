#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/service_access.h"
#include "cli/text.h"
#include "cli/tool.h"
#include "model/nearest_name.h"

/// tools and call: a modern MCP client on the command line.
namespace berth::cli {
namespace {

constexpr std::size_t pages_max = 100;
constexpr std::size_t rounds_max = 10;
constexpr std::size_t tries_max = 3;

ExitCode report_access(Context& context, std::string_view verb, const Error& error) {
  ExitCode code = report(context, verb, error);
  return error.code() == ErrorCode::not_found ? ExitCode::failed : code;
}

Task<Result<std::vector<Tool>>> list_tools(McpClient& client) {
  std::vector<Tool> tools;
  std::string cursor;
  for (std::size_t page = 0; page < pages_max; ++page) {
    McpRequest request;
    request.method = "tools/list";
    request.timeout = std::chrono::seconds(60);
    if (!cursor.empty()) request.params = fmt::format("{{\"cursor\":{}}}", json_quote(cursor));
    Result<std::string> result = co_await client.request(std::move(request));
    if (!result) co_return Failure(result.error());
    Result<ToolPage> read = read_tool_page(*result);
    if (!read) co_return Failure(read.error());
    for (Tool& tool : read->tools) tools.push_back(std::move(tool));
    if (!read->next_cursor) break;
    cursor = *read->next_cursor;
  }
  co_return tools;
}

std::string tools_json(const std::vector<Tool>& tools, const std::string& server) {
  std::string out;
  for (const Tool& tool : tools) {
    out += fmt::format("{}{{\"server\":{},\"name\":{},\"description\":{},\"inputSchema\":{}}}",
                       out.empty() ? "" : ",", json_quote(server), json_quote(tool.name),
                       json_quote(tool.description), tool.input_schema);
  }
  return out;
}

std::string tools_text(const std::vector<Tool>& tools, std::size_t columns, bool colour) {
  std::string out;
  for (const Tool& tool : tools) {
    std::string shown = printable(signature(tool));
    std::size_t name = std::min(tool.name.size(), shown.size());
    out += fmt::format("  {}{}\n", paint(Paint::cyan, shown.substr(0, name), colour), shown.substr(name));
    std::string first = tool.description.substr(0, tool.description.find('\n'));
    if (!first.empty())
      out += paint(Paint::dim, fmt::format("      {}", clip(printable(first), columns - 6)), colour) + "\n";
  }
  return out.empty() ? "  no tools\n" : out;
}

/// Asks for one field until the answer fits; nullopt when the user gives up or the input ends.
Task<std::optional<std::string>> ask_field(Context& context, const Question::Field& field) {
  std::string choices = field.choices.empty() ? "" : fmt::format(" ({})", fmt::join(field.choices, ", "));
  if (field.type == "boolean") choices = " (yes or no)";
  std::string fallback = field.default_value.empty() ? "" : fmt::format(" [{}]", field.default_value);
  std::string label = field.label.empty() ? field.name : fmt::format("{} – {}", field.name, field.label);
  for (std::size_t i = 0; i < tries_max; ++i) {
    context.terminal.err(
        fmt::format("  {}{}{}: ", printable(label), printable(choices), printable(fallback)));
    std::optional<std::string> line = co_await context.terminal.read_line();
    if (!line) co_return std::nullopt;
    if (line->empty() && !field.default_value.empty()) co_return field.default_value;
    if (line->empty() && !field.required) co_return "";
    Result<std::string> answer = read_answer(field, *line);
    if (answer) co_return *answer;
    context.terminal.err(fmt::format("  Please {}.\n", printable(answer.error().message())));
  }
  co_return std::nullopt;
}

/// The ElicitResult for one question, as JSON text.
Task<std::string> ask(Context& context, const Question& question) {
  if (question.method != "elicitation/create") co_return R"({"action":"cancel"})";
  context.terminal.err(
      fmt::format("{}\n", paint(Paint::bold, printable(question.message), context.terminal.colour())));
  if (!question.url.empty()) {
    context.terminal.err(
        fmt::format("  Open {} and press Enter when done, or Ctrl-D to refuse: ", printable(question.url)));
    std::optional<std::string> line = co_await context.terminal.read_line();
    co_return line ? R"({"action":"accept"})" : R"({"action":"decline"})";
  }
  std::string content;
  for (const Question::Field& field : question.fields) {
    std::optional<std::string> answer = co_await ask_field(context, field);
    if (!answer) co_return R"({"action":"decline"})";
    if (answer->empty()) continue;
    content += fmt::format("{}{}:{}", content.empty() ? "" : ",", json_quote(field.name), *answer);
  }
  co_return fmt::format("{{\"action\":\"accept\",\"content\":{{{}}}}}", content);
}

void show_notification(Context& context, std::string_view method, std::string_view params) {
  std::string text = clip(printable(notification_text(method, params)), context.terminal.columns() - 4);
  context.terminal.err(paint(Paint::dim, fmt::format("… {}", text), context.terminal.colour()) + "\n");
}

struct Call {
  std::string tool;
  std::string arguments;
  http::Headers headers;
  Duration timeout;
};

/// Calls until the result is complete: each round answers what the server asked in the one before.
Task<Result<std::string>> call_tool(Context& context, McpClient& client, const Call& call) {
  std::string params = fmt::format("\"name\":{},\"arguments\":{}", json_quote(call.tool), call.arguments);
  std::string answers;
  for (std::size_t round = 0; round < rounds_max; ++round) {
    McpRequest request;
    request.method = "tools/call";
    request.name = call.tool;
    request.headers = call.headers;
    request.timeout = call.timeout;
    request.params = fmt::format("{{{}{}}}", params, answers);
    request.on_notification = [&context](std::string_view method, std::string_view what) {
      show_notification(context, method, what);
    };
    Result<std::string> result = co_await client.request(std::move(request));
    if (!result) co_return Failure(result.error());
    std::optional<InputRound> input = read_input_round(*result);
    if (!input) co_return result;
    std::string responses;
    for (const Question& question : input->questions) {
      std::string answer = co_await ask(context, question);
      responses += fmt::format("{}{}:{}", responses.empty() ? "" : ",", json_quote(question.key), answer);
    }
    answers = fmt::format(",\"inputResponses\":{{{}}}", responses);
    if (!input->state.empty()) answers += fmt::format(",\"requestState\":{}", input->state);
  }
  co_return fail(ErrorCode::resource_exhausted,
                 fmt::format("The tool asked {} times in a row; giving up.", rounds_max));
}

Failure unknown_tool(const std::string& name, const std::vector<Tool>& tools) {
  std::vector<std::string_view> names;
  for (const Tool& tool : tools) names.push_back(tool.name);
  std::optional<std::string> meant = model::nearest_name(name, names);
  std::string hint = meant ? fmt::format("did you mean {}?", *meant) : "`berth tools` lists what there is.";
  return fail(ErrorCode::invalid_argument, fmt::format("There is no tool \"{}\"; {}", name, hint));
}

/// Finds the tool (its schema says which headers go along) and calls it.
Task<Result<std::string>> find_and_call(Context& context, McpClient& client, const Arguments& arguments) {
  Call call;
  call.tool = arguments.words()[0];
  Result<std::optional<std::size_t>> timeout = arguments.number("timeout", 1, 86'400);
  if (!timeout) co_return Failure(timeout.error());
  call.timeout = std::chrono::seconds(timeout->value_or(300));
  Result<std::vector<Tool>> tools = co_await list_tools(client);
  if (!tools) co_return Failure(tools.error());
  auto tool = std::ranges::find(*tools, call.tool, &Tool::name);
  if (tool == tools->end()) co_return unknown_tool(call.tool, *tools);
  const std::vector<std::string> words(arguments.words().begin() + 1, arguments.words().end());
  Result<std::string> values = read_tool_arguments(words, tool->input_schema);
  if (!values) co_return Failure(values.error());
  call.arguments = std::move(*values);
  call.headers = parameter_headers(*tool, call.arguments);
  co_return co_await call_tool(context, client, call);
}

}  // namespace

Task<ExitCode> run_tools(Context& context, const Arguments& arguments) {
  Result<ServiceAccess> access = co_await find_service(context, arguments);
  if (!access) co_return report_access(context, "tools", access.error());
  std::vector<ServerAddress> servers = access->servers;
  if (arguments.has("server")) {
    Result<ServerAddress> server = choose_server(*access, arguments);
    if (!server) co_return report_access(context, "tools", server.error());
    servers = {*server};
  }
  std::string json;
  ExitCode code = ExitCode::ok;
  for (const ServerAddress& server : servers) {
    Result<McpAddress> address = address_of(context, *access, server, arguments);
    if (!address) co_return report_access(context, "tools", address.error());
    Result<std::unique_ptr<McpClient>> client = make_mcp_client(context, std::move(*address), Asking::no);
    if (!client) co_return report_access(context, "tools", client.error());
    Result<std::vector<Tool>> tools = co_await list_tools(**client);
    if (!tools) {
      report(context, "tools", tools.error().within(server.name));
      code = ExitCode::failed;
      continue;
    }
    if (arguments.has("json")) {
      std::string part = tools_json(*tools, server.name);
      json += fmt::format("{}{}", json.empty() || part.empty() ? "" : ",", part);
      continue;
    }
    bool colour = context.terminal.colour();
    if (servers.size() > 1) context.terminal.out(paint(Paint::bold, server.name, colour) + "\n");
    context.terminal.out(tools_text(*tools, context.terminal.columns(), colour));
  }
  if (arguments.has("json")) context.terminal.out(pretty_json(fmt::format("[{}]", json)) + "\n");
  co_return code;
}

Task<ExitCode> run_call(Context& context, const Arguments& arguments) {
  if (arguments.words().empty()) {
    context.terminal.err(
        "berth call: name the tool: berth call echo '{\"message\": \"hi\"}'. `berth tools` lists them.\n");
    co_return ExitCode::usage;
  }
  Result<ServiceAccess> access = co_await find_service(context, arguments);
  if (!access) co_return report_access(context, "call", access.error());
  Result<ServerAddress> server = choose_server(*access, arguments);
  if (!server) co_return report_access(context, "call", server.error());
  Result<McpAddress> address = address_of(context, *access, *server, arguments);
  if (!address) co_return report_access(context, "call", address.error());
  Asking asking = context.terminal.in_is_terminal() ? Asking::yes : Asking::no;
  Result<std::unique_ptr<McpClient>> client = make_mcp_client(context, std::move(*address), asking);
  if (!client) co_return report_access(context, "call", client.error());
  Result<std::string> result = co_await find_and_call(context, **client, arguments);
  if (!result) {
    report(context, "call", result.error());
    // -32021: the tool needs a client that can ask the user.
    bool asks = result.error().message().contains("error -32021:");
    if (asks && asking == Asking::no) context.terminal.err("Run it in a terminal, where you can be asked.\n");
    co_return ExitCode::failed;
  }
  ToolResult read = read_tool_result(*result);
  if (arguments.has("json")) {
    context.terminal.out(pretty_json(*result) + "\n");
  } else if (read.is_error) {
    context.terminal.err(fmt::format("The tool {} failed:\n{}", arguments.words()[0], printable(read.text)));
  } else {
    context.terminal.out(context.terminal.out_is_terminal() ? printable(read.text) : read.text);
  }
  co_return read.is_error ? ExitCode::tool_error : ExitCode::ok;
}

}  // namespace berth::cli
