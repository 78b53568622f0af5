#include "cli/status_view.h"

#include <fmt/format.h>

#include <algorithm>

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

}  // namespace

bool all_healthy(const cluster::ServiceStatus& status) { return healthy_count(status) >= status.desired; }

bool all_answer(const cluster::ServiceStatus& status) {
  return all_healthy(status) && silent_servers(status).empty();
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
                    {fmt::format("{:.2f}", task.cpu)},
                    {task.memory_bytes == 0 ? "–" : megabytes(task.memory_bytes)}});
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
  return out;
}

std::string url_lines(const cluster::ServiceStatus& status, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (const ServerAddress& server : group_urls(status.urls)) {
    for (const std::string& url : {server.http, server.https}) {
      if (!url.empty()) rows.push_back({{server.name}, {url, Paint::cyan}});
    }
  }
  return table(rows, 2, colour);
}

}  // namespace berth::cli
