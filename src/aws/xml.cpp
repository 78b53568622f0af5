#include <expat.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "aws/client.h"

namespace berth::aws {

namespace {

constexpr std::size_t depth_max = 64;
constexpr std::size_t xml_bytes_max = std::size_t{64} << 20;

/// One element while it is read.
struct Element {
  std::string name;
  std::string text;
  std::vector<std::pair<std::string, boost::json::value>> children;
};

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

/// A parent of nothing but list members: <member>, <item>, the parent's own singular (<Tags><Tag>), or any
/// one name inside <Items> (CloudFront).
bool is_list(const Element& element) {
  const std::string& first = element.children.front().first;
  const bool is_member =
      first == "member" || first == "item" || element.name == first + "s" || element.name == "Items";
  if (!is_member) return false;
  return std::ranges::all_of(element.children, [&](const auto& child) { return child.first == first; });
}

/// A parent of <entry><key>k</key><value>v</value></entry> (SNS's attributes).
bool is_map(const Element& element) {
  return std::ranges::all_of(element.children, [](const auto& child) {
    return child.first == "entry" && child.second.is_object() && child.second.get_object().contains("key") &&
           child.second.get_object().contains("value");
  });
}

/// S3 writes its lists as repeated elements without a parent, so one alone must be known by its name.
bool is_lone_list_member(std::string_view parent, std::string_view name) {
  if (parent == "ListBucketResult") return name == "Contents" || name == "CommonPrefixes";
  if (parent == "ListVersionsResult") {
    return name == "Version" || name == "DeleteMarker" || name == "CommonPrefixes";
  }
  if (parent == "DeleteResult") return name == "Deleted" || name == "Error";
  if (parent == "ListMultipartUploadsResult") return name == "Upload";
  return false;
}

boost::json::value to_value(Element& element) {
  if (element.children.empty()) {
    if (is_blank(element.text)) return boost::json::string();
    return boost::json::string(element.text);
  }
  if (is_list(element)) {
    boost::json::array list;
    for (auto& child : element.children) list.push_back(std::move(child.second));
    return list;
  }
  boost::json::object object;
  if (is_map(element)) {
    for (auto& child : element.children) {
      const boost::json::object& entry = child.second.get_object();
      object[text(entry, "key")] = entry.at("value");
    }
    return object;
  }
  std::map<std::string_view, std::size_t> counts;
  for (const auto& child : element.children) ++counts[child.first];
  for (auto& [name, value] : element.children) {
    if (counts[name] == 1 && !is_lone_list_member(element.name, name)) {
      object[name] = std::move(value);
      continue;
    }
    boost::json::value& list = object[name];
    if (!list.is_array()) list.emplace_array();
    list.get_array().push_back(std::move(value));
  }
  return object;
}

/// What Expat's callbacks share. Members of an array or object are moved, so each element is built once.
struct Reading {
  XML_Parser parser = nullptr;
  std::vector<Element> open;
  boost::json::value root;
  std::string problem;

  void stop(std::string why) {
    if (problem.empty()) problem = std::move(why);
    XML_StopParser(parser, XML_FALSE);
  }
};

Reading& reading(void* data) { return *static_cast<Reading*>(data); }

void XMLCALL on_start(void* data, const XML_Char* name, const XML_Char** /*attributes*/) {
  Reading& state = reading(data);
  if (state.open.size() >= depth_max) return state.stop(fmt::format("is deeper than {} levels", depth_max));
  // "ns:Name" is Name: AWS's answers mix no vocabularies.
  std::string_view local = name;
  local.remove_prefix(local.find(':') == std::string_view::npos ? 0 : local.find(':') + 1);
  state.open.push_back(Element{std::string(local), {}, {}});
}

void XMLCALL on_end(void* data, const XML_Char* /*name*/) {
  Reading& state = reading(data);
  Element element = std::move(state.open.back());
  state.open.pop_back();
  boost::json::value value = to_value(element);
  if (state.open.empty()) {
    state.root = std::move(value);
    return;
  }
  state.open.back().children.emplace_back(std::move(element.name), std::move(value));
}

void XMLCALL on_text(void* data, const XML_Char* bytes, int count) {
  Reading& state = reading(data);
  if (!state.open.empty()) state.open.back().text.append(bytes, static_cast<std::size_t>(count));
}

void XMLCALL on_doctype(void* data, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  reading(data).stop("has a document type, which no answer of AWS has");
}

struct FreeParser {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};

}  // namespace

Result<boost::json::object> xml_to_json(std::string_view xml) {
  if (xml.size() > xml_bytes_max) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("The XML has {} bytes; {} is the limit.", xml.size(), xml_bytes_max));
  }
  const std::unique_ptr<XML_ParserStruct, FreeParser> parser(XML_ParserCreate(nullptr));
  Reading state;
  state.parser = parser.get();
  XML_SetUserData(parser.get(), &state);
  XML_SetElementHandler(parser.get(), on_start, on_end);
  XML_SetCharacterDataHandler(parser.get(), on_text);
  XML_SetStartDoctypeDeclHandler(parser.get(), on_doctype);
  const auto status = XML_Parse(parser.get(), xml.data(), static_cast<int>(xml.size()), XML_TRUE);
  if (status != XML_STATUS_OK || !state.problem.empty()) {
    const std::string why =
        state.problem.empty() ? XML_ErrorString(XML_GetErrorCode(parser.get())) : state.problem;
    return fail(ErrorCode::invalid_argument,
                fmt::format("The XML at line {} column {}: {}.", XML_GetCurrentLineNumber(parser.get()),
                            XML_GetCurrentColumnNumber(parser.get()) + 1, why));
  }
  if (state.root.is_object()) return std::move(state.root.get_object());
  boost::json::object wrapped;
  if (!state.root.is_string() || !state.root.get_string().empty()) wrapped["Value"] = std::move(state.root);
  return wrapped;
}

}  // namespace berth::aws
