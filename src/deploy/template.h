#pragma once

#include <boost/json.hpp>
#include <map>
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
  /// What is sent to CloudFormation: the document without white space and Metadata, less than 51,200 bytes.
  std::string json() const;
};

/// Both templates are refused (invalid_argument, one sentence a line) for what `berth up` allows and AWS does
/// not: model::deploy_problems.
///
/// ECR repository and Secrets Manager secrets. Outputs: RepositoryUri, RepositoryArn, RepositoryName,
/// FleetKeyArn, ApiKeyArn (absent with aws.open or own auth.keys), EnvironmentArn (absent without variables).
Result<Template> compose_base(const model::Spec& spec);

/// Tags to give to both stacks, which CloudFormation puts on every resource that can have any: those of
/// aws.tags, and "berth:service". They stand there and not in the templates, which would otherwise outgrow
/// CloudFormation's 51,200 bytes with a few dozen tags.
std::map<std::string, std::string> stack_tags(const model::Spec& spec);

/// Everything else. Parameters:
/// - ImageUri (repository@sha256:…), RepositoryArn, FleetKeyArn; ApiKeyArn and EnvironmentArn if the base
///   stack has them;
/// - DesiredCount: how many tasks when the service is made, and "" (the default) for every later change;
/// - CloudFrontPrefixList, without a domain: the id of the managed prefix list
///   com.amazonaws.global.cloudfront.origin-facing in the region (ec2 DescribeManagedPrefixLists);
/// - TransactionSearch, with traces: "true" where xray GetTraceSegmentDestination is not CloudWatchLogs yet,
///   so that the stack switches it on; else "false" (the default);
/// - Vpc, PrivateSubnetA …, PublicSubnetA … with an existing network: their defaults are the ids of the spec.
///
/// Logical ids other code may rely on: Service, Cluster, TaskDefinition, LoadBalancer, Listener, TargetGroup,
/// FileSystem, ArtifactsBucket, LogsBucket, LogGroup, TaskRole, ExecutionRole, Distribution (without a
/// domain), Certificate. Outputs: Url (https://…), ClusterName, ServiceName, TargetGroupArn, LogGroupName,
/// FileSystemId, ArtifactsBucketName, LogsBucketName, LoadBalancerDns. Container name: "berth".
///
/// Environment of the container: BERTH_TLS=self-signed; BERTH_HOSTS, a host name that requests come under
/// besides listener.hosts; BERTH_IDLE_TIMEOUT=150, how long idle connections are kept (longer than the load
/// balancer does); BERTH_METRICS=emf, with BERTH_METRICS_PERIOD=20 at high resolution; BERTH_TRACES=otlp with
/// traces; BERTH_OPEN=1 with aws.open. Secrets: BERTH_FLEET_KEY, BERTH_API_KEY (principal "deploy"), and each
/// of Spec::variables.
///
/// An image that runs, and the one before it, must carry a tag that begins with "running" in ECR: such tags
/// may be moved, and protect from the deletion after 90 days.
Result<Template> compose_service(const model::Spec& spec);

/// A mistake in a template that CloudFormation or AWS would find late, or never (our own rules: aws.md §4b).
struct Finding {
  std::string rule;      ///< "target-group-health-timeout"
  std::string resource;  ///< logical id
  std::string message;
};
std::vector<Finding> lint(const boost::json::object& document);

}  // namespace berth::deploy
