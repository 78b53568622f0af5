#include "aws/client.h"

namespace berth::aws {

std::string text(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const value = object.if_contains(name);
  if (value == nullptr) return {};
  if (value->is_string()) return std::string(value->get_string());
  if (value->is_null()) return {};
  return boost::json::serialize(*value);
}

const boost::json::array& array(const boost::json::object& object, std::string_view name) {
  static const boost::json::array none;
  const boost::json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_array() ? value->get_array() : none;
}

const boost::json::object& object(const boost::json::object& parent, std::string_view name) {
  static const boost::json::object none;
  const boost::json::value* const value = parent.if_contains(name);
  return value != nullptr && value->is_object() ? value->get_object() : none;
}

}  // namespace berth::aws
