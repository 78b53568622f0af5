#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/context.h"
#include "cluster/service.h"
#include "http/client.h"

namespace berth::cli {

/// The control API of a running `berth up`, over the Unix socket in its state folder. Errors: unavailable
/// when nobody
/// answers there (the service is not running), otherwise what the API answered.
class Control {
 public:
  Control(Context& context, std::string state_directory);

  Task<Result<cluster::ServiceStatus>> status();
  /// `body` is JSON or empty.
  Task<Result<void>> post(std::string target, std::string body);
  /// The log lines as they come; the target is "/logs?…".
  Task<Result<std::unique_ptr<http::ClientResponse>>> logs(std::string target);

 private:
  Task<Result<http::Response>> fetch(http::ClientRequest request);

  Context& context_;
  std::string state_directory_;
  std::unique_ptr<http::Client> client_;
};

/// Writes the error to err as "berth VERB: …" and says which exit code it stands for.
ExitCode report(Context& context, std::string_view verb, const Error& error);

}  // namespace berth::cli
