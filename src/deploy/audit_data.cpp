#include <algorithm>
#include <array>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

void backed_up(const Subject& subject, Outcome& outcome) {
  bool plan = subject.document.count("AWS::Backup::BackupPlan") > 0;
  for (const Resource& files : subject.document.of_type("AWS::EFS::FileSystem"))
    outcome.expect(plan || text_at(*files.properties, "BackupPolicy.Status") == "ENABLED", files.id,
                   "BackupPolicy is not ENABLED.");
}

void cold_files_cheap(const Subject& subject, Outcome& outcome) {
  for (const Resource& files : subject.document.of_type("AWS::EFS::FileSystem")) {
    auto policies = list_at(*files.properties, "LifecyclePolicies");
    bool moved = std::ranges::any_of(policies, [](const json::value* policy) {
      return policy->is_object() && policy->get_object().contains("TransitionToIA");
    });
    outcome.expect(moved, files.id, "Nothing moves to Infrequent Access.");
  }
}

void kept(const Subject& subject, Outcome& outcome) {
  for (std::string_view type : {"AWS::EFS::FileSystem", "AWS::S3::Bucket"}) {
    for (const Resource& resource : subject.document.of_type(type)) {
      // What runs has no deletion policy to read: it belongs to the template.
      if (resource.whole->contains("Live")) continue;
      const std::string policy = text_at(*resource.whole, "DeletionPolicy");
      // A creation that is rolled back has left no data yet.
      outcome.expect(policy == "Retain" || policy == "RetainExceptOnCreate", resource.id,
                     "It is deleted with the stack.");
    }
  }
}

void own_folder(const Subject& subject, Outcome& outcome) {
  for (const Resource& point : subject.document.of_type("AWS::EFS::AccessPoint")) {
    std::string user = text_at(*point.properties, "PosixUser.Uid");
    std::string folder = text_at(*point.properties, "RootDirectory.Path");
    outcome.expect(!user.empty() && user != "0", point.id, "Whoever mounts it is root in it.");
    outcome.expect(!folder.empty() && folder != "/", point.id, "It shows the whole file system.");
  }
}

void buckets_private(const Subject& subject, Outcome& outcome) {
  constexpr std::array names{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls",
                             "RestrictPublicBuckets"};
  for (const Resource& bucket : subject.document.of_type("AWS::S3::Bucket")) {
    for (const char* name : names) {
      outcome.expect(true_at(*bucket.properties, std::string("PublicAccessBlockConfiguration.") + name),
                     bucket.id, std::string(name) + " is not true.");
    }
  }
}

/// A bucket that only AWS writes logs into: what its policy lets in are services.
bool holds_logs(const Subject& subject, const Resource& bucket) {
  for (const Resource& policy : subject.document.of_type("AWS::S3::BucketPolicy")) {
    const json::value* of = policy.properties->if_contains("Bucket");
    if (of == nullptr || referred(*of) != bucket.id) continue;
    for (const json::object* statement : statements(policy.properties->if_contains("PolicyDocument"))) {
      const json::value* service = at(*statement, "Principal.Service");
      if (service != nullptr && json::serialize(*service).find("log") != std::string::npos) return true;
    }
  }
  return false;
}

void buckets_versioned(const Subject& subject, Outcome& outcome) {
  for (const Resource& bucket : subject.document.of_type("AWS::S3::Bucket")) {
    if (holds_logs(subject, bucket)) continue;
    outcome.expect(text_at(*bucket.properties, "VersioningConfiguration.Status") == "Enabled", bucket.id,
                   "Versioning is not Enabled.");
  }
}

void buckets_tidy(const Subject& subject, Outcome& outcome) {
  for (const Resource& bucket : subject.document.of_type("AWS::S3::Bucket"))
    outcome.expect(!list_at(*bucket.properties, "LifecycleConfiguration.Rules").empty(), bucket.id,
                   "No lifecycle rule.");
}

constexpr Check all_data_checks[] = {
    {"files-backed-up", "The file system is backed up", Gravity::medium, backed_up,
     "What a server deletes by mistake is gone.", "aws.backups: true"},
    {"cold-files-cheap", "Files that nobody reads move to Infrequent Access", Gravity::low, cold_files_cheap,
     "Old state costs twelve times as much as it has to.", by_hand},
    {"files-in-a-folder", "Tasks see a folder of the file system, as a user without rights", Gravity::medium,
     own_folder, "A server could read and change what belongs to others.", by_hand},
    {"data-kept", "Data outlives the stack", Gravity::medium, kept,
     "Deleting the stack by mistake deletes state and artifacts.", by_hand},
    {"buckets-private", "Buckets cannot become public", Gravity::high, buckets_private,
     "One wrong policy puts artifacts and logs on the internet.", by_hand},
    {"buckets-versioned", "Artifacts are versioned", Gravity::medium, buckets_versioned,
     "What a server overwrites by mistake is gone.", by_hand},
    {"buckets-tidy", "Buckets delete what is no longer needed", Gravity::low, buckets_tidy,
     "Old versions and unfinished uploads are paid for for ever.", by_hand},
};

}  // namespace

std::span<const Check> data_checks() { return all_data_checks; }

}  // namespace berth::deploy
