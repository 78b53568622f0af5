#pragma once

#include "berth/server.h"

namespace berth {

/// Serves `server` until SIGINT or SIGTERM, then drains; the exit code of main. By default over HTTP on
/// 127.0.0.1:3000 (`/mcp`, `/healthz`, `/readyz`, `/metrics`), as a full Berth task for every era of
/// clients; `--stdio` serves one client on stdin and stdout instead. `--help` lists the options. Errors go
/// to stderr, exit code 1; bad options, exit code 2.
int run(Server& server, int argc, char** argv);

}  // namespace berth
