#include "cli/conversation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/tool.h"
#include "codec/json.h"
#include "mcp/legacy.h"

namespace berth::cli {
namespace {

constexpr std::size_t pages_max = 100;
constexpr std::size_t rounds_max = 10;
constexpr std::size_t tries_max = 3;

/// Of a key: one that is not there was named by --key, one that cannot be read by the file.
Cause key_cause(const Error& error) {
  return error.code() == ErrorCode::invalid_argument ? Cause::command_line : Cause::spec;
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

/// What Berth says of the result besides: that the server's process and state are new, say.
void show_notice(Context& context, std::string_view result) {
  const auto parsed = berth::json::parse(result);
  const auto notice = parsed ? parsed->find("_meta").find(mcp::notice_key).as_string() : std::nullopt;
  if (notice) context.terminal.err(fitted(context.terminal, printable(*notice) + "\n"));
}

}  // namespace

Task<Result<std::string>> converse(Context& context, McpClient& client, Conversation conversation) {
  std::string answers;
  for (std::size_t round = 0; round < rounds_max; ++round) {
    McpRequest request;
    request.method = conversation.method;
    request.name = conversation.name;
    request.headers = conversation.headers;
    request.timeout = conversation.timeout;
    request.params = fmt::format("{{{}{}}}", conversation.params, answers);
    request.on_notification = [&context](std::string_view method, std::string_view what) {
      show_notification(context, method, what);
    };
    Result<std::string> result = co_await client.request(std::move(request));
    if (!result) co_return Failure(result.error());
    std::optional<InputRound> input = read_input_round(*result);
    if (!input) {
      show_notice(context, *result);
      co_return result;
    }
    std::string responses;
    for (const Question& question : input->questions) {
      std::string answer = co_await ask(context, question);
      responses += fmt::format("{}{}:{}", responses.empty() ? "" : ",", json_quote(question.key), answer);
    }
    answers = fmt::format(",\"inputResponses\":{{{}}}", responses);
    if (!input->state.empty()) answers += fmt::format(",\"requestState\":{}", input->state);
  }
  co_return fail(ErrorCode::resource_exhausted,
                 fmt::format("The server asked {} times in a row; giving up.", rounds_max));
}

Task<Result<std::vector<std::string>>> list_pages(McpClient& client, std::string method) {
  std::vector<std::string> pages;
  std::string cursor;
  while (pages.size() < pages_max) {
    McpRequest request;
    request.method = method;
    request.timeout = std::chrono::seconds(60);
    if (!cursor.empty()) request.params = fmt::format("{{\"cursor\":{}}}", json_quote(cursor));
    Result<std::string> result = co_await client.request(std::move(request));
    if (!result) co_return Failure(result.error());
    const Result<berth::json::Slice> page = berth::json::parse(*result);
    cursor = page ? page->find("nextCursor").as_string().value_or("") : "";
    pages.push_back(std::move(*result));
    if (cursor.empty()) break;
  }
  co_return pages;
}

Task<Correspondents> find_correspondents(Context& context, const Arguments& arguments, std::string_view verb,
                                         Which which) {
  Correspondents out;
  Result<ServiceAccess> access = co_await find_service(context, arguments);
  if (!access) {
    out.code = report(context, verb, access.error(), cause_of(access.error()));
    co_return out;
  }
  std::vector<ServerAddress> servers = access->servers;
  if (which == Which::one || arguments.has("server")) {
    const Result<ServerAddress> server = choose_server(*access, arguments);
    if (!server) {
      out.code = report(context, verb, server.error(), Cause::command_line);
      co_return out;
    }
    servers = {*server};
  }
  const Asking asking = context.terminal.in_is_terminal() ? Asking::yes : Asking::no;
  for (const ServerAddress& server : servers) {
    Result<McpAddress> address = address_of(context, *access, server, arguments);
    if (!address) {
      out.code = report(context, verb, address.error(), key_cause(address.error()));
      co_return out;
    }
    auto client = make_mcp_client(context, std::move(*address), asking);
    if (!client) {
      out.code = report(context, verb, client.error());
      co_return out;
    }
    out.servers.push_back({server.name, std::move(*client)});
  }
  co_return out;
}

ExitCode report_answer(Context& context, std::string_view verb, const Error& error) {
  const ExitCode code = report(context, verb, error);
  // -32021: the server needs a client that can ask the user.
  const bool asks = error.message().contains("error -32021:");
  if (asks && !context.terminal.in_is_terminal())
    context.terminal.err("Run it in a terminal, where you can be asked.\n");
  return code;
}

bool is_unknown_method(const Error& error) { return error.message().contains("error -32601:"); }

}  // namespace berth::cli
