#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/log.h"
#include "cli/all_verbs.h"
#include "cli/conversation.h"
#include "cli/text.h"
#include "cli/tool.h"

/// prompts and resources: what a server has besides tools.
namespace berth::cli {
namespace {

namespace json = boost::json;

/// The entries of all pages of a list, under `member`; none where the server has no such thing.
Task<Result<json::array>> list_entries(McpClient& client, std::string method, std::string member) {
  const auto pages = co_await list_pages(client, std::move(method));
  json::array out;
  if (!pages && is_unknown_method(pages.error())) co_return out;
  if (!pages) co_return Failure(pages.error());
  for (const std::string& page : *pages) {
    json::error_code error;
    const json::value value = json::parse(page, error);
    const json::object* const object = error ? nullptr : value.if_object();
    const json::value* const entries = object == nullptr ? nullptr : object->if_contains(member);
    if (entries == nullptr || !entries->is_array())
      co_return fail(ErrorCode::internal, fmt::format("The server's list has no \"{}\".", member));
    for (const json::value& entry : entries->get_array()) {
      if (entry.is_object()) out.push_back(entry);
    }
  }
  co_return out;
}

std::string text_of(const json::value& entry, std::string_view name) {
  const json::value* const value = entry.get_object().if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// "review(code, style?)".
std::string prompt_signature(const json::value& prompt) {
  std::string out;
  const json::value* const list = prompt.get_object().if_contains("arguments");
  if (list != nullptr && list->is_array()) {
    for (const json::value& argument : list->get_array()) {
      if (!argument.is_object()) continue;
      const json::value* const required = argument.get_object().if_contains("required");
      const bool needed = required != nullptr && required->is_bool() && required->get_bool();
      out += fmt::format("{}{}{}", out.empty() ? "" : ", ", text_of(argument, "name"), needed ? "" : "?");
    }
  }
  return fmt::format("{}({})", text_of(prompt, "name"), out);
}

std::string entry_lines(std::string_view head, const std::string& description, const Terminal& terminal) {
  std::string out = fmt::format("  {}\n", paint(Paint::cyan, printable(head), terminal.colour()));
  const std::string first = description.substr(0, description.find('\n'));
  if (!first.empty())
    out += paint(Paint::dim, wrap(printable(first), terminal.columns(), 6), terminal.colour());
  return out;
}

std::string prompt_lines(const json::value& prompt, const Terminal& terminal) {
  return entry_lines(prompt_signature(prompt), text_of(prompt, "description"), terminal);
}

std::string resource_lines(const json::value& resource, const Terminal& terminal) {
  std::string uri = text_of(resource, "uri");
  if (uri.empty()) uri = text_of(resource, "uriTemplate");
  std::string about = text_of(resource, "title");
  if (about.empty()) about = text_of(resource, "name");
  const std::string description = text_of(resource, "description");
  if (!description.empty()) about += (about.empty() ? "" : " – ") + description;
  return entry_lines(uri, about, terminal);
}

/// What of a server is listed, by which methods and how.
struct Listing {
  std::string_view verb;
  std::vector<std::pair<std::string, std::string>> methods;  ///< and the member of their results
  std::string (*lines)(const json::value& entry, const Terminal& terminal);
};

Task<ExitCode> list_them(Context& context, const Arguments& arguments, Listing listing) {
  const Correspondents found = co_await find_correspondents(context, arguments, listing.verb, Which::all);
  if (found.code != ExitCode::ok) co_return found.code;
  ExitCode code = ExitCode::ok;
  json::array all;
  for (const Correspondent& server : found.servers) {
    std::string text;
    for (const auto& [method, member] : listing.methods) {
      const auto entries = co_await list_entries(*server.client, method, member);
      if (!entries) {
        code = report_answer(context, listing.verb, entries.error().within(server.name));
        break;
      }
      for (const json::value& entry : *entries) {
        text += listing.lines(entry, context.terminal);
        json::object whole = entry.get_object();
        whole["server"] = server.name;
        all.push_back(std::move(whole));
      }
    }
    if (arguments.has("json")) continue;
    if (found.servers.size() > 1)
      context.terminal.out(paint(Paint::bold, server.name, context.terminal.colour()) + "\n");
    context.terminal.out(text.empty() ? fmt::format("  no {}\n", listing.verb) : text);
  }
  if (arguments.has("json")) context.terminal.out(pretty_json(json::serialize(all)) + "\n");
  co_return code;
}

/// One request about what the first word names.
Task<ExitCode> fetch_it(Context& context, const Arguments& arguments, std::string_view verb,
                        Conversation conversation, std::string (*as_text)(std::string_view)) {
  const Correspondents found = co_await find_correspondents(context, arguments, verb, Which::one);
  if (found.code != ExitCode::ok) co_return found.code;
  const Result<std::string> result =
      co_await converse(context, *found.servers.front().client, std::move(conversation));
  if (!result) co_return report_answer(context, verb, result.error());
  if (arguments.has("json")) {
    context.terminal.out(pretty_json(*result) + "\n");
  } else {
    const std::string text = as_text(*result);
    context.terminal.out(context.terminal.out_is_terminal() ? printable(text) : text);
  }
  co_return ExitCode::ok;
}

/// NAME=VALUE words as the arguments of a prompt, which are texts.
Result<std::string> prompt_arguments(const std::vector<std::string>& words) {
  json::object out;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("{} is not name=value, which the arguments of a prompt are.", json_quote(words[i])));
    }
    out[words[i].substr(0, equals)] = words[i].substr(equals + 1);
  }
  return json::serialize(out);
}

}  // namespace

Task<ExitCode> run_prompts(Context& context, const Arguments& arguments) {
  if (arguments.words().empty()) {
    Listing listing{"prompts", {{"prompts/list", "prompts"}}, prompt_lines};
    co_return co_await list_them(context, arguments, std::move(listing));
  }
  const std::string& name = arguments.words().front();
  const Result<std::string> values = prompt_arguments(arguments.words());
  if (!values) co_return report(context, "prompts", values.error(), Cause::command_line);
  Conversation conversation{.method = "prompts/get",
                            .name = name,
                            .params = fmt::format("\"name\":{},\"arguments\":{}", json_quote(name), *values),
                            .headers = {}};
  co_return co_await fetch_it(context, arguments, "prompts", std::move(conversation), prompt_text);
}

Task<ExitCode> run_resources(Context& context, const Arguments& arguments) {
  if (arguments.words().empty()) {
    Listing listing{"resources",
                    {{"resources/list", "resources"}, {"resources/templates/list", "resourceTemplates"}},
                    resource_lines};
    co_return co_await list_them(context, arguments, std::move(listing));
  }
  const std::string& uri = arguments.words().front();
  Conversation conversation{.method = "resources/read",
                            .name = uri,
                            .params = fmt::format("\"uri\":{}", json_quote(uri)),
                            .headers = {}};
  co_return co_await fetch_it(context, arguments, "resources", std::move(conversation), resource_text);
}

}  // namespace berth::cli
