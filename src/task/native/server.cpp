#include "berth/server.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "task/native/registry.h"

namespace berth {

namespace {

/// Names clients accept (MCP 2025-11-25, server/tools#tool-names).
bool is_listable_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    const bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return word || c == '_' || c == '-' || c == '.';
  });
}

bool has_field(const detail::Shape& shape, std::string_view name) {
  return std::ranges::find(shape.fields, name, &detail::Field::name) != shape.fields.end();
}

void check_object(std::string_view json, std::string_view what) {
  const auto parsed = json::parse(json);
  BERTH_CHECK(parsed && parsed->is(json::Kind::object), what);
}

}  // namespace

std::vector<std::string> starting_with(std::string_view typed, const std::vector<std::string>& values) {
  std::vector<std::string> fitting;
  for (const std::string& value : values) {
    if (value.starts_with(typed)) fitting.push_back(value);
  }
  return fitting;
}

// Each setter may come while the server runs, so it has the list printed anew.

Tool& Tool::title(std::string text) {
  listing_.title = std::move(text);
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Tool& Tool::hint(std::string_view name, bool value) {
  hints_.push_back(fmt::format(R"("{}":{})", name, value));
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Tool& Tool::read_only() { return hint("readOnlyHint", true); }
Tool& Tool::idempotent() { return hint("idempotentHint", true); }
Tool& Tool::additive() { return hint("destructiveHint", false); }
Tool& Tool::closed_world() { return hint("openWorldHint", false); }

Tool& Tool::icon(Icon icon) {
  listing_.icons.push_back(std::move(icon));
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Tool& Tool::meta(std::string json) {
  check_object(json, "Tool::meta takes a JSON object");
  listing_.meta = std::move(json);
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Tool& Tool::input_schema(std::string json) {
  check_object(json, "Tool::input_schema takes a JSON object");
  input_schema_ = std::move(json);
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Tool& Tool::output_schema(std::string json) {
  check_object(json, "Tool::output_schema takes a JSON object");
  output_schema_ = std::move(json);
  registry_->changed(mcp::Change::Kind::tools_list);
  return *this;
}

Resource& Resource::title(std::string text) {
  listing_.title = std::move(text);
  registry_->changed(mcp::Change::Kind::resources_list);
  return *this;
}

Resource& Resource::description(std::string text) {
  listing_.description = std::move(text);
  registry_->changed(mcp::Change::Kind::resources_list);
  return *this;
}

Resource& Resource::media_type(std::string type) {
  *media_type_ = std::move(type);
  registry_->changed(mcp::Change::Kind::resources_list);
  return *this;
}

Resource& Resource::caching(Caching hint) {
  *caching_ = hint;
  return *this;
}

Resource& Resource::icon(Icon icon) {
  listing_.icons.push_back(std::move(icon));
  registry_->changed(mcp::Change::Kind::resources_list);
  return *this;
}

Resource& Resource::meta(std::string json) {
  check_object(json, "Resource::meta takes a JSON object");
  listing_.meta = std::move(json);
  registry_->changed(mcp::Change::Kind::resources_list);
  return *this;
}

Resource& Resource::complete(std::string variable, Completer completer) {
  BERTH_CHECK(std::ranges::find(variables_, variable) != variables_.end(),
              "Resource::complete names a variable of the URI template");
  completers_.insert_or_assign(std::move(variable), std::move(completer));
  return *this;
}

Prompt& Prompt::title(std::string text) {
  listing_.title = std::move(text);
  registry_->changed(mcp::Change::Kind::prompts_list);
  return *this;
}

Prompt& Prompt::icon(Icon icon) {
  listing_.icons.push_back(std::move(icon));
  registry_->changed(mcp::Change::Kind::prompts_list);
  return *this;
}

Prompt& Prompt::meta(std::string json) {
  check_object(json, "Prompt::meta takes a JSON object");
  listing_.meta = std::move(json);
  registry_->changed(mcp::Change::Kind::prompts_list);
  return *this;
}

Prompt& Prompt::complete(std::string argument, Completer completer) {
  BERTH_CHECK(has_field(*arguments_, argument), "Prompt::complete names an argument of the prompt");
  completers_.insert_or_assign(std::move(argument), std::move(completer));
  return *this;
}

Server::Server(std::string name, std::string version) : registry_(std::make_unique<detail::Registry>()) {
  registry_->info.name = std::move(name);
  registry_->version = std::move(version);
}
Server::~Server() = default;

Server& Server::title(std::string text) {
  registry_->info.title = std::move(text);
  return *this;
}

Server& Server::instructions(std::string text) {
  registry_->instructions = std::move(text);
  return *this;
}

Server& Server::website(std::string url) {
  registry_->website = std::move(url);
  return *this;
}

Server& Server::icon(Icon icon) {
  registry_->info.icons.push_back(std::move(icon));
  return *this;
}

Tool& Server::add_tool(std::string name, std::string description, std::string input_schema,
                       std::string output_schema, detail::Handler handler) {
  BERTH_CHECK(is_listable_name(name), "a tool's name is 1 to 128 of A-Z a-z 0-9 _ . -");
  std::shared_ptr<Tool> tool(new Tool);
  tool->listing_.name = std::move(name);
  tool->listing_.description = std::move(description);
  tool->input_schema_ = std::move(input_schema);
  tool->output_schema_ = std::move(output_schema);
  tool->handler_ = std::move(handler);
  tool->registry_ = registry_.get();
  Tool& added = *tool;
  registry_->add(std::move(tool));
  return added;
}

Resource& Server::add_resource(std::unique_ptr<Resource> added, std::string uri, std::string name) {
  std::shared_ptr<Resource> resource(std::move(added));
  resource->uri_ = std::move(uri);
  resource->listing_.name = std::move(name);
  resource->registry_ = registry_.get();
  Resource& result = *resource;
  registry_->add(std::move(resource));
  return result;
}

Resource& Server::add_template(std::unique_ptr<Resource> added, std::string uri_template, std::string name,
                               const detail::Shape& variables) {
  auto pattern = task::UriTemplate::parse(uri_template);
  BERTH_CHECK(pattern.has_value(), pattern ? "" : pattern.error().message());
  std::shared_ptr<Resource> resource(std::move(added));
  resource->uri_ = std::move(uri_template);
  resource->listing_.name = std::move(name);
  resource->variables_ = pattern->variables();
  resource->registry_ = registry_.get();
  for (const std::string& variable : resource->variables_) {
    BERTH_CHECK(has_field(variables, variable), "every variable of a URI template is a member of its struct");
  }
  for (const detail::Field& field : variables.fields) {
    const bool given = std::ranges::find(resource->variables_, field.name) != resource->variables_.end();
    BERTH_CHECK(given || !field.required, "a required member is a variable of the URI template");
  }
  Resource& result = *resource;
  registry_->add(std::move(*pattern), std::move(resource));
  return result;
}

Prompt& Server::add_prompt(std::string name, std::string description, const detail::Shape& arguments,
                           detail::Handler handler) {
  std::shared_ptr<Prompt> prompt(new Prompt);
  prompt->listing_.name = std::move(name);
  prompt->listing_.description = std::move(description);
  prompt->arguments_ = &arguments;
  prompt->handler_ = std::move(handler);
  prompt->registry_ = registry_.get();
  Prompt& added = *prompt;
  registry_->add(std::move(prompt));
  return added;
}

bool Server::remove_tool(std::string_view name) { return registry_->remove_tool(name); }
bool Server::remove_resource(std::string_view uri) { return registry_->remove_resource(uri); }
bool Server::remove_prompt(std::string_view name) { return registry_->remove_prompt(name); }

void Server::tools_changed() { registry_->changed(mcp::Change::Kind::tools_list); }
void Server::resources_changed() { registry_->changed(mcp::Change::Kind::resources_list); }
void Server::prompts_changed() { registry_->changed(mcp::Change::Kind::prompts_list); }

void Server::resource_updated(std::string uri, std::string principal) {
  if (!registry_->announce) return;
  registry_->announce({.kind = mcp::Change::Kind::resource_updated,
                       .uri = std::move(uri),
                       .principal = std::move(principal)});
}

}  // namespace berth
