#include "aws/answer.h"

#include <fmt/format.h>

#include <array>

namespace berth::aws {

namespace {

constexpr std::size_t shown_bytes_max = 200;

/// "com.amazonaws.ecs#ClusterNotFoundException:http://…" is ClusterNotFoundException.
std::string bare_code(std::string_view code) {
  const std::size_t colon = code.find(':');
  if (colon != std::string_view::npos) code = code.substr(0, colon);
  const std::size_t hash = code.rfind('#');
  if (hash != std::string_view::npos) code.remove_prefix(hash + 1);
  return std::string(code);
}

std::string first_of(const boost::json::object& object, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    std::string value = text(object, name);
    if (!value.empty()) return value;
  }
  return {};
}

std::string request_id_of(const http::Headers& headers) {
  for (const std::string_view name : {"x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"}) {
    if (const auto value = headers.get(name)) return std::string(*value);
  }
  return {};
}

/// {"Error": {…}} of query and REST XML, {"Errors": [{…}]} of EC2, or S3's bare element.
const boost::json::object& error_element(const boost::json::object& root) {
  if (!object(root, "Error").empty()) return object(root, "Error");
  const boost::json::array& errors = array(root, "Errors");
  if (!errors.empty() && errors.front().is_object()) return errors.front().get_object();
  return root;
}

bool fill_from_xml(Fault& fault, std::string_view body) {
  const auto root = xml_to_json(body);
  if (!root) return false;
  const boost::json::object& error = error_element(*root);
  fault.code = bare_code(text(error, "Code"));
  fault.message = first_of(error, {"Message", "message"});
  const std::string id = first_of(*root, {"RequestId", "RequestID", "requestId"});
  if (!id.empty()) fault.request_id = id;
  return !fault.code.empty();
}

bool fill_from_json(Fault& fault, std::string_view body) {
  boost::system::error_code broken;
  const boost::json::value root = boost::json::parse(body, broken);
  if (broken || !root.is_object()) return false;
  const boost::json::object& error = root.get_object();
  if (fault.code.empty()) fault.code = bare_code(first_of(error, {"__type", "code", "ErrorCode", "Code"}));
  fault.message = first_of(error, {"message", "Message", "errorMessage"});
  fault.details = error;
  return !fault.code.empty();
}

/// The code of an answer without a body (S3's HEAD) or with somebody else's.
std::string code_of_status(int status) {
  switch (status) {
    case 301: return "PermanentRedirect";
    case 403: return "AccessDenied";
    case 404: return "NotFound";
    default: return fmt::format("Http{}", status);
  }
}

std::string first_words(std::string_view body) {
  std::string out;
  for (const char byte : body.substr(0, shown_bytes_max)) {
    out.push_back(byte < 0x20 && byte >= 0 ? ' ' : byte);
  }
  return body.size() > shown_bytes_max ? out + " …" : out;
}

}  // namespace

Result<boost::json::object> read_answer(Protocol protocol, const std::string& operation,
                                        const http::Response& response) {
  if (response.body.empty()) return boost::json::object();
  if (protocol == Protocol::json) {
    boost::system::error_code broken;
    boost::json::value value = boost::json::parse(response.body, broken);
    if (broken || !value.is_object()) {
      return fail(ErrorCode::internal,
                  fmt::format("The answer is not a JSON object: {}", first_words(response.body)));
    }
    return std::move(value.get_object());
  }
  auto root = xml_to_json(response.body);
  if (!root) return Failure(Error(ErrorCode::internal, root.error().message()));
  if (protocol == Protocol::ec2) return root;
  const boost::json::value* const result = root->if_contains(operation + "Result");
  if (result != nullptr && result->is_object()) return boost::json::object(result->get_object());
  if (result != nullptr && result->is_array()) return boost::json::object{{"Value", *result}};
  if (result != nullptr) return boost::json::object();
  root->erase("ResponseMetadata");
  return root;
}

Fault read_fault(const std::string& service, const std::string& operation, const http::Response& response) {
  Fault fault;
  fault.service = service;
  fault.operation = operation;
  fault.status = response.status;
  fault.request_id = request_id_of(response.headers);
  if (const auto type = response.headers.get("x-amzn-errortype")) fault.code = bare_code(*type);
  const std::size_t first = response.body.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  const char kind = first == std::string::npos ? '\0' : response.body[first];
  const bool is_read = kind == '<'   ? fill_from_xml(fault, response.body)
                       : kind == '{' ? fill_from_json(fault, response.body)
                                     : false;
  if (is_read) return fault;
  if (fault.code.empty()) fault.code = code_of_status(response.status);
  if (fault.message.empty()) {
    fault.message = response.body.empty() ? std::string(http::reason_phrase(response.status))
                                          : first_words(response.body);
  }
  return fault;
}

}  // namespace berth::aws
