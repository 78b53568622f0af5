#include "network/door_metrics.h"

#include <string_view>

namespace berth::network {

namespace {

using monitoring::MetricsWriter;

constexpr std::string_view status_classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

double number(std::uint64_t value) { return static_cast<double>(value); }

void write_clients(MetricsWriter& writer, const DoorCounters& counters) {
  const ProxyCounters& clients = counters.clients;
  for (std::size_t i = 1; i < std::size(status_classes); ++i) {
    writer.counter("berth_front_door_answers_total", "Answers to clients, by class of status.",
                   {{"status", status_classes[i]}}, number(clients.answers[i]));
  }
  writer.counter("berth_front_door_own_answers_total", "Errors answered by the front door itself.", {},
                 number(clients.own_answers));
  writer.counter("berth_front_door_retries_total", "Requests given to another connection or target.", {},
                 number(clients.retries));
  writer.counter("berth_front_door_disconnects_total", "Clients that left before their answer was complete.",
                 {}, number(clients.disconnects));
  writer.counter("berth_front_door_connections_total", "Client connections accepted.", {},
                 number(clients.connections));
  writer.counter("berth_front_door_handshake_failures_total", "TLS handshakes that failed.", {},
                 number(clients.handshake_failures));
  writer.gauge("berth_front_door_connections", "Client connections open.", {}, number(counters.connections));
  writer.gauge("berth_front_door_requests_in_flight", "Requests being answered.", {},
               number(counters.in_flight));
}

void write_target(MetricsWriter& writer, const TargetHealth& health, const TargetCounters& counters) {
  const std::string_view id = health.target.id;
  const std::string_view zone = health.target.zone;
  for (std::size_t i = 1; i < std::size(status_classes); ++i) {
    writer.counter("berth_target_answers_total", "Answers of a target, by class of status.",
                   {{"target", id}, {"zone", zone}, {"status", status_classes[i]}},
                   number(counters.answers[i]));
  }
  writer.counter("berth_target_connect_failures_total",
                 "Connections a target refused or did not accept in time.", {{"target", id}, {"zone", zone}},
                 number(counters.connect_failures));
  writer.counter("berth_target_broken_answers_total",
                 "Requests a target closed, reset or left without a well-formed answer.",
                 {{"target", id}, {"zone", zone}}, number(counters.broken_answers));
  writer.counter("berth_target_connections_total", "Connections opened to a target.",
                 {{"target", id}, {"zone", zone}}, number(counters.connections));
  writer.gauge("berth_target_healthy", "1 while a target is healthy.", {{"target", id}, {"zone", zone}},
               health.state == TargetState::healthy ? 1 : 0);
  writer.gauge("berth_target_requests_in_flight", "Requests a target is answering.",
               {{"target", id}, {"zone", zone}}, number(health.outstanding));
  writer.histogram("berth_target_response_seconds", "From handing a request over to the head of its answer.",
                   {{"target", id}, {"zone", zone}}, counters.seconds_to_head);
}

}  // namespace

void write_metrics(MetricsWriter& writer, const DoorCounters& counters,
                   const std::vector<TargetHealth>& targets) {
  write_clients(writer, counters);
  for (const TargetHealth& health : targets) {
    const auto found = counters.targets.find(health.key);
    write_target(writer, health, found == counters.targets.end() ? TargetCounters{} : found->second);
  }
}

}  // namespace berth::network
