#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "berth/describe.h"

/// What tools, resources and prompts give back.
namespace berth {

/// Bytes with a media type. Given and kept raw; Base64 is made on the way out.
struct Blob {
  std::string bytes;
  std::string media_type;  ///< empty: the one its resource was registered with
};

/// One item of resources/read, or a resource embedded in a tool result or prompt.
struct ResourceContents {
  std::string uri;                                  ///< empty: the URI that was asked for
  std::string media_type;                           ///< empty: the one its resource was registered with
  std::string text;                                 ///< UTF-8
  std::optional<std::string> bytes = std::nullopt;  ///< instead of text: raw bytes
};

enum class Audience : std::uint8_t { user, assistant };

/// One content block (MCP 2026-07-28, server/tools#tool-result), kept as JSON text.
class Content {
 public:
  static Content text(std::string_view text);
  static Content image(const Blob& image);
  static Content audio(const Blob& audio);
  /// A resource embedded whole; `uri` must be set.
  static Content resource(const ResourceContents& contents);
  /// A resource the client may read if it cares.
  static Content link(std::string_view uri, std::string_view name, std::string_view media_type = {});

  /// For whom the block is meant, and how much it matters (0 to 1).
  Content annotated(std::optional<Audience> audience, std::optional<double> priority = std::nullopt) &&;

  const std::string& json() const { return json_; }

 private:
  explicit Content(std::string json) : json_(std::move(json)) {}
  std::string json_;
};

/// What a tool answers. Handlers may return it, or anything it can be made of: a string, a Content,
/// several, or a described struct (then the tool has an output schema and the answer is structured).
class ToolResult {
 public:
  ToolResult() = default;
  ToolResult(std::string_view text);  // NOLINT(google-explicit-constructor): return "done";
  ToolResult(const std::string& text) : ToolResult(std::string_view(text)) {}  // NOLINT
  ToolResult(const char* text) : ToolResult(std::string_view(text)) {}         // NOLINT
  ToolResult(const Content& content);                                          // NOLINT
  ToolResult(const std::vector<Content>& contents);                            // NOLINT
  ToolResult(std::initializer_list<Content> contents);

  /// The tool ran and failed: isError, with a text that tells the model what to do about it.
  static ToolResult error(std::string_view text);
  /// structuredContent, and the same as a text block for clients that read only those. `json` is an object.
  static ToolResult structured_json(std::string json);
  template <DescribedStruct T>
  static ToolResult structured(const T& value) {
    return structured_json(to_json(value));
  }

  ToolResult& add(const Content& content);
  bool is_error() const { return is_error_; }
  /// The CallToolResult as JSON text.
  std::string json() &&;

 private:
  std::string content_;     ///< blocks, separated by commas
  std::string structured_;  ///< JSON object, or empty
  bool is_error_ = false;
};

enum class Role : std::uint8_t { user, assistant };

/// One message of a prompt.
struct PromptMessage {
  Role role = Role::user;
  Content content;
};
PromptMessage user(std::string_view text);
PromptMessage assistant(std::string_view text);
PromptMessage user(Content content);
PromptMessage assistant(Content content);

/// What a prompt handler answers; a string stands for one message of the user.
struct PromptResult {
  std::vector<PromptMessage> messages;
  std::string description;

  PromptResult(std::vector<PromptMessage> list) : messages(std::move(list)) {}  // NOLINT
  PromptResult(std::initializer_list<PromptMessage> list) : messages(list) {}
  PromptResult(std::string_view text) : messages{user(text)} {}                    // NOLINT
  PromptResult(const std::string& text) : PromptResult(std::string_view(text)) {}  // NOLINT
  PromptResult(const char* text) : PromptResult(std::string_view(text)) {}         // NOLINT
};

/// What a resource handler answers. Made of a string (text), a Blob, one or several ResourceContents, or
/// std::nullopt for "there is no such resource" (the client gets -32602 with the URI).
class ResourceResult {
 public:
  ResourceResult(std::nullopt_t) : found_(false) {}                                           // NOLINT
  ResourceResult(std::string text);                                                           // NOLINT
  ResourceResult(const char* text) : ResourceResult(std::string(text)) {}                     // NOLINT
  ResourceResult(Blob blob);                                                                  // NOLINT
  ResourceResult(ResourceContents contents);                                                  // NOLINT
  ResourceResult(std::vector<ResourceContents> contents) : contents_(std::move(contents)) {}  // NOLINT

  template <class T>
    requires std::constructible_from<ResourceResult, T>
  ResourceResult(std::optional<T> maybe) : found_(maybe.has_value()) {  // NOLINT
    if (maybe) contents_ = ResourceResult(std::move(*maybe)).contents_;
  }

  bool found() const { return found_; }
  const std::vector<ResourceContents>& contents() const { return contents_; }

 private:
  bool found_ = true;
  std::vector<ResourceContents> contents_;
};

/// How long and by whom a result may be cached (MCP 2026-07-28, server/utilities/caching).
struct Caching {
  std::chrono::milliseconds time_to_live{0};
  bool shared = false;  ///< true: the same for every caller, so gateways may share it between users
};

/// An icon for lists: an https: or data: URI.
struct Icon {
  std::string source;
  std::string media_type;
  std::string sizes;  ///< "48x48", "any", or empty
};

}  // namespace berth
