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
  /// The keys in which `spec` differs from what runs.
  Task<Result<std::vector<std::string>>> differing_keys(const model::Spec& spec);
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

/// What an error is about, which the exit code tells (`berth help exit-codes`): the command line, the file
/// that describes the service, the service that runs here or that is deployed, or anything else.
enum class Cause : unsigned char { other, command_line, spec, service, deployment };
/// Of what find_service and open_aws say, which read the file and then look for the service.
Cause cause_of(const Error& error);

/// Writes the error to err as "berth VERB: …" and says which exit code it stands for.
ExitCode report(Context& context, std::string_view verb, const Error& error, Cause cause = Cause::other);

}  // namespace berth::cli
