#include "aws/query.h"

#include <fmt/format.h>

#include "aws/digest.h"

namespace berth::aws {

namespace {

struct Form {
  QueryDialect dialect;
  std::string text;

  void add(const std::string& name, std::string_view value) {
    if (!text.empty()) text.push_back('&');
    text.append(encode_uri(name)).append("=").append(encode_uri(value));
  }

  void add_value(const std::string& name, const boost::json::value& value) {
    switch (value.kind()) {
      case boost::json::kind::null: return;
      case boost::json::kind::object:
        for (const auto& member : value.get_object()) {
          add_value(name + "." + std::string(member.key()), member.value());
        }
        return;
      case boost::json::kind::array: return add_list(name, value.get_array());
      case boost::json::kind::string: return add(name, value.get_string());
      default: return add(name, boost::json::serialize(value));
    }
  }

  void add_list(const std::string& name, const boost::json::array& list) {
    if (list.empty() && dialect == QueryDialect::query) return add(name, "");
    const bool has_member = dialect == QueryDialect::query && !name.ends_with(".entry");
    std::size_t number = 0;
    for (const boost::json::value& item : list) {
      add_value(fmt::format("{}{}.{}", name, has_member ? ".member" : "", ++number), item);
    }
  }
};

}  // namespace

std::string query_form(QueryDialect dialect, const std::string& operation, const std::string& version,
                       const boost::json::object& input) {
  Form form{dialect, {}};
  form.add("Action", operation);
  form.add("Version", version);
  for (const auto& member : input) form.add_value(std::string(member.key()), member.value());
  return std::move(form.text);
}

}  // namespace berth::aws
