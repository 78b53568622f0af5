#include "deploy/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "deploy/account_roles.h"
#include "deploy/existing.h"
#include "deploy/leftovers.h"
#include "deploy/pipeline_image.h"
#include "deploy/pipeline_proof.h"
#include "deploy/pipeline_questions.h"
#include "deploy/pipeline_scan.h"
#include "deploy/plan.h"
#include "deploy/plan_time.h"
#include "deploy/rollout.h"
#include "deploy/secrets.h"
#include "deploy/stack.h"
#include "deploy/stack_apply.h"
#include "deploy/template.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t template_bytes_max = 51'200;  // of a TemplateBody
constexpr Duration scan_timeout = std::chrono::minutes(5);
constexpr std::size_t findings_shown_max = 10;

class Deploy final : public Pipeline {
 public:
  Deploy(DeployWorld world, DeployOptions options)
      : world_(std::move(world)),
        options_(std::move(options)),
        spec_(options_.spec),
        names_(names(spec_)),
        stacks_{world_.client, world_.clock, world_.progress} {}

  Phase phase() const override { return phase_; }

  Task<Result<Deployed>> run() override {
    using Step = Task<Result<void>> (Deploy::*)();
    static constexpr Step steps[] = {&Deploy::check, &Deploy::base, &Deploy::secrets, &Deploy::image,
                                     &Deploy::push,  &Deploy::scan, &Deploy::change,  &Deploy::stack,
                                     &Deploy::tasks, &Deploy::prove};
    for (std::size_t i = 0; i < std::size(steps); ++i) {
      phase_ = static_cast<Phase>(i);
      world_.progress.begin(phase_);
      end_ = PhaseEnd::done;
      summary_.clear();
      const Result<void> done = co_await (this->*steps[i])();
      if (!done) {
        world_.progress.end(phase_, PhaseEnd::failed, "");
        co_return Failure(done.error());
      }
      world_.progress.end(phase_, end_, summary_);
      if (!out_.waited) break;
    }
    co_return out_;
  }

 private:
  static Failure denied(const aws::Fault& fault) { return Failure(explain_fault(fault)); }

  // ---- check ----

  Task<Result<void>> check() {
    const Result<void> local = compose();
    if (!local) co_return local;
    const Result<Caller> caller = co_await find_caller(world_.client, spec_.aws.account);
    if (!caller) co_return Failure(caller.error());
    out_.record = Record{.region = world_.client.region(),
                         .account = caller->account,
                         .service_stack = names_.service_stack,
                         .base_stack = names_.base_stack};
    inherit_data(out_.record, read_record(options_.state_directory, key_of(out_.record)));
    const auto base = co_await describe_stack(world_.client, names_.base_stack);
    if (!base) co_return denied(base.error());
    const auto service = co_await describe_stack(world_.client, names_.service_stack);
    if (!service) co_return denied(service.error());
    present_ = *service;
    const auto account = co_await account_parameters(world_.client, service_->document, *service);
    if (!account) co_return Failure(account.error());
    account_ = *account;
    const Result<void> existing = co_await check_existing(world_.client, spec_.aws);
    if (!existing) co_return existing;
    const Result<void> alone = co_await check_alone(*base, *service);
    if (!alone) co_return alone;
    const Result<void> named = co_await check_named_secrets(world_.client, spec_.aws.secrets);
    if (!named) co_return named;
    if (base->output("EnvironmentArn").empty()) {
      // Before anything is made: nobody wants to wait for a registry to be told of a variable.
      const Result<SecretValues> values = merge_values(own_variables(spec_), world_.environment, {});
      if (!values) co_return Failure(values.error());
    }
    summary_ = fmt::format("account {}, {}", caller->account, world_.client.region());
    const bool stands = next_step(service->status) == StackStep::update;
    world_.progress.expect(stands ? image_update(spec_) : first_deploy(spec_));
    std::string question = stands ? fmt::format("Update {} in account {}, {}?", spec_.name, caller->account,
                                                world_.client.region())
                                  : first_question(spec_, *base_, *service_, *caller, world_.client.region());
    const Result<bool> yes = co_await world_.progress.confirm(std::move(question));
    if (!yes) co_return Failure(yes.error());
    if (!*yes) co_return fail(ErrorCode::cancelled, "Nothing was changed.");
    if (stands) co_return Result<void>();
    co_return co_await make_service_roles(world_.client);
  }

  /// What needs no account: templates, the spec inside the image, the program.
  Result<void> compose() {
    Result<Template> base = compose_base(spec_);
    if (!base) return Failure(base.error());
    Result<Template> service = compose_service(spec_);
    if (!service) return Failure(service.error());
    base_ = std::move(*base);
    service_ = std::move(*service);
    for (const Template* one : {&*base_, &*service_}) {
      if (one->json().size() > template_bytes_max) {
        return fail(ErrorCode::resource_exhausted,
                    fmt::format("The template has {} bytes; CloudFormation takes {}. Fewer subnets, tags or "
                                "permissions make it shorter.",
                                one->json().size(), template_bytes_max));
      }
    }
    if (!options_.image.empty()) return {};
    const Result<model::Spec> inside = spec_for_image(spec_);
    if (!inside) return Failure(inside.error());
    const Result<TaskProgram> program = task_program(spec_, options_.berth);
    if (!program) return Failure(program.error());
    return check_program(*program, architecture_of(spec_.aws));
  }

  Task<Result<void>> check_alone(StackState base, StackState service) {
    const StackTarget base_target = target_of_base();
    const Result<void> first = co_await refuse_others(stacks_, base, token_of(base_target));
    if (!first) co_return first;
    std::string prefix;
    const Result<StackTarget> target = target_of_service(base, "");
    if (target) prefix = token_prefix(*target);
    co_return co_await refuse_others(stacks_, service, prefix);
  }

  // ---- base stack and secrets ----

  StackTarget target_of_base() const {
    return StackTarget{
        .name = names_.base_stack, .body = base_->json(), .parameters = {}, .tags = stack_tags(spec_)};
  }

  Result<StackTarget> target_of_service(const StackState& base, const std::string& image) const {
    std::map<std::string, std::string> values = base.outputs;
    values.insert(account_.begin(), account_.end());
    values["ImageUri"] = image;
    Result<std::map<std::string, std::string>> parameters = fill_parameters(service_->document, values);
    if (!parameters) return Failure(parameters.error());
    return StackTarget{.name = names_.service_stack,
                       .body = service_->json(),
                       .parameters = std::move(*parameters),
                       .tags = stack_tags(spec_)};
  }

  Task<Result<void>> base() {
    const StackTarget target = target_of_base();
    Result<Settled> settled = co_await settle(stacks_, target);
    if (!settled) co_return Failure(settled.error());
    const Result<void> written = write_record(options_.state_directory, out_.record);
    if (!written) co_return written;
    base_state_ = settled->state;
    if (!settled->joined) {
      const Result<void> done = co_await bring(target, settled->state);
      if (!done) co_return done;
      base_state_ = after_;
    }
    if (base_state_.output("RepositoryUri").empty()) {
      co_return fail(ErrorCode::internal, fmt::format("The stack {} has no output RepositoryUri; it is not "
                                                      "Berth's. Give the service another name in berth.yaml.",
                                                      names_.base_stack));
    }
    out_.asks_key = !base_state_.output("ApiKeyArn").empty();
    co_return Result<void>();
  }

  /// Makes or updates a stack by a change set, and waits.
  Task<Result<void>> bring(StackTarget target, StackState state) {
    const ChangeKind kind = kind_for(state);
    if (kind == ChangeKind::update) {
      const auto body = co_await stack_body(world_.client, target.name);
      if (!body) co_return denied(body.error());
      if (compare(target, state, *body) == StackChange::none) {
        end_ = PhaseEnd::nothing_to_do;
        summary_ = "as they are";
        after_ = state;
        co_return Result<void>();
      }
    }
    const auto changes =
        co_await make_change_set(world_.client, world_.clock, target, kind, token_of(target));
    if (!changes) co_return denied(changes.error());
    if (changes->changes.empty()) {
      end_ = PhaseEnd::nothing_to_do;
      after_ = state;
      co_return Result<void>();
    }
    tell_reverts(kind, changes->changes);
    const auto last = co_await last_event(world_.client, target.name);
    if (!last) co_return denied(last.error());
    const auto started =
        co_await execute_change_set(world_.client, target.name, changes->name, operation_of(kind, *changes));
    if (!started) co_return denied(started.error());
    co_return co_await follow(target.name, *last, changes->changes.size());
  }

  ChangeKind kind_for(const StackState& state) const {
    if (next_step(state.status) != StackStep::update) return ChangeKind::create;
    return options_.revert_drift ? ChangeKind::revert : ChangeKind::update;
  }

  void tell_reverts(ChangeKind kind, const std::vector<ResourceChange>& changes) {
    if (kind != ChangeKind::revert) return;
    for (const ResourceChange& change : changes) world_.progress.notice(revert_notice(change));
  }

  Task<Result<void>> follow(std::string stack, std::string since, std::size_t total) {
    const auto state = co_await describe_stack(world_.client, stack);
    if (!state) co_return denied(state.error());
    WatchOptions watch{.stack = state->id.empty() ? stack : state->id, .since = since};
    const Result<StackState> ended = co_await watch_to_end(stacks_, std::move(watch), total);
    if (!ended) co_return Failure(ended.error());
    after_ = *ended;
    summary_ = total > 0 ? fmt::format("{} resource{}", total, total == 1 ? "" : "s") : "";
    co_return Result<void>();
  }

  Task<Result<void>> secrets() {
    const std::vector<std::string> variables = own_variables(spec_);
    const std::string arn = base_state_.output("EnvironmentArn");
    if (variables.empty() || arn.empty()) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = "none needed";
      co_return Result<void>();
    }
    const Result<SecretsOutcome> put =
        co_await put_secrets(world_.client, arn, variables, world_.environment);
    if (!put) co_return Failure(put.error());
    secrets_ = *put;
    if (!put->changed) end_ = PhaseEnd::nothing_to_do;
    summary_ = fmt::format("{} in one secret{}", put->names, put->changed ? "" : ", unchanged");
    co_return Result<void>();
  }

  // ---- image ----

  Task<Result<void>> image() {
    Result<registry::Image> image = fail(ErrorCode::internal, "no image");
    if (options_.image.empty()) {
      image = co_await make_image(world_.images, spec_, options_.berth, options_.state_directory,
                                  world_.progress);
    } else {
      image = co_await pull_image(world_.client, world_.images, options_.image,
                                  base_state_.output("RepositoryUri"), architecture_of(spec_.aws),
                                  world_.progress);
    }
    if (!image) co_return Failure(image.error());
    const std::string shown = options_.image.empty() ? short_digest(image->digest) : options_.image;
    const Result<void> starts = check_entry_point(*image, shown);
    if (!starts) co_return starts;
    image_ = std::move(*image);
    out_.image = fmt::format("{}@{}", base_state_.output("RepositoryUri"), image_->digest);
    summary_ =
        fmt::format("{}, {:.1f} MB", short_digest(image_->digest), static_cast<double>(image_->bytes) / 1e6);
    co_return Result<void>();
  }

  Task<Result<void>> push() {
    const auto there =
        co_await has_image(world_.client, base_state_.output("RepositoryName"), image_->digest);
    if (!there) co_return denied(there.error());
    if (*there) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = "the registry has it";
      co_return Result<void>();
    }
    Result<registry::Reference> to = registry::parse_reference(base_state_.output("RepositoryUri"));
    if (!to) co_return Failure(to.error());
    to->tag = short_digest(image_->digest);
    to->digest.clear();
    const Result<registry::Login> login = co_await ecr_login(world_.client);
    if (!login) co_return Failure(login.error());
    Progress& progress = world_.progress;
    registry::Progress tell = [&progress](std::string_view text) { progress.detail(std::string(text)); };
    const auto pushed = co_await world_.images.push(*image_, *to, *login, std::move(tell));
    if (!pushed) co_return Failure(pushed.error());
    summary_ = fmt::format("{} layer{}, {:.1f} MB", pushed->layers_sent, pushed->layers_sent == 1 ? "" : "s",
                           static_cast<double>(pushed->bytes_sent) / 1e6);
    co_return Result<void>();
  }

  Task<Result<void>> scan() {
    if (options_.ignore_scan) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = "ignored";
      co_return Result<void>();
    }
    world_.progress.detail("waiting for the registry's scan");
    const auto scan = co_await await_scan(world_.client, world_.clock, base_state_.output("RepositoryName"),
                                          image_->digest, scan_timeout);
    if (!scan) co_return denied(scan.error());
    summary_ = summary_of(*scan);
    if (scan->state == Scan::State::pending) {
      co_return fail(
          ErrorCode::deadline_exceeded,
          "The registry has not scanned the image within five minutes. `berth deploy` again goes on "
          "waiting; --ignore-scan goes on without it.");
    }
    const std::vector<ScanFinding> stops = stopping(*scan, spec_.image.stop_at);
    for (std::size_t i = 0; i < scan->findings.size() && i < findings_shown_max; ++i) {
      const ScanFinding& finding = scan->findings[i];
      world_.progress.notice(
          fmt::format("{} {} {}", to_string(finding.severity), finding.name, finding.package));
    }
    if (stops.empty()) co_return Result<void>();
    co_return fail(
        ErrorCode::permission_denied,
        fmt::format("The scan found {}: {} at or above image.stop_at ({}). What runs was not touched. "
                    "Take a newer base image or newer packages; --ignore-scan deploys nevertheless.",
                    summary_, stops.front().name, to_string(spec_.image.stop_at)));
  }

  // ---- the service's stack ----

  Task<Result<void>> change() {
    Result<StackTarget> target = target_of_service(base_state_, out_.image);
    if (!target) co_return Failure(target.error());
    target_ = std::move(*target);
    const bool failed_before = next_step(present_.status) == StackStep::replace;
    const Result<std::vector<Keepsake>> left = co_await remember_leftovers(present_);
    if (!left) co_return Failure(left.error());
    const Result<Settled> settled = co_await settle(stacks_, target_);
    if (!settled) co_return Failure(settled.error());
    if (failed_before) {
      const Result<void> swept = co_await sweep_leftovers(*left);
      if (!swept) co_return swept;
    }
    state_ = settled->state;
    joined_ = settled->joined;
    after_ = state_;
    change_ = StackChange::more;
    const bool stands = next_step(state_.status) == StackStep::update;
    // Waiting or removing may have changed what the account says.
    const auto account = co_await account_parameters(world_.client, service_->document, state_);
    if (!account) co_return Failure(account.error());
    for (const auto& [name, value] : *account) target_.parameters[name] = value;
    const auto count = target_.parameters.find(std::string(count_parameter));
    if (!stands && count != target_.parameters.end()) count->second = std::to_string(spec_.tasks.count);
    kind_ = kind_for(state_);
    if (stands) {
      const auto body = co_await stack_body(world_.client, target_.name);
      if (!body) co_return denied(body.error());
      former_ = {target_.name, *body, state_.parameters, state_.tags};
      if (kind_ == ChangeKind::update) change_ = compare(target_, state_, *body);
    }
    if (change_ != StackChange::more) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = change_ == StackChange::none ? "nothing to change" : "the image alone: the fast path";
      co_return Result<void>();
    }
    auto changes = co_await make_change_set(world_.client, world_.clock, target_, kind_, token_of(target_));
    if (!changes) co_return denied(changes.error());
    if (stands && count != target_.parameters.end() && makes_service(*changes)) {
      // Without a number ECS begins with one task.
      count->second = std::to_string(spec_.tasks.count);
      const auto removed = co_await delete_change_set(world_.client, target_.name, changes->name);
      if (!removed) co_return denied(removed.error());
      changes = co_await make_change_set(world_.client, world_.clock, target_, kind_, token_of(target_));
      if (!changes) co_return denied(changes.error());
    }
    change_set_ = std::move(*changes);
    const std::size_t total = change_set_.changes.size();
    if (total == 0) change_ = StackChange::none;
    tell_reverts(kind_, change_set_.changes);
    summary_ = fmt::format("{} change{}", total, total == 1 ? "" : "s");
    if (stands) co_return co_await confirm_replacements();
    co_return Result<void>();
  }

  /// Before a stack is deleted whose creation failed: afterwards nothing leads to what it left.
  Task<Result<std::vector<Keepsake>>> remember_leftovers(StackState state) {
    std::vector<Keepsake> none;
    if (next_step(state.status) != StackStep::replace) co_return none;
    auto left = co_await leftovers_of(world_.client, state.id);
    if (!left) co_return denied(left.error());
    for (const Keepsake& keepsake : *left) out_.record.kept.push_back(to_kept(keepsake));
    const Result<void> written = write_record(options_.state_directory, out_.record);
    if (!written) co_return Failure(written.error());
    co_return std::move(*left);
  }

  Task<Result<void>> sweep_leftovers(std::vector<Keepsake> left) {
    const Result<std::vector<Keepsake>> rest = co_await sweep(stacks_, left);
    if (!rest) co_return Failure(rest.error());
    for (const Keepsake& keepsake : left) {
      const bool stays = std::ranges::find(*rest, keepsake.id, &Keepsake::id) != rest->end();
      if (!stays) std::erase(out_.record.kept, to_kept(keepsake));
    }
    co_return write_record(options_.state_directory, out_.record);
  }

  Task<Result<void>> confirm_replacements() {
    const std::string question = replacement_question(change_set_);
    if (question.empty()) co_return Result<void>();
    const Result<bool> yes = co_await world_.progress.confirm(question);
    if (!yes) co_return Failure(yes.error());
    if (*yes) co_return Result<void>();
    const auto removed = co_await delete_change_set(world_.client, target_.name, change_set_.name);
    if (!removed) co_return denied(removed.error());
    co_return fail(ErrorCode::cancelled, "Nothing was changed.");
  }

  Task<Result<void>> stack() {
    if (change_ == StackChange::none) {
      end_ = joined_ ? PhaseEnd::done : PhaseEnd::nothing_to_do;
      out_.changed = joined_;
      co_return write_outputs();
    }
    out_.changed = true;
    const Result<void> asked = co_await ask_former_servers();
    if (!asked) co_return asked;
    const auto last = co_await last_event(world_.client, target_.name);
    if (!last) co_return denied(last.error());
    aws::Reply<void> started;
    if (change_ == StackChange::image) {
      started = co_await update_image(world_.client, state_, target_);
    } else {
      started = co_await execute_change_set(world_.client, target_.name, change_set_.name,
                                            operation_of(kind_, change_set_));
    }
    if (!started) co_return denied(started.error());
    if (!options_.wait) {
      out_.waited = false;
      summary_ = "started; it goes on by itself";
      co_return write_outputs();
    }
    const std::size_t total = next_step(state_.status) == StackStep::create
                                  ? aws::object(service_->document, "Resources").size()
                                  : 0;
    const Result<void> done = co_await follow(target_.name, *last, total);
    if (!done) co_return done;
    co_return write_outputs();
  }

  Result<void> write_outputs() {
    out_.record.url = after_.output("Url");
    std::vector<std::string> buckets;
    for (const std::string key : {"ArtifactsBucketName", "LogsBucketName"}) {
      const std::string bucket = after_.output(key);
      if (!bucket.empty()) buckets.push_back(bucket);
    }
    move_on(out_.record, after_.output("FileSystemId"), std::move(buckets));
    out_.record.log_groups = {names_.log_group};
    return write_record(options_.state_directory, out_.record);
  }

  // ---- tasks and proof ----

  Task<Result<void>> tasks() {
    const std::string cluster = after_.output("ClusterName");
    const std::string service = after_.output("ServiceName");
    const auto present = co_await describe_service(world_.client, cluster, service);
    if (!present) co_return denied(present.error());
    if (!present->exists()) {
      co_return fail(
          ErrorCode::not_found,
          fmt::format("The stack {} stands, but its service {} is gone: somebody deleted it by hand. "
                      "`berth plan` shows what else is; `berth deploy --revert-drift` makes it anew.",
                      names_.service_stack, service));
    }
    // Secrets are injected when a task starts: tasks older than the secret's version do not have it.
    const double deployed_at = present->deployments.empty() ? 0 : present->deployments.front().created_at;
    const bool stale = deployed_at > 0 ? secrets_.changed_at > deployed_at : secrets_.changed;
    if (stale) {
      world_.progress.notice("The values of variables have changed: every task is started anew.");
      const auto restarted = co_await restart_tasks(world_.client, cluster, service);
      if (!restarted) co_return denied(restarted.error());
      out_.changed = true;
    }
    RolloutOptions options{
        .cluster = cluster, .service = service, .target_group = after_.output("TargetGroupArn")};
    Progress& progress = world_.progress;
    std::function<void(const std::string&)> tell = [&progress](const std::string& text) {
      progress.detail(text);
    };
    const auto end = co_await watch_rollout(world_.client, world_.clock, std::move(options), std::move(tell));
    if (!end) co_return denied(end.error());
    desired_ = end->service.desired;
    if (end->ok) {
      const Result<void> marked =
          co_await mark_running(world_.client, base_state_.output("RepositoryName"), *image_);
      if (!marked) world_.progress.notice(marked.error().message());
      // Tasks of the former revision that still drain do not count.
      const std::size_t running = end->service.deployments.front().running;
      summary_ = fmt::format("{} of {} healthy", running, end->service.desired);
      co_return Result<void>();
    }
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{}\nThe service is there; `berth rollback` goes back to the image before.",
                               to_text(explain(end->evidence))));
  }

  Task<Result<void>> prove() {
    if (!options_.prove || desired_ == 0) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = desired_ == 0 ? "no task runs at this hour" : "not asked for";
      co_return Result<void>();
    }
    const auto key = co_await find_proof_key(world_.client, spec_, base_state_, world_.environment);
    if (!key) co_return denied(key.error());
    const Proof proof =
        co_await await_proof(world_, options_.prove, out_.record.url, *key, spec_.aws.internal);
    const std::string silent = silent_servers(proof);
    if (silent.empty()) {
      summary_ = proof.summary();
      co_return Result<void>();
    }
    if (!proof.reached) {
      end_ = PhaseEnd::nothing_to_do;
      summary_ = fmt::format("the internal load balancer is not reachable from here: {}", silent);
      co_return Result<void>();
    }
    if (lost_a_server(proof, answered_before_)) co_return co_await undo(silent);
    co_return Failure(proof_failure(proof));
  }

  /// Which servers of a service that stands answer before it is changed.
  Task<Result<void>> ask_former_servers() {
    const std::string url = state_.output("Url");
    if (!options_.prove || !former_ || url.empty()) co_return Result<void>();
    const auto key = co_await find_proof_key(world_.client, spec_, base_state_, world_.environment);
    if (!key) co_return denied(key.error());
    const Proof proof = co_await ask_servers(world_.clock, options_.prove, url, *key);
    answered_before_ = proof.answering();
    co_return Result<void>();
  }

  /// Gives the stack back its former template and parameters; a failure that says so. `why`: what is silent.
  Task<Result<void>> undo(std::string why) {
    world_.progress.notice(fmt::format("{}\nIt did before: going back to what ran.", why));
    const Result<StackState> back = co_await put_back(stacks_, *former_, change_);
    if (!back) co_return Failure(back.error());
    after_ = *back;
    const std::string image = former_->parameters["ImageUri"];
    const auto marked = co_await mark_running_again(world_.client, names_.repository, image);
    if (!marked) world_.progress.notice(marked.error().message());
    const Result<void> written = write_outputs();
    if (!written) co_return written;
    const std::string_view secrets = secrets_.changed ? " The values of variables stay as they are now." : "";
    co_return fail(
        ErrorCode::unavailable,
        fmt::format("{}\nIt did before this deploy, which therefore was undone: what ran before runs "
                    "again.{} `berth up` on this machine shows what the server says.",
                    why, secrets));
  }

  DeployWorld world_;
  DeployOptions options_;
  model::Spec spec_;
  Names names_;
  StackWorld stacks_;
  Phase phase_ = Phase::check;
  PhaseEnd end_ = PhaseEnd::done;
  std::string summary_;
  Deployed out_;
  std::optional<Template> base_, service_;
  std::optional<registry::Image> image_;
  std::map<std::string, std::string> account_;  ///< parameters that the account gives
  StackState base_state_;
  StackState present_;  ///< the service's stack as the check found it
  SecretsOutcome secrets_;
  StackTarget target_;
  StackState state_, after_;
  StackChange change_ = StackChange::more;
  ChangeKind kind_ = ChangeKind::create;
  ChangeSet change_set_;
  std::optional<StackTarget> former_;      ///< the service's stack before this deploy, if it stood
  std::set<std::string> answered_before_;  ///< servers of it
  bool joined_ = false;
  std::size_t desired_ = 0;
};

}  // namespace

std::unique_ptr<Pipeline> make_pipeline(DeployWorld world, DeployOptions options) {
  return std::make_unique<Deploy>(std::move(world), std::move(options));
}

}  // namespace berth::deploy
