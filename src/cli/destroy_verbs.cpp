#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/control.h"
#include "cli/deploy_lock.h"
#include "cli/deploy_view.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "deploy/destroy.h"
#include "deploy/pipeline.h"
#include "deploy/rollback.h"
#include "deploy/trouble.h"

/// The verbs that change what is deployed otherwise than by a deploy: rollback, scale --on aws, destroy.
namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t tasks_max =
    1000;  // of a service's quota: 5,000; more is taken for a slip of the finger

Consent consent_of(const Arguments& arguments) {
  return arguments.has("yes") ? Consent::given : Consent::ask;
}

ExitCode fail_with(Context& context, std::string_view verb, LineProgress& progress, const Error& error) {
  progress.finish();
  const std::string text = fmt::format("berth {}: {}\n", verb, printable(error.message()));
  context.terminal.err(fitted(context.terminal, text));
  if (progress.refused()) return ExitCode::not_confirmed;
  return error.code() == ErrorCode::not_found ? ExitCode::not_running : ExitCode::failed;
}

std::string data_lines(const std::vector<deploy::Keepsake>& data) {
  std::string out;
  for (const deploy::Keepsake& keepsake : data) {
    std::string size = keepsake.bytes ? fmt::format(", {}", megabytes(*keepsake.bytes)) : "";
    out += fmt::format("  {} {}{} ({})\n", deploy::to_string(keepsake.kind), keepsake.id, size,
                       deploy::price_of(keepsake));
  }
  return out;
}

/// What happens to the data: told by an option, or asked. conflicting options: invalid_argument.
Task<Result<deploy::DataFate>> decide_data(Context& context, const Arguments& arguments,
                                           const deploy::Standing& standing) {
  if (arguments.has("keep-data") && arguments.has("delete-data"))
    co_return fail(ErrorCode::invalid_argument, "--keep-data and --delete-data exclude one another.");
  if (arguments.has("delete-data")) co_return deploy::DataFate::remove;
  if (arguments.has("keep-data") || standing.data.empty()) co_return deploy::DataFate::keep;
  if (arguments.has("yes") || !context.terminal.in_is_terminal()) {
    co_return fail(
        ErrorCode::invalid_argument,
        fmt::format("The service has data, and nobody said what is to become of it:\n{}Say --keep-data (it "
                    "stays, and costs what stands there) or --delete-data (it is gone for good).",
                    data_lines(standing.data)));
  }
  const Result<bool> remove =
      co_await ask_user(context, fmt::format("The service has data:\n{}Delete it too, for good? No keeps it.",
                                             data_lines(standing.data)));
  if (!remove) co_return Failure(remove.error());
  co_return *remove ? deploy::DataFate::remove : deploy::DataFate::keep;
}

std::string destroy_question(const AwsSession& session, const std::string& account,
                             const deploy::Standing& standing, deploy::DataFate fate) {
  std::string out = fmt::format("Destroy {} in account {}, {}: {} resources of the stacks {} and {}",
                                session.spec.name, account, session.region(), standing.resources,
                                session.names.service_stack, session.names.base_stack);
  if (standing.data.empty()) return out + "?";
  const bool remove = fate == deploy::DataFate::remove;
  return out + fmt::format("{}\n{}Go on?", remove ? ", and this data, for good:" : "? This data is kept:",
                           data_lines(standing.data));
}

json::array data_json(const std::vector<deploy::Keepsake>& data) {
  json::array out;
  for (const deploy::Keepsake& keepsake : data) {
    json::object one{{"kind", std::string(deploy::to_string(keepsake.kind))}, {"id", keepsake.id}};
    one["bytes"] = keepsake.bytes ? json::value(*keepsake.bytes) : json::value(nullptr);
    one["price"] = deploy::price_of(keepsake);
    out.push_back(std::move(one));
  }
  return out;
}

/// The vault of EFS's own backups is AWS's; its rule deletes them.
constexpr std::string_view backups_stay =
    "Backups of a file system stay in the AWS Backup vault aws/efs/automatic-backup-vault for 35 days.\n";

void show_remains(Context& context, const deploy::Remains& remains, deploy::DataFate fate, bool had_files,
                  bool as_json) {
  if (as_json) {
    json::object out{{"kept", data_json(remains.data)}, {"left", json::value_from(remains.others)}};
    context.terminal.out(pretty_json(json::serialize(out)) + "\n");
    return;
  }
  if (remains.data.empty() && remains.others.empty()) {
    context.terminal.out("Destroyed. Nothing is left that costs money.\n");
    if (had_files) context.terminal.out(backups_stay);
    return;
  }
  std::string out = "Destroyed.";
  if (!remains.data.empty()) {
    out += fmt::format(" {}:\n{}",
                       fate == deploy::DataFate::keep ? "This data was kept" : "This could not be deleted",
                       data_lines(remains.data));
    out += "  `berth destroy --delete-data` deletes it.\n";
    if (had_files) out += fmt::format("  {}", backups_stay);
  }
  if (!remains.others.empty()) out += remains.data.empty() ? " Also there:\n" : "Also there:\n";
  for (const std::string& line : remains.others) out += "  " + line + "\n";
  context.terminal.out(out);
}

/// Of the service in exactly the account that is asked.
deploy::RecordKey exact_key(const AwsSession& session, const std::string& account) {
  return {.service_stack = session.names.service_stack, .region = session.region(), .account = account};
}

/// That of the service, which may have been deployed from elsewhere.
deploy::Record own_record(const AwsSession& session, const std::string& account) {
  if (session.record) return *session.record;
  return deploy::Record{.region = session.region(),
                        .account = account,
                        .service_stack = session.names.service_stack,
                        .base_stack = session.names.base_stack};
}

/// Runs `work` until it ends or Ctrl-C; the failure then says `after`.
template <class T>
class UntilInterrupt {
 public:
  explicit UntilInterrupt(Context& context)
      : context_(context), ended_(context.clock.executor()), scope_(context.clock.executor()) {}

  Task<Result<T>> run(Task<Result<T>> work, std::string after) {
    scope_.spawn(keep(std::move(work)));
    scope_.spawn(watch());
    co_await ended_.wait();
    scope_.cancel();
    co_await scope_.join();
    if (result_) co_return std::move(*result_);
    co_return fail(ErrorCode::cancelled, after);
  }
  bool interrupted() const { return !result_; }

 private:
  Task<void> keep(Task<Result<T>> work) {
    Result<T> result = co_await std::move(work);
    result_.emplace(std::move(result));
    ended_.notify();
  }
  Task<void> watch() {
    co_await context_.interrupts.next();
    ended_.notify();
  }

  Context& context_;
  std::optional<Result<T>> result_;
  Signal ended_;
  TaskScope scope_;
};

}  // namespace

Task<ExitCode> run_destroy(Context& context, const Arguments& arguments) {
  Result<AwsSession> session = open_aws(context, arguments);
  if (!session) co_return report(context, "destroy", session.error(), cause_of(session.error()));
  const Result<DeployLock> lock = DeployLock::take(session->location.state_directory);
  if (!lock) co_return report(context, "destroy", lock.error());
  LineProgress progress(context, consent_of(arguments));
  const Result<deploy::Caller> caller =
      co_await deploy::find_caller(*session->client, session->spec.aws.account);
  if (!caller) co_return fail_with(context, "destroy", progress, caller.error());
  session->record =
      deploy::read_record(session->location.state_directory, exact_key(*session, caller->account));
  const Result<deploy::Standing> standing =
      co_await deploy::look_around(*session->client, session->names, session->record);
  if (!standing) co_return fail_with(context, "destroy", progress, standing.error());
  if (standing->nothing()) {
    deploy::remove_record(session->location.state_directory, exact_key(*session, caller->account));
    context.terminal.out(fmt::format("There is nothing of {} in account {}, {}.\n", session->spec.name,
                                     caller->account, session->region()));
    co_return ExitCode::ok;
  }
  const Result<deploy::DataFate> fate = co_await decide_data(context, arguments, *standing);
  if (!fate) {
    fail_with(context, "destroy", progress, fate.error());
    co_return ExitCode::usage;
  }
  const Result<bool> yes =
      co_await progress.confirm(destroy_question(*session, caller->account, *standing, *fate));
  if (!yes) co_return fail_with(context, "destroy", progress, yes.error());
  if (!*yes) {
    context.terminal.err("Nothing was changed.\n");
    co_return ExitCode::not_confirmed;
  }
  deploy::DestroyOptions options{.data = *fate, .forget_secrets = arguments.has("forget-secrets")};
  deploy::StackWorld world{.client = *session->client, .clock = context.clock, .progress = progress};
  const std::string& folder = session->location.state_directory;
  const deploy::Record record = own_record(*session, caller->account);
  const Result<void> written = deploy::record_standing(folder, record, *standing);
  if (!written) co_return fail_with(context, "destroy", progress, written.error());
  UntilInterrupt<deploy::Remains> until(context);
  const Result<deploy::Remains> remains =
      co_await until.run(deploy::destroy(world, session->names, *standing, options),
                         "Interrupted. The deletion of a stack that has begun goes on by itself; the rest "
                         "waits for `berth destroy` "
                         "again, which continues where this one stopped.");
  if (!remains) {
    const ExitCode code = fail_with(context, "destroy", progress, remains.error());
    co_return until.interrupted() ? ExitCode::interrupted : code;
  }
  progress.finish();
  const Result<void> told = deploy::record_remains(folder, record, *remains);
  if (!told) co_return fail_with(context, "destroy", progress, told.error());
  const bool had_files = std::ranges::any_of(standing->data, [](const deploy::Keepsake& keepsake) {
    return keepsake.kind == deploy::Keepsake::Kind::file_system;
  });
  show_remains(context, *remains, *fate, had_files && session->spec.aws.backups, arguments.has("json"));
  const bool incomplete = *fate == deploy::DataFate::remove && !remains->data.empty();
  co_return incomplete ? ExitCode::failed : ExitCode::ok;
}

Task<ExitCode> run_rollback(Context& context, const Arguments& arguments) {
  Result<AwsSession> session = open_aws(context, arguments);
  if (!session) co_return report(context, "rollback", session.error(), cause_of(session.error()));
  const Result<DeployLock> lock = DeployLock::take(session->location.state_directory);
  if (!lock) co_return report(context, "rollback", lock.error());
  LineProgress progress(context, consent_of(arguments));
  const Result<deploy::Caller> caller =
      co_await deploy::find_caller(*session->client, session->spec.aws.account);
  if (!caller) co_return fail_with(context, "rollback", progress, caller.error());
  deploy::StackWorld world{.client = *session->client, .clock = context.clock, .progress = progress};
  UntilInterrupt<deploy::RolledBack> until(context);
  const Result<deploy::RolledBack> done = co_await until.run(
      deploy::roll_back(world, session->names, !arguments.has("no-wait")),
      "Interrupted. What was started goes on by itself; `berth status --on aws` shows it.");
  if (!done) {
    const ExitCode code = fail_with(context, "rollback", progress, done.error());
    co_return until.interrupted() ? ExitCode::interrupted : code;
  }
  progress.finish();
  if (arguments.has("json")) {
    json::object out{{"from", done->from}, {"to", done->to}, {"cancelled_update", done->cancelled}};
    context.terminal.out(pretty_json(json::serialize(out)) + "\n");
  } else if (done->cancelled) {
    context.terminal.out(fmt::format("The update was cancelled; {} runs again.\n", done->to));
  } else {
    context.terminal.out(
        fmt::format("{} runs again. `berth deploy` brings berth.yaml and the source of now.\n", done->to));
  }
  co_return ExitCode::ok;
}

Task<ExitCode> run_scale_on_aws(Context& context, const Arguments& arguments) {
  if (arguments.words().empty()) {
    context.terminal.err("berth scale: say how many tasks: berth scale 5\n");
    co_return ExitCode::usage;
  }
  const Result<std::size_t> count = parse_number("the number of tasks", arguments.words()[0], 0, tasks_max);
  if (!count) {
    co_return report(context, "scale", count.error(), Cause::command_line);
  }
  Result<AwsSession> session = open_aws(context, arguments);
  if (!session) co_return report(context, "scale", session.error(), cause_of(session.error()));
  LineProgress progress(context, consent_of(arguments));
  const Result<deploy::Caller> caller =
      co_await deploy::find_caller(*session->client, session->spec.aws.account);
  if (!caller) co_return fail_with(context, "scale", progress, caller.error());
  deploy::StackWorld world{.client = *session->client, .clock = context.clock, .progress = progress};
  const Result<deploy::Scaled> scaled =
      co_await deploy::scale(world, session->names, *count, arguments.has("wait"));
  if (!scaled) co_return fail_with(context, "scale", progress, scaled.error());
  progress.finish();
  context.terminal.err(fitted(context.terminal, printable(deploy::sentence_of(*scaled))) + "\n");
  co_return ExitCode::ok;
}

}  // namespace berth::cli
