#include <algorithm>

#include "deploy/audit_checks.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

bool behind_cloudfront(const Subject& subject) {
  return subject.document.count("AWS::CloudFront::VpcOrigin") > 0;
}

bool redirects(const Resource& listener) {
  auto actions = list_at(*listener.properties, "DefaultActions");
  return !actions.empty() && std::ranges::all_of(actions, [](const json::value* action) {
    return action->is_object() && text_at(action->get_object(), "Type") == "redirect" &&
           text_at(action->get_object(), "RedirectConfig.Protocol") == "HTTPS";
  });
}

void clients(const Subject& subject, Outcome& outcome) {
  for (const Resource& listener : subject.document.of_type("AWS::ElasticLoadBalancingV2::Listener")) {
    std::string protocol = text_at(*listener.properties, "Protocol");
    // Clients speak to CloudFront, and the hop from its VPC origin never leaves AWS.
    bool good = protocol == "HTTPS" || redirects(listener) || behind_cloudfront(subject);
    outcome.expect(good, listener.id,
                   "It answers " + protocol + " on port " + text_at(*listener.properties, "Port") + ".");
  }
}

void edge(const Subject& subject, Outcome& outcome) {
  for (const Resource& distribution : subject.document.of_type("AWS::CloudFront::Distribution")) {
    std::string policy =
        text_at(*distribution.properties, "DistributionConfig.DefaultCacheBehavior.ViewerProtocolPolicy");
    outcome.expect(policy == "https-only" || policy == "redirect-to-https", distribution.id,
                   "ViewerProtocolPolicy is \"" + policy + "\".");
  }
}

void tls_policy(const Subject& subject, Outcome& outcome) {
  for (const Resource& listener : subject.document.of_type("AWS::ElasticLoadBalancingV2::Listener")) {
    if (text_at(*listener.properties, "Protocol") != "HTTPS") continue;
    std::string policy = text_at(*listener.properties, "SslPolicy");
    outcome.expect(policy.find("TLS13") != std::string::npos, listener.id,
                   policy.empty() ? "No SslPolicy: AWS takes one of 2016, which allows TLS 1.0."
                                  : "SslPolicy is " + policy + ".");
  }
}

void target_groups(const Subject& subject, Outcome& outcome) {
  for (const Resource& group : subject.document.of_type("AWS::ElasticLoadBalancingV2::TargetGroup")) {
    outcome.expect(text_at(*group.properties, "Protocol") == "HTTPS", group.id,
                   "The load balancer speaks " + text_at(*group.properties, "Protocol") + " to tasks.");
  }
}

void volumes(const Subject& subject, Outcome& outcome) {
  for (const Resource& task : subject.document.of_type("AWS::ECS::TaskDefinition")) {
    for (const json::value* volume : list_at(*task.properties, "Volumes")) {
      const json::value* files =
          volume->is_object() ? at(volume->get_object(), "EFSVolumeConfiguration") : nullptr;
      if (files == nullptr || !files->is_object()) continue;
      outcome.expect(text_at(files->get_object(), "TransitEncryption") == "ENABLED", task.id,
                     "TransitEncryption is not ENABLED.");
      outcome.expect(text_at(files->get_object(), "AuthorizationConfig.IAM") == "ENABLED", task.id,
                     "The volume is mounted without IAM.");
    }
  }
}

void file_policy(const Subject& subject, Outcome& outcome) {
  for (const Resource& files : subject.document.of_type("AWS::EFS::FileSystem")) {
    outcome.expect(denies_clear_text(files.properties->if_contains("FileSystemPolicy")), files.id,
                   "Its policy does not deny what comes without TLS.");
  }
}

void buckets(const Subject& subject, Outcome& outcome) {
  for (const Resource& bucket : subject.document.of_type("AWS::S3::Bucket")) {
    bool denied =
        std::ranges::any_of(subject.document.of_type("AWS::S3::BucketPolicy"), [&](const Resource& policy) {
          const json::value* of = policy.properties->if_contains("Bucket");
          return of != nullptr && referred(*of) == bucket.id &&
                 denies_clear_text(policy.properties->if_contains("PolicyDocument"));
        });
    outcome.expect(denied, bucket.id, "No bucket policy denies what comes without TLS.");
  }
}

void files_at_rest(const Subject& subject, Outcome& outcome) {
  for (const Resource& files : subject.document.of_type("AWS::EFS::FileSystem"))
    outcome.expect(true_at(*files.properties, "Encrypted"), files.id, "Encrypted is not true.");
}

void buckets_at_rest(const Subject& subject, Outcome& outcome) {
  for (const Resource& bucket : subject.document.of_type("AWS::S3::Bucket")) {
    outcome.expect(!list_at(*bucket.properties, "BucketEncryption.ServerSideEncryptionConfiguration").empty(),
                   bucket.id, "BucketEncryption is not set.");
  }
}

/// With a key of the customer's, everything that holds data uses it.
void own_key(const Subject& subject, Outcome& outcome) {
  const std::string& key = subject.spec.aws.kms_key;
  if (key.empty()) return;
  for (const Resource& files : subject.document.of_type("AWS::EFS::FileSystem"))
    outcome.expect(text_at(*files.properties, "KmsKeyId") == key, files.id, "KmsKeyId is another key.");
  for (const Resource& secret : subject.document.of_type("AWS::SecretsManager::Secret"))
    outcome.expect(text_at(*secret.properties, "KmsKeyId") == key, secret.id, "KmsKeyId is another key.");
}

constexpr Check all_encryption_checks[] = {
    {"tls-clients", "Clients reach the service by HTTPS alone", Gravity::high, clients,
     "Keys and answers can be read and changed on the way.",
     "aws.domain with aws.hosted_zone or aws.certificate; or neither, for CloudFront."},
    {"tls-cloudfront", "CloudFront answers HTTPS alone", Gravity::high, edge,
     "Keys and answers can be read and changed on the way.", "Deploy again to undo a change made by hand."},
    {"tls-policy", "The load balancer accepts TLS 1.2 and 1.3 alone", Gravity::medium, tls_policy,
     "Old versions of TLS can be broken by whoever is on the way.",
     "Deploy again to undo a change made by hand."},
    {"tls-tasks", "Traffic is encrypted up to the task", Gravity::high, target_groups,
     "Inside the VPC everything could be read by whoever mirrors its traffic.",
     "Deploy again to undo a change made by hand."},
    {"tls-volume", "The shared volume is mounted with TLS and IAM", Gravity::high, volumes,
     "Shared state could be read on the way, and mounted by anything in the network.",
     "Deploy again to undo a change made by hand."},
    {"tls-file-policy", "The file system refuses connections without TLS", Gravity::medium, file_policy,
     "A client that forgets TLS would send shared state in clear.",
     "Deploy again to undo a change made by hand."},
    {"tls-buckets", "Buckets refuse requests without TLS", Gravity::high, buckets,
     "A client that forgets TLS would send artifacts in clear.",
     "Deploy again to undo a change made by hand."},
    {"files-encrypted", "The file system is encrypted", Gravity::high, files_at_rest,
     "Shared state lies readable on AWS's disks.",
     "A new file system is needed: it cannot be changed later."},
    {"buckets-encrypted", "Buckets are encrypted", Gravity::high, buckets_at_rest,
     "Artifacts and logs lie readable on AWS's disks.", "Deploy again to undo a change made by hand."},
    {"own-key", "Your own key encrypts everything that holds data", Gravity::medium, own_key,
     "Data under another key cannot be locked by disabling yours.", "aws.kms_key"},
};

}  // namespace

std::span<const Check> encryption_checks() { return all_encryption_checks; }

}  // namespace berth::deploy
