#include <fmt/format.h>

#include <boost/json.hpp>
#include <type_traits>

#include "cluster/service.h"

namespace berth::cluster {

std::string_view to_string(TaskPhase phase) {
  switch (phase) {
    case TaskPhase::starting: return "starting";
    case TaskPhase::running: return "running";
    case TaskPhase::waiting: return "waiting";
    case TaskPhase::stopping: return "stopping";
  }
  return "starting";
}

std::string_view to_string(RolloutStatus::State state) {
  switch (state) {
    case RolloutStatus::State::none: return "none";
    case RolloutStatus::State::running: return "running";
    case RolloutStatus::State::done: return "done";
    case RolloutStatus::State::undone: return "undone";
  }
  return "none";
}

net::Endpoint control_endpoint(const std::string& state_directory) {
  return {"unix:" + StatePaths{state_directory}.control_socket(), 0};
}

namespace {

boost::json::object write_task(const TaskStatus& task) {
  boost::json::array last_words;
  for (const std::string& line : task.last_words) last_words.emplace_back(line);
  boost::json::array servers;
  for (const ServerState& server : task.servers)
    servers.push_back({{"name", server.name},
                       {"ready", server.ready},
                       {"reason", server.reason},
                       {"refused", server.refused},
                       {"not_separated", server.not_separated},
                       {"restarts", server.restarts},
                       {"oom_kills", server.oom_kills},
                       {"homes", server.homes},
                       {"home_calls", server.home_calls},
                       {"busiest", server.busiest},
                       {"busiest_calls", server.busiest_calls},
                       {"holder", server.holder},
                       {"holder_homes", server.holder_homes},
                       {"rests", server.rests},
                       {"states_lost", server.states_lost}});
  return {{"id", task.id},
          {"zone", task.zone},
          {"address", task.address},
          {"phase", to_string(task.phase)},
          {"health", task.health},
          {"reason", task.reason},
          {"pid", task.pid},
          {"restarts", task.restarts},
          {"crash_loop", task.crash_loop},
          {"cpu", task.cpu},
          {"memory_bytes", task.memory_bytes},
          {"started_unix_ms", task.started_unix_ms},
          {"last_words", std::move(last_words)},
          {"servers", std::move(servers)}};
}

/// Reads members by name; what is absent or of another type keeps its default, so that a newer program's
/// verbs understand an older service.
class Reader {
 public:
  explicit Reader(const boost::json::value& value) : object_(value.if_object()) {}

  void read(const char* name, std::string& out) const {
    const boost::json::value* value = find(name);
    if (value && value->is_string()) out = boost::json::value_to<std::string>(*value);
  }
  void read(const char* name, bool& out) const {
    const boost::json::value* value = find(name);
    if (value && value->is_bool()) out = value->get_bool();
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void read(const char* name, T& out) const {
    const boost::json::value* value = find(name);
    if (value && value->is_number()) {
      boost::system::error_code ignored;
      const T number = value->to_number<T>(ignored);
      if (!ignored) out = number;
    }
  }
  const boost::json::array* array(const char* name) const {
    const boost::json::value* value = find(name);
    return value ? value->if_array() : nullptr;
  }

 private:
  const boost::json::value* find(const char* name) const {
    return object_ ? object_->if_contains(name) : nullptr;
  }
  const boost::json::object* object_;
};

TaskPhase parse_phase(std::string_view text) {
  for (const TaskPhase phase : {TaskPhase::running, TaskPhase::waiting, TaskPhase::stopping}) {
    if (text == to_string(phase)) return phase;
  }
  return TaskPhase::starting;
}

RolloutStatus read_rollout(const boost::json::value& value) {
  RolloutStatus rollout;
  const Reader reader(value);
  std::string state;
  reader.read("state", state);
  using enum RolloutStatus::State;
  for (const RolloutStatus::State known : {running, done, undone}) {
    if (state == to_string(known)) rollout.state = known;
  }
  reader.read("number", rollout.number);
  reader.read("reason", rollout.reason);
  reader.read("note", rollout.note);
  return rollout;
}

TaskStatus read_task(const boost::json::value& value) {
  TaskStatus task;
  const Reader reader(value);
  std::string phase;
  reader.read("id", task.id);
  reader.read("zone", task.zone);
  reader.read("address", task.address);
  reader.read("phase", phase);
  task.phase = parse_phase(phase);
  reader.read("health", task.health);
  reader.read("reason", task.reason);
  reader.read("pid", task.pid);
  reader.read("restarts", task.restarts);
  reader.read("crash_loop", task.crash_loop);
  reader.read("cpu", task.cpu);
  reader.read("memory_bytes", task.memory_bytes);
  reader.read("started_unix_ms", task.started_unix_ms);
  if (const boost::json::array* lines = reader.array("last_words")) {
    for (const boost::json::value& line : *lines) {
      if (line.is_string()) task.last_words.push_back(boost::json::value_to<std::string>(line));
    }
  }
  if (const boost::json::array* servers = reader.array("servers")) {
    for (const boost::json::value& entry : *servers) {
      ServerState server;
      const Reader fields(entry);
      fields.read("name", server.name);
      fields.read("ready", server.ready);
      fields.read("reason", server.reason);
      fields.read("refused", server.refused);
      fields.read("not_separated", server.not_separated);
      fields.read("restarts", server.restarts);
      fields.read("oom_kills", server.oom_kills);
      fields.read("homes", server.homes);
      fields.read("home_calls", server.home_calls);
      fields.read("busiest", server.busiest);
      fields.read("busiest_calls", server.busiest_calls);
      fields.read("holder", server.holder);
      fields.read("holder_homes", server.holder_homes);
      fields.read("rests", server.rests);
      fields.read("states_lost", server.states_lost);
      task.servers.push_back(std::move(server));
    }
  }
  return task;
}

}  // namespace

std::string to_json(const ServiceStatus& status) {
  boost::json::array urls;
  for (const ServiceUrl& url : status.urls)
    urls.push_back({{"server", url.server}, {"url", url.url}, {"outside", url.outside}});
  boost::json::array hosts;
  for (const std::string& host : status.hosts) hosts.emplace_back(host);
  boost::json::array tasks;
  for (const TaskStatus& task : status.tasks) tasks.push_back(write_task(task));
  const boost::json::object object{{"service", status.service},
                                   {"spec_file", status.spec_file},
                                   {"pid", status.pid},
                                   {"started_unix_ms", status.started_unix_ms},
                                   {"urls", std::move(urls)},
                                   {"hosts", std::move(hosts)},
                                   {"desired", status.desired},
                                   {"tasks", std::move(tasks)},
                                   {"limits_enforced", status.limits_enforced},
                                   {"limits", status.limits},
                                   {"cpu_limit", status.cpu_limit},
                                   {"memory_limit_bytes", status.memory_limit_bytes},
                                   {"requests", status.requests},
                                   {"in_flight", status.in_flight},
                                   {"rollout",
                                    {{"state", to_string(status.rollout.state)},
                                     {"number", status.rollout.number},
                                     {"reason", status.rollout.reason},
                                     {"note", status.rollout.note}}}};
  return boost::json::serialize(object);
}

Result<ServiceStatus> parse_service_status(std::string_view text) {
  boost::system::error_code error;
  const boost::json::value value =
      boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("the service's status is not a JSON object ({})", error.message()));
  }
  ServiceStatus status;
  const Reader reader(value);
  reader.read("service", status.service);
  reader.read("spec_file", status.spec_file);
  reader.read("pid", status.pid);
  reader.read("started_unix_ms", status.started_unix_ms);
  reader.read("desired", status.desired);
  reader.read("limits_enforced", status.limits_enforced);
  reader.read("limits", status.limits);
  reader.read("cpu_limit", status.cpu_limit);
  reader.read("memory_limit_bytes", status.memory_limit_bytes);
  reader.read("requests", status.requests);
  reader.read("in_flight", status.in_flight);
  if (const boost::json::array* urls = reader.array("urls")) {
    for (const boost::json::value& entry : *urls) {
      ServiceUrl url;
      const Reader fields(entry);
      fields.read("server", url.server);
      fields.read("url", url.url);
      fields.read("outside", url.outside);
      status.urls.push_back(std::move(url));
    }
  }
  if (const boost::json::array* hosts = reader.array("hosts")) {
    for (const boost::json::value& host : *hosts) {
      if (host.is_string()) status.hosts.push_back(boost::json::value_to<std::string>(host));
    }
  }
  if (const boost::json::array* tasks = reader.array("tasks")) {
    for (const boost::json::value& task : *tasks) status.tasks.push_back(read_task(task));
  }
  if (const boost::json::value* rollout = value.as_object().if_contains("rollout"))
    status.rollout = read_rollout(*rollout);
  return status;
}

}  // namespace berth::cluster
