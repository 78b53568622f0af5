#pragma once

#include <boost/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aws/client.h"

/// How each resource type is read from AWS.
namespace berth::deploy {

/// A resource of a stack: what CloudFormation knows of it.
struct LiveResource {
  std::string logical;
  std::string physical;  ///< id, name or ARN, as Ref gives it
  std::string type;
};

/// The properties of a live resource, as its template would say them. A member "+Resources" holds further
/// resources by logical id (routes of a route table).
using Properties = aws::Reply<boost::json::object>;
struct TypeReader {
  std::string_view type;
  Task<Properties> (*read)(aws::Client& client, LiveResource resource) = nullptr;
};
std::span<const TypeReader> network_readers();  ///< EC2 and load balancing
std::span<const TypeReader> task_readers();     ///< ECS, ECR, IAM
std::span<const TypeReader> data_readers();     ///< S3, EFS, logs, alarms

/// JSON of a REST answer's body; an empty object when it is none.
boost::json::object body_json(const aws::Reply<http::Response>& reply);
/// The object members of a list, first level.
std::vector<const boost::json::object*> objects(const boost::json::object& parent, std::string_view name);
/// The first object of a list in an answer, or an empty one.
const boost::json::object& first(const boost::json::object& answer, std::string_view name);

}  // namespace berth::deploy
