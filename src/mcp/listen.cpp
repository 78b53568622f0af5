#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "mcp/modern.h"

/// subscriptions/listen of 2026-07-28: its filter and the messages on its stream.
namespace berth::mcp {
namespace {

using json::Kind;
using json::Slice;

std::string tag(std::string_view subscription_id) {
  return fmt::format(R"("_meta":{{"{}":{}}})", meta_key::subscription_id, subscription_id);
}

std::expected<void, RpcError> read_uris(Slice list, std::size_t uris_max, std::vector<std::string>& uris) {
  if (!list.is(Kind::array))
    return invalid_params("notifications.resourceSubscriptions must be an array of uris.");
  std::size_t bytes = 0;
  for (json::Elements elements(list); elements.next();) {
    std::optional<std::string> uri = elements.value().as_string();
    if (!uri) return invalid_params("notifications.resourceSubscriptions must be an array of uris.");
    bytes += uri->size();
    if (uri->size() > watched_uri_bytes_max || bytes > watched_uris_bytes_max) {
      return invalid_params(
          fmt::format("notifications.resourceSubscriptions may hold uris of {} bytes, {} together.",
                      watched_uri_bytes_max, watched_uris_bytes_max));
    }
    if (uris.size() == uris_max) {
      return invalid_params(
          fmt::format("notifications.resourceSubscriptions names more than {} resources.", uris_max));
    }
    if (std::find(uris.begin(), uris.end(), *uri) == uris.end()) uris.push_back(*std::move(uri));
  }
  return {};
}

}  // namespace

bool ListenFilter::wants(const Change& change) const {
  switch (change.kind) {
    case Change::Kind::tools_list: return tools;
    case Change::Kind::prompts_list: return prompts;
    case Change::Kind::resources_list: return resources;
    case Change::Kind::resource_updated: return std::find(uris.begin(), uris.end(), change.uri) != uris.end();
    case Change::Kind::message: break;  // it says nothing of what a listen stream is for
  }
  return false;
}

std::expected<ListenFilter, RpcError> read_listen_filter(Slice params, std::size_t uris_max) {
  const Slice notifications = params.find("notifications");
  if (!notifications.is(Kind::object))
    return invalid_params("notifications must be an object naming what to listen for.");
  ListenFilter filter;
  const std::pair<std::string_view, bool*> flags[] = {{"toolsListChanged", &filter.tools},
                                                      {"promptsListChanged", &filter.prompts},
                                                      {"resourcesListChanged", &filter.resources}};
  for (const auto& [name, flag] : flags) {
    const Slice value = notifications.find(name);
    if (!value.exists()) continue;
    if (!value.is(Kind::boolean))
      return invalid_params(fmt::format("notifications.{} must be true or false.", name));
    *flag = *value.as_bool();
  }
  const Slice uris = notifications.find("resourceSubscriptions");
  if (!uris.exists()) return filter;
  if (auto read = read_uris(uris, uris_max, filter.uris); !read) return std::unexpected(read.error());
  return filter;
}

ListenFilter honoured(const ListenFilter& asked, std::string_view capabilities) {
  const Slice declared = Slice::trusted(capabilities);
  const auto has = [&](std::string_view area, std::string_view flag) {
    return declared.find(area).find(flag).as_bool().value_or(false);
  };
  ListenFilter filter;
  filter.tools = asked.tools && has("tools", "listChanged");
  filter.prompts = asked.prompts && has("prompts", "listChanged");
  filter.resources = asked.resources && has("resources", "listChanged");
  if (has("resources", "subscribe")) filter.uris = asked.uris;
  return filter;
}

std::string listen_acknowledged(const ListenFilter& filter, std::string_view subscription_id) {
  std::string granted;
  const auto add = [&](std::string_view member) {
    if (!granted.empty()) granted.push_back(',');
    granted.append(member);
  };
  if (filter.tools) add(R"("toolsListChanged":true)");
  if (filter.prompts) add(R"("promptsListChanged":true)");
  if (filter.resources) add(R"("resourcesListChanged":true)");
  if (!filter.uris.empty()) {
    add(R"("resourceSubscriptions":[)");
    for (const std::string& uri : filter.uris) granted.append(json_quote(uri)).push_back(',');
    granted.back() = ']';
  }
  return write_notification("notifications/subscriptions/acknowledged",
                            fmt::format(R"({{{},"notifications":{{{}}}}})", tag(subscription_id), granted));
}

std::string listen_notification(const Change& change, std::string_view subscription_id) {
  std::string params = "{" + tag(subscription_id);
  if (change.kind == Change::Kind::resource_updated)
    params.append(",\"uri\":").append(json_quote(change.uri));
  params.push_back('}');
  return write_notification(notification_method(change.kind), params);
}

std::string listen_complete(std::string_view subscription_id) {
  return write_result(subscription_id,
                      fmt::format(R"({{"resultType":"complete",{}}})", tag(subscription_id)));
}

}  // namespace berth::mcp
