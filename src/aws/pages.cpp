#include "aws/pages.h"

#include <array>
#include <utility>

namespace berth::aws {

namespace {

struct Token {
  std::string name;  ///< of the input's member; empty: there is no further page
  std::string value;
};

Token next_page(const std::string& service, const boost::json::object& answer) {
  if (text(answer, "IsTruncated") == "false") return {};
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> names{
      {{"NextToken", "NextToken"},
       {"nextToken", "nextToken"},
       {"NextMarker", "Marker"},
       {"Marker", "Marker"}}};
  for (const auto& [answered, sent] : names) {
    std::string value = text(answer, answered);
    if (value.empty()) continue;
    const bool is_ec2 = service == "ec2";
    return {is_ec2 ? "NextToken" : std::string(sent), std::move(value)};
  }
  return {};
}

}  // namespace

Task<Reply<boost::json::array>> collect_pages(Client& client, std::string service, std::string operation,
                                              boost::json::object input, std::string items) {
  boost::json::array all;
  std::string last_token;
  for (int page = 0; page < pages_max; ++page) {
    auto answer = co_await client.call(service, operation, input);
    if (!answer) co_return std::unexpected(std::move(answer.error()));
    for (const boost::json::value& item : array(*answer, items)) all.push_back(item);
    Token token = next_page(service, *answer);
    if (token.name.empty() || token.value == last_token) co_return all;
    last_token = token.value;
    input[token.name] = std::move(token.value);
  }
  Fault fault;
  fault.service = std::move(service);
  fault.operation = std::move(operation);
  fault.code = "TooManyPages";
  fault.message = "The list has more than " + std::to_string(pages_max) + " pages.";
  co_return std::unexpected(std::move(fault));
}

}  // namespace berth::aws
