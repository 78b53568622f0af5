#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/memory_account.h"
#include "model/spec.h"
#include "net/process.h"
#include "task/host/era_record.h"
#include "task/host/memory_use.h"
#include "task/server_host.h"

namespace berth::task {

struct StdioHostOptions {
  /// What children have besides the spec's own `environment` (which wins): PATH, HOME, LANG, TMPDIR.
  std::vector<std::pair<std::string, std::string>> environment;
  /// Asked before a process is started, and when one was killed; unset: there is always room.
  std::function<std::optional<MemoryUse>()> memory;
  /// The processes of all hosts that share the memory.
  std::shared_ptr<std::size_t> processes = std::make_shared<std::size_t>(0);
  /// While it is tight, the output of processes is left unread for a while; null: it never is.
  MemoryAccount* account = nullptr;
  /// Whether the errors of calls may hold the last words of a process, which may hold secrets: where every
  /// caller has a key, or is on this machine.
  bool tells_words = true;
  /// What children may not see: Berth's own files.
  net::Separation separation;
  /// Where the answer to `era: automatic` outlives the host; unset: nowhere.
  std::optional<EraRecord> eras;
};

/// Hosts `spec.command` as child processes that speak MCP over stdin and stdout. Starts `spec.warm` of them
/// at once; with `era: automatic` a sibling process is asked at the same time which era the server speaks,
/// and the answer is kept for the life of the host, and in `options.eras` for the next one. Everything passed
/// outlives the host; drain() before destroying it.
///
/// Calls of a child that dies end with -32603, its exit status and last words; they are never run again,
/// except those that had not left this process. Reached limits answer -32000 with data {"retryAfter":
/// seconds}. In input_responses an object {"error": {"code", "message"}} stands for a client's refusal.
std::unique_ptr<ServerHost> make_stdio_host(const model::ServerSpec& spec, net::ProcessLauncher& launcher,
                                            ChangeSink& sink, Clock& clock, Log& log,
                                            StdioHostOptions options = {});

}  // namespace berth::task
