#pragma once

#include <memory>
#include <string>

namespace berth {
class Server;
}

namespace berth::task {

struct WorkspaceOptions {
  std::string data_directory;  ///< the shared volume; state/ and artifacts/ are made in it when missing
  std::string version;         ///< of this program, for serverInfo and whoami
};

/// The built-in `workspace` server (server.builtin: workspace): shared state with compare-and-set,
/// artifacts, whoami, a countdown with progress, a question to the user, echo. Written with include/berth/
/// like any other server.
std::unique_ptr<Server> make_workspace_server(WorkspaceOptions options);

}  // namespace berth::task
