#include "task/native/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace berth::detail {

namespace {

constexpr std::size_t completion_values_max = 100;

void append_icons(std::string& out, const std::vector<Icon>& icons) {
  if (icons.empty()) return;
  out += R"(,"icons":[)";
  for (const Icon& icon : icons) {
    if (out.back() != '[') out += ',';
    out += fmt::format(R"({{"src":{})", json_quote(icon.source));
    if (!icon.media_type.empty()) out += fmt::format(R"(,"mimeType":{})", json_quote(icon.media_type));
    if (!icon.sizes.empty()) out += fmt::format(R"(,"sizes":[{}])", json_quote(icon.sizes));
    out += '}';
  }
  out += ']';
}

/// `{"name":…,"title":…,"description":…` without the closing brace.
void open_listing(std::string& out, const Listing& listing) {
  if (out.back() != '[' && !out.empty()) out += ',';
  out += fmt::format(R"({{"name":{})", json_quote(listing.name));
  if (!listing.title.empty()) out += fmt::format(R"(,"title":{})", json_quote(listing.title));
  if (!listing.description.empty()) {
    out += fmt::format(R"(,"description":{})", json_quote(listing.description));
  }
  append_icons(out, listing.icons);
}

void close_listing(std::string& out, const Listing& listing) {
  if (!listing.meta.empty()) out += fmt::format(R"(,"_meta":{})", listing.meta);
  out += '}';
}

template <class T>
typename Registry::Found found(const T& owner, const Handler& handler) {
  return {.owner = owner, .handler = &handler, .variables = {}};
}

/// Replaces what has the same key, at its place in the list, or adds to the end.
template <class T, class Key>
void put(std::vector<std::shared_ptr<T>>& list, TextMap<std::shared_ptr<T>>& index, const Key& key,
         std::shared_ptr<T> item) {
  auto& slot = index[key];
  if (slot) {
    *std::ranges::find(list, slot) = item;
  } else {
    list.push_back(item);
  }
  slot = std::move(item);
}

template <class T>
bool take_out(std::vector<std::shared_ptr<T>>& list, TextMap<std::shared_ptr<T>>& index,
              std::string_view key) {
  const auto place = index.find(key);
  if (place == index.end()) return false;
  std::erase(list, place->second);
  index.erase(place);
  return true;
}

}  // namespace

Registry::Found Registry::find_tool(std::string_view name) const {
  const auto place = tools_by_name_.find(name);
  if (place == tools_by_name_.end()) return {};
  return found(place->second, place->second->handler_);
}

Registry::Found Registry::find_prompt(std::string_view name) const {
  const auto place = prompts_by_name_.find(name);
  if (place == prompts_by_name_.end()) return {};
  return found(place->second, place->second->handler_);
}

Registry::Found Registry::find_resource(std::string_view uri) const {
  const auto place = resources_by_uri_.find(uri);
  if (place != resources_by_uri_.end()) return found(place->second, place->second->handler_);
  for (const Template& candidate : templates) {
    const auto values = candidate.pattern.match(uri);
    if (!values) continue;
    Found result = found(candidate.resource, candidate.resource->handler_);
    result.variables = "{";
    for (const auto& [name, value] : *values) {
      if (result.variables.size() > 1) result.variables += ',';
      result.variables += fmt::format("{}:{}", json_quote(name), json_quote(value));
    }
    result.variables += '}';
    return result;
  }
  return {};
}

const std::string& Registry::tools_list() {
  if (!tools_list_.empty()) return tools_list_;
  std::string out = R"({"tools":[)";
  for (const auto& tool : tools) {
    open_listing(out, tool->listing_);
    out += fmt::format(R"(,"inputSchema":{})", tool->input_schema_);
    if (!tool->output_schema_.empty()) out += fmt::format(R"(,"outputSchema":{})", tool->output_schema_);
    if (!tool->hints_.empty()) out += fmt::format(R"(,"annotations":{{{}}})", fmt::join(tool->hints_, ","));
    close_listing(out, tool->listing_);
  }
  tools_list_ = std::move(out) + "]}";
  return tools_list_;
}

const std::string& Registry::resources_list() {
  if (!resources_list_.empty()) return resources_list_;
  std::string out = R"({"resources":[)";
  for (const auto& resource : resources) {
    open_listing(out, resource->listing_);
    out += fmt::format(R"(,"uri":{},"mimeType":{})", json_quote(resource->uri_),
                       json_quote(*resource->media_type_));
    close_listing(out, resource->listing_);
  }
  resources_list_ = std::move(out) + "]}";
  return resources_list_;
}

const std::string& Registry::templates_list() {
  if (!templates_list_.empty()) return templates_list_;
  std::string out = R"({"resourceTemplates":[)";
  for (const Template& item : templates) {
    open_listing(out, item.resource->listing_);
    out += fmt::format(R"(,"uriTemplate":{},"mimeType":{})", json_quote(item.resource->uri_),
                       json_quote(*item.resource->media_type_));
    close_listing(out, item.resource->listing_);
  }
  templates_list_ = std::move(out) + "]}";
  return templates_list_;
}

const std::string& Registry::prompts_list() {
  if (!prompts_list_.empty()) return prompts_list_;
  std::string out = R"({"prompts":[)";
  for (const auto& prompt : prompts) {
    open_listing(out, prompt->listing_);
    std::string arguments;
    for (const Field& field : prompt->arguments_->fields) {
      if (!arguments.empty()) arguments += ',';
      arguments += fmt::format(R"({{"name":{})", json_quote(field.name));
      const FieldNotes& notes = field.notes;
      if (!notes.title.empty()) arguments += fmt::format(R"(,"title":{})", json_quote(notes.title));
      if (!notes.description.empty()) {
        arguments += fmt::format(R"(,"description":{})", json_quote(notes.description));
      }
      arguments += fmt::format(R"(,"required":{}}})", field.required);
    }
    if (!arguments.empty()) out += fmt::format(R"(,"arguments":[{}])", arguments);
    close_listing(out, prompt->listing_);
  }
  prompts_list_ = std::move(out) + "]}";
  return prompts_list_;
}

std::string Registry::server_info() const {
  std::string out;
  out += fmt::format(R"({{"name":{},"version":{})", json_quote(info.name), json_quote(version));
  if (!info.title.empty()) out += fmt::format(R"(,"title":{})", json_quote(info.title));
  if (!website.empty()) out += fmt::format(R"(,"websiteUrl":{})", json_quote(website));
  append_icons(out, info.icons);
  out += '}';
  return out;
}

bool Registry::has_completers() const {
  const auto completes = [](const auto& item) { return !item->completers_.empty(); };
  return std::ranges::any_of(prompts, completes) ||
         std::ranges::any_of(templates, completes, [](const Template& item) { return item.resource; });
}

std::string Registry::capabilities() const {
  std::string out = R"({"logging":{})";
  if (!tools.empty()) out += R"(,"tools":{"listChanged":true})";
  if (!resources.empty() || !templates.empty()) {
    out += R"(,"resources":{"subscribe":true,"listChanged":true})";
  }
  if (!prompts.empty()) out += R"(,"prompts":{"listChanged":true})";
  if (has_completers()) out += R"(,"completions":{})";
  out += '}';
  return out;
}

mcp::Outcome Registry::complete(json::Slice params, const std::string& principal) const {
  const auto reference = params.find("ref");
  const auto type = reference.find("type").as_string().value_or("");
  const auto argument = params.find("argument").find("name").as_string();
  const auto value = params.find("argument").find("value").as_string();
  if (!argument || !value) {
    return mcp::Outcome::failure(
        mcp::code::invalid_params,
        "completion/complete needs params.argument with the strings 'name' and 'value'.");
  }
  const std::map<std::string, Completer, std::less<>>* completers = nullptr;
  const auto key = reference.find(type == "ref/prompt" ? "name" : "uri").as_string().value_or("");
  if (type == "ref/prompt") {
    const auto place = prompts_by_name_.find(key);
    if (place != prompts_by_name_.end()) completers = &place->second->completers_;
  } else if (type == "ref/resource") {
    for (const Template& item : templates) {
      if (item.resource->uri_ == key) completers = &item.resource->completers_;
    }
    if (resources_by_uri_.contains(key)) completers = &resources_by_uri_.find(key)->second->completers_;
  }
  if (completers == nullptr) {
    return mcp::Outcome::failure(
        mcp::code::invalid_params,
        fmt::format("There is nothing to complete at params.ref: {} '{}' is no prompt or resource template.",
                    type, key));
  }
  std::map<std::string, std::string> chosen;
  const auto context = params.find("context").find("arguments");
  if (context.is(json::Kind::object)) {
    context.each_member([&chosen](std::string_view name, json::Slice given) {
      chosen[std::string(name)] = given.as_string().value_or("");
      return true;
    });
  }
  std::vector<std::string> values;
  const auto completer = completers->find(*argument);
  if (completer != completers->end()) {
    values =
        completer->second({.argument = *argument, .value = *value, .chosen = chosen, .principal = principal});
  }
  const std::size_t total = values.size();
  values.resize(std::min(total, completion_values_max));
  std::string out = R"({"completion":{"values":[)";
  for (const std::string& item : values) {
    if (out.back() != '[') out += ',';
    out += json_quote(item);
  }
  out += fmt::format(R"(],"total":{},"hasMore":{}}}}})", total, total > values.size());
  return mcp::Outcome::success(std::move(out));
}

void Registry::add(std::shared_ptr<Tool> tool) {
  put(tools, tools_by_name_, tool->listing_.name, std::move(tool));
  changed(mcp::Change::Kind::tools_list);
}

void Registry::add(std::shared_ptr<Resource> resource) {
  put(resources, resources_by_uri_, resource->uri_, std::move(resource));
  changed(mcp::Change::Kind::resources_list);
}

void Registry::add(task::UriTemplate pattern, std::shared_ptr<Resource> resource) {
  std::erase_if(templates, [&](const Template& item) { return item.resource->uri_ == resource->uri_; });
  templates.push_back({.pattern = std::move(pattern), .resource = std::move(resource)});
  changed(mcp::Change::Kind::resources_list);
}

void Registry::add(std::shared_ptr<Prompt> prompt) {
  put(prompts, prompts_by_name_, prompt->listing_.name, std::move(prompt));
  changed(mcp::Change::Kind::prompts_list);
}

bool Registry::remove_tool(std::string_view name) {
  const bool removed = take_out(tools, tools_by_name_, name);
  if (removed) changed(mcp::Change::Kind::tools_list);
  return removed;
}

bool Registry::remove_resource(std::string_view uri) {
  const bool was_template =
      std::erase_if(templates, [uri](const Template& item) { return item.resource->uri_ == uri; }) > 0;
  const bool removed = take_out(resources, resources_by_uri_, uri) || was_template;
  if (removed) changed(mcp::Change::Kind::resources_list);
  return removed;
}

bool Registry::remove_prompt(std::string_view name) {
  const bool removed = take_out(prompts, prompts_by_name_, name);
  if (removed) changed(mcp::Change::Kind::prompts_list);
  return removed;
}

void Registry::changed(mcp::Change::Kind kind) {
  switch (kind) {
    case mcp::Change::Kind::tools_list: tools_list_.clear(); break;
    case mcp::Change::Kind::prompts_list: prompts_list_.clear(); break;
    case mcp::Change::Kind::resources_list:
      resources_list_.clear();
      templates_list_.clear();
      break;
    case mcp::Change::Kind::resource_updated:
    case mcp::Change::Kind::message: break;
  }
  if (announce) announce({.kind = kind, .uri = {}, .principal = {}});
}

}  // namespace berth::detail
