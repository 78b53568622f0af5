#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "aws/testing/fake_client.h"
#include "base/clock.h"
#include "deploy/pipeline.h"
#include "deploy/progress.h"
#include "registry/image.h"

/// One region of an AWS account, small enough for tests of the pipeline: stacks that take a few polls, their
/// services, secrets and images. It remembers between runs, as an account does. A stack "x-base" is the base
/// of the service "x".
namespace berth::deploy::testing {

class FakeAccount {
 public:
  struct Event {
    std::string id, resource, type, status, reason, token;
    std::string physical = {};
  };
  struct Stack {
    std::string status;
    std::string body;
    std::map<std::string, std::string> parameters;
    std::map<std::string, std::string> outputs;
    std::vector<Event> events;  ///< oldest first
    boost::json::array tags;
    int polls_left = 0;  ///< until the operation in progress ends
    std::string ends_as;
    /// What a service's stack has made and outlives it.
    std::string file_system;
    std::vector<std::string> buckets;
  };
  struct ChangeSet {
    std::string stack, body, type;
    std::map<std::string, std::string> parameters;
    boost::json::array tags;
  };

  /// `region`: where the ids of its file systems begin with "fs-" and a number from `first_id` on.
  explicit FakeAccount(std::string region = "us-east-1", int first_id = 1);

  aws::testing::FakeClient client;
  std::map<std::string, Stack> stacks;
  std::map<std::string, ChangeSet> change_sets;  ///< by "stack/name"
  std::map<std::string, std::string> secrets;    ///< ARN → value
  std::set<std::string> service_roles;           ///< services that have a role of their own
  std::set<std::string> images;                  ///< digests
  std::map<std::string, std::string> tags;       ///< → digest; the manifest of an image is its digest
  /// The next operation on the service's stack fails with this event and is rolled back.
  std::optional<Event> next_failure;
  double now = 1000;  ///< seconds, of what is made
  double deployed_at = 0;
  double secret_at = 0;
  std::size_t desired = 3;
  std::string stopped_task;  ///< JSON of DescribeTasks' `tasks`, when one has stopped

  /// How often an operation was really begun.
  int executed = 0;
  int image_updates = 0;
  int restarts = 0;
  void begin(const std::string& name, const std::string& kind, const std::string& token);

  // ---- data, for tests of what is destroyed ----

  /// Answers what finds and deletes data, too.
  void answer_data();
  std::map<std::string, std::string>
      data;  ///< file systems and buckets that are there → whose stack made them
  /// Told before data goes.
  std::function<void(const std::string& id)> on_delete = [](const std::string&) {};
  /// The next update of a service's stack gives it another file system, as one of its encryption does.
  bool replaces_file_system = false;
  /// The stacks that stand and hold it.
  std::vector<std::string> holders_of(const std::string& id) const;

 private:
  using Object = boost::json::object;
  using Answer = aws::Reply<Object>;
  void answer_stacks();
  void answer_change_sets();
  void answer_service();
  void answer_rest();
  Answer describe(const Object& input);
  void step(const std::string& name, Stack& stack);
  void finish(const std::string& name, Stack& stack);
  void make_data(const std::string& name, Stack& stack);
  std::string make_file_system(const std::string& name);
  void tell_outputs(const std::string& name, Stack& stack);
  std::string arn_of(const std::string& stack) const;
  aws::Reply<http::Response> delete_data(const std::string& id);
  void on(std::string_view service, std::string_view operation, std::function<Answer(const Object&)> handler);
  int next_event_ = 0;
  int next_id_;
};

/// Images without files: the digest follows from `source`.
class FakeImages final : public registry::Images {
 public:
  explicit FakeImages(FakeAccount& account) : account_(account) {}
  Task<Result<registry::Image>> assemble(registry::AssembleOptions options,
                                         registry::Progress progress) override;
  Task<Result<registry::Image>> build(std::string dockerfile, registry::AssembleOptions options,
                                      registry::Progress progress) override;
  Task<Result<Pushed>> push(const registry::Image& image, registry::Reference to, registry::Login login,
                            registry::Progress progress) override;
  Task<Result<registry::Image>> pull(registry::Reference from, registry::Login login,
                                     std::string architecture, registry::Progress progress) override;

  std::string source = "one";
  std::string entry = "/usr/local/bin/berth";
  int pushes = 0;
  registry::AssembleOptions assembled;

 private:
  registry::Image image() const;
  FakeAccount& account_;
};

/// Writes down what a deploy tells.
class FakeProgress final : public Progress {
 public:
  void begin(Phase phase) override { lines.push_back("> " + std::string(title(phase))); }
  void detail(const std::string& text) override { details.push_back(text); }
  void notice(const std::string& text) override { notices.push_back(text); }
  void end(Phase phase, PhaseEnd end, const std::string& summary) override;
  Task<Result<bool>> confirm(std::string question) override;

  std::vector<std::string> lines, details, notices, questions;
  bool answer = true;
};

/// A client that answers `calls` calls and then never again, as if the process had been stopped there.
class CutClient final : public aws::Client {
 public:
  /// `late`: the call after the last answered one still takes effect, only its answer is not heard.
  enum class Cut : unsigned char { before, after };
  CutClient(aws::Client& inner, Clock& clock, std::size_t calls, Cut cut)
      : inner_(inner), clock_(clock), left_(calls), cut_(cut) {}
  const std::string& region() const override { return inner_.region(); }
  Task<aws::Reply<boost::json::object>> call(std::string service, std::string operation,
                                             boost::json::object input) override;
  Task<aws::Reply<boost::json::array>> list(std::string service, std::string operation,
                                            boost::json::object input, std::string items) override;
  Task<aws::Reply<http::Response>> rest(RestRequest request) override;

 private:
  bool stops();
  Task<void> hang();
  aws::Client& inner_;
  Clock& clock_;
  std::size_t left_;
  Cut cut_;
};

}  // namespace berth::deploy::testing
