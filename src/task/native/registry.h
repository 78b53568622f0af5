#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "berth/server.h"
#include "mcp/core.h"
#include "task/native/uri_template.h"

namespace berth::detail {

/// Lets a string_view look a std::string up without a copy.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

/// What a Server has, as its host sees it. Lists keep the order of registration and are printed once per
/// change.
struct Registry {
  Listing info;  ///< of the server itself
  std::string version;
  std::string website;
  std::string instructions;

  std::vector<std::shared_ptr<Tool>> tools;
  std::vector<std::shared_ptr<Resource>> resources;
  struct Template {
    task::UriTemplate pattern;
    std::shared_ptr<Resource> resource;
  };
  std::vector<Template> templates;
  std::vector<std::shared_ptr<Prompt>> prompts;

  /// Set by the host while there is one.
  std::function<void(mcp::Change)> announce;

  /// A handler and what keeps it alive while it runs.
  struct Found {
    std::shared_ptr<const void> owner;
    const Handler* handler = nullptr;
    std::string variables;  ///< of a template: JSON object text
  };
  Found find_tool(std::string_view name) const;
  Found find_prompt(std::string_view name) const;
  Found find_resource(std::string_view uri) const;

  const std::string& tools_list();
  const std::string& resources_list();
  const std::string& templates_list();
  const std::string& prompts_list();
  std::string server_info() const;
  std::string capabilities() const;
  bool has_completers() const;
  /// completion/complete.
  mcp::Outcome complete(json::Slice params, const std::string& principal) const;

  void add(std::shared_ptr<Tool> tool);
  void add(std::shared_ptr<Resource> resource);
  void add(task::UriTemplate pattern, std::shared_ptr<Resource> resource);
  void add(std::shared_ptr<Prompt> prompt);
  bool remove_tool(std::string_view name);
  bool remove_resource(std::string_view uri);
  bool remove_prompt(std::string_view name);
  /// Forgets the printed lists and tells the clients.
  void changed(mcp::Change::Kind kind);

 private:
  TextMap<std::shared_ptr<Tool>> tools_by_name_;
  TextMap<std::shared_ptr<Resource>> resources_by_uri_;
  TextMap<std::shared_ptr<Prompt>> prompts_by_name_;
  std::string tools_list_;
  std::string resources_list_;
  std::string templates_list_;
  std::string prompts_list_;
};

}  // namespace berth::detail
