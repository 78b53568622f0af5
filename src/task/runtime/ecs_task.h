#pragma once

#include <string>
#include <string_view>

#include "net/network.h"

namespace berth::task {

/// What Amazon ECS says of the task that this process runs in (task metadata endpoint version 4,
/// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html).
struct EcsTask {
  std::string arn;
  std::string id;        ///< the last part of the ARN: 32 hexadecimal digits
  std::string region;    ///< of the ARN
  std::string cluster;   ///< name, also where ECS gives the ARN
  std::string service;   ///< empty for a task that belongs to none
  std::string family;    ///< of the task definition
  std::string revision;  ///< likewise
  std::string zone;      ///< "us-west-2b"; empty where ECS does not tell
  std::string address;   ///< private IPv4 address that the containers of the task share
  bool operator==(const EcsTask&) const = default;
};

/// Reads the answer of GET ${ECS_CONTAINER_METADATA_URI_V4}/task. invalid_argument: it is no such answer.
/// unavailable: the task has no address yet, which may change.
Result<EcsTask> parse_ecs_task(std::string_view json);

/// Asks the endpoint at `uri` (the variable's value) until it answers or `deadline` comes: in a task's first
/// moments it may refuse, or not know the address yet. The error is the last one.
Task<Result<EcsTask>> ask_ecs(net::Network& network, std::string uri, TimePoint deadline);

}  // namespace berth::task
