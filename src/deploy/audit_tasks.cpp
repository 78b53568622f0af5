#include <algorithm>

#include "deploy/audit_checks.h"
#include "model/units.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

void scan(const Subject& subject, Outcome& outcome) {
  for (const Resource& repository : subject.document.of_type("AWS::ECR::Repository"))
    outcome.expect(true_at(*repository.properties, "ImageScanningConfiguration.ScanOnPush"), repository.id,
                   "ScanOnPush is not true.");
}

void immutable(const Subject& subject, Outcome& outcome) {
  for (const Resource& repository : subject.document.of_type("AWS::ECR::Repository"))
    outcome.expect(text_at(*repository.properties, "ImageTagMutability").starts_with("IMMUTABLE"),
                   repository.id, "Tags can be moved to another image.");
}

void old_images(const Subject& subject, Outcome& outcome) {
  for (const Resource& repository : subject.document.of_type("AWS::ECR::Repository"))
    outcome.expect(
        text_at(*repository.properties, "LifecyclePolicy.LifecyclePolicyText").find("sinceImagePushed") !=
            std::string::npos,
        repository.id, "No lifecycle rule deletes old images.");
}

void by_digest(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    const json::value* image = container.definition->if_contains("Image");
    if (image == nullptr) continue;
    // As a parameter it is repository@digest: the template's pattern asks for that.
    bool good = !image->is_string() || image->get_string().find("@sha256:") != json::string::npos;
    outcome.expect(good, container.resource, "The image is named by a tag: " + text_of(*image) + ".");
  }
}

void read_only(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document))
    outcome.expect(true_at(*container.definition, "ReadonlyRootFilesystem"), container.resource,
                   "ReadonlyRootFilesystem is not true.");
}

void not_root(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    std::string user = text_at(*container.definition, "User");
    bool root =
        user.empty() || user == "root" || user == "0" || user.starts_with("0:") || user.starts_with("root:");
    outcome.expect(!root, container.resource,
                   "User is " + (user.empty() ? std::string("not set") : user) + ".");
  }
}

void no_capabilities(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    auto dropped = list_at(*container.definition, "LinuxParameters.Capabilities.Drop");
    bool all =
        std::ranges::any_of(dropped, [](const json::value* value) { return text_of(*value) == "ALL"; });
    bool added = !list_at(*container.definition, "LinuxParameters.Capabilities.Add").empty();
    outcome.expect(all && !added && !true_at(*container.definition, "Privileged"), container.resource,
                   "Capabilities are not all dropped.");
  }
}

void logged(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document))
    outcome.expect(!text_at(*container.definition, "LogConfiguration.LogDriver").empty(), container.resource,
                   "No LogConfiguration.");
}

void time_to_stop(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document)) {
    Result<double> seconds = model::parse_number(text_at(*container.definition, "StopTimeout"));
    outcome.expect(seconds && *seconds >= 60, container.resource,
                   "StopTimeout is below 60 s, though Spot gives notice of two minutes.");
  }
}

void health_checked(const Subject& subject, Outcome& outcome) {
  for (const Container& container : containers(subject.document))
    outcome.expect(container.definition->contains("HealthCheck"), container.resource, "No HealthCheck.");
}

void rolled_back(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    bool good = true_at(*service.properties, "DeploymentConfiguration.DeploymentCircuitBreaker.Enable") &&
                true_at(*service.properties, "DeploymentConfiguration.DeploymentCircuitBreaker.Rollback");
    outcome.expect(good, service.id, "The circuit breaker with rollback is off.");
  }
}

void capacity_kept(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    Result<double> percent =
        model::parse_number(text_at(*service.properties, "DeploymentConfiguration.MinimumHealthyPercent"));
    outcome.expect(percent && *percent >= 100, service.id, "MinimumHealthyPercent is below 100.");
  }
}

void rebalanced(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service"))
    outcome.expect(text_at(*service.properties, "AvailabilityZoneRebalancing") == "ENABLED", service.id,
                   "AvailabilityZoneRebalancing is not ENABLED.");
}

void on_demand_base(const Subject& subject, Outcome& outcome) {
  for (const Resource& service : subject.document.of_type("AWS::ECS::Service")) {
    bool spot = false, base = false;
    for (const json::value* provider : list_at(*service.properties, "CapacityProviderStrategy")) {
      if (!provider->is_object()) continue;
      const json::object& one = provider->get_object();
      spot = spot || text_at(one, "CapacityProvider") == "FARGATE_SPOT";
      std::string amount = text_at(one, "Base");
      base = base || (text_at(one, "CapacityProvider") == "FARGATE" && !amount.empty() && amount != "0");
    }
    if (spot) outcome.expect(base, service.id, "Every task may be on Spot.");
  }
}

constexpr Check all_task_checks[] = {
    {"scan-on-push", "Images are scanned when they are pushed", Gravity::high, scan,
     "Known holes in packages go unnoticed into production.", by_hand},
    {"tags-immutable", "Tags of images cannot be moved", Gravity::medium, immutable,
     "A rollback could start something else than what ran.", by_hand},
    {"old-images-deleted", "Old images are deleted", Gravity::low, old_images,
     "Images with known holes stay around, and are paid for.", by_hand},
    {"image-by-digest", "Tasks run an image by its digest", Gravity::medium, by_digest,
     "What runs depends on when it was started.", by_hand},
    {"root-read-only", "The root file system is read-only", Gravity::medium, read_only,
     "Whoever takes over a server can leave programs behind.",
     "aws.exec: false, as a shell needs a writable root; otherwise deploy again."},
    {"not-root", "Containers do not run as root", Gravity::high, not_root,
     "A hole in a server is then a hole in everything that the container holds.", by_hand},
    {"no-capabilities", "Containers have no Linux capabilities", Gravity::medium, no_capabilities,
     "Each one is a way to more.", by_hand},
    {"containers-logged", "Containers write logs", Gravity::medium, logged, "Nobody knows what happened.",
     by_hand},
    {"time-to-stop", "Tasks get time to finish when Spot takes them", Gravity::low, time_to_stop,
     "Calls in flight are cut.", by_hand},
    {"containers-health-checked", "Containers have a health check of their own", Gravity::low, health_checked,
     "A task that hangs behind a healthy listener goes on.", by_hand},
    {"deployment-rolled-back", "A failing deployment is rolled back", Gravity::medium, rolled_back,
     "ECS starts broken tasks again and again for hours.", by_hand},
    {"capacity-kept", "A deployment keeps all tasks until new ones are healthy", Gravity::low, capacity_kept,
     "Every deploy is a small outage.", by_hand},
    {"zones-rebalanced", "Tasks are spread again after a zone comes back", Gravity::low, rebalanced,
     "All tasks may stay in the zone that fails next.", by_hand},
    {"on-demand-base", "At least one task is not on Spot", Gravity::low, on_demand_base,
     "When Spot is short, no task is left.", "aws.spot: {base: 1}"},
};

}  // namespace

std::span<const Check> task_checks() { return all_task_checks; }

}  // namespace berth::deploy
