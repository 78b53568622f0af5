#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "aws/client.h"
#include "base/clock.h"
#include "base/secret.h"
#include "deploy/progress.h"
#include "deploy/record.h"
#include "model/spec.h"
#include "registry/image.h"

/// `berth deploy`: from a spec to a service that has answered a real MCP call.
///
/// Every phase looks at the world first and does what is missing, so the same command again continues where
/// it stopped, whatever phase was interrupted; nothing but the account itself remembers how far it came. Two
/// deploys of different content exclude one another by the tokens of their stack operations (stack.h).
///
/// Every change to the service goes through its stack, a new image too: it is one UpdateStack with the
/// previous template and a new ImageUri, without a change set, because comparing template and parameters
/// has shown that nothing else differs. RegisterTaskDefinition and UpdateService would save
/// CloudFormation's few seconds of polling, but leave the stack behind: a later update that fails would be
/// rolled back to the image the stack knows, not to the one that ran, and `berth plan` would show drift
/// after each deploy.
namespace berth::deploy {

struct DeployWorld {
  aws::Client& client;
  registry::Images& images;
  Clock& clock;
  Progress& progress;
  std::map<std::string, std::string> environment;
};

/// What one server answers to a client.
struct ServerProof {
  std::string server;
  Result<std::size_t> tools;  ///< how many it lists, or why it does not
};
/// Calls every server as a client would, once: the URL without a path, the key (empty: none).
using Prove = std::function<Task<std::vector<ServerProof>>(std::string url, Secret key)>;

struct DeployOptions {
  model::Spec spec;             ///< read with keep_variables
  std::string state_directory;  ///< `.berth`
  std::string berth;            ///< the static program for the image
  std::string image;            ///< --image: a reference to one that is built; empty: build it
  bool wait = true;             ///< false: return once the stack's operation has been started
  bool ignore_scan = false;
  bool revert_drift = false;  ///< put back what was changed by hand
  Prove prove;
};

struct Deployed {
  Record record;
  bool changed = false;   ///< the service stack or its tasks were touched
  bool waited = true;     ///< false: it goes on by itself
  bool asks_key = false;  ///< an API key of Berth's own making is needed
  std::string image;      ///< repository@digest
};

/// Runs all phases. The failure's message is for people: what, why, the way out. An update after which a
/// server does not answer that did before is undone: the service's stack gets back its former template and
/// parameters. Values of secrets stay as they are now.
class Pipeline {
 public:
  virtual ~Pipeline() = default;
  virtual Task<Result<Deployed>> run() = 0;
  /// The phase that runs, for a word at Ctrl-C.
  virtual Phase phase() const = 0;
};
std::unique_ptr<Pipeline> make_pipeline(DeployWorld world, DeployOptions options);

/// Who the credentials belong to.
struct Caller {
  std::string account;
  std::string arn;
};
/// permission_denied when there are none or they are refused, and when aws.account names another account.
Task<Result<Caller>> find_caller(aws::Client& client, std::string expected_account);

}  // namespace berth::deploy
