#include "deploy/inventory.h"

#include "model/units.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

std::size_t zones_of(const model::Spec& spec, const json::value* subnets) {
  if (subnets != nullptr && subnets->is_array()) return subnets->get_array().size();
  return spec.aws.network.vpc.empty() ? spec.tasks.zones.size() : spec.aws.network.public_subnets.size();
}

void count_network(const model::Spec& spec, const Document& document, Inventory& inventory) {
  for (const Resource& balancer : document.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer")) {
    ++inventory.load_balancers;
    if (text_at(*balancer.properties, "Scheme") == "internal") continue;
    inventory.balancer_addresses += zones_of(spec, at(*balancer.properties, "Subnets"));
  }
  inventory.nat_gateways = document.count("AWS::EC2::NatGateway");
  inventory.nat_addresses = document.count("AWS::EC2::EIP");
  for (const Resource& endpoint : document.of_type("AWS::EC2::VPCEndpoint")) {
    if (text_at(*endpoint.properties, "VpcEndpointType") != "Interface") continue;
    inventory.endpoint_zones += zones_of(spec, at(*endpoint.properties, "SubnetIds"));
  }
  for (const Resource& log : document.of_type("AWS::EC2::FlowLog")) {
    bool s3 = text_at(*log.properties, "LogDestinationType") == "s3";
    ++(s3 ? inventory.flow_logs_to_s3 : inventory.flow_logs);
  }
}

void count_monitoring(const Document& document, Inventory& inventory) {
  for (const Resource& alarm : document.of_type("AWS::CloudWatch::Alarm")) {
    std::string period = text_at(*alarm.properties, "Period");
    bool high = period == "10" || period == "20" || period == "30";
    ++(high ? inventory.high_resolution_alarms : inventory.alarms);
  }
  inventory.dashboards = document.count("AWS::CloudWatch::Dashboard");
  inventory.delivery_streams = document.count("AWS::KinesisFirehose::DeliveryStream");
  for (const Resource& cluster : document.of_type("AWS::ECS::Cluster")) {
    for (const json::value* setting : list_at(*cluster.properties, "ClusterSettings")) {
      if (setting->is_object() && text_at(setting->get_object(), "Value") == "enhanced")
        inventory.insights = true;
    }
  }
  for (const Resource& service : document.of_type("AWS::ECS::Service")) {
    for (const json::value* metric : list_at(*service.properties, "Monitoring.MetricConfigurations")) {
      if (metric->is_object() && text_at(metric->get_object(), "ResolutionSeconds") == "20")
        inventory.high_resolution = true;
    }
  }
}

void size_task(const model::Spec& spec, const Document& document, Inventory& inventory) {
  inventory.vcpu = spec.tasks.cpu;
  inventory.memory_gb = static_cast<double>(spec.tasks.memory_bytes) / static_cast<double>(1u << 30);
  inventory.arm = spec.aws.architecture == model::AwsSpec::Architecture::arm64;
  for (const Resource& task : document.of_type("AWS::ECS::TaskDefinition")) {
    Result<double> units = model::parse_number(text_at(*task.properties, "Cpu"));
    Result<double> megabytes = model::parse_number(text_at(*task.properties, "Memory"));
    if (units) inventory.vcpu = *units / 1024;
    if (megabytes) inventory.memory_gb = *megabytes / 1024;
    std::string architecture = text_at(*task.properties, "RuntimePlatform.CpuArchitecture");
    if (!architecture.empty()) inventory.arm = architecture == "ARM64";
  }
}

}  // namespace

Inventory take_inventory(const model::Spec& spec, const Document& document) {
  Inventory inventory;
  size_task(spec, document, inventory);
  inventory.zones =
      spec.aws.network.vpc.empty() ? spec.tasks.zones.size() : spec.aws.network.private_subnets.size();
  count_network(spec, document, inventory);
  count_monitoring(document, inventory);
  inventory.file_systems = document.count("AWS::EFS::FileSystem");
  for (const Resource& files : document.of_type("AWS::EFS::FileSystem")) {
    if (text_at(*files.properties, "BackupPolicy.Status") == "ENABLED") inventory.backups = true;
  }
  if (document.count("AWS::Backup::BackupPlan") > 0) inventory.backups = true;
  inventory.repositories = document.count("AWS::ECR::Repository");
  inventory.secrets = document.count("AWS::SecretsManager::Secret");
  inventory.distributions = document.count("AWS::CloudFront::Distribution");
  for (const Resource& acl : document.of_type("AWS::WAFv2::WebACL")) {
    ++inventory.web_acls;
    inventory.web_acl_rules += list_at(*acl.properties, "Rules").size();
  }
  inventory.keys = document.count("AWS::KMS::Key");
  return inventory;
}

}  // namespace berth::deploy
