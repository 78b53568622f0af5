#pragma once

#include <boost/json.hpp>
#include <string>

namespace berth::aws {

/// The query protocols' two ways to write a list.
enum class QueryDialect : std::uint8_t {
  query,  ///< "Tags.member.1.Key=…": cloudformation, elasticloadbalancing, sts, iam, monitoring, sns
  ec2,    ///< "Filter.1.Value.1=…": the names of lists are the API reference's, without ".N"
};

/// `input` as a form (application/x-www-form-urlencoded) behind Action and Version. Objects become
/// "Parent.Name", an empty list "Name=", null is left out. A map of the query dialect is written by the
/// caller as {"Attributes": {"entry": [{"key": …, "value": …}]}}, whose list has no "member" in its names.
std::string query_form(QueryDialect dialect, const std::string& operation, const std::string& version,
                       const boost::json::object& input);

}  // namespace berth::aws
