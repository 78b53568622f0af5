#include "deploy/trouble.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "aws/denial.h"

namespace berth::deploy {
namespace {

constexpr std::size_t lines_shown_max = 10;
/// What ECS says of a deployment that an alarm has ended.
constexpr std::string_view alarm_detected = "deployment failed: alarm detected";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// A pattern is words that must all occur, in any order, whatever their case, with '&' between them.
bool matches(std::string_view text, std::string_view pattern) {
  const std::string hay = lower(text);
  while (!pattern.empty()) {
    const std::size_t end = std::min(pattern.find('&'), pattern.size());
    if (hay.find(lower(pattern.substr(0, end))) == std::string::npos) return false;
    pattern.remove_prefix(std::min(end + 1, pattern.size()));
  }
  return true;
}

struct Rule {
  std::string_view pattern;
  std::string_view cause;
  std::string_view remedy;
};

constexpr std::string_view no_route =
    "The private subnets need a way out: aws.network.egress nat (or endpoints for ecr.api, ecr.dkr, logs, "
    "secretsmanager and s3). With aws.network.vpc, check the route tables of private_subnets: 0.0.0.0/0 to a "
    "NAT gateway, or those endpoints with a security group that lets the tasks in on 443.";

/// Of what stopped tasks say; the first that matches wins, so the particular stands before the general.
constexpr Rule task_rules[] = {
    {"exec format error", "The image is of another processor architecture than the tasks.",
     "Set aws.architecture to that of the image, or build the image for the architecture of the tasks."},
    {"CannotPull&manifest", "The image, or its layer for this architecture, is not in the registry.",
     "Run `berth deploy` again: it pushes what is missing. If a lifecycle rule deleted the image, deploy "
     "builds it anew."},
    {"CannotPull&not found", "The image is not in the registry.",
     "Run `berth deploy` again: it pushes what is missing."},
    {"CannotPull&timeout", "The tasks cannot reach the registry: their subnet has no route to it.", no_route},
    {"CannotPull&deadline exceeded", "The tasks cannot reach the registry: their subnet has no route to it.",
     no_route},
    {"CannotPull&dial tcp", "The tasks cannot reach the registry: their subnet has no route to it.",
     no_route},
    {"CannotPull&denied", "The tasks may not pull the image: the execution role lacks a permission.",
     "Deploy again: the template gives the execution role what it needs. A permissions boundary or a policy "
     "of the organization may forbid ecr:BatchGetImage or ecr:GetDownloadUrlForLayer."},
    {"CannotPull", "The tasks cannot pull the image.",
     "Look at what the registry said above; `berth doctor` checks the way to it."},
    {"pull registry auth&timeout", "The tasks cannot reach AWS: their subnet has no route.", no_route},
    {"pull registry auth&deadline", "The tasks cannot reach AWS: their subnet has no route.", no_route},
    {"unable to pull secrets&timeout", "The tasks cannot reach Secrets Manager: their subnet has no route.",
     no_route},
    {"unable to pull secrets&deadline", "The tasks cannot reach Secrets Manager: their subnet has no route.",
     no_route},
    {"unable to pull secrets&not authorized", "The tasks may not read a secret.",
     "The execution role needs secretsmanager:GetSecretValue on it, and kms:Decrypt when it has a customer "
     "key; secrets named in aws.secrets must exist in this account and region."},
    {"unable to pull secrets", "A secret that the tasks need could not be read.",
     "Check that every secret of aws.secrets exists and holds the key named; `berth deploy` fills the "
     "others."},
    {"EFS utils", "The tasks cannot mount the file system.",
     "Port 2049 must be open from the tasks to the mount targets, one in every zone. `berth plan` shows "
     "whether a security group was changed by hand; `berth deploy` puts back what the template says."},
    {"mount&efs", "The tasks cannot mount the file system.",
     "Port 2049 must be open from the tasks to the mount targets, one in every zone."},
    {"log group does not exist", "The log group of the service is gone.",
     "It was deleted by hand: `berth plan` shows what else differs, and making the log group again with its "
     "old name lets tasks start."},
    {"executable file not found", "The image has no berth at its entry point.",
     "Images built by `berth deploy` have it. One given with --image needs ENTRYPOINT "
     "[\"/usr/local/bin/berth\", \"serve\"] and the static berth there."},
    {"no such file or directory&exec", "The image has no berth at its entry point.",
     "Images built by `berth deploy` have it. One given with --image needs ENTRYPOINT "
     "[\"/usr/local/bin/berth\", \"serve\"] and the static berth there."},
    {"OutOfMemory", "A task used up its memory and was killed.",
     "Give it more: tasks.memory in berth.yaml (512 MB to 4 GB at half a vCPU), or see why it grows: `berth "
     "logs`."},
    {"Capacity is unavailable", "AWS has no capacity for these tasks at the moment.",
     "Fargate Spot has no fallback to on-demand: set aws.spot.weight to 0 (or raise aws.spot.base) and "
     "deploy again, or try another zone or architecture."},
    {"vCPU", "The account's limit of vCPUs for Fargate is reached.",
     "Raise the quota \"Fargate On-Demand vCPU resource count\" (Service Quotas, service fargate), or ask "
     "for "
     "fewer tasks."},
    {"container health checks", "The container's own health check failed.",
     "`berth health` inside the container got no good answer: the MCP server does not start, or not in time "
     "(start_timeout). Its last lines say why; `berth up` on this machine shows the same."},
    {"ELB health checks", "The load balancer found the task unhealthy.",
     "Tasks did not answer the health path in time. Their last lines say why; with an own VPC check that the "
     "load balancer's security group reaches the tasks on port 3000."},
    {"SpotInterruption", "Spot tasks were taken back by AWS.",
     "That is how Spot works; others start by themselves. Raise aws.spot.base for more tasks that stay."},
};

/// Of exit codes, when nothing above matched.
struct ExitRule {
  int code;
  std::string_view cause;
  std::string_view remedy;
};
constexpr ExitRule exit_rules[] = {
    {137, "A task was killed (exit code 137): most often it used up its memory.",
     "Give it more: tasks.memory in berth.yaml; or see why it did not stop in time: `berth logs`."},
    {139, "A task crashed (exit code 139: a segmentation fault).",
     "The last lines say how far it came; `berth up` on this machine may show the same."},
    {127,
     "The image has no berth at its entry point, or the command of the MCP server is not in it "
     "(exit code 127).",
     "Add what the command needs to the image: a Dockerfile, image.base or the dependencies of "
     "package.json."},
    {126, "The command of the image cannot be run (exit code 126).",
     "It is not executable, or of another architecture: see aws.architecture."},
};

/// Of the codes with which AWS refuses whoever calls. Every service has its own spelling.
constexpr Rule credential_rules[] = {
    {"ExpiredToken", "The credentials have expired.",
     "Get new ones (`aws sso login`, or where these came from) and run the same command again."},
    {"InvalidClientTokenId", "AWS does not know this access key.",
     "It was deleted or mistyped: choose others with --profile or AWS_PROFILE, or run `aws configure`."},
    {"UnrecognizedClient", "AWS does not know this access key.",
     "It was deleted or mistyped: choose others with --profile or AWS_PROFILE, or run `aws configure`."},
    {"InvalidAccessKeyId", "AWS does not know this access key.",
     "It was deleted or mistyped: choose others with --profile or AWS_PROFILE, or run `aws configure`."},
    {"SignatureDoesNotMatch", "The secret key is not the one of this access key.",
     "Copy both again (`aws configure`), without spaces or line ends."},
    {"InvalidSignature", "The secret key is not the one of this access key.",
     "Copy both again (`aws configure`), without spaces or line ends."},
};

/// Of what stack events, service events and API messages say.
constexpr Rule aws_rules[] = {
    {"scheduled for deletion", "A secret of that name is scheduled for deletion, so the name is taken.",
     "Bring it back (`aws secretsmanager restore-secret --secret-id NAME`) or end it for good (`aws "
     "secretsmanager delete-secret --secret-id NAME --force-delete-without-recovery`), then deploy again."},
    {"account must be verified&CloudFront",
     "AWS lets this account make nothing in CloudFront before it is verified, as it does with many new ones.",
     "Open a case with AWS Support (account and billing, without charge) and quote the message. Or do "
     "without CloudFront: give the service a domain (aws.domain with aws.hosted_zone or aws.certificate)."},
    {"does not support creating load balancers",
     "AWS lets this account make no load balancers before it is verified, as it does with some new ones.",
     "Open a case with AWS Support (account and billing, without charge) and quote the message."},
    {"assume the service linked role", "AWS has only just made the role with which ECS acts in this account.",
     "Run the same command again in a minute: the role is there then."},
    {"already exists", "A name is taken: something else in this account and region has it.",
     "Give the service another name in berth.yaml, or remove what has the name. What an earlier `berth "
     "destroy --keep-data` left is removed by `berth destroy --delete-data`."},
    {"AlreadyOwned", "A bucket of that name is there already.",
     "Give the service another name in berth.yaml, or remove the bucket. What `berth destroy --keep-data` "
     "left is removed by `berth destroy --delete-data`."},
    {"certificate&valid", "The certificate is not validated.",
     "The certificate is issued when its CNAME record is found in the DNS of the domain: add it, then deploy "
     "again. With aws.hosted_zone the record is added by itself: then the world asks other name servers than "
     "those of that zone (compare `dig NS DOMAIN` with the zone's NS record), or a CAA record of the domain "
     "forbids amazon.com."},
    {"UnsupportedCertificate", "The load balancer cannot use the certificate: it is not issued yet.",
     "Add the CNAME record that ACM asks for, wait until the certificate is issued, then deploy again."},
    {"LimitExceeded", "A quota of the account is used up.",
     "Raise it in Service Quotas, or remove what is not needed; the message names what there is too much "
     "of."},
    // The end of an SDK's retries, which the general words about quotas below would match.
    {"maximum number of attempts", "The tasks cannot reach AWS: their subnet has no route.", no_route},
    {"maximum number of", "A quota of the account is used up.",
     "Raise it in Service Quotas, or remove what is not needed; the message names what there is too much of. "
     "With aws.network.vpc the service shares a VPC that is there."},
    {"quota", "A quota of the account is used up.",
     "Raise it in Service Quotas, or remove what is not needed; the message names what there is too much "
     "of."},
    {"limit&reached", "A quota of the account is used up.",
     "Raise it in Service Quotas, or remove what is not needed; the message names what there is too much "
     "of."},
    {"limit&exceeded", "A quota of the account is used up.",
     "Raise it in Service Quotas, or remove what is not needed; the message names what there is too much "
     "of."},
    {"Rate exceeded", "AWS throttled the calls.",
     "Something else in this account calls often. Run the same command again in a minute: it continues."},
    {"throttl", "AWS throttled the calls.",
     "Something else in this account calls often. Run the same command again in a minute: it continues."},
    {"Capacity is unavailable", "AWS has no capacity for these tasks at the moment.",
     "Fargate Spot has no fallback to on-demand: set aws.spot.weight to 0 (or raise aws.spot.base) and "
     "deploy again, or try another zone or architecture."},
    {"unable to place", "ECS could not place the tasks.",
     "Fargate Spot has no fallback to on-demand: set aws.spot.weight to 0 (or raise aws.spot.base) and "
     "deploy again."},
    {"no default VPC", "The account has no VPC to use.", "Leave aws.network.vpc out: Berth makes its own."},
    {"circuit breaker", "New tasks did not become healthy, so ECS stopped the deployment and went back.",
     "The tasks' last lines say why."},
    {"did not stabilize", "New tasks did not become healthy in time.", "The tasks' last lines say why."},
    {"unhealthy", "The load balancer found the tasks unhealthy.",
     "Tasks did not answer the health path in time; `berth doctor` looks for the broken link."},
};

bool is_noise(const StackEvent& event) {
  return event.reason.empty() || matches(event.reason, "Resource creation cancelled") ||
         matches(event.reason, "Resource update cancelled");
}

std::string sentence_of(const StackEvent& event) {
  return fmt::format("{} ({}) {}: {}", event.resource, event.type, event.status, event.reason);
}

std::string task_sentence(const TaskEnd& task) {
  std::string out = fmt::format("task {}{} stopped", task.id.substr(0, 8),
                                task.zone.empty() ? "" : fmt::format(" in {}", task.zone));
  if (task.exit_code) out += fmt::format(" with exit code {}", *task.exit_code);
  if (!task.reason.empty()) out += ": " + task.reason;
  if (!task.container_reason.empty()) out += fmt::format(" ({})", task.container_reason);
  return out;
}

/// The last one that failed: those that ECS stopped because others did have nothing to tell.
const TaskEnd& most_telling(const std::vector<TaskEnd>& tasks) {
  const auto found = std::find_if(tasks.rbegin(), tasks.rend(), [](const TaskEnd& task) {
    return !matches(task.reason, "Scaling activity initiated");
  });
  return found == tasks.rend() ? tasks.back() : *found;
}

std::vector<std::string> evidence_of(const Evidence& evidence) {
  std::vector<std::string> out;
  for (const StackEvent& event : evidence.failures) {
    if (!is_noise(event)) out.push_back(sentence_of(event));
  }
  // Tasks of one deployment fail alike: the last one's lines stand for all.
  if (!evidence.tasks.empty()) {
    const TaskEnd& task = most_telling(evidence.tasks);
    out.push_back(task_sentence(task));
    const std::size_t skipped = task.lines.size() > lines_shown_max ? task.lines.size() - lines_shown_max : 0;
    for (std::size_t i = skipped; i < task.lines.size(); ++i) out.push_back("  | " + task.lines[i]);
    if (evidence.tasks.size() > 1)
      out.push_back(fmt::format("and {} more tasks like it", evidence.tasks.size() - 1));
  }
  if (!evidence.target_reason.empty()) out.push_back("load balancer: " + evidence.target_reason);
  for (const std::string& event : evidence.service_events) {
    const bool tells = matches(event, "unable") || matches(event, "unhealthy") ||
                       matches(event, "circuit breaker") || matches(event, alarm_detected);
    if (tells) out.push_back("service: " + event);
  }
  return out;
}

template <class Rules>
std::optional<Explanation> by_rules(const Rules& rules, std::string_view text) {
  for (const Rule& rule : rules) {
    if (matches(text, rule.pattern))
      return Explanation{
          .cause = std::string(rule.cause), .evidence = {}, .remedy = std::string(rule.remedy)};
  }
  return std::nullopt;
}

std::optional<Explanation> denied(std::string_view text) {
  const std::optional<aws::Denial> denial = aws::find_denial(text);
  if (!denial) return std::nullopt;
  if (denial->action.empty()) {
    std::string cause = "A permission is missing; AWS does not say which.";
    std::string remedy = "Compare with the policy that `berth plan --iam` prints.";
    if (!denial->encoded.empty())
      remedy += " `aws sts decode-authorization-message --encoded-message …` reads the encoded message.";
    return Explanation{.cause = std::move(cause), .evidence = {}, .remedy = std::move(remedy)};
  }
  return Explanation{
      .cause = fmt::format("The permission {} is missing{}.", denial->action,
                           denial->principal.empty() ? "" : fmt::format(" for {}", denial->principal)),
      .evidence = {},
      .remedy = fmt::format("Add this statement to its policy (`berth plan --iam` prints the whole one):\n{}",
                            missing_statement(denial->action, denial->resource))};
}

std::optional<Explanation> by_exit_code(const std::vector<TaskEnd>& tasks) {
  for (const TaskEnd& task : tasks) {
    if (!task.exit_code) continue;
    for (const ExitRule& rule : exit_rules) {
      if (*task.exit_code == rule.code) {
        return Explanation{
            .cause = std::string(rule.cause), .evidence = {}, .remedy = std::string(rule.remedy)};
      }
    }
  }
  for (const TaskEnd& task : tasks) {
    if (!task.exit_code || *task.exit_code == 0) continue;
    return Explanation{
        .cause = fmt::format("The tasks ended by themselves with exit code {}.", *task.exit_code),
        .evidence = {},
        .remedy = "Their last lines say why; `berth up` on this machine may show the same."};
  }
  return std::nullopt;
}

std::optional<Explanation> by_tasks(const std::vector<TaskEnd>& tasks) {
  for (const TaskEnd& task : tasks) {
    std::string text = task.container_reason + "\n" + task.reason;
    // What the loader says when the entry point is missing or of another architecture is in the log alone.
    if (task.exit_code && *task.exit_code != 0 && !task.lines.empty()) text += "\n" + task.lines.back();
    if (std::optional<Explanation> found = by_rules(task_rules, text)) return found;
  }
  return by_exit_code(tasks);
}

}  // namespace

Explanation explain(const Evidence& evidence) {
  std::optional<Explanation> found;
  // A refusal names the very thing that is missing, so it stands before everything else.
  for (const StackEvent& event : evidence.failures) {
    if (!found && !is_noise(event)) found = denied(event.reason);
  }
  // Tasks that an alarm has ended did not fail by themselves.
  const bool by_alarm = std::ranges::any_of(
      evidence.service_events, [](const std::string& event) { return matches(event, alarm_detected); });
  if (!found && by_alarm) {
    found = Explanation{.cause =
                            "The new version answered calls with errors (5xx), so its alarm rang and ECS "
                            "went back to the version before.",
                        .evidence = {},
                        .remedy = "`berth logs` and `berth traces` show the calls of that time."};
  }
  if (!found) found = by_tasks(evidence.tasks);
  for (const StackEvent& event : evidence.failures) {
    if (!found && !is_noise(event)) found = by_rules(aws_rules, event.reason);
  }
  for (auto event = evidence.service_events.rbegin(); event != evidence.service_events.rend(); ++event) {
    if (!found) found = denied(*event);
    if (!found) found = by_rules(aws_rules, *event);
  }
  if (!found && !evidence.target_reason.empty()) found = by_rules(aws_rules, "unhealthy");
  if (!found) {
    found = Explanation{.cause = "AWS could not make what the template asks for.",
                        .evidence = {},
                        .remedy =
                            "What AWS said is above. Run the same command again once that is mended: it "
                            "continues where it stopped."};
  }
  found->evidence = evidence_of(evidence);
  return *found;
}

std::string to_text(const Explanation& explanation) {
  std::string out = explanation.cause + "\n";
  for (const std::string& line : explanation.evidence) out += "  " + line + "\n";
  return out + explanation.remedy;
}

std::string missing_statement(const std::string& action, const std::string& resource) {
  return fmt::format(R"({{"Effect": "Allow", "Action": "{}", "Resource": "{}"}})", action,
                     resource.empty() ? "*" : resource);
}

bool is_passing(const aws::Fault& fault) {
  return fault.is("NetworkError") || fault.status >= 500 || fault.status == 429 ||
         matches(fault.code, "throttl") || matches(fault.message, "rate exceeded");
}

Error explain_fault(const aws::Fault& fault) {
  const Error said = fault.error();
  auto with = [&](std::string_view remedy) {
    return Error(said.code(), fmt::format("{}\n{}", said.message(), remedy));
  };
  // Between looking at the stack and changing it somebody else was faster.
  if (matches(fault.message, "_IN_PROGRESS&can not be updated")) {
    return with(
        "Another deploy of this service has begun meanwhile, and goes on. `berth status` shows it; "
        "run the same command again when it is done.");
  }
  if (const std::optional<Explanation> who = by_rules(credential_rules, fault.code))
    return with(fmt::format("{} {}", who->cause, who->remedy));
  if (fault.denied()) {
    const std::string action = fault.denied_action();
    return with(
        fmt::format("The permission {} is missing. Add this statement to the policy of whoever deploys "
                    "(`berth plan --iam` prints the whole one):\n{}",
                    action, missing_statement(action, fault.denied_resource())));
  }
  if (fault.is("NetworkError")) {
    return with(
        "What was started goes on by itself. Run the same command again when the network is back: it "
        "continues where it stopped.");
  }
  const std::optional<Explanation> found = by_rules(aws_rules, fault.code + " " + fault.message);
  return found ? with(fmt::format("{} {}", found->cause, found->remedy)) : said;
}

}  // namespace berth::deploy
