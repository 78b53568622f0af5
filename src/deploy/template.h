#pragma once

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/spec.h"

/// The CloudFormation of a service: the fragments of infra/, one a box, put together for a spec.
namespace berth::deploy {

/// Names that the pipeline, the verbs and the fragments agree on.
struct Names {
  std::string base_stack;     ///< "<name>-base": registry and secrets, what the image needs to be there first
  std::string service_stack;  ///< "<name>"
  std::string repository;     ///< "<name>"
  std::string log_group;      ///< "/berth/<name>"
};
Names names(const model::Spec& spec);

struct Template {
  std::string yaml;  ///< for people: the fragments with their comments and file names
  boost::json::object
      document;  ///< the same, with intrinsic functions in long form ({"Ref": …}, {"Fn::Sub": …})
  /// What is sent to CloudFormation: the document without white space.
  std::string json() const;
};

/// ECR repository and Secrets Manager secrets. Outputs: RepositoryUri, RepositoryArn, RepositoryName,
/// FleetKeyArn, ApiKeyArn (absent with aws.open or own auth.keys), EnvironmentArn (absent without variables).
Result<Template> compose_base(const model::Spec& spec);

/// Everything else. Parameters: ImageUri (repository@digest), RepositoryArn, FleetKeyArn, ApiKeyArn,
/// EnvironmentArn, those that the options need. Logical ids other code may rely on: Service, Cluster,
/// TaskDefinition, LoadBalancer, TargetGroup, FileSystem, ArtifactsBucket, LogsBucket, LogGroup, TaskRole,
/// ExecutionRole. Outputs: Url (https://…), ClusterName, ServiceName, TargetGroupArn, LogGroupName,
/// FileSystemId, ArtifactsBucketName, LogsBucketName, LoadBalancerDns. Container name: "berth".
Result<Template> compose_service(const model::Spec& spec);

/// A mistake in a template that CloudFormation or AWS would find late, or never (our own rules: aws.md §4b).
struct Finding {
  std::string rule;      ///< "target-group-health-timeout"
  std::string resource;  ///< logical id
  std::string message;
};
std::vector<Finding> lint(const boost::json::object& document);

}  // namespace berth::deploy
