#pragma once

#include <functional>
#include <memory>

#include "net/tls.h"
#include "task/endpoint.h"
#include "task/host/memory_use.h"
#include "task/runtime.h"

namespace berth::task {

/// A host and what it stands on.
struct HostedServer {
  std::shared_ptr<void> server;  ///< outlives the host; null where the host needs nothing
  std::unique_ptr<ServerHost> host;
};

/// What a runtime is put together from; make_runtime chooses the real ones, tests their own.
struct RuntimeParts {
  std::function<HostedServer(const model::ServerSpec& spec, ChangeSink& sink, const TaskIdentity& identity,
                             MemoryAccount& memory)>
      make_host;
  std::function<std::unique_ptr<Endpoint>(EndpointWorld world)> make_endpoint;
  /// Of the task's control group; unset: the task has none.
  std::function<std::optional<MemoryUse>()> memory;
  std::shared_ptr<net::TlsContext> peer_tls;  ///< null: clear text between sisters, in tests alone
};

Result<std::unique_ptr<Runtime>> assemble_runtime(RuntimeOptions options, RuntimeParts parts,
                                                  net::Network& network, Log& log);

}  // namespace berth::task
