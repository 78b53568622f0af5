#pragma once

#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/call.h"
#include "berth/content.h"
#include "berth/describe.h"
#include "berth/detail/handler.h"

namespace berth {

namespace detail {
struct Registry;

/// What lists show of anything, whatever it is.
struct Listing {
  std::string name;
  std::string title;
  std::string description;
  std::vector<Icon> icons;
  std::string meta;  ///< JSON object text, or empty
};
}  // namespace detail

/// A completion under way: the client wants values for one argument of a prompt or template.
struct Completion {
  std::string_view argument;
  std::string_view value;                            ///< typed so far
  const std::map<std::string, std::string>& chosen;  ///< the arguments already filled in
  const std::string& principal;
};
/// All that fit, best first; the client is shown the first 100.
using Completer = std::function<std::vector<std::string>(const Completion&)>;
/// Those of `values` that start with what was typed.
std::vector<std::string> starting_with(std::string_view typed, const std::vector<std::string>& values);

/// What Server::tool gives back, for what one may say further about a tool.
class Tool {
 public:
  Tool& title(std::string text);
  /// It changes nothing: clients may run it without asking, and Berth may retry it.
  Tool& read_only();
  /// Running it again with the same arguments changes nothing more; Berth may retry it.
  Tool& idempotent();
  /// It only adds; the opposite, deleting or overwriting, is what clients assume of a tool that is not
  /// read-only.
  Tool& additive();
  /// It stays within the server's own world (a tool is assumed to reach out).
  Tool& closed_world();
  Tool& icon(Icon icon);
  /// `_meta` of the tool in lists, JSON object text.
  Tool& meta(std::string json);
  /// A schema of one's own instead of the struct's, JSON object text; the handler's arguments are still
  /// read into its struct, or taken as they come when that is berth::Json.
  Tool& input_schema(std::string json);
  Tool& output_schema(std::string json);

 private:
  friend class Server;
  friend struct detail::Registry;
  Tool() = default;
  Tool& hint(std::string_view name, bool value);
  detail::Listing listing_;
  std::string input_schema_;
  std::string output_schema_;
  std::vector<std::string> hints_;  ///< `"readOnlyHint":true`
  detail::Handler handler_;
  detail::Registry* registry_ = nullptr;
};

/// What Server::resource and Server::resource_template give back.
class Resource {
 public:
  Resource& title(std::string text);
  Resource& description(std::string text);
  /// Of the contents that do not say otherwise; default text/plain.
  Resource& media_type(std::string type);
  Resource& caching(Caching hint);
  Resource& icon(Icon icon);
  Resource& meta(std::string json);
  /// Templates: values for a variable.
  Resource& complete(std::string variable, Completer completer);

 private:
  friend class Server;
  friend struct detail::Registry;
  Resource() = default;
  detail::Listing listing_;
  std::string uri_;  ///< or URI template
  std::shared_ptr<std::string> media_type_ = std::make_shared<std::string>("text/plain");
  std::shared_ptr<Caching> caching_ = std::make_shared<Caching>();
  std::map<std::string, Completer, std::less<>> completers_;
  std::vector<std::string> variables_;
  detail::Handler handler_;
  detail::Registry* registry_ = nullptr;
};

/// What Server::prompt gives back.
class Prompt {
 public:
  Prompt& title(std::string text);
  Prompt& icon(Icon icon);
  Prompt& meta(std::string json);
  Prompt& complete(std::string argument, Completer completer);

 private:
  friend class Server;
  friend struct detail::Registry;
  Prompt() = default;
  detail::Listing listing_;
  const detail::Shape* arguments_ = nullptr;
  std::map<std::string, Completer, std::less<>> completers_;
  detail::Handler handler_;
  detail::Registry* registry_ = nullptr;
};

/// An MCP server: tools, resources and prompts, each a struct of arguments and a function.
///
///     berth::Server server{"hello", "1.0"};
///     server.tool<EchoArgs>("echo", "Echoes.", [](const EchoArgs& arguments) { return arguments.message; });
///     return berth::run(server, argc, argv);
///
/// A handler is callable as f(const Arguments&, Call&), f(const Arguments&), f(Call&) or f(). A plain
/// function answers at once; one that waits or asks the user is a coroutine and returns berth::Task of its
/// answer (its reference parameters live as long as it runs). Answers may be wrapped in berth::Result: a
/// tool's error is shown to the model (isError), a resource's or prompt's is a JSON-RPC error. A handler
/// that throws fails its call alone.
///
/// Everything runs on one event loop: handlers must not block for long, and the Server is used from that
/// loop only once it runs. Adding and removing then is allowed and tells the clients. Names are unique:
/// registering one again replaces it. The Server outlives whatever serves it.
class Server {
 public:
  Server(std::string name, std::string version);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Server& title(std::string text);
  /// How a model should use the server; clients show it to the model.
  Server& instructions(std::string text);
  Server& website(std::string url);
  Server& icon(Icon icon);

  /// A tool. Its answer may be a string, Content, several, ToolResult, nothing (says "Done."), or a
  /// described struct, from which the output schema comes. Names: 1 to 128 of A-Z a-z 0-9 _ . -
  template <class Arguments = NoArguments, class F>
    requires detail::HandlerOf<F, Arguments>
  Tool& tool(std::string name, std::string description, F handler) {
    using Value = typename detail::Unwrapped<detail::Answered<Arguments, F>>::type;
    std::string output;
    if constexpr (DescribedStruct<Value>) output = json_schema<Value>();
    std::string input = R"({"type":"object"})";
    if constexpr (!std::same_as<Arguments, Json>) {
      detail::check_headers(detail::shape_of<Arguments>());
      input = json_schema<Arguments>();
    }
    return add_tool(std::move(name), std::move(description), std::move(input), std::move(output),
                    detail::make_handler<Arguments>(detail::ToolKind{}, std::move(handler)));
  }

  /// A resource with a fixed URI. Its answer may be a string, Blob, ResourceContents, several,
  /// std::optional of these (nullopt: not found), or ResourceResult.
  template <class F>
    requires detail::HandlerOf<F, NoArguments>
  Resource& resource(std::string uri, std::string name, F handler) {
    std::unique_ptr<Resource> added(new Resource);
    detail::ResourceKind kind{added->media_type_, added->caching_};
    added->handler_ = detail::make_handler<NoArguments>(std::move(kind), std::move(handler));
    return add_resource(std::move(added), std::move(uri), std::move(name));
  }

  /// Resources by URI template (RFC 6570 level 1: `{name}` stands for text without '/'; level 2's `{+path}`
  /// also for slashes). The variables are the members of `Variables`: strings, integers, bools or enums; a
  /// URI whose variables do not fit is answered like an unknown one.
  template <class Variables, class F>
    requires detail::HandlerOf<F, Variables>
  Resource& resource_template(std::string uri_template, std::string name, F handler) {
    std::unique_ptr<Resource> added(new Resource);
    detail::ResourceKind kind{added->media_type_, added->caching_};
    added->handler_ = detail::make_handler<Variables>(std::move(kind), std::move(handler));
    return add_template(std::move(added), std::move(uri_template), std::move(name),
                        detail::shape_of<Variables>());
  }

  /// A prompt. Its arguments are strings on the wire; members may also be integers, bools and enums. Its
  /// answer may be a string (one message of the user), PromptMessages, or PromptResult.
  template <class Arguments = NoArguments, class F>
    requires detail::HandlerOf<F, Arguments>
  Prompt& prompt(std::string name, std::string description, F handler) {
    return add_prompt(std::move(name), std::move(description), detail::shape_of<Arguments>(),
                      detail::make_handler<Arguments>(detail::PromptKind{}, std::move(handler)));
  }

  bool remove_tool(std::string_view name);
  bool remove_resource(std::string_view uri);
  bool remove_prompt(std::string_view name);

  /// Tells clients on every task that a list has changed; adding and removing does so by itself.
  void tools_changed();
  void resources_changed();
  void prompts_changed();
  /// Tells clients that watch `uri`; `principal` limits it to one caller's clients.
  void resource_updated(std::string uri, std::string principal = {});

  /// For hosts.
  detail::Registry& registry() { return *registry_; }

 private:
  Tool& add_tool(std::string name, std::string description, std::string input_schema,
                 std::string output_schema, detail::Handler handler);
  Resource& add_resource(std::unique_ptr<Resource> added, std::string uri, std::string name);
  Resource& add_template(std::unique_ptr<Resource> added, std::string uri_template, std::string name,
                         const detail::Shape& variables);
  Prompt& add_prompt(std::string name, std::string description, const detail::Shape& arguments,
                     detail::Handler handler);

  std::unique_ptr<detail::Registry> registry_;
};

}  // namespace berth
