#pragma once

#include <array>
#include <string_view>

#include "model/field_table.h"
#include "model/spec.h"

/// The part of the field table that `berth deploy` alone reads.
namespace berth::model::rows {

using enum FieldKind;

inline constexpr std::array<std::string_view, 5> severity_names{"none", "low", "medium", "high", "critical"};
inline constexpr std::array<std::string_view, 3> egress_names{"nat", "nat_per_zone", "endpoints"};
inline constexpr std::array<std::string_view, 3> architecture_names{"own", "x86_64", "arm64"};

inline constexpr Field image_table[] = {
    plain<&ImageSpec::dockerfile>(text, "dockerfile", "The Dockerfile to build, relative to the file.",
                                  "Dockerfile, if there is one"),
    plain<&ImageSpec::assemble>(flag, "assemble",
                                "Berth puts the image together itself, even if there is a Dockerfile: no "
                                "docker, podman or buildah is needed."),
    plain<&ImageSpec::base>(text, "base",
                            "The image that an assembled one starts from, such as "
                            "`public.ecr.aws/docker/library/node:24-slim`, or `scratch`.",
                            "by what the server needs"),
    words<&ImageSpec::ignore>("ignore", 0, 1000,
                              "Files that stay out of the image, as patterns of .dockerignore, besides those "
                              "of .dockerignore itself."),
    chosen<&ImageSpec::stop_at>("stop_at", severity_names,
                                "A finding of the registry's scan this severe, or more so, stops the deploy; "
                                "`none` lets everything pass."),
};

inline constexpr Field permission_table[] = {
    words<&PermissionSpec::actions>("actions", 1, 100, "Actions of IAM, such as `dynamodb:GetItem`."),
    words<&PermissionSpec::resources>("resources", 1, 100,
                                      "ARNs the actions are allowed on; `\"*\"` for all has to be said."),
};

inline constexpr Field cpu_table[] = {
    ranged<&ScalingSpec::cpu_out>(number, "out", 1, 100,
                                  "Above this average of all tasks, in percent, one task is added."),
    ranged<&ScalingSpec::cpu_in>(number, "in", 0, 99,
                                 "Below this average of all tasks, in percent, one task is taken away."),
};

inline constexpr Field hours_table[] = {
    plain<&HoursSpec::days>(text, "days", "Days of the week: `mon-fri`, `mon,wed`, `mon-sun` and the like."),
    plain<&HoursSpec::from>(text, "from", "When the tasks are started, as HH:MM of 24 hours."),
    plain<&HoursSpec::to>(text, "to", "When they are ended, on the same day; until then nobody is served."),
    plain<&HoursSpec::timezone>(text, "timezone", "The clock of `from` and `to`, such as `Europe/Zurich`."),
};

inline constexpr Field scaling_table[] = {
    ranged<&ScalingSpec::min>(count, "min", 0, 1000, "Fewest tasks, whatever the load.", {}, "`tasks.count`"),
    ranged<&ScalingSpec::max>(count, "max", 0, 1000, "Most tasks.",
                              "calls wait, and are refused as `limits` say", "twice `tasks.count`"),
    within("cpu", cpu_table, "Scaling by the CPU that tasks use."),
    ranged<&ScalingSpec::calls_per_task>(count, "calls_per_task", 0, 100'000,
                                         "Calls in flight that one task should have: above, tasks are added, "
                                         "as servers seldom are short of CPU. 0 is off."),
    plain<&ScalingSpec::high_resolution>(flag, "high_resolution",
                                         "Measures every 20 seconds instead of every minute: reacts in a "
                                         "third of the time, and each metric is billed."),
    optional<&ScalingSpec::hours>("hours", hours_table,
                                  "When the service runs; outside there is no task and callers get 503. "
                                  "Without this block it always runs."),
};

inline constexpr Field network_table[] = {
    plain<&AwsNetworkSpec::vpc>(text, "vpc", "The id of a VPC that exists, such as `vpc-0a1b2c3d`.",
                                "one of its own is made"),
    words<&AwsNetworkSpec::public_subnets>("public_subnets", 0, 6,
                                           "With `vpc`: subnets of the load balancer, in different zones."),
    words<&AwsNetworkSpec::private_subnets>(
        "private_subnets", 0, 6,
        "With `vpc`: subnets of the tasks, one a zone, with a way to the AWS APIs (NAT or endpoints)."),
    plain<&AwsNetworkSpec::cidr>(text, "cidr", "Addresses of the VPC that is made, from /16 to /20."),
    chosen<&AwsNetworkSpec::egress>(
        "egress", egress_names,
        "How tasks reach the world from their private subnets: one NAT gateway, one in each zone (survives "
        "the loss of a zone), or endpoints of the AWS services alone, with no way to the internet."),
    words<&AwsNetworkSpec::egress_ports>(
        "egress_ports", 0, 20,
        "TCP ports that the tasks may call, besides 443 and those of `url`: `[5432]` for a database."),
    plain<&AwsNetworkSpec::flow_logs>(flag, "flow_logs",
                                      "Records who spoke to whom in the VPC that is made."),
};

inline constexpr Field spot_table[] = {
    ranged<&AwsSpec::spot_base>(count, "base", 0, 1000, "Tasks that always run on demand."),
    ranged<&AwsSpec::spot_weight>(
        count, "weight", 0, 100,
        "Of the tasks beyond `base`, how many run on Fargate Spot (about 70 % "
        "cheaper, ended with two minutes' notice) for each on demand; 0 is no Spot."),
};

inline constexpr Field logs_table[] = {
    ranged<&AwsSpec::log_days>(count, "days", 1, 3653,
                               "How long CloudWatch keeps logs: one of the steps that it knows (1, 3, 5, 7, "
                               "14, 30, 60, 90, 120, 150, 180, 365 …)."),
    plain<&AwsSpec::log_archive>(flag, "archive", "Keeps logs in the artifacts bucket as well, for longer."),
};

inline constexpr Field alarms_table[] = {
    plain<&AwsAlarmsSpec::email>(text, "email", "Who is told; confirms once by a link that AWS sends.",
                                 "nobody"),
    plain<&AwsAlarmsSpec::trail_log_group>(
        text, "trail_log_group",
        "The log group of the account's CloudTrail trail: changes of security groups are then counted there "
        "too.",
        "an EventBridge rule alone"),
};

inline constexpr Field aws_table[] = {
    plain<&AwsSpec::region>(text, "region", "The AWS region, such as `eu-central-1`.",
                            "AWS_REGION, or the profile's"),
    plain<&AwsSpec::profile>(text, "profile", "The profile of ~/.aws/config to work with.", "AWS_PROFILE"),
    plain<&AwsSpec::account>(text, "account", "The account's 12 digits; Berth refuses to touch any other.",
                             "whichever the credentials are of"),
    chosen<&AwsSpec::architecture>("architecture", architecture_names,
                                   "Processors of the tasks; `own` is what Berth runs on. `arm64` costs a "
                                   "fifth less."),
    nested<&AwsSpec::network>(block, "network", network_table, "The network that the service is in."),
    plain<&AwsSpec::domain>(text, "domain", "The name under which it is called, such as `mcp.example.com`.",
                            "a name under cloudfront.net"),
    plain<&AwsSpec::hosted_zone>(text, "hosted_zone",
                                 "Id of the public Route 53 zone of `domain`: the record is made there, and "
                                 "the certificate unless `certificate` is given.",
                                 "none"),
    plain<&AwsSpec::certificate>(text, "certificate",
                                 "ARN of an ACM certificate for `domain`, in the same region.",
                                 "one is requested"),
    plain<&AwsSpec::internal>(flag, "internal",
                              "The load balancer has private addresses only; needs `domain`."),
    words<&AwsSpec::allow>("allow", 1, 25, "Networks that may reach it, as CIDR blocks."),
    plain<&AwsSpec::waf>(flag, "waf",
                         "A web application firewall: AWS's common rules, known bad inputs, and at most "
                         "2,000 requests of one address in five minutes."),
    plain<&AwsSpec::kms_key>(text, "kms_key",
                             "ARN of a KMS key of yours for everything that is stored. Its policy must let "
                             "CloudWatch Logs, CloudWatch alarms and EventBridge use it.",
                             "keys of AWS"),
    plain<&AwsSpec::permissions_boundary>(text, "permissions_boundary",
                                          "ARN of the policy that bounds every role that is made.", "none"),
    pairs<&AwsSpec::tags>("tags", "Tags of every resource, besides `berth:service`. At most 40."),
    within("spot", spot_table, "How many tasks run on spare capacity."),
    within("logs", logs_table, "What becomes of the logs."),
    plain<&AwsSpec::backups>(flag, "backups", "Daily backups of the file system, kept for 35 days."),
    plain<&AwsSpec::traces>(flag, "traces", "Sends traces to X-Ray."),
    plain<&AwsSpec::exec>(flag, "exec", "Allows `aws ecs execute-command`: a shell in a running task."),
    ranged<&AwsSpec::bake>(duration, "bake", 0, hour,
                           "How long after its tasks are healthy a deploy is undone when calls fail (5xx, "
                           "more than 5 a minute), in "
                           "whole minutes; the deploy takes longer by that. 3m and more: the figures come "
                           "late. 0 watches nothing."),
    plain<&AwsSpec::open>(flag, "open",
                          "Anybody who reaches it may call. Otherwise a key is made if `auth.keys` names "
                          "none."),
    pairs<&AwsSpec::secrets>("secrets",
                             "Environment variable: secret of Secrets Manager that exists, as its ARN, "
                             "followed by `:KEY` for one key of a JSON secret."),
    nested<&AwsSpec::alarms>(block, "alarms", alarms_table, "Who is told when something is wrong."),
};

}  // namespace berth::model::rows
