#include "model/aws_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "model/aws_names.h"
#include "model/units.h"

namespace berth::model {
namespace {

/// Retention steps of CloudWatch Logs, in days (PutRetentionPolicy).
constexpr std::array<std::size_t, 22> log_day_steps{
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
constexpr std::size_t tags_max = 40;  // AWS allows 50 on a resource; some are Berth's, some of AWS itself
constexpr std::string_view everywhere = "0.0.0.0/0";

class AwsChecks {
 public:
  AwsChecks(Reader& reader, Spec& spec) : reader_(reader), spec_(spec), aws_(spec.aws) {}

  void run() {
    check_permissions();
    check_scaling();
    if (spec_.scaling.hours) check_hours(*spec_.scaling.hours);
    check_place();
    check_front();
    check_network();
    check_allow();
    check_rest();
    check_tags();
    check_secrets();
  }

 private:
  /// `problem` follows "PATH is "TEXT", which "; nothing is reported when it is empty.
  void report(const std::string& path, std::string_view text, const std::string& problem) {
    if (problem.empty()) return;
    std::string end = problem.ends_with('?') ? "" : ".";
    reader_.problem_at(path, fmt::format("{} is \"{}\", which {}{}", path, text, problem, end));
  }

  /// `key` is given but means nothing without `other`.
  void needs(const std::string& key, const std::string& other, const std::string& why) {
    reader_.problem_at("aws." + key, fmt::format("aws.{} needs aws.{}: {}.", key, other, why));
  }

  void check_permissions() {
    for (std::size_t i = 0; i < spec_.permissions.size(); ++i) {
      const PermissionSpec& permission = spec_.permissions[i];
      std::string path = fmt::format("permissions[{}]", i);
      bool actions = reader_.has(path + ".actions"), resources = reader_.has(path + ".resources");
      if (!actions || !resources) {
        std::string at = actions ? path + ".actions" : resources ? path + ".resources" : "permissions";
        reader_.problem_at(
            at, fmt::format("{} has no {}; write {{actions: [dynamodb:GetItem], resources: [\"arn:…\"]}}.",
                            path, actions ? "resources" : "actions"));
      }
      for (const std::string& action : permission.actions)
        report(path + ".actions", action, action_problem(action));
      for (const std::string& resource : permission.resources) {
        if (resource == "*" || (resource.starts_with("arn:") && std::ranges::count(resource, ':') >= 5))
          continue;
        report(path + ".resources", resource, "is no ARN; write arn:aws:SERVICE:REGION:ACCOUNT:…, or \"*\"");
      }
    }
  }

  void check_scaling() {
    ScalingSpec& scaling = spec_.scaling;
    for (const auto& [key, value] : {std::pair("min", scaling.min), std::pair("max", scaling.max)}) {
      std::string path = fmt::format("scaling.{}", key);
      if (value == 0 && reader_.has(path)) {
        reader_.problem_at(path, fmt::format("{} is 0, but some task must answer; write at least 1, and "
                                             "scaling.hours for times without any.",
                                             path));
      }
    }
    std::size_t low = scaling.min == 0 ? spec_.tasks.count : scaling.min;
    if (scaling.max != 0 && scaling.max < low) {
      reader_.problem_at("scaling.max",
                         fmt::format("scaling.max ({}) is less than {} ({}); raise it.", scaling.max,
                                     scaling.min == 0 ? "tasks.count" : "scaling.min", low));
    }
    if (scaling.cpu_in >= scaling.cpu_out) {
      reader_.problem_at("scaling.cpu", fmt::format("scaling.cpu.in ({}) is not less than out ({}): tasks "
                                                    "would be added and taken away in turn.",
                                                    scaling.cpu_in, scaling.cpu_out));
    }
  }

  void check_hours(HoursSpec& hours) {
    std::string canonical = days_of_week(hours.days);
    if (canonical.empty())
      report("scaling.hours.days", hours.days, "names no days; write mon-fri, mon,wed or mon-sun");
    else
      hours.days = canonical;
    int from = time_of_day("scaling.hours.from", hours.from);
    int to = time_of_day("scaling.hours.to", hours.to);
    if (from >= 0 && to >= 0 && from >= to) {
      std::string at = reader_.has("scaling.hours.to") ? "scaling.hours.to" : "scaling.hours.from";
      reader_.problem_at(at,
                         fmt::format("scaling.hours.to ({}) is not after from ({}); hours across midnight "
                                     "are not understood.",
                                     hours.to, hours.from));
    }
    bool area = hours.timezone.contains('/') &&
                std::ranges::all_of(hours.timezone, [](char c) { return c > 0x20 && c < 0x7f && c != '"'; });
    if (!area && hours.timezone != "UTC" && hours.timezone != "GMT") {
      report("scaling.hours.timezone", hours.timezone,
             "is no name of a time zone; write one such as Europe/Zurich, or UTC");
    }
  }

  int time_of_day(const std::string& path, std::string& text) {
    int minutes = minutes_of_day(text);
    if (minutes < 0)
      report(path, text, "is no time of day; write HH:MM from 00:00 to 23:59");
    else
      text = fmt::format("{:02}:{:02}", minutes / 60, minutes % 60);
    return minutes;
  }

  void check_place() {
    if (!aws_.region.empty()) report("aws.region", aws_.region, region_problem(aws_.region));
    if (!aws_.account.empty()) report("aws.account", aws_.account, account_problem(aws_.account));
  }

  void check_front() {
    if (!aws_.domain.empty()) report("aws.domain", aws_.domain, domain_problem(aws_.domain));
    bool zone = aws_.hosted_zone.empty() || aws_.hosted_zone.starts_with('Z');
    zone = zone && aws_.hosted_zone.size() <= 32 && std::ranges::all_of(aws_.hosted_zone, [](char c) {
             return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
           });
    if (!zone)
      report("aws.hosted_zone", aws_.hosted_zone, "is no id of a zone; write one such as Z0123456789ABC");
    if (!aws_.certificate.empty()) {
      std::string wrong = arn_problem(aws_.certificate, "acm", "certificate/");
      report("aws.certificate", aws_.certificate, wrong);
      std::string_view region = arn_part(aws_.certificate, 3);
      if (wrong.empty() && !aws_.region.empty() && region != aws_.region) {
        reader_.problem_at("aws.certificate",
                           fmt::format("aws.certificate is in {}, but the service is in {}; a load balancer "
                                       "takes certificates of its own region.",
                                       region, aws_.region));
      }
    }
    if (aws_.domain.empty()) {
      if (!aws_.hosted_zone.empty()) needs("hosted_zone", "domain", "the name that the record is for");
      if (!aws_.certificate.empty()) needs("certificate", "domain", "the name that it is called by");
      if (aws_.internal) {
        needs("internal", "domain",
              "a load balancer without a public address needs a name and its certificate");
      }
    } else if (aws_.hosted_zone.empty() && aws_.certificate.empty()) {
      reader_.problem_at("aws.domain",
                         "aws.domain needs aws.hosted_zone, where the record and the certificate "
                         "are made, or aws.certificate and a record that you make.");
    }
  }

  void check_network() {
    const AwsNetworkSpec& network = aws_.network;
    const std::string at = "aws.network.";
    for (const std::string& id : network.public_subnets)
      report(at + "public_subnets", id, id_problem(id, "subnet-"));
    for (const std::string& id : network.private_subnets)
      report(at + "private_subnets", id, id_problem(id, "subnet-"));
    check_ports();
    if (network.vpc.empty()) {
      for (std::string key : {"public_subnets", "private_subnets"}) {
        bool given =
            key == "public_subnets" ? !network.public_subnets.empty() : !network.private_subnets.empty();
        if (given) {
          reader_.problem_at(at + key, fmt::format("aws.network.{} needs aws.network.vpc: the VPC that they "
                                                   "are in.",
                                                   key));
        }
      }
      return report(at + "cidr", network.cidr, cidr_problem(network.cidr, 16, 20));
    }
    report(at + "vpc", network.vpc, id_problem(network.vpc, "vpc-"));
    for (std::string key : {"cidr", "egress", "flow_logs"}) {
      if (reader_.has(at + key)) {
        reader_.problem_at(at + key, fmt::format("aws.network.{} is of a VPC that Berth makes, but "
                                                 "aws.network.vpc names one that exists; remove one.",
                                                 key));
      }
    }
    check_subnets("private_subnets", network.private_subnets, true);
    check_subnets("public_subnets", network.public_subnets, !aws_.domain.empty() && !aws_.internal);
  }

  void check_ports() {
    for (const std::string& port : aws_.network.egress_ports) {
      Result<std::uint64_t> number = parse_count(port);
      if (!number || *number == 0 || *number > 65535)
        report("aws.network.egress_ports", port, "is no TCP port; write a number from 1 to 65535");
    }
  }

  /// `required`: the list must be there; two zones are what a load balancer and the loss of one need.
  void check_subnets(const std::string& key, const std::vector<std::string>& ids, bool required) {
    std::string path = "aws.network." + key;
    if (ids.size() < 2 && (required || !ids.empty())) {
      reader_.problem_at(
          ids.empty() ? "aws.network.vpc" : path,
          fmt::format("{} has {} of the at least two subnets, in different zones, that the {} "
                      "needs.",
                      path, ids.size(), key == "public_subnets" ? "load balancer" : "service"));
    }
    if (std::set(ids.begin(), ids.end()).size() != ids.size())
      reader_.problem_at(path, fmt::format("{} names a subnet twice; remove one.", path));
  }

  void check_allow() {
    for (const std::string& block : aws_.allow) report("aws.allow", block, cidr_problem(block, 0, 32));
    bool all = std::ranges::find(aws_.allow, everywhere) != aws_.allow.end();
    if (!all && aws_.domain.empty() && !aws_.waf && reader_.has("aws.allow")) {
      reader_.problem_at("aws.allow",
                         "aws.allow needs aws.domain or aws.waf: true: an address under "
                         "cloudfront.net is limited to networks by the firewall alone.");
    }
    if (aws_.open && !spec_.auth.keys.empty()) {
      reader_.problem_at("aws.open",
                         "aws.open lets everybody call, but auth.keys asks for keys; remove one.");
    }
  }

  void check_rest() {
    if (!aws_.kms_key.empty()) report("aws.kms_key", aws_.kms_key, key_problem(aws_.kms_key));
    if (!aws_.permissions_boundary.empty()) {
      report("aws.permissions_boundary", aws_.permissions_boundary,
             boundary_problem(aws_.permissions_boundary));
    }
    constexpr Milliseconds minute = std::chrono::minutes(1);
    if (aws_.bake % minute != Milliseconds(0)) {
      reader_.problem_at("aws.bake", fmt::format("aws.bake is {}, but ECS counts whole minutes; write {}.",
                                                 format_duration(aws_.bake),
                                                 format_duration((aws_.bake / minute + 1) * minute)));
    }
    if (std::ranges::find(log_day_steps, aws_.log_days) == log_day_steps.end()) {
      auto next = std::ranges::upper_bound(log_day_steps, aws_.log_days);
      reader_.problem_at("aws.logs.days",
                         fmt::format("aws.logs.days is {}, which CloudWatch does not know; the "
                                     "next step is {}.",
                                     aws_.log_days, *next));
    }
    const std::string& email = aws_.alarms.email;
    std::size_t sign = email.find('@');
    bool address = sign != std::string::npos && sign > 0 && email.find('@', sign + 1) == std::string::npos &&
                   email.find('.', sign) != std::string::npos && !email.ends_with('.') &&
                   std::ranges::none_of(email, [](char c) { return c <= 0x20 || c == 0x7f || c == ','; });
    if (!email.empty() && !address)
      report("aws.alarms.email", email, "is no address of e-mail; write one such as ops@example.com");
    if (aws_.spot_weight > 0 && reader_.has("aws.spot.base") && aws_.spot_base >= most_tasks()) {
      reader_.problem_at("aws.spot.base",
                         fmt::format("aws.spot.base is {}, so none of the at most {} tasks runs "
                                     "on Spot; lower it, or write weight: 0.",
                                     aws_.spot_base, most_tasks()));
    }
  }

  static std::string boundary_problem(const std::string& arn) {
    // AWS's own policies have "aws" where the account stands.
    if (arn.starts_with("arn:aws") && arn_part(arn, 2) == "iam" && arn_part(arn, 4) == "aws" &&
        arn_part(arn, 5).starts_with("policy/"))
      return {};
    return arn_problem(arn, "iam", "policy/");
  }

  static std::string key_problem(const std::string& arn) {
    std::string wrong = arn_problem(arn, "kms", "key/");
    if (!wrong.empty()) return wrong;
    std::string_view id = arn_part(arn, 5).substr(4);
    bool good = id.size() == 36 && std::ranges::all_of(id, [](char c) {
                  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';  // a UUID, or mrk-…
                });
    return good ? std::string() : "has no id of a key; write key/01234567-89ab-cdef-0123-456789abcdef";
  }

  std::size_t most_tasks() const {
    return spec_.scaling.max != 0 ? spec_.scaling.max : 2 * spec_.tasks.count;
  }

  void check_tags() {
    if (aws_.tags.size() > tags_max) {
      reader_.problem_at("aws.tags", fmt::format("aws.tags has {} entries; at most {} are put on a resource.",
                                                 aws_.tags.size(), tags_max));
    }
    for (const auto& [key, value] : aws_.tags) {
      std::string path = join_path("aws.tags", key);
      if (key.empty() || key.size() > 128 || value.size() > 256) {
        reader_.problem_at(
            path, fmt::format("{} is too long; a key has 1 to 128 characters, a value at most 256.", path));
      }
      if (key.starts_with("aws:") || key.starts_with("berth:"))
        reader_.problem_at(path, fmt::format("{} starts with {}, which is reserved; use another key.", path,
                                             key.substr(0, key.find(':') + 1)));
    }
  }

  void check_secrets() {
    for (const auto& [name, secret] : aws_.secrets) {
      std::string path = join_path("aws.secrets", name);
      bool variable =
          !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
          });
      if (!variable) {
        reader_.problem_at(path,
                           fmt::format("{}: \"{}\" is no name of an environment variable.", path, name));
      } else if (name.starts_with("BERTH_") || name.starts_with("AWS_") || name.starts_with("ECS_")) {
        reader_.problem_at(path,
                           fmt::format("{}: names that start with BERTH_, AWS_ or ECS_ are taken.", path));
      }
      report(path, secret, arn_problem(secret, "secretsmanager", "secret:"));
    }
  }

  Reader& reader_;
  Spec& spec_;
  AwsSpec& aws_;
};

}  // namespace

void check_aws(Reader& reader, Spec& spec) { AwsChecks(reader, spec).run(); }

}  // namespace berth::model
