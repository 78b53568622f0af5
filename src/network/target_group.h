#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/spec.h"
#include "net/stream.h"

/// The target group: who may receive requests. Pure policy: events and a time go in, decisions come out; it
/// owns no socket, timer or thread. States and thresholds have the meanings of an Application Load Balancer
/// (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html).
namespace berth::network {

/// One task as the load balancer sees it.
struct Target {
  std::string id;  ///< unique among the registered; chosen by who registers
  net::Endpoint endpoint;
  std::string zone;

  auto operator<=>(const Target&) const = default;
};

/// initial: registered, not one successful check yet; gets no request. healthy: gets requests. unhealthy:
/// gets requests only when no target is healthy (fail open). draining: deregistered; finishes what it has.
enum class TargetState : std::uint8_t { initial, healthy, unhealthy, draining };
std::string_view to_string(TargetState state);

/// What `berth status` shows of a target.
struct TargetHealth {
  Target target;
  TargetState state = TargetState::initial;
  std::string reason;     ///< why it is not healthy, a sentence; empty when healthy
  bool suspect = false;   ///< healthy, but a connection was just refused: passed over until the probe answers
  TimePoint since;        ///< of `state`
  std::uint64_t key = 0;  ///< see RoutedTarget
  std::size_t outstanding = 0;  ///< requests in flight, as last reported
};

/// A target that may receive requests, inside a snapshot.
struct RoutedTarget {
  std::uint64_t key = 0;  ///< unique for the life of the process, also when an id is registered again
  Target target;
  TargetState state = TargetState::healthy;  ///< initial, healthy or unhealthy; draining ones are left out
  bool suspect = false;
  TimePoint slow_start_from;   ///< the share of requests rises linearly between these
  TimePoint slow_start_until;  ///< equal to `from` when slow start is off
};

/// The group at one moment; immutable, so that other threads may read it.
struct Snapshot {
  std::uint64_t version = 0;
  std::vector<RoutedTarget> targets;
};

struct TargetGroupPolicy {
  model::HealthCheckSpec health_check;
  Duration slow_start{0};
  Duration deregistration_delay = std::chrono::seconds(10);
  /// A target that was never healthy is probed after a sixteenth of its age, between this and
  /// health_check.interval, so that start-up is noticed at once and a slow start costs few probes.
  Duration initial_interval = std::chrono::milliseconds(15);
  std::size_t targets_max = 1000;
};

/// "Ask this target now." The one who probes answers with TargetGroup::on_probe.
struct Probe {
  std::uint64_t key = 0;
  Target target;
  std::string path;
  Duration timeout{};
};

/// How a probe ended.
struct ProbeOutcome {
  bool healthy = false;
  std::string problem;  ///< a sentence when not healthy: "GET /readyz answered 503"
};

/// A change of state, for logs and whoever waits.
struct TargetChange {
  Target target;
  TargetState from = TargetState::initial;
  TargetState to = TargetState::initial;
  bool gone = false;  ///< left the group; `to` is draining
  std::string reason;
};

/// What to do now, as of one call of TargetGroup::decide.
struct TargetDecisions {
  std::vector<Probe> probes;
  std::vector<TargetChange> changes;  ///< since the last call, in order
  std::optional<TimePoint> wake;      ///< call again then at the latest
};

class TargetGroup {
 public:
  explicit TargetGroup(TargetGroupPolicy policy);

  /// Registers. conflict when the id is registered (a draining target with that id leaves at once instead);
  /// resource_exhausted above targets_max.
  Result<void> add(Target target, TimePoint now);
  /// Begins draining: no new requests; it leaves when nothing is outstanding, at the latest after the
  /// deregistration delay. Nothing happens for an unknown id.
  void drain(std::string_view id, TimePoint now);
  /// Takes it out at once: for a target that is known to be dead.
  void remove(std::string_view id);

  /// Of a probe that was decided. Ignored when the target has left meanwhile.
  void on_probe(std::uint64_t key, ProbeOutcome outcome, TimePoint now);
  /// The data plane could not connect: the target becomes suspect and is probed at once; should that probe
  /// fail too, it is unhealthy without waiting for the threshold.
  void on_connect_failed(std::uint64_t key, TimePoint now);
  /// Requests in flight, for draining and display.
  void on_outstanding(std::uint64_t key, std::size_t count);

  TargetDecisions decide(TimePoint now);

  /// The same object for as long as nothing that matters to the data plane has changed.
  std::shared_ptr<const Snapshot> snapshot() const;

  std::vector<TargetHealth> health() const;
  /// The key under which `id` is registered, or 0.
  std::uint64_t key(std::string_view id) const;
  bool contains(std::uint64_t key) const;

 private:
  struct Entry {
    std::uint64_t key = 0;
    Target target;
    TargetState state = TargetState::initial;
    bool ever_healthy = false;
    bool suspect = false;
    bool probing = false;
    std::size_t successes = 0;  ///< in a row
    std::size_t failures = 0;   ///< in a row
    std::size_t outstanding = 0;
    TimePoint registered;
    TimePoint since;
    TimePoint next_probe;
    TimePoint slow_start_from;
    TimePoint drain_until;
    std::string reason;
  };

  Entry* find(std::string_view id);
  Entry* find(std::uint64_t key);
  void set_state(Entry& entry, TargetState state, std::string reason, TimePoint now);
  void leave(const Entry& entry);
  void on_success(Entry& entry, TimePoint now);
  void on_failure(Entry& entry, std::string problem, TimePoint now);
  Duration probe_interval(const Entry& entry, TimePoint now) const;
  void touch() { snapshot_.reset(); }

  TargetGroupPolicy policy_;
  std::vector<Entry> entries_;
  std::vector<TargetChange> changes_;
  std::uint64_t next_key_ = 1;
  mutable std::uint64_t version_ = 0;
  mutable std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace berth::network
