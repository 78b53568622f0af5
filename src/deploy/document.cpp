#include "deploy/document.h"

#include <fmt/format.h>

namespace berth::deploy {
namespace {

namespace json = boost::json;

std::string head_of_path(std::string_view text) { return std::string(text.substr(0, text.find('.'))); }

/// The names in "${A.Arn}/x/${B}" without attributes; "${!literal}" is none.
std::vector<std::string> substituted(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t from = text.find("${"); from != std::string_view::npos; from = text.find("${", from + 2)) {
    std::size_t end = text.find('}', from);
    if (end == std::string_view::npos) break;
    if (text[from + 2] != '!') names.push_back(head_of_path(text.substr(from + 2, end - from - 2)));
  }
  return names;
}

std::string_view sub_text(const json::value& value) {
  if (value.is_string()) return value.get_string();
  const json::array* pair = value.if_array();
  if (pair != nullptr && !pair->empty() && (*pair)[0].is_string()) return (*pair)[0].get_string();
  return "";
}

std::string get_att_target(const json::value& value) {
  if (value.is_string()) return head_of_path(value.get_string());
  const json::array* parts = value.if_array();
  if (parts != nullptr && !parts->empty() && (*parts)[0].is_string())
    return std::string((*parts)[0].get_string());
  return "";
}

}  // namespace

Document::Document(const json::object& base, const json::object& service) {
  add(base);
  add(service);
}

void Document::add(const json::object& document) {
  static const json::object none;
  const json::value* resources = document.if_contains("Resources");
  if (resources == nullptr || !resources->is_object()) return;
  for (const json::key_value_pair& entry : resources->get_object()) {
    const json::object* whole = entry.value().if_object();
    if (whole == nullptr) continue;
    const json::value* properties = whole->if_contains("Properties");
    const bool has = properties != nullptr && properties->is_object();
    resources_.push_back({.id = std::string(entry.key()),
                          .type = text_at(*whole, "Type"),
                          .whole = whole,
                          .properties = has ? &properties->get_object() : &none});
  }
}

std::vector<Resource> Document::of_type(std::string_view type) const {
  std::vector<Resource> found;
  for (const Resource& resource : resources_) {
    if (resource.type == type) found.push_back(resource);
  }
  return found;
}

const Resource* Document::find(std::string_view id) const {
  for (const Resource& resource : resources_) {
    if (resource.id == id) return &resource;
  }
  return nullptr;
}

const json::value* at(const json::object& object, std::string_view path) {
  const json::object* here = &object;
  for (;;) {
    std::size_t dot = path.find('.');
    const json::value* next = here->if_contains(path.substr(0, dot));
    if (next == nullptr || dot == std::string_view::npos) return next;
    here = next->if_object();
    if (here == nullptr) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

std::string text_at(const json::object& object, std::string_view path) {
  const json::value* value = at(object, path);
  if (value == nullptr || value->is_object() || value->is_array() || value->is_null()) return "";
  return text_of(*value);
}

std::vector<const json::value*> list_at(const json::object& object, std::string_view path) {
  const json::value* value = at(object, path);
  std::vector<const json::value*> list;
  if (value == nullptr || value->is_null()) return list;
  if (const json::array* array = value->if_array(); array != nullptr) {
    for (const json::value& element : *array) list.push_back(&element);
  } else {
    list.push_back(value);
  }
  return list;
}

bool true_at(const json::object& object, std::string_view path) { return text_at(object, path) == "true"; }

std::string text_of(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (const json::object* object = value.if_object(); object != nullptr) {
    if (const json::value* sub = object->if_contains("Fn::Sub"); sub != nullptr)
      return std::string(sub_text(*sub));
  }
  return json::serialize(value);
}

std::string referred(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr || object->size() != 1) return "";
  const json::key_value_pair& only = *object->begin();
  if (only.key() == "Ref" && only.value().is_string()) return std::string(only.value().get_string());
  if (only.key() == "Fn::GetAtt") return get_att_target(only.value());
  if (only.key() != "Fn::Sub") return "";
  std::vector<std::string> names;
  for (std::string& name : substituted(sub_text(only.value()))) {
    if (!name.starts_with("AWS::")) names.push_back(std::move(name));
  }
  return names.size() == 1 ? names.front() : "";
}

bool refers_to(const json::value& value, std::string_view id) {
  if (const json::array* array = value.if_array(); array != nullptr) {
    for (const json::value& element : *array) {
      if (refers_to(element, id)) return true;
    }
    return false;
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return false;
  for (const json::key_value_pair& member : *object) {
    if (member.key() == "Ref" && member.value().is_string() && member.value().get_string() == id) return true;
    if (member.key() == "Fn::GetAtt" && get_att_target(member.value()) == id) return true;
    if (member.key() == "Fn::Sub") {
      for (const std::string& name : substituted(sub_text(member.value()))) {
        if (name == id) return true;
      }
    }
    if (refers_to(member.value(), id)) return true;
  }
  return false;
}

}  // namespace berth::deploy
