#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/result.h"
#include "base/task.h"
#include "berth/call.h"
#include "berth/content.h"
#include "berth/describe.h"
#include "mcp/core.h"

/// Turns "a struct of arguments and a function" into what the host calls: JSON text in, mcp::Outcome out.
namespace berth::detail {

/// What a handler is called with, still as text.
struct HandlerInput {
  json::Slice arguments;  ///< an object, or nothing
  std::string_view name;  ///< the tool's or prompt's name, or the resource's URI
};

/// A plain function answers at once. A coroutine is either refused at once (bad arguments) or runs.
using Answer = std::function<mcp::Outcome(const HandlerInput& input, Call& call)>;
using Begun = std::variant<mcp::Outcome, Task<mcp::Outcome>>;
using Begin = std::function<Begun(const HandlerInput& input, Call& call)>;

struct Handler {
  Answer answer;  ///< set for plain functions
  Begin begin;    ///< set for coroutines
};

template <class T>
struct Awaited {
  static constexpr bool is_task = false;
  using type = T;
};
template <class T>
struct Awaited<Task<T>> {
  static constexpr bool is_task = true;
  using type = T;
};

template <class T>
struct Unwrapped {
  static constexpr bool is_result = false;
  using type = T;
};
template <class T>
struct Unwrapped<Result<T>> {
  static constexpr bool is_result = true;
  using type = T;
};

template <class F, class Args>
concept HandlerOf = std::invocable<const F&, const Args&, Call&> || std::invocable<const F&, const Args&> ||
                    std::invocable<const F&, Call&> || std::invocable<const F&>;

template <class Args, class F>
  requires HandlerOf<F, Args>
decltype(auto) invoke_handler(const F& function, const Args& arguments, Call& call) {
  if constexpr (std::invocable<const F&, const Args&, Call&>) {
    return function(arguments, call);
  } else if constexpr (std::invocable<const F&, const Args&>) {
    return function(arguments);
  } else if constexpr (std::invocable<const F&, Call&>) {
    return function(call);
  } else {
    return function();
  }
}

template <class Args, class F>
using Returned = decltype(invoke_handler<Args>(std::declval<const F&>(), std::declval<const Args&>(),
                                               std::declval<Call&>()));
/// What the handler answers once awaited, Result<> and all.
template <class Args, class F>
using Answered = typename Awaited<Returned<Args, F>>::type;

mcp::Outcome finish_tool(ToolResult result);
mcp::Outcome finish_prompt(const PromptResult& result);
mcp::Outcome finish_resource(const ResourceResult& result, std::string_view uri, std::string_view media_type,
                             const Caching& caching);
/// -32602 with data.uri (MCP 2026-07-28, SEP-2164).
mcp::Outcome resource_not_found(std::string_view uri);
/// TextResourceContents or BlobResourceContents; `uri` and `media_type` stand in for what is not said.
void append_contents(std::string& out, const ResourceContents& contents, std::string_view uri,
                     std::string_view media_type);
/// A handler's Error: a tool's becomes isError; elsewhere invalid_argument and not_found become -32602,
/// others -32603.
mcp::Outcome tool_failed(const Error& error);
mcp::Outcome request_failed(const Error& error);
/// Arguments that do not fit: isError for tools (MCP 2025-11-25, SEP-1303), -32602 elsewhere.
mcp::Outcome tool_arguments_refused(const HandlerInput& input, const Reader& reader);
mcp::Outcome arguments_refused(const HandlerInput& input, const Reader& reader);

/// How the three kinds of handlers differ.
struct ToolKind {
  static constexpr Reader::Source source = Reader::Source::json;
  template <class T>
  mcp::Outcome finish(T&& value, const HandlerInput&) const {
    if constexpr (DescribedStruct<std::remove_cvref_t<T>>) {
      return finish_tool(ToolResult::structured(value));
    } else {
      return finish_tool(ToolResult(std::forward<T>(value)));
    }
  }
  mcp::Outcome fail(const Error& error) const { return tool_failed(error); }
  mcp::Outcome refuse(const HandlerInput& input, const Reader& reader) const {
    return tool_arguments_refused(input, reader);
  }
};

struct PromptKind {
  static constexpr Reader::Source source = Reader::Source::text;
  template <class T>
  mcp::Outcome finish(T&& value, const HandlerInput&) const {
    return finish_prompt(PromptResult(std::forward<T>(value)));
  }
  mcp::Outcome fail(const Error& error) const { return request_failed(error); }
  mcp::Outcome refuse(const HandlerInput& input, const Reader& reader) const {
    return arguments_refused(input, reader);
  }
};

struct ResourceKind {
  static constexpr Reader::Source source = Reader::Source::text;
  std::shared_ptr<const std::string> media_type;
  std::shared_ptr<const Caching> caching;
  template <class T>
  mcp::Outcome finish(T&& value, const HandlerInput& input) const {
    return finish_resource(ResourceResult(std::forward<T>(value)), input.name, *media_type, *caching);
  }
  mcp::Outcome fail(const Error& error) const { return request_failed(error); }
  mcp::Outcome refuse(const HandlerInput& input, const Reader&) const {
    return resource_not_found(input.name);
  }
};

template <class Kind, class T>
mcp::Outcome finish_handler(const Kind& kind, T&& value, const HandlerInput& input) {
  if constexpr (Unwrapped<std::remove_cvref_t<T>>::is_result) {
    if (!value) return kind.fail(value.error());
    if constexpr (std::is_void_v<typename Unwrapped<std::remove_cvref_t<T>>::type>) {
      return kind.finish(std::string_view("Done."), input);
    } else {
      return kind.finish(*std::forward<T>(value), input);
    }
  } else {
    return kind.finish(std::forward<T>(value), input);
  }
}

template <class Args, class Kind, class F>
Task<mcp::Outcome> run_handler(Kind kind, std::shared_ptr<const F> function, Args arguments, std::string name,
                               Call& call) {
  const HandlerInput input{.name = name};
  if constexpr (std::is_void_v<Answered<Args, F>>) {
    co_await invoke_handler<Args>(*function, arguments, call);
    co_return kind.finish(std::string_view("Done."), input);
  } else {
    auto value = co_await invoke_handler<Args>(*function, arguments, call);
    co_return finish_handler(kind, std::move(value), input);
  }
}

/// False after telling what is wrong. Json takes any object as it is.
template <class Args>
bool read_arguments(json::Slice from, Args& into, Reader& reader) {
  if constexpr (std::same_as<Args, Json>) {
    into.text = from ? std::string(from.text()) : std::string("{}");
  } else {
    static const FieldNotes no_notes;
    shape_of<Args>().read(from ? from : json::Slice::trusted("{}"), &into, no_notes, reader);
  }
  return reader.ok();
}

template <class Args, class Kind, class F>
Handler make_handler(Kind kind, F function) {
  static_assert(HandlerOf<F, Args>,
                "a handler is callable as f(const Arguments&, berth::Call&), f(const Arguments&), "
                "f(berth::Call&) or f()");
  Handler handler;
  if constexpr (Awaited<Returned<Args, F>>::is_task) {
    auto shared = std::make_shared<const F>(std::move(function));
    handler.begin = [kind, shared](const HandlerInput& input, Call& call) -> Begun {
      Args arguments{};
      Reader reader(Kind::source);
      if (!read_arguments(input.arguments, arguments, reader)) return kind.refuse(input, reader);
      return run_handler<Args>(kind, shared, std::move(arguments), std::string(input.name), call);
    };
  } else {
    handler.answer = [kind, function = std::move(function)](const HandlerInput& input,
                                                            Call& call) -> mcp::Outcome {
      Args arguments{};
      Reader reader(Kind::source);
      if (!read_arguments(input.arguments, arguments, reader)) return kind.refuse(input, reader);
      if constexpr (std::is_void_v<Returned<Args, F>>) {
        invoke_handler<Args>(function, arguments, call);
        return kind.finish(std::string_view("Done."), input);
      } else {
        return finish_handler(kind, invoke_handler<Args>(function, arguments, call), input);
      }
    };
  }
  return handler;
}

}  // namespace berth::detail
