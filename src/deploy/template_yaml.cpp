#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>

#include "deploy/compose.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// A text that is JSON, written over several lines for people.
json::string without_white_space(const std::string& text) {
  if (!text.starts_with('{')) return json::string(text);
  boost::system::error_code wrong;
  json::value parsed = json::parse(text, wrong);
  return wrong ? json::string(text) : json::string(json::serialize(parsed));
}

/// A scalar without quotes: true, false, a whole number or a decimal; else text.
json::value typed(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  auto read = std::from_chars(text.data(), end, whole);
  if (read.ec == std::errc() && read.ptr == end) return whole;
  double decimal = 0;
  auto [last, wrong] = std::from_chars(text.data(), end, decimal, std::chars_format::fixed);
  if (wrong == std::errc() && last == end && text.find_first_not_of("0123456789.-") == std::string::npos)
    return decimal;
  return json::string(text);
}

json::value convert(const YAML::Node& node);

json::value plain(const YAML::Node& node, bool quoted) {
  switch (node.Type()) {
    case YAML::NodeType::Sequence: {
      json::array out;
      for (const YAML::Node& entry : node) out.push_back(convert(entry));
      return out;
    }
    case YAML::NodeType::Map: {
      json::object out;
      for (const auto& member : node) out[member.first.Scalar()] = convert(member.second);
      return out;
    }
    case YAML::NodeType::Scalar:
      return quoted ? json::value(without_white_space(node.Scalar())) : typed(node.Scalar());
    default: return nullptr;
  }
}

json::value convert(const YAML::Node& node) {
  const std::string& tag = node.Tag();
  if (tag.size() < 2 || tag[0] != '!') return plain(node, tag == "!");
  std::string function = tag.substr(1);
  if (function == "Ref" || function == "Condition") return {{function, plain(node, true)}};
  if (function == "GetAtt" && node.IsScalar()) {
    const std::string& text = node.Scalar();
    std::size_t dot = std::min(text.find('.'), text.size());
    return {{"Fn::GetAtt", {text.substr(0, dot), dot == text.size() ? "" : text.substr(dot + 1)}}};
  }
  return {{"Fn::" + function, plain(node, true)}};
}

}  // namespace

Result<json::value> yaml_to_json(const std::string& yaml) {
  try {
    return convert(YAML::Load(yaml));
  } catch (const YAML::Exception& wrong) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("The template is not YAML: line {}: {}", wrong.mark.line + 1, wrong.msg));
  }
}

}  // namespace berth::deploy
