#pragma once

#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "base/task.h"
#include "model/spec.h"
#include "net/stream.h"

namespace berth {
class Server;
}

namespace berth::task {

/// Serves a C++ server to one client over stdin and stdout: one JSON-RPC message a line, both eras. A
/// client that sends `initialize` is legacy and stays it (requests to the client are real requests then); a
/// request whose `_meta` names a protocol version is modern.
class StdioServer {
 public:
  virtual ~StdioServer() = default;
  /// Until `input` ends (the client closed it) or stop(); calls under way get `grace` to finish, so that
  /// `printf … | server --stdio` answers. Errors: what reading or writing failed with.
  virtual Task<Result<void>> serve() = 0;
  /// Makes serve() return soon: as if the input had ended.
  virtual void stop() = 0;
};

/// Everything given outlives the server.
std::unique_ptr<StdioServer> make_stdio_server(Server& server, net::Stream& input, net::Stream& output,
                                               Clock& clock, Log& log, const model::ServerSpec& spec,
                                               Duration grace);

}  // namespace berth::task
