#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cli/all_verbs.h"
#include "cli/conversation.h"
#include "cli/text.h"
#include "cli/tool.h"
#include "model/nearest_name.h"

/// tools and call: a modern MCP client on the command line.
namespace berth::cli {
namespace {

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
    if (!first.empty()) out += paint(Paint::dim, wrap(printable(first), columns, 6), colour);
  }
  return out.empty() ? "  no tools\n" : out;
}

Failure unknown_tool(const std::string& name, const std::vector<Tool>& tools) {
  std::vector<std::string_view> names;
  for (const Tool& tool : tools) names.push_back(tool.name);
  std::optional<std::string> meant = model::nearest_name(name, names);
  std::string hint = meant ? fmt::format("did you mean {}?", *meant) : "`berth tools` lists what there is.";
  return fail(ErrorCode::invalid_argument, fmt::format("There is no tool \"{}\"; {}", name, hint));
}

Task<Result<std::vector<Tool>>> list_tools(McpClient& client) {
  const auto pages = co_await list_pages(client, "tools/list");
  if (!pages) co_return Failure(pages.error());
  std::vector<Tool> tools;
  for (const std::string& page : *pages) {
    Result<ToolPage> read = read_tool_page(page);
    if (!read) co_return Failure(read.error());
    for (Tool& tool : read->tools) tools.push_back(std::move(tool));
  }
  co_return tools;
}

/// Finds the tool (its schema says which headers go along) and calls it.
Task<Result<std::string>> find_and_call(Context& context, McpClient& client, const Arguments& arguments) {
  Conversation call{.method = "tools/call", .name = arguments.words()[0], .params = {}, .headers = {}};
  Result<std::optional<std::size_t>> timeout = arguments.number("timeout", 1, 86'400);
  if (!timeout) co_return Failure(timeout.error());
  if (*timeout) call.timeout = std::chrono::seconds(**timeout);
  Result<std::vector<Tool>> tools = co_await list_tools(client);
  if (!tools) co_return Failure(tools.error());
  auto tool = std::ranges::find(*tools, call.name, &Tool::name);
  if (tool == tools->end()) co_return unknown_tool(call.name, *tools);
  const std::vector<std::string> words(arguments.words().begin() + 1, arguments.words().end());
  Result<std::string> values = read_tool_arguments(words, tool->input_schema);
  if (!values) co_return Failure(values.error());
  call.headers = parameter_headers(*tool, *values);
  call.params = fmt::format("\"name\":{},\"arguments\":{}", json_quote(call.name), *values);
  co_return co_await converse(context, client, std::move(call));
}

}  // namespace

Task<ExitCode> run_tools(Context& context, const Arguments& arguments) {
  const Correspondents found = co_await find_correspondents(context, arguments, "tools", Which::all);
  if (found.code != ExitCode::ok) co_return found.code;
  std::string json;
  ExitCode code = ExitCode::ok;
  for (const Correspondent& server : found.servers) {
    Result<std::vector<Tool>> tools = co_await list_tools(*server.client);
    if (!tools && is_unknown_method(tools.error())) tools = std::vector<Tool>();
    if (!tools) {
      code = report_answer(context, "tools", tools.error().within(server.name));
      continue;
    }
    if (arguments.has("json")) {
      std::string part = tools_json(*tools, server.name);
      json += fmt::format("{}{}", json.empty() || part.empty() ? "" : ",", part);
      continue;
    }
    bool colour = context.terminal.colour();
    if (found.servers.size() > 1) context.terminal.out(paint(Paint::bold, server.name, colour) + "\n");
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
  const Correspondents found = co_await find_correspondents(context, arguments, "call", Which::one);
  if (found.code != ExitCode::ok) co_return found.code;
  Result<std::string> result = co_await find_and_call(context, *found.servers.front().client, arguments);
  if (!result) {
    // What names no tool or no arguments of it; what the server answered is another code.
    const bool is_misuse = result.error().code() == ErrorCode::invalid_argument;
    co_return is_misuse ? report(context, "call", result.error(), Cause::command_line)
                        : report_answer(context, "call", result.error());
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
