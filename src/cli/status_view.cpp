#include "cli/status_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/log_lines.h"
#include "cli/service_access.h"
#include "cli/text.h"

namespace berth::cli {
namespace {

constexpr std::size_t last_words_max = 6;  // lines

Paint health_paint(const std::string& health) {
  if (health == "healthy") return Paint::green;
  if (health == "unhealthy") return Paint::red;
  return health == "draining" ? Paint::dim : Paint::yellow;
}

Paint phase_paint(const cluster::TaskStatus& task) {
  if (task.crash_loop) return Paint::red;
  return task.phase == cluster::TaskPhase::waiting ? Paint::yellow : Paint::none;
}

std::string phase_text(const cluster::TaskStatus& task) {
  return task.crash_loop ? "crash loop" : std::string(cluster::to_string(task.phase));
}

std::string since(const cluster::TaskStatus& task, WallTime now) {
  if (task.started_unix_ms == 0 || task.pid == 0) return "–";
  return age(std::chrono::milliseconds(std::max<std::int64_t>(0, to_unix_ms(now) - task.started_unix_ms)));
}

/// Cores, as a share of what a task may use where that is known.
std::string cpu_text(const cluster::TaskStatus& task, double limit) {
  return limit > 0 ? fmt::format("{:.0f}%", task.cpu / limit * 100) : fmt::format("{:.2f}", task.cpu);
}

std::string memory_text(const cluster::TaskStatus& task, std::uint64_t limit) {
  if (task.memory_bytes == 0) return "–";
  if (limit == 0) return megabytes(task.memory_bytes);
  const double share = static_cast<double>(task.memory_bytes) / static_cast<double>(limit);
  return fmt::format("{} {:.0f}%", megabytes(task.memory_bytes), share * 100);
}

std::size_t healthy_count(const cluster::ServiceStatus& status) {
  return static_cast<std::size_t>(std::ranges::count(status.tasks, "healthy", &cluster::TaskStatus::health));
}

/// The end of what a task wrote, in a few lines.
std::string last_words(const std::vector<std::string>& lines, std::size_t columns, bool colour) {
  std::string text;
  for (const std::string& words : summarize(lines)) text += words + "\n";
  LineBuffer buffer;
  buffer.feed(wrap(printable(text), std::max<std::size_t>(columns, 20) - 7, 0));
  std::vector<std::string> shown;
  for (std::string line; buffer.next(line);) shown.push_back(line);
  std::string out;
  for (std::size_t i = shown.size() - std::min(shown.size(), last_words_max); i < shown.size(); ++i) {
    out += paint(Paint::dim, fmt::format("    │ {}", shown[i]), colour) + "\n";
  }
  return out;
}

/// Where the state of a server's callers is, and whether one of them holds the load.
struct Homes {
  std::uint64_t count = 0, calls = 0;
  std::string tasks;  ///< that have any
  cluster::ServerState busiest;
  std::string busiest_task;
  std::map<std::string, std::uint64_t> of_holder;  ///< by principal, as far as the tasks name it
  std::string process_task;                        ///< where one process serves all tasks
  bool is_sole = false;

  void add(const std::string& task, const cluster::ServerState& server) {
    is_sole = is_sole || server.rests;
    if (!server.rests) process_task = task;
    if (server.homes == 0) return;
    count += server.homes;
    calls += server.home_calls;
    tasks += (tasks.empty() ? "" : ", ") + task;
    of_holder[server.holder] += server.holder_homes;
    if (server.busiest_calls <= busiest.busiest_calls) return;
    busiest = server;
    busiest_task = task;
  }
};

/// Fewer calls, or homes, are no load.
constexpr std::uint64_t load_calls_min = 20;
constexpr std::uint64_t load_homes_min = 4;

std::string who_holds_the_load(const Homes& homes) {
  std::string out;
  const std::string& busiest = homes.busiest.busiest;
  if (homes.calls >= load_calls_min && homes.busiest.busiest_calls * 2 > homes.calls)
    out += fmt::format("; one of them{} makes about {} of {} calls, in task {}",
                       busiest == "anonymous" ? "" : fmt::format(" ({})", busiest),
                       homes.busiest.busiest_calls, homes.calls, homes.busiest_task);
  for (const auto& [principal, count] : homes.of_holder) {
    if (homes.count >= load_homes_min && count * 2 > homes.count && principal != "anonymous")
      out += fmt::format("; {} of them are {}'s", count, principal);
  }
  return out;
}

std::string homes_note(const std::string& server, const Homes& homes, std::size_t tasks) {
  const std::string callers = homes.count == 1 ? "1 caller is" : fmt::format("{} callers are", homes.count);
  if (homes.is_sole) {
    const std::string where =
        homes.process_task.empty() ? "no task now" : fmt::format("task {}", homes.process_task);
    return fmt::format("server {}: its one process is in {} (isolation: service){}{}\n", server, where,
                       homes.count == 0 ? "" : fmt::format("; {} at home there", callers),
                       homes.count > 1 ? who_holds_the_load(homes) : "");
  }
  if (homes.count == 0) return "";
  const std::string_view alone =
      homes.count == 1 && tasks > 1 ? "; its state is there, so that all its calls run there" : "";
  return fmt::format("server {}: {} at home in task {}{}{}\n", server, callers, homes.tasks, alone,
                     homes.count > 1 && tasks > 1 ? who_holds_the_load(homes) : "");
}

}  // namespace

bool all_healthy(const cluster::ServiceStatus& status) {
  // A service that is being taken down wants no task any more.
  return healthy_count(status) > 0 && healthy_count(status) >= status.desired;
}

bool all_answer(const cluster::ServiceStatus& status) {
  return all_healthy(status) && silent_servers(status).empty();
}

bool nobody_waits(const cluster::ServiceStatus& status) {
  // Where one server answers, the task is about to be healthy.
  const auto is_settled = [](const cluster::TaskStatus& task) {
    return task.health == "healthy" ||
           (!task.servers.empty() && std::ranges::all_of(task.servers, &cluster::ServerState::refused));
  };
  const auto settled = static_cast<std::size_t>(std::ranges::count_if(status.tasks, is_settled));
  return status.desired > 0 && settled >= status.desired;
}

std::string silent_servers(const cluster::ServiceStatus& status) {
  struct Silent {
    std::string name, reason;
    std::size_t tasks = 0;
  };
  std::vector<Silent> found;
  for (const cluster::TaskStatus& task : status.tasks) {
    if (task.health != "healthy") continue;
    for (const cluster::ServerState& server : task.servers) {
      if (server.ready) continue;
      auto known = std::ranges::find(found, server.name, &Silent::name);
      if (known == found.end()) known = found.insert(known, {server.name, server.reason});
      ++known->tasks;
    }
  }
  std::string out;
  for (const Silent& server : found) {
    const std::size_t all = status.tasks.size();
    out += printable(fmt::format("server {} does not answer in {} of {} task{}: {}\n", server.name,
                                 server.tasks, all, all == 1 ? "" : "s", server.reason));
  }
  return out;
}

std::string server_notes(const cluster::ServiceStatus& status) {
  struct Noted {
    std::string name, not_separated;
    std::uint64_t restarts = 0, oom_kills = 0, states_lost = 0;
    Homes homes{};
  };
  std::vector<Noted> found;
  for (const cluster::TaskStatus& task : status.tasks) {
    for (const cluster::ServerState& server : task.servers) {
      auto known = std::ranges::find(found, server.name, &Noted::name);
      if (known == found.end()) known = found.insert(known, Noted{.name = server.name, .not_separated = {}});
      if (known->not_separated.empty()) known->not_separated = server.not_separated;
      known->restarts += server.restarts;
      known->oom_kills += server.oom_kills;
      known->homes.add(task.id, server);
      known->states_lost += server.states_lost;
    }
  }
  std::string out;
  for (const Noted& server : found) {
    if (server.restarts > 0) {
      const std::string killed =
          server.oom_kills == 0 ? ""
                                : fmt::format(", {} of them out of memory (tasks.memory)", server.oom_kills);
      out += fmt::format("server {}: processes ended by themselves: {}{}\n", server.name, server.restarts,
                         killed);
    }
    out += homes_note(server.name, server.homes, status.tasks.size());
    if (server.states_lost > 0)
      out += fmt::format("server {}: callers told that their state was lost with its process: {}\n",
                         server.name, server.states_lost);
    if (!server.not_separated.empty())
      out += fmt::format("server {} is not separated: {}\n", server.name, server.not_separated);
  }
  return printable(out);
}

std::string headline(const cluster::ServiceStatus& status, bool colour) {
  bool good = all_healthy(status);
  std::string count = fmt::format("{} of {} task{} healthy", healthy_count(status), status.desired,
                                  status.desired == 1 ? "" : "s");
  return fmt::format("{}  {}\n", paint(Paint::bold, status.service, colour),
                     paint(good ? Paint::green : Paint::yellow, count, colour));
}

std::string task_table(const cluster::ServiceStatus& status, WallTime now, std::size_t columns, bool colour) {
  std::vector<std::vector<Cell>> rows{{{"TASK", Paint::dim},
                                       {"ZONE", Paint::dim},
                                       {"ADDRESS", Paint::dim},
                                       {"STATE", Paint::dim},
                                       {"HEALTH", Paint::dim},
                                       {"UP", Paint::dim},
                                       {"RESTARTS", Paint::dim},
                                       {"CPU", Paint::dim},
                                       {"MEMORY", Paint::dim}}};
  for (const cluster::TaskStatus& task : status.tasks) {
    rows.push_back({{task.id},
                    {task.zone},
                    {task.address},
                    {phase_text(task), phase_paint(task)},
                    {task.health.empty() ? "–" : task.health, health_paint(task.health)},
                    {since(task, now)},
                    {fmt::format("{}", task.restarts), task.restarts > 0 ? Paint::yellow : Paint::none},
                    {cpu_text(task, status.cpu_limit)},
                    {memory_text(task, status.memory_limit_bytes)}});
  }
  std::string out = table(rows, 2, colour);
  for (const cluster::TaskStatus& task : status.tasks) {
    if (task.health == "healthy" || (task.reason.empty() && task.last_words.empty())) continue;
    out += fmt::format("  task {}: {}\n", task.id, printable(task.reason));
    out += last_words(task.last_words, columns, colour);
  }
  const std::string silent = silent_servers(status);
  if (!silent.empty())
    out += paint(Paint::red, wrap(silent, std::max<std::size_t>(columns, 20) - 2, 2), colour);
  const std::string notes = server_notes(status);
  if (!notes.empty())
    out += paint(Paint::yellow, wrap(notes, std::max<std::size_t>(columns, 20) - 2, 2), colour);
  return out;
}

std::string url_lines(const cluster::ServiceStatus& status, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (const ServerAddress& server : group_urls(status.urls)) {
    for (const std::string& url : {server.http, server.https, server.outside}) {
      if (!url.empty()) rows.push_back({{server.name}, {url, Paint::cyan}});
    }
  }
  std::string out = table(rows, 2, colour);
  // Of a listener on loopback no URL names them: something before it does.
  std::string others;
  for (const std::string& host : status.hosts) {
    const bool is_shown = std::ranges::any_of(
        status.urls, [&](const cluster::ServiceUrl& url) { return url.url.contains("//" + host); });
    if (!is_shown) others += (others.empty() ? "" : ", ") + host;
  }
  if (!others.empty())
    out += paint(Paint::dim,
                 fmt::format("  also by the name{} {}\n", others.contains(',') ? "s" : "", others), colour);
  return out;
}

}  // namespace berth::cli
