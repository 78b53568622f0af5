#include "deploy/destroy.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "deploy/leftovers.h"
#include "deploy/prices.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr double gigabyte = 1e9;
constexpr int dependency_retries_max = 3;
constexpr Duration dependency_pause = std::chrono::minutes(1);
constexpr std::size_t image_batch_max = 100;  // of BatchDeleteImage

std::string_view price_name(Keepsake::Kind kind) {
  switch (kind) {
    case Keepsake::Kind::file_system: return "efs_standard_gb_month";
    case Keepsake::Kind::bucket: return "s3_gb_month";
    case Keepsake::Kind::log_group: return "logs_gb_month";
  }
  return "";
}

/// The inverse of to_string. A record is checked when it is read.
Keepsake::Kind kind_of(std::string_view name) {
  if (name == to_string(Keepsake::Kind::file_system)) return Keepsake::Kind::file_system;
  return name == to_string(Keepsake::Kind::bucket) ? Keepsake::Kind::bucket : Keepsake::Kind::log_group;
}

void add(std::vector<Keepsake>& data, Keepsake::Kind kind, const std::string& id) {
  Keepsake keepsake{.kind = kind, .id = id, .bytes = {}};
  if (!id.empty() && std::ranges::find(data, keepsake) == data.end()) data.push_back(std::move(keepsake));
}

void add_resources(Standing& standing, const std::vector<StackResource>& resources) {
  for (const StackResource& resource : resources) {
    add_keepsake(standing.data, resource.type, resource.physical);
    if (resource.type == "AWS::SecretsManager::Secret") standing.secrets.push_back(resource.physical);
    if (resource.type == "AWS::ECR::Repository") standing.repository = resource.physical;
  }
  standing.resources += resources.size();
}

/// Whether a stack that stands, and is none of this service, names the data as its own.
Task<aws::Reply<bool>> is_of_another(aws::Client& client, const Standing& standing, Keepsake keepsake) {
  const auto holders = co_await stacks_that_hold(client, keepsake.id);
  if (!holders) co_return std::unexpected(holders.error());
  co_return std::ranges::any_of(
      *holders, [&](const std::string& id) { return id != standing.service.id && id != standing.base.id; });
}

Task<aws::Reply<bool>> has_repository(aws::Client& client, std::string name) {
  json::object input{{"repositoryNames", json::array{json::value(name)}}};
  const auto reply = co_await client.call("ecr", "DescribeRepositories", std::move(input));
  if (reply) co_return !aws::array(*reply, "repositories").empty();
  if (reply.error().is("RepositoryNotFoundException")) co_return false;
  co_return std::unexpected(reply.error());
}

/// A repository with images cannot be deleted by a stack that did not say EmptyOnDelete.
Task<aws::Reply<void>> empty_repository(aws::Client& client, std::string name) {
  json::object input{{"repositoryName", name}};
  const auto images = co_await client.list("ecr", "ListImages", std::move(input), "imageIds");
  if (!images) {
    if (images.error().is("RepositoryNotFoundException")) co_return aws::Reply<void>();
    co_return std::unexpected(images.error());
  }
  std::set<std::string> digests;
  for (const json::value& image : *images) {
    if (image.is_object()) digests.insert(aws::text(image.get_object(), "imageDigest"));
  }
  json::array batch;
  for (auto digest = digests.begin(); digest != digests.end();) {
    batch.push_back(json::object{{"imageDigest", *digest}});
    ++digest;
    if (batch.size() < image_batch_max && digest != digests.end()) continue;
    json::object ask{{"repositoryName", name}, {"imageIds", std::move(batch)}};
    const auto deleted = co_await client.call("ecr", "BatchDeleteImage", std::move(ask));
    if (!deleted) co_return std::unexpected(deleted.error());
    batch = json::array();
  }
  co_return aws::Reply<void>();
}

/// AWS takes some network interfaces away by itself, later than the stack wants to delete their subnets:
/// those of CloudFront's VPC origins, of load balancers, of tasks.
bool is_in_use(const Result<void>& removed) {
  return !removed && removed.error().message().find("DependencyViolation") != std::string::npos;
}

class Destroy {
 public:
  Destroy(StackWorld world, Names names, Standing standing, DestroyOptions options)
      : world_(world), names_(std::move(names)), standing_(std::move(standing)), options_(options) {}

  Task<Result<Remains>> run() {
    const Result<void> service = co_await end_stack(standing_.service);
    if (!service) co_return Failure(service.error());
    if (!standing_.repository.empty()) {
      const auto emptied = co_await empty_repository(world_.client, standing_.repository);
      if (!emptied) co_return Failure(explain_fault(emptied.error()));
    }
    const Result<void> base = co_await end_stack(standing_.base);
    if (!base) co_return Failure(base.error());
    if (options_.data == DataFate::remove) {
      const Result<void> removed = co_await remove_all_data();
      if (!removed) co_return Failure(removed.error());
    }
    if (options_.forget_secrets) {
      for (const std::string& arn : standing_.secrets) {
        json::object input{{"SecretId", arn}, {"ForceDeleteWithoutRecovery", true}};
        const auto gone = co_await world_.client.call("secretsmanager", "DeleteSecret", std::move(input));
        const bool absent = !gone && gone.error().is("ResourceNotFoundException");
        if (!gone && !absent) co_return Failure(explain_fault(gone.error()));
      }
    }
    co_return co_await verify();
  }

 private:
  Task<Result<void>> end_stack(StackState state) {
    if (!state.exists()) co_return Result<void>();
    world_.progress.notice(fmt::format("Deleting the stack {}.", state.name));
    // A creation is ended by the deletion; anything else has to end first.
    const bool ends = state.status == "CREATE_IN_PROGRESS" || state.status == "DELETE_IN_PROGRESS";
    if (in_progress(state.status) && !ends) {
      world_.progress.notice(fmt::format("It is {}; waiting for its end.", state.status));
      if (state.status == "UPDATE_IN_PROGRESS") {
        json::object input{{"StackName", state.name}};
        const auto cancelled =
            co_await world_.client.call("cloudformation", "CancelUpdateStack", std::move(input));
        // ValidationError: it has ended meanwhile.
        if (!cancelled && !cancelled.error().is("ValidationError"))
          co_return Failure(explain_fault(cancelled.error()));
      }
      WatchOptions watch{.stack = state.id};
      const Result<StackState> rest = co_await watch_whatever(world_, std::move(watch));
      if (!rest) co_return Failure(rest.error());
    }
    Result<void> removed = co_await remove_stack(world_, state);
    for (int retry = 0; retry < dependency_retries_max && is_in_use(removed); ++retry) {
      world_.progress.notice("Something still uses a part of the network; trying again in a minute.");
      co_await world_.clock.sleep_for(dependency_pause);
      removed = co_await remove_stack(world_, state);
    }
    // A bucket that is not retained stops the deletion while it holds anything.
    if (!removed && options_.data == DataFate::remove) {
      const Result<void> data = co_await remove_all_data();
      if (!data) co_return data;
      removed = co_await remove_stack(world_, state);
    }
    co_return removed;
  }

  Task<Result<void>> remove_all_data() {
    for (const Keepsake& keepsake : standing_.data) {
      world_.progress.notice(fmt::format("Deleting the {} {}.", to_string(keepsake.kind), keepsake.id));
      const auto removed = co_await remove_data(world_.client, world_.clock, keepsake);
      if (!removed) co_return Failure(explain_fault(removed.error()));
    }
    co_return Result<void>();
  }

  Task<Result<Remains>> verify() {
    Remains remains;
    for (const std::string& stack : {names_.service_stack, names_.base_stack}) {
      const auto state = co_await describe_stack(world_.client, stack);
      if (!state) co_return Failure(explain_fault(state.error()));
      if (state->exists()) remains.others.push_back(fmt::format("the stack {} is {}", stack, state->status));
    }
    for (const Keepsake& keepsake : standing_.data) {
      const auto found = co_await find_data(world_.client, keepsake);
      if (!found) {
        remains.others.push_back(fmt::format("{} {} could not be asked for: {}", to_string(keepsake.kind),
                                             keepsake.id, found.error().message));
      } else if (*found) {
        remains.data.push_back(**found);
      }
    }
    if (!standing_.repository.empty()) {
      const auto there = co_await has_repository(world_.client, standing_.repository);
      if (!there) co_return Failure(explain_fault(there.error()));
      if (*there) {
        remains.others.push_back(
            fmt::format("the repository {} is left (`aws ecr delete-repository --force "
                        "--repository-name {}`)",
                        standing_.repository, standing_.repository));
      }
    }
    co_await verify_secrets(remains);
    co_return remains;
  }

  Task<void> verify_secrets(Remains& remains) {
    for (const std::string& arn : standing_.secrets) {
      json::object input{{"SecretId", arn}};
      const auto reply = co_await world_.client.call("secretsmanager", "DescribeSecret", std::move(input));
      if (!reply) continue;
      const bool scheduled = reply->contains("DeletedDate");
      remains.others.push_back(
          fmt::format("the secret {} {}", aws::text(*reply, "Name"),
                      scheduled ? "can be brought back until its recovery window ends; it costs nothing "
                                  "(--forget-secrets ends it at once)"
                                : "is left; it costs $0.40 a month"));
    }
  }

  StackWorld world_;
  Names names_;
  Standing standing_;
  DestroyOptions options_;
};

}  // namespace

std::string_view to_string(Keepsake::Kind kind) {
  switch (kind) {
    case Keepsake::Kind::file_system: return "file system";
    case Keepsake::Kind::bucket: return "bucket";
    case Keepsake::Kind::log_group: return "log group";
  }
  return "";
}

void add_keepsake(std::vector<Keepsake>& data, const std::string& type, const std::string& physical) {
  if (type == "AWS::EFS::FileSystem") add(data, Keepsake::Kind::file_system, physical);
  if (type == "AWS::S3::Bucket") add(data, Keepsake::Kind::bucket, physical);
  if (type == "AWS::Logs::LogGroup") add(data, Keepsake::Kind::log_group, physical);
}

std::string price_of(const Keepsake& keepsake) {
  const double usd = built_in_prices().of(price_name(keepsake.kind));
  if (!keepsake.bytes) return fmt::format("${:.3f} a month for each GB in it", usd);
  const double month = usd * static_cast<double>(*keepsake.bytes) / gigabyte;
  return month < 0.01 ? "less than a cent a month" : fmt::format("about ${:.2f} a month", month);
}

Kept to_kept(const Keepsake& keepsake) {
  return {.kind = std::string(to_string(keepsake.kind)), .id = keepsake.id};
}

Task<Result<Standing>> look_around(aws::Client& client, Names names, std::optional<Record> record) {
  Standing standing;
  const auto service = co_await describe_stack(client, names.service_stack);
  if (!service) co_return Failure(explain_fault(service.error()));
  const auto base = co_await describe_stack(client, names.base_stack);
  if (!base) co_return Failure(explain_fault(base.error()));
  standing.service = *service;
  standing.base = *base;
  for (const StackState* state : {&standing.service, &standing.base}) {
    if (!state->exists()) continue;
    const auto resources = co_await stack_resources(client, state->id);
    if (!resources) co_return Failure(explain_fault(resources.error()));
    add_resources(standing, *resources);
    const auto left = co_await leftovers_of(client, state->id);
    if (!left) co_return Failure(explain_fault(left.error()));
    for (const Keepsake& keepsake : *left) add(standing.data, keepsake.kind, keepsake.id);
  }
  // What is of stacks that are gone.
  if (record) {
    for (const Kept& kept : record->kept) add(standing.data, kind_of(kept.kind), kept.id);
    add(standing.data, Keepsake::Kind::file_system, record->file_system);
    for (const std::string& bucket : record->buckets) add(standing.data, Keepsake::Kind::bucket, bucket);
    for (const std::string& group : record->log_groups) add(standing.data, Keepsake::Kind::log_group, group);
  }
  add(standing.data, Keepsake::Kind::log_group, names.log_group);
  // Container Insights makes this group by itself, and no stack deletes it.
  const std::string cluster = standing.service.output("ClusterName");
  const std::string insights = cluster.empty() ? names.service_stack : cluster;
  add(standing.data, Keepsake::Kind::log_group,
      fmt::format("/aws/ecs/containerinsights/{}/performance", insights));
  std::vector<Keepsake> there;
  for (const Keepsake& keepsake : standing.data) {
    const auto found = co_await find_data(client, keepsake);
    if (!found) co_return Failure(explain_fault(found.error()));
    if (!*found) continue;
    const auto others = co_await is_of_another(client, standing, keepsake);
    if (!others) co_return Failure(explain_fault(others.error()));
    if (!*others) there.push_back(**found);
  }
  standing.data = std::move(there);
  if (standing.repository.empty()) {
    const auto repository = co_await has_repository(client, names.repository);
    if (!repository) co_return Failure(explain_fault(repository.error()));
    // Without its stack it may be somebody else's: it is left alone, and named only where Berth was here.
    if (*repository && record && standing.base.exists()) standing.repository = names.repository;
  }
  co_return standing;
}

Result<void> record_standing(const std::string& state_directory, Record record, const Standing& standing) {
  for (const Keepsake& keepsake : standing.data) {
    const Kept kept = to_kept(keepsake);
    if (std::ranges::find(record.kept, kept) == record.kept.end()) record.kept.push_back(kept);
  }
  return write_record(state_directory, record);
}

Result<void> record_remains(const std::string& state_directory, Record record, const Remains& remains) {
  if (remains.data.empty()) {
    remove_record(state_directory, key_of(record));
    return {};
  }
  Record rest{.region = record.region,
              .account = record.account,
              .service_stack = record.service_stack,
              .base_stack = record.base_stack,
              .destroyed = true};
  for (const Keepsake& keepsake : remains.data) rest.kept.push_back(to_kept(keepsake));
  return write_record(state_directory, rest);
}

Task<Result<Remains>> destroy(StackWorld world, Names names, Standing standing, DestroyOptions options) {
  Destroy job(world, std::move(names), std::move(standing), options);
  co_return co_await job.run();
}

}  // namespace berth::deploy
