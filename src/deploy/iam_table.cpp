#include "deploy/iam_table.h"

/// One row a resource type and scope. Actions are what the resource handlers of CloudFormation call to
/// create, read, update, tag and delete: the "handlers" of a type's schema (https://docs.aws.amazon.com/
/// cloudformation-cli/latest/userguide/resource-type-schema.html). Reads that IAM cannot limit go to "any".
namespace berth::deploy {
namespace {

constexpr ScopeRow scopes[] = {
    {"stacks", "arn:P:cloudformation:R:A:stack/NAME/*"},
    {"stacks", "arn:P:cloudformation:R:A:stack/NAME-base/*"},
    {"network", "arn:P:ec2:R:A:*"},
    {"balancer", "arn:P:elasticloadbalancing:R:A:*/NAME5*"},
    {"balancer", "arn:P:elasticloadbalancing:R:A:*/app/NAME5*"},
    {"ecs", "arn:P:ecs:R:A:*/NAME"},
    {"ecs", "arn:P:ecs:R:A:*/NAME:*"},
    {"ecs", "arn:P:ecs:R:A:*/NAME/*"},
    {"repository", "arn:P:ecr:R:A:repository/NAME"},
    {"secrets", "arn:P:secretsmanager:R:A:secret:NAME-*"},
    {"files", "arn:P:elasticfilesystem:R:A:file-system/*"},
    {"files", "arn:P:elasticfilesystem:R:A:access-point/*"},
    {"buckets", "arn:P:s3:::BUCKET-*"},
    {"objects", "arn:P:s3:::BUCKET-*/*"},
    {"roles", "arn:P:iam::A:role/NAME-*"},
    {"logs", "arn:P:logs:R:A:log-group:/berth/NAME*"},
    {"logs", "arn:P:logs:R:A:log-group:NAME-*"},
    {"spans", "arn:P:logs:R:A:log-group:aws/spans:*"},
    {"search", "arn:P:logs:R:A:log-group:aws/spans:*"},
    {"search", "arn:P:logs:R:A:log-group:/aws/application-signals/data:*"},
    {"search-role",
     "arn:P:iam::A:role/aws-service-role/application-signals.cloudwatch.amazonaws.com/"
     "AWSServiceRoleForCloudWatchApplicationSignals"},
    {"search-channel", "arn:P:cloudtrail:*:A:channel/aws-service-channel/application-signals/*"},
    {"alarms", "arn:P:cloudwatch:R:A:alarm:NAME*"},
    {"alarms", "arn:P:cloudwatch::A:dashboard/NAME*"},
    {"alarms", "arn:P:cloudwatch:R:A:alarm:TargetTracking-service/NAME*"},
    {"topics", "arn:P:sns:R:A:NAME*"},
    {"rules", "arn:P:events:R:A:rule/NAME*"},
    {"scaling", "arn:P:application-autoscaling:R:A:scalable-target/*"},
    {"certificates", "arn:P:acm:R:A:certificate/*"},
    {"distribution", "arn:P:cloudfront::A:*"},
    {"firewall", "arn:P:wafv2:R:A:regional/*"},
    {"firewall-association", "arn:P:wafv2:R:A:regional/*"},
    {"firewall-association", "arn:P:elasticloadbalancing:R:A:loadbalancer/app/NAME5*"},
    {"archive", "arn:P:firehose:R:A:deliverystream/NAME*"},
};

constexpr ActionRow rows[] = {
    // What Berth calls itself: plan, deploy, rollback, destroy and the operator's verbs.
    {"", "sts", "any", "GetCallerIdentity"},
    {"", "cloudformation", "stacks",
     "CancelUpdateStack ContinueUpdateRollback CreateChangeSet CreateStack DeleteChangeSet DeleteStack "
     "DescribeChangeSet DescribeStackEvents DescribeStackResource DescribeStackResourceDrifts "
     "DescribeStacks DetectStackDrift ExecuteChangeSet GetTemplate GetTemplateSummary "
     "ListChangeSets ListStackResources RollbackStack TagResource UntagResource UpdateStack "
     "UpdateTerminationProtection"},
    {"", "cloudformation", "any",
     "DescribeStackDriftDetectionStatus DescribeStackResources ListStacks ValidateTemplate"},
    {"", "ecr", "any", "GetAuthorizationToken"},
    {"", "ecr", "repository",
     "BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload DescribeImages "
     "DescribeImageScanFindings DescribeRepositories GetDownloadUrlForLayer GetLifecyclePolicy "
     "InitiateLayerUpload ListImages PutImage StartImageScan UploadLayerPart"},
    {"", "secretsmanager", "secrets", "DescribeSecret GetSecretValue PutSecretValue"},
    {"", "secretsmanager", "any", "ListSecrets"},
    {"", "ecs", "any",
     "DeregisterTaskDefinition DescribeClusters DescribeServiceDeployments DescribeServiceRevisions "
     "DescribeServices DescribeTaskDefinition DescribeTasks ListServiceDeployments ListServices "
     "ListTaskDefinitions ListTasks RegisterTaskDefinition"},
    {"", "ecs", "ecs", "StopServiceDeployment StopTask TagResource UpdateService"},
    {"", "elasticloadbalancing", "any", "Describe*"},
    {"", "ec2", "any", "Describe*"},
    {"", "logs", "any", "DescribeLogGroups"},
    {"", "logs", "logs", "DescribeLogStreams DeleteLogGroup FilterLogEvents GetLogEvents StartQuery"},
    {"", "logs", "spans", "FilterLogEvents StartQuery"},
    {"", "logs", "any", "GetQueryResults StopQuery"},
    {"", "xray", "any", "BatchGetTraces GetTraceSegmentDestination GetTraceSummaries"},
    {"", "cloudwatch", "any", "DescribeAlarms GetMetricData GetMetricStatistics"},
    {"", "application-autoscaling", "any", "Describe*"},
    {"", "application-autoscaling", "scaling", "RegisterScalableTarget"},
    {"", "servicequotas", "any", "GetServiceQuota ListServiceQuotas"},
    {"", "elasticfilesystem", "any", "DescribeAccessPoints DescribeFileSystems DescribeMountTargets"},
    {"", "elasticfilesystem", "files",
     "DeleteAccessPoint DeleteFileSystem DeleteMountTarget DescribeBackupPolicy DescribeFileSystemPolicy "
     "DescribeLifecycleConfiguration"},
    {"", "s3", "buckets",
     "DeleteBucket GetBucketLocation GetBucketPolicy GetBucketPublicAccessBlock GetBucketVersioning "
     "GetEncryptionConfiguration GetLifecycleConfiguration ListBucket ListBucketVersions "
     "ListBucketMultipartUploads"},
    {"", "s3", "objects", "AbortMultipartUpload DeleteObject DeleteObjectVersion"},
    {"", "iam", "roles", "GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies"},
    {"", "events", "any", "DescribeRule"},
    // Types of the base stack.
    {"AWS::ECR::Repository", "ecr", "repository",
     "CreateRepository DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy GetRepositoryPolicy "
     "ListTagsForResource PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy "
     "SetRepositoryPolicy TagResource UntagResource"},
    {"AWS::SecretsManager::Secret", "secretsmanager", "secrets",
     "CreateSecret DeleteSecret TagResource UntagResource UpdateSecret"},
    {"AWS::SecretsManager::Secret", "secretsmanager", "any", "GetRandomPassword"},
    // Network.
    {"AWS::EC2::VPC", "ec2", "network", "CreateTags CreateVpc DeleteTags DeleteVpc ModifyVpcAttribute"},
    {"AWS::EC2::Subnet", "ec2", "network", "CreateSubnet DeleteSubnet ModifySubnetAttribute"},
    {"AWS::EC2::InternetGateway", "ec2", "network", "CreateInternetGateway DeleteInternetGateway"},
    {"AWS::EC2::VPCGatewayAttachment", "ec2", "network", "AttachInternetGateway DetachInternetGateway"},
    {"AWS::EC2::RouteTable", "ec2", "network", "CreateRouteTable DeleteRouteTable"},
    {"AWS::EC2::Route", "ec2", "network", "CreateRoute DeleteRoute ReplaceRoute"},
    {"AWS::EC2::SubnetRouteTableAssociation", "ec2", "network",
     "AssociateRouteTable DisassociateRouteTable ReplaceRouteTableAssociation"},
    {"AWS::EC2::EIP", "ec2", "network",
     "AllocateAddress AssociateAddress DisassociateAddress ReleaseAddress"},
    {"AWS::EC2::NatGateway", "ec2", "network", "CreateNatGateway DeleteNatGateway"},
    {"AWS::EC2::VPCEndpoint", "ec2", "network", "CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint"},
    {"AWS::EC2::VPCEndpoint", "ec2", "any", "Describe*"},
    // Its private DNS name is a zone of AWS's, which the endpoint is put into.
    {"AWS::EC2::VPCEndpoint Interface", "route53", "any", "AssociateVPCWithHostedZone"},
    {"AWS::EC2::FlowLog", "ec2", "network", "CreateFlowLogs DeleteFlowLogs"},
    {"AWS::EC2::FlowLog", "logs", "any", "CreateLogDelivery DeleteLogDelivery"},
    {"AWS::EC2::SecurityGroup", "ec2", "network",
     "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags "
     "DeleteSecurityGroup DeleteTags RevokeSecurityGroupEgress RevokeSecurityGroupIngress "
     "UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress"},
    {"AWS::EC2::SecurityGroupIngress", "ec2", "network",
     "AuthorizeSecurityGroupIngress ModifySecurityGroupRules RevokeSecurityGroupIngress"},
    {"AWS::EC2::SecurityGroupEgress", "ec2", "network",
     "AuthorizeSecurityGroupEgress ModifySecurityGroupRules RevokeSecurityGroupEgress"},
    // The way in.
    {"AWS::ElasticLoadBalancingV2::LoadBalancer", "elasticloadbalancing", "balancer",
     "AddTags CreateLoadBalancer DeleteLoadBalancer ModifyLoadBalancerAttributes RemoveTags "
     "SetIpAddressType SetSecurityGroups SetSubnets"},
    {"AWS::ElasticLoadBalancingV2::LoadBalancer", "iam", "any", "linked:elasticloadbalancing"},
    {"AWS::ElasticLoadBalancingV2::TargetGroup", "elasticloadbalancing", "balancer",
     "AddTags CreateTargetGroup DeleteTargetGroup DeregisterTargets ModifyTargetGroup "
     "ModifyTargetGroupAttributes RegisterTargets RemoveTags"},
    {"AWS::ElasticLoadBalancingV2::Listener", "elasticloadbalancing", "balancer",
     "CreateListener DeleteListener ModifyListener ModifyListenerAttributes"},
    {"AWS::ElasticLoadBalancingV2::ListenerRule", "elasticloadbalancing", "balancer",
     "CreateRule DeleteRule ModifyRule SetRulePriorities"},
    {"AWS::CertificateManager::Certificate", "acm", "certificates",
     "AddTagsToCertificate DeleteCertificate DescribeCertificate ListTagsForCertificate "
     "RemoveTagsFromCertificate UpdateCertificateOptions"},
    {"AWS::CertificateManager::Certificate", "acm", "any", "RequestCertificate"},
    {"AWS::CertificateManager::Certificate", "route53", "zone", "ChangeResourceRecordSets GetHostedZone"},
    {"AWS::CertificateManager::Certificate", "route53", "any", "GetChange"},
    {"AWS::Route53::RecordSet", "route53", "zone",
     "ChangeResourceRecordSets GetHostedZone ListResourceRecordSets"},
    {"AWS::Route53::RecordSet", "route53", "any", "GetChange"},
    {"AWS::CloudFront::Distribution", "cloudfront", "any", "CreateDistribution"},
    {"AWS::CloudFront::Distribution", "cloudfront", "distribution",
     "DeleteDistribution GetDistribution GetDistributionConfig ListTagsForResource "
     "TagResource UntagResource UpdateDistribution"},
    {"AWS::CloudFront::Function", "cloudfront", "any", "CreateFunction"},
    {"AWS::CloudFront::Function", "cloudfront", "distribution",
     "DeleteFunction DescribeFunction GetFunction ListTagsForResource PublishFunction TagResource "
     "UntagResource "
     "UpdateFunction"},
    {"AWS::CloudFront::VpcOrigin", "cloudfront", "any", "CreateVpcOrigin"},
    {"AWS::CloudFront::VpcOrigin", "cloudfront", "distribution",
     "DeleteVpcOrigin GetVpcOrigin ListTagsForResource TagResource UntagResource UpdateVpcOrigin"},
    {"AWS::CloudFront::VpcOrigin", "iam", "any", "linked:vpcorigin.cloudfront"},
    {"AWS::WAFv2::WebACL", "wafv2", "firewall",
     "CreateWebACL DeleteWebACL GetWebACL ListTagsForResource TagResource UntagResource UpdateWebACL"},
    {"AWS::WAFv2::IPSet", "wafv2", "firewall",
     "CreateIPSet DeleteIPSet GetIPSet ListTagsForResource TagResource UntagResource UpdateIPSet"},
    // Allowed on the firewall and on what it protects; SetWebAcl knows no resource.
    {"AWS::WAFv2::WebACLAssociation", "wafv2", "firewall-association",
     "AssociateWebACL DisassociateWebACL GetWebACL GetWebACLForResource"},
    {"AWS::WAFv2::WebACLAssociation", "elasticloadbalancing", "balancer",
     "CreateWebACLAssociation DeleteWebACLAssociation GetLoadBalancerWebACL"},
    {"AWS::WAFv2::WebACLAssociation", "elasticloadbalancing", "any", "SetWebAcl"},
    {"AWS::WAFv2::WebACLAssociation", "iam", "any", "linked:wafv2"},
    // Tasks.
    {"AWS::ECS::Cluster", "ecs", "ecs",
     "DeleteCluster ListTagsForResource PutClusterCapacityProviders TagResource UntagResource UpdateCluster "
     "UpdateClusterSettings"},
    {"AWS::ECS::Cluster", "ecs", "any", "CreateCluster"},
    {"AWS::ECS::Cluster", "iam", "any", "linked:ecs"},
    {"AWS::ECS::ClusterCapacityProviderAssociations", "ecs", "ecs", "PutClusterCapacityProviders"},
    {"AWS::ECS::ClusterCapacityProviderAssociations", "ecs", "any", "DescribeCapacityProviders"},
    {"AWS::ECS::TaskDefinition", "ecs", "any",
     "DeleteTaskDefinitions DeregisterTaskDefinition RegisterTaskDefinition"},
    {"AWS::ECS::TaskDefinition", "ecs", "ecs", "ListTagsForResource TagResource UntagResource"},
    {"AWS::ECS::TaskDefinition", "iam", "roles", "pass:ecs-tasks"},
    {"AWS::ECS::Service", "ecs", "ecs",
     "CreateService DeleteService ListTagsForResource TagResource UntagResource UpdateService"},
    {"AWS::ApplicationAutoScaling::ScalableTarget", "application-autoscaling", "scaling",
     "DeleteScheduledAction DeregisterScalableTarget ListTagsForResource PutScheduledAction "
     "RegisterScalableTarget TagResource UntagResource"},
    {"AWS::ApplicationAutoScaling::ScalableTarget", "iam", "any", "linked:ecs.application-autoscaling"},
    {"AWS::ApplicationAutoScaling::ScalingPolicy", "application-autoscaling", "scaling",
     "DeleteScalingPolicy PutScalingPolicy"},
    // Target tracking makes its alarms in the name of who puts the policy.
    {"AWS::ApplicationAutoScaling::ScalingPolicy", "cloudwatch", "alarms", "DeleteAlarms PutMetricAlarm"},
    {"AWS::IAM::Role", "iam", "roles",
     "AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy "
     "DetachRolePolicy PutRolePermissionsBoundary PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy "
     "UpdateRole UpdateRoleDescription"},
    {"AWS::IAM::Policy", "iam", "roles", "DeleteRolePolicy GetRolePolicy PutRolePolicy"},
    // Data.
    {"AWS::EFS::FileSystem", "elasticfilesystem", "any", "CreateFileSystem"},
    {"AWS::EFS::FileSystem", "elasticfilesystem", "files",
     "DeleteFileSystem DeleteFileSystemPolicy DescribeReplicationConfigurations ListTagsForResource "
     "PutBackupPolicy "
     "PutFileSystemPolicy PutLifecycleConfiguration TagResource UntagResource UpdateFileSystem "
     "UpdateFileSystemProtection"},
    {"AWS::EFS::FileSystem", "iam", "any", "linked:backup linked:elasticfilesystem"},
    {"AWS::EFS::MountTarget", "elasticfilesystem", "files",
     "CreateMountTarget DeleteMountTarget DescribeMountTargetSecurityGroups ModifyMountTargetSecurityGroups"},
    {"AWS::EFS::MountTarget", "ec2", "network", "CreateNetworkInterface DeleteNetworkInterface"},
    {"AWS::EFS::AccessPoint", "elasticfilesystem", "files",
     "CreateAccessPoint DeleteAccessPoint ListTagsForResource TagResource UntagResource"},
    {"AWS::S3::Bucket", "s3", "buckets",
     "CreateBucket DeleteBucket GetAccelerateConfiguration GetAnalyticsConfiguration GetBucket* "
     "GetIntelligentTieringConfiguration GetInventoryConfiguration GetMetricsConfiguration "
     "GetReplicationConfiguration ListTagsForResource PutBucketLogging PutBucketNotification "
     "PutBucketOwnershipControls PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning "
     "PutEncryptionConfiguration PutLifecycleConfiguration TagResource UntagResource"},
    {"AWS::S3::BucketPolicy", "s3", "buckets", "DeleteBucketPolicy GetBucketPolicy PutBucketPolicy"},
    // Watching.
    {"AWS::Logs::LogGroup", "logs", "logs",
     "AssociateKmsKey CreateLogGroup DeleteLogGroup DeleteRetentionPolicy DisassociateKmsKey "
     "GetDataProtectionPolicy ListTagsForResource PutRetentionPolicy TagResource UntagResource"},
    {"AWS::Logs::LogGroup", "logs", "any", "DescribeIndexPolicies DescribeResourcePolicies"},
    {"AWS::Logs::MetricFilter", "logs", "trail", "DeleteMetricFilter DescribeMetricFilters PutMetricFilter"},
    {"AWS::Logs::MetricFilter", "logs", "logs", "DeleteMetricFilter DescribeMetricFilters PutMetricFilter"},
    {"AWS::Logs::SubscriptionFilter", "logs", "logs",
     "DeleteSubscriptionFilter DescribeSubscriptionFilters PutSubscriptionFilter"},
    {"AWS::Logs::SubscriptionFilter", "iam", "roles", "pass:logs"},
    {"AWS::Logs::ResourcePolicy", "logs", "any",
     "DeleteResourcePolicy DescribeResourcePolicies PutResourcePolicy"},
    {"AWS::KinesisFirehose::DeliveryStream", "firehose", "archive",
     "CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream ListTagsForDeliveryStream "
     "StartDeliveryStreamEncryption StopDeliveryStreamEncryption TagDeliveryStream UntagDeliveryStream "
     "UpdateDestination"},
    {"AWS::KinesisFirehose::DeliveryStream", "iam", "roles", "pass:firehose"},
    {"AWS::CloudWatch::Alarm", "cloudwatch", "alarms",
     "DeleteAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource"},
    {"AWS::CloudWatch::Dashboard", "cloudwatch", "alarms",
     "DeleteDashboards GetDashboard ListTagsForResource PutDashboard TagResource UntagResource"},
    {"AWS::SNS::Topic", "sns", "topics",
     "CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes ListSubscriptionsByTopic "
     "ListTagsForResource SetTopicAttributes Subscribe TagResource UntagResource Unsubscribe"},
    {"AWS::SNS::TopicPolicy", "sns", "topics", "GetTopicAttributes SetTopicAttributes"},
    {"AWS::SNS::Subscription", "sns", "topics",
     "GetSubscriptionAttributes SetSubscriptionAttributes Subscribe Unsubscribe"},
    {"AWS::Events::Rule", "events", "rules",
     "DeleteRule DescribeRule DisableRule EnableRule ListTagsForResource ListTargetsByRule PutRule "
     "PutTargets "
     "RemoveTargets TagResource UntagResource"},
    {"AWS::XRay::TransactionSearchConfig", "xray", "any",
     "GetIndexingRules GetTraceSegmentDestination UpdateIndexingRule UpdateTraceSegmentDestination"},
    {"AWS::XRay::TransactionSearchConfig", "application-signals", "any", "StartDiscovery"},
    {"AWS::XRay::TransactionSearchConfig", "logs", "any", "DescribeResourcePolicies PutResourcePolicy"},
    // "Before you can enable Transaction Search" (CloudWatch user guide): X-Ray makes its log groups in the
    // name of who switches it on, and Application Signals its role and channel.
    {"AWS::XRay::TransactionSearchConfig", "logs", "search",
     "CreateLogGroup CreateLogStream PutRetentionPolicy"},
    {"AWS::XRay::TransactionSearchConfig", "iam", "search-role", "GetRole"},
    {"AWS::XRay::TransactionSearchConfig", "cloudtrail", "search-channel", "CreateServiceLinkedChannel"},
    {"AWS::XRay::TransactionSearchConfig", "iam", "any", "linked:application-signals.cloudwatch"},
    // With a key of the customer's.
    {"kms", "kms", "key",
     "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey* ReEncrypt* RetireGrant RevokeGrant"},
};

}  // namespace

std::span<const ActionRow> action_rows() { return rows; }
std::span<const ScopeRow> scope_rows() { return scopes; }

}  // namespace berth::deploy
