#include "cluster/running_task.h"

#include <algorithm>

namespace berth::cluster {

namespace {

constexpr Duration sample_interval_min = std::chrono::milliseconds(200);

void sample(RunningTask& task, const std::string& proc_root, TimePoint now) {
  const TimePoint since = task.sampled.value_or(task.started);
  const bool is_too_soon = now - since < sample_interval_min;
  if (task.sampled && is_too_soon) return;
  const TreeUsage usage = read_tree_usage(proc_root, task.process->pid());
  if (is_too_soon) {  // what a task has used that has hardly begun says nothing of its CPU
    task.usage.resident_bytes = usage.resident_bytes;
    return;
  }
  task.cpu = std::max(0.0, usage.cpu_seconds - task.usage.cpu_seconds) /
             std::chrono::duration<double>(now - since).count();
  task.usage = usage;
  task.sampled = now;
}

}  // namespace

std::string with_last_words(const EndedTask& ended) {
  return ended.last_words.empty() ? ended.reason
                                  : ended.reason + "; its last words: " + ended.last_words.back();
}

TaskStatus describe(RunningTask& task, const std::string& proc_root, TimePoint now) {
  sample(task, proc_root, now);
  TaskStatus status;
  status.id = task.id;
  status.zone = task.zone;
  status.address = net::to_string(task.endpoint());
  switch (task.state) {
    case TaskState::starting: status.phase = TaskPhase::starting; break;
    case TaskState::draining: status.phase = TaskPhase::stopping; break;
    default: status.phase = TaskPhase::running;
  }
  status.reason = task.reason;
  status.pid = task.process->pid();
  status.cpu = task.cpu;
  status.memory_bytes = task.usage.resident_bytes;
  status.started_unix_ms = to_unix_ms(task.started_wall);
  return status;
}

}  // namespace berth::cluster
