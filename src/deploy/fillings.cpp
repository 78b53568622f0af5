#include "deploy/fillings.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/check.h"
#include "deploy/template.h"
#include "model/aws_names.h"
#include "model/deployable.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

/// Encryption is with AWS's keys, or with the customer's one key everywhere.
void fill_keys(const model::Spec& spec, Fillings& fillings) {
  const std::string& key = spec.aws.kms_key;
  auto& values = fillings.values;
  bool own = !key.empty();
  values["kms_key"] = text_or_nothing(key);
  fillings.conditions["kms_key"] = own;
  values["repository_encryption"] = own ? json::object{{"EncryptionType", "KMS"}, {"KmsKey", key}}
                                        : json::object{{"EncryptionType", "AES256"}};
  values["bucket_encryption"] = own ? json::object{{"SSEAlgorithm", "aws:kms"}, {"KMSMasterKeyID", key}}
                                    : json::object{{"SSEAlgorithm", "AES256"}};
  values["stream_encryption"] = own ? json::object{{"KeyType", "CUSTOMER_MANAGED_CMK"}, {"KeyARN", key}}
                                    : json::object{{"KeyType", "AWS_OWNED_CMK"}};
  values["permissions_boundary"] = text_or_nothing(spec.aws.permissions_boundary);
}

Fillings common_fillings(const model::Spec& spec) {
  Fillings out;
  out.values["name"] = json::string(spec.name);
  out.conditions["api_key"] = makes_api_key(spec);
  out.conditions["environment"] = !model::secret_variables(spec).empty();
  fill_keys(spec, out);
  return out;
}

/// "mon-fri" at "07:30" as Application Auto Scaling writes it.
std::string cron(const std::string& days, const std::string& time) {
  int minutes = model::minutes_of_day(time);
  std::string upper;
  for (char c : days) upper += c >= 'a' && c <= 'z' ? static_cast<char>(c & ~0x20) : c;
  return fmt::format("cron({} {} ? * {} *)", minutes % 60, minutes / 60, upper);
}

void fill_scaling(const model::Spec& spec, Fillings& fillings) {
  const model::ScalingSpec& scaling = spec.scaling;
  auto& values = fillings.values;
  bool calls = scaling.calls_per_task > 0;
  fillings.conditions["high_resolution"] = scaling.high_resolution;
  fillings.conditions["calls_per_task"] = calls;
  fillings.conditions["hours"] = scaling.hours.has_value();
  values["tasks_min"] = model::tasks_min(spec);
  values["tasks_max"] = model::tasks_max(spec);
  values["calls_per_task"] = scaling.calls_per_task;
  values["cpu_out"] = scaling.cpu_out;
  values["cpu_in"] = scaling.cpu_in;
  values["cpu_high_description"] = fmt::format("Above {} % CPU: a task is added.", scaling.cpu_out);
  values["cpu_low_description"] =
      fmt::format("Below {} % CPU{}: a task is taken away.", scaling.cpu_in, calls ? ", with few calls" : "");
  values["idle_expression"] = fmt::format("IF(cpu < {} AND FILL(calls, 0) < {}, 1, 0)", scaling.cpu_in,
                                          static_cast<double>(scaling.calls_per_task) / 2);
  // The step begins where the alarm's threshold is: below it for CPU, above it for the expression.
  values["scale_in_step"] = json::object{{calls ? "MetricIntervalLowerBound" : "MetricIntervalUpperBound", 0},
                                         {"ScalingAdjustment", -1}};
  // Alarms know periods of 10 and 30 s below a minute; 30 s always hold a value of a metric taken every 20 s.
  values["metric_period"] = scaling.high_resolution ? 30 : 60;
  values["out_periods"] = 2;
  const model::HoursSpec hours = scaling.hours.value_or(model::HoursSpec{});
  values["hours_open"] = cron(hours.days, hours.from);
  values["hours_close"] = cron(hours.days, hours.to);
  values["timezone"] = hours.timezone;
}

}  // namespace

json::value reference(const std::string& name) { return {{"Ref", name}}; }
json::value get_att(const std::string& id, const std::string& attribute) {
  return {{"Fn::GetAtt", {id, attribute}}};
}
json::value sub(const std::string& text) { return {{"Fn::Sub", text}}; }
json::value text_or_nothing(const std::string& text) {
  return text.empty() ? json::value() : json::value(text);
}

bool makes_api_key(const model::Spec& spec) { return spec.auth.keys.empty() && !spec.aws.open; }

std::size_t zone_count(const model::Spec& spec) {
  const model::AwsNetworkSpec& network = spec.aws.network;
  return network.vpc.empty() ? spec.tasks.zones.size() : network.private_subnets.size();
}

std::string zone_letter(std::size_t index) { return std::string(1, static_cast<char>('A' + index)); }

std::string subnet_of(const std::string& cidr, unsigned bits, unsigned index) {
  std::size_t slash = cidr.find('/');
  in_addr address{};
  BERTH_CHECK(slash != std::string::npos && inet_pton(AF_INET, cidr.substr(0, slash).c_str(), &address) == 1,
              cidr);
  unsigned prefix = static_cast<unsigned>(std::stoul(cidr.substr(slash + 1))) + bits;
  std::uint32_t block = ntohl(address.s_addr) + (index << (32 - prefix));
  return fmt::format("{}.{}.{}.{}/{}", block >> 24, (block >> 16) & 255, (block >> 8) & 255, block & 255,
                     prefix);
}

Fillings base_fillings(const model::Spec& spec) {
  Fillings out = common_fillings(spec);
  out.values["fleet_key_description"] = fmt::format("{}: what its tasks recognise each other by", spec.name);
  out.values["api_key_description"] = fmt::format("{}: the key that callers send", spec.name);
  out.values["environment_description"] =
      fmt::format("{}: values of the variables that berth.yaml asks for", spec.name);
  return out;
}

Fillings service_fillings(const model::Spec& spec) {
  Fillings out = common_fillings(spec);
  fill_network(spec, out);
  fill_front(spec, out);
  fill_tasks(spec, out);
  fill_scaling(spec, out);
  out.values["log_group"] = names(spec).log_group;
  out.values["log_days"] = spec.aws.log_days;
  out.conditions["log_archive"] = spec.aws.log_archive;
  out.values["backup_status"] = spec.aws.backups ? "ENABLED" : "DISABLED";
  out.conditions["email"] = !spec.aws.alarms.email.empty();
  out.values["email"] = spec.aws.alarms.email;
  out.conditions["trail"] = !spec.aws.alarms.trail_log_group.empty();
  out.values["trail_log_group"] = spec.aws.alarms.trail_log_group;
  return out;
}

}  // namespace berth::deploy
