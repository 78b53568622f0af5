#include "model/deployable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "model/units.h"

namespace berth::model {
namespace {

constexpr std::uint64_t gb = std::uint64_t{1} << 30;
constexpr std::size_t stack_name_bytes_max = 40;  // leaves room in names that AWS limits to 64 bytes
constexpr Milliseconds stop_timeout_max = std::chrono::minutes(2);  // Fargate's highest StopTimeout

/// Sizes of Fargate tasks on Linux (ECS developer guide, "Task CPU and memory").
struct FargateSize {
  double cpu;
  std::uint64_t memory_min, memory_max, step;
};
constexpr std::array<FargateSize, 7> fargate_sizes{{{0.25, gb / 2, 2 * gb, gb},
                                                    {0.5, gb, 4 * gb, gb},
                                                    {1, 2 * gb, 8 * gb, gb},
                                                    {2, 4 * gb, 16 * gb, gb},
                                                    {4, 8 * gb, 30 * gb, gb},
                                                    {8, 16 * gb, 60 * gb, 4 * gb},
                                                    {16, 32 * gb, 120 * gb, 8 * gb}}};

bool has_memory(const FargateSize& size, std::uint64_t bytes) {
  if (bytes == size.memory_min) return true;
  return bytes > size.memory_min && bytes <= size.memory_max && bytes % size.step == 0;
}

/// ECR, CloudFormation and the log group share the name, so it is what all of them take.
std::string name_problem(const std::string& name) {
  std::string plain;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    plain += c == '_' ? '-' : c;
  }
  while (!plain.empty() && !(plain.front() >= 'a' && plain.front() <= 'z')) plain.erase(0, 1);
  while (plain.ends_with('-')) plain.pop_back();
  if (plain.size() > stack_name_bytes_max) plain.resize(stack_name_bytes_max);
  if (plain == name && name.size() >= 2) return {};
  return fmt::format(
      "name is \"{}\", but AWS takes lower-case letters, digits and hyphens, starting with a "
      "letter, from 2 to {}; write name: {}.",
      name, stack_name_bytes_max, plain.size() < 2 ? "my-server" : plain);
}

}  // namespace

std::string fargate_size_problem(double cpu, std::uint64_t memory_bytes) {
  auto found = std::ranges::find(fargate_sizes, cpu, &FargateSize::cpu);
  if (found == fargate_sizes.end()) {
    return fmt::format("tasks.cpu is {}, but Fargate has tasks of 0.25, 0.5, 1, 2, 4, 8 and 16 vCPUs.",
                       format_number(cpu));
  }
  if (has_memory(*found, memory_bytes)) return {};
  return fmt::format("tasks.memory is {}, but with {} vCPU Fargate has from {} to {} in steps of {}.",
                     format_bytes(memory_bytes), format_number(cpu), format_bytes(found->memory_min),
                     format_bytes(found->memory_max), format_bytes(found->step));
}

std::vector<std::string> deploy_problems(const Spec& spec) {
  std::vector<std::string> out;
  auto add = [&out](std::string problem) {
    if (!problem.empty()) out.push_back(std::move(problem));
  };
  add(name_problem(spec.name));
  add(fargate_size_problem(spec.tasks.cpu, spec.tasks.memory_bytes));
  if (spec.aws.network.vpc.empty() && spec.tasks.zones.size() < 2) {
    add("tasks.zones has one zone, but a load balancer needs two; write zones: [a, b, c].");
  }
  if (spec.tasks.drain_timeout > stop_timeout_max) {
    add(fmt::format("tasks.drain_timeout is {}, but Fargate ends a task 2m after SIGTERM; lower it.",
                    format_duration(spec.tasks.drain_timeout)));
  }
  for (const KeySpec& key : spec.auth.keys) {
    if (key.file.empty()) continue;
    add(fmt::format(
        "The key \"{}\" is read from a file, which the tasks do not have; write env: VARIABLE, and "
        "deploy puts its value into Secrets Manager.",
        key.principal));
  }
  for (const auto& [name, secret] : spec.aws.secrets) {
    bool known = !spec.keeps_variables || std::ranges::find(spec.variables, name) != spec.variables.end();
    if (known) continue;
    add(
        fmt::format("aws.secrets gives {}, but nothing in the file says ${{{}}}; use it, for example in env, "
                    "or remove it.",
                    name, name));
  }
  return out;
}

bool means_nothing(std::string_view key, Place place) {
  constexpr std::string_view here[] = {"aws", "image", "permissions", "scaling"};
  constexpr std::string_view aws[] = {
      "limits.connections_max",        "listener.address",      "listener.certificate_file",
      "listener.deregistration_delay", "listener.http_port",    "listener.https",
      "listener.https_port",           "listener.idle_timeout", "listener.key_file",
      "listener.public_url",           "listener.threads",      "tasks.restart_backoff_max",
      "tasks.restart_backoff_min"};
  return place == Place::here ? std::ranges::find(here, key) != std::end(here)
                              : std::ranges::find(aws, key) != std::end(aws);
}

std::vector<std::string> keys_without_meaning(const Spec& spec, Place place) {
  std::vector<std::string> out;
  for (const std::string& key : spec.keys) {
    if (means_nothing(key, place)) out.push_back(key);
  }
  return out;
}

std::vector<std::string> secret_variables(const Spec& spec) {
  std::vector<std::string> out;
  for (const std::string& name : spec.variables) {
    if (!spec.aws.secrets.contains(name)) out.push_back(name);
  }
  return out;
}

std::size_t tasks_min(const Spec& spec) {
  return spec.scaling.min != 0 ? spec.scaling.min : spec.tasks.count;
}

std::size_t tasks_max(const Spec& spec) {
  if (spec.scaling.max != 0) return spec.scaling.max;
  return std::max(2 * spec.tasks.count, tasks_min(spec));
}

}  // namespace berth::model
