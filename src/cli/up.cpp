#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/ip_address.h"
#include "cli/all_verbs.h"
#include "cli/control.h"
#include "cli/files.h"
#include "cli/live_view.h"
#include "cli/service_access.h"
#include "cli/spec_file.h"
#include "cli/status_view.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/welcome.h"
#include "model/addresses.h"
#include "model/deployable.h"
#include "model/inherited.h"
#include "model/slowest_start.h"

namespace berth::cli {
namespace {

constexpr Duration status_redraw_interval = std::chrono::seconds(1);
constexpr Duration patience = std::chrono::seconds(5);
constexpr Duration poll_interval = std::chrono::milliseconds(50);
constexpr std::size_t log_tail_bytes = 4096;
constexpr std::size_t shown_log_bytes_max = 16u << 20;

/// The environment of tasks: what hosted servers get of it, and the variables that hold API keys.
std::vector<std::pair<std::string, std::string>> task_environment(const Context& context,
                                                                  const model::Spec& spec) {
  std::map<std::string, std::string> out = model::inherited_variables(context.environment);
  for (const model::KeySpec& key : spec.auth.keys) {
    const auto found = context.environment.find(key.environment);
    if (found != context.environment.end()) out.insert(*found);
  }
  return {out.begin(), out.end()};
}

std::string example_call(const model::Spec& spec) {
  bool workspace = spec.servers.size() == 1 && spec.servers[0].kind == model::ServerSpec::Kind::builtin;
  return workspace ? "call echo message=hello" : "";
}

/// `berth up` in the foreground, from the start of the service to its end.
class Up {
 public:
  Up(Context& context, model::Spec spec, SpecLocation location, SpecPart part)
      : context_(context),
        spec_(std::move(spec)),
        location_(std::move(location)),
        part_(std::move(part)),
        view_(context.terminal),
        changed_(context.clock.executor()),
        scope_(context.clock.executor()) {}

  Task<ExitCode> run() {
    started_ = context_.clock.now();
    write_schema(location_.state_directory);
    Result<cluster::ServiceOptions> options = make_options();
    if (!options) co_return report(context_, "up", options.error());
    open_log();
    auto service = cluster::make_service(std::move(*options), context_.network, context_.launcher, *log_);
    if (!service) {
      report(context_, "up", service.error());
      Control control(context_, location_.state_directory);
      Result<cluster::ServiceStatus> other = co_await control.status();
      co_return other ? ExitCode::already_running : ExitCode::failed;
    }
    service_ = std::move(*service);
    scope_.spawn(watch_interrupts());
    scope_.spawn(watch_hangups());
    scope_.spawn(tick());
    while (!stopping_) {
      show();
      co_await changed_.wait();
    }
    co_return co_await stop();
  }

 private:
  Result<cluster::ServiceOptions> make_options() {
    cluster::ServiceOptions options;
    options.spec = spec_;
    options.state_directory = location_.state_directory;
    options.authority_directory = authority_directory(context_);
    options.task_command = {context_.program, "serve"};
    bool native = spec_.servers.size() == 1 && spec_.servers[0].kind == model::ServerSpec::Kind::native;
    if (native) {
      options.task_command = spec_.servers[0].command;
      options.task_command.emplace_back("serve");
    }
    options.environment = task_environment(context_, spec_);
    if (spec_.listener.https) {
      Result<std::shared_ptr<net::TlsContext>> tls = make_tls();
      if (!tls) return Failure(tls.error());
      options.tls = std::move(*tls);
    }
    options.read_revision = [this] { return read_revision(); };
    options.on_down = [this] { end(); };
    options.on_event = [this](const cluster::ServiceEvent& event) {
      view_.event(event.text, context_.clock.wall());
      changed_.notify();
    };
    return options;
  }

  /// The spec file as it is now, for a restart.
  Result<cluster::TaskRevision> read_revision() {
    Result<model::Spec> spec = load_spec(context_, location_, part_);
    if (!spec) return Failure(spec.error());
    const Result<void> keys = check_keys(spec->auth.keys, spec->listener.address, context_.environment);
    if (!keys) return Failure(keys.error());
    cluster::TaskRevision revision;
    if (!spec->auth.keys.empty()) {
      Result<Secret> key = read_key(spec->auth.keys.front(), context_.environment);
      if (!key) return Failure(key.error());
      revision.key = std::move(*key);
    }
    revision.environment = task_environment(context_, *spec);
    revision.spec = std::move(*spec);
    return revision;
  }

  Result<std::shared_ptr<net::TlsContext>> make_tls() {
    Result<security::ServerCertificate> certificate = server_certificate(context_, spec_.listener);
    if (!certificate) {
      return Failure(certificate.error().within(
          "The HTTPS listener has no certificate (listener.https: false does without)"));
    }
    ca_file_ = certificate->ca_path;
    net::TlsServerOptions options{.certificate_pem = certificate->chain_pem, .key_pem = certificate->key_pem};
    return net::make_tls_server(options);
  }

  /// The service's own log. Where it cannot be opened, make_service says why the folder is not usable.
  void open_log() {
    Result<AppendedFile> file =
        AppendedFile::open(location_.state_directory + "/up.jsonl", shown_log_bytes_max);
    if (!file) return;
    log_file_.emplace(std::move(*file));
    file_log_.emplace(log_file_->descriptor(), "");
    log_ = &*file_log_;
  }

  void end() {
    stopping_ = true;
    changed_.notify();
  }

  void show() {
    cluster::ServiceStatus status = service_->status();
    bool colour = context_.terminal.colour();
    bool healthy = all_healthy(status);
    bool good = all_answer(status);
    bool first_time = healthy && !healthy_once_;
    if (first_time) took_ = context_.clock.now() - started_;
    healthy_once_ = healthy_once_ || healthy;
    std::string picture = headline(status, colour);
    if (healthy_once_)
      picture += paint(Paint::dim, fmt::format("  came up in {}", age(took_)), colour) + "\n";
    picture += "\n" + task_table(status, context_.clock.wall(), context_.terminal.columns(), colour);
    picture += "\n" + paint(Paint::dim, fitted(context_.terminal, status.limits + "\n"), colour);
    view_.show(picture, paint(Paint::dim, "Ctrl-C drains and stops everything.", colour), good);
    good_once_ = good_once_ || good;
    bool late = !good_once_ && context_.clock.now() - started_ > patience;
    const bool is_known = !good && nobody_waits(status);
    if ((late || is_known) && !std::exchange(warned_, true)) view_.complain(picture);
    if (first_time) view_.announce(welcome(status, spec_.auth.keys, hints(), colour));
  }

  WelcomeHints hints() const {
    return {.ca_file = ca_file_,
            .example_call = example_call(spec_),
            .file_words = file_words(context_, location_)};
  }

  Task<void> watch_interrupts() {
    co_await context_.interrupts.next();
    end();
    co_await context_.interrupts.next();
    view_.say("Stopping at once.\n");
    co_await service_->drain();
  }

  /// A terminal that goes away ends the service as Ctrl-C does; a service without one reads the file again.
  Task<void> watch_hangups() {
    while (true) {
      const auto hangup = co_await context_.interrupts.hangup();
      if (hangup == Interrupts::Hangup::gone) break;
      log_->info("reload_asked");
      const Result<void> restarted = service_->restart();
      const std::string said = restarted ? "SIGHUP: replacing every task, one after another."
                                         : "SIGHUP: nothing is replaced: " + restarted.error().message();
      if (!restarted) log_->error("reload_refused", {{"message", restarted.error().message()}});
      view_.event(said, context_.clock.wall());
      changed_.notify();
    }
    end();
  }

  Task<void> tick() {
    while (true) {
      co_await context_.clock.sleep_for(status_redraw_interval);
      changed_.notify();
    }
  }

  Task<ExitCode> stop() {
    view_.say(fmt::format("\nDraining (at most {}; Ctrl-C again stops at once)…\n",
                          age(std::chrono::duration_cast<Duration>(spec_.tasks.drain_timeout))));
    co_await service_->drain();
    scope_.cancel();
    co_await scope_.join();
    service_.reset();
    view_.say("Stopped. Nothing is left running.\n");
    co_return ExitCode::ok;
  }

  Context& context_;
  model::Spec spec_;
  SpecLocation location_;
  SpecPart part_;  ///< of the file
  std::string ca_file_;
  std::optional<AppendedFile> log_file_;
  std::optional<JsonLineLog> file_log_;
  Log* log_ = &null_log();
  LiveView view_;
  std::unique_ptr<cluster::Service> service_;
  TimePoint started_{};
  Duration took_{};
  bool healthy_once_ = false;
  bool good_once_ = false;  ///< all tasks healthy, and each server answering
  bool warned_ = false;
  bool stopping_ = false;
  Signal changed_;
  TaskScope scope_;
};

/// How long the servers of `spec` may take to start, and a little more.
Duration time_to_start(const model::Spec& spec) {
  return std::max<Duration>(std::chrono::seconds(15), model::slowest_start(spec)) + std::chrono::seconds(15);
}

/// The names of --only, which commas part.
std::vector<std::string> only_servers(const Arguments& arguments) {
  std::vector<std::string> out;
  std::string names = arguments.get("only").value_or("");
  while (!names.empty()) {
    const std::size_t comma = std::min(names.find(','), names.size());
    if (comma > 0) out.push_back(names.substr(0, comma));
    names.erase(0, comma + 1);
  }
  return out;
}

/// What the user would otherwise believe: names that were changed, entries left out, keys that do nothing on
/// this machine.
std::vector<std::string> said_at_start(const model::Spec& spec) {
  std::vector<std::string> out = spec.notes;
  const std::vector<std::string> keys = model::keys_without_meaning(spec, model::Place::here);
  if (!keys.empty()) {
    out.push_back(fmt::format("`{}` {} nothing here: that is for `berth deploy`.", fmt::join(keys, "`, `"),
                              keys.size() == 1 ? "means" : "mean"));
  }
  if (std::ranges::find(keys, "scaling") != keys.end()) {
    out.push_back(fmt::format("{} task{} whatever the load; `berth scale` changes that.", spec.tasks.count,
                              spec.tasks.count == 1 ? " runs" : "s run"));
  }
  const model::ListenerSpec& listener = spec.listener;
  if (is_loopback_address(listener.address)) return out;
  if (!listener.https) {
    out.push_back(
        fmt::format("without HTTPS, keys and calls cross the network to {} readable for all in between.",
                    listener.address));
  } else if (model::is_any_address(listener.address) && model::own_hosts(listener).empty() &&
             listener.certificate_file.empty()) {
    out.push_back(
        "`listener.hosts` names no host, so the certificate is for localhost alone and clients on other "
        "machines refuse it; write the names or addresses by which they come.");
  }
  return out;
}

/// Whether a restart leaves it as it is: the name, and what the front door was made from.
bool needs_down(const std::string& key) {
  return key == "name" || key == "listener" || key.starts_with("listener.") ||
         key == "limits.connections_max";
}

/// What the file says otherwise than what runs, and what takes that.
std::string what_differs(const std::vector<std::string>& keys, const std::string& file_words) {
  std::vector<std::string> restart;
  std::vector<std::string> down;
  // Blocks about AWS run nowhere here.
  for (const std::string& key : keys) {
    const std::string_view block = std::string_view(key).substr(0, key.find('.'));
    if (model::means_nothing(block, model::Place::here)) continue;
    (needs_down(key) ? down : restart).push_back(key);
  }
  std::string out;
  if (restart.empty() && down.empty()) return "What runs is what the file says.\n";
  if (!restart.empty()) {
    out += fmt::format("The file says otherwise now: `{}`. `berth restart{}` takes that.\n",
                       fmt::join(restart, "`, `"), file_words);
  }
  if (!down.empty()) {
    out += fmt::format("It says otherwise, too, and `berth down{1}`, then `berth up`, takes it: `{0}`.\n",
                       fmt::join(down, "`, `"), file_words);
  }
  return out;
}

std::string log_tail(const std::string& path) {
  Result<std::string> text = read_file(path, shown_log_bytes_max);
  if (!text) return {};
  return text->size() > log_tail_bytes ? text->substr(text->size() - log_tail_bytes) : *text;
}

/// The end of `berth up -d`, when every task is healthy or their servers' time is over: what serves is left
/// up, and only a service of which nothing does is stopped.
Task<ExitCode> settle(Context& context, const model::Spec& spec, const SpecLocation& location,
                      Control& control, const cluster::ServiceStatus& status) {
  bool colour = context.terminal.colour();
  const bool serves = std::ranges::count(status.tasks, "healthy", &cluster::TaskStatus::health) > 0;
  if (!serves) {
    Result<void> stopped = co_await control.post("/down", "");
    if (!stopped) co_return report(context, "up", stopped.error());
    context.terminal.err("berth up: no task became healthy, so the service was stopped.\n");
    co_return ExitCode::unhealthy;
  }
  const WelcomeHints hints{.ca_file = ca_file(context, spec.listener),
                           .example_call = example_call(spec),
                           .file_words = file_words(context, location)};
  context.terminal.out("\n" + welcome(status, spec.auth.keys, hints, colour));
  const std::string how =
      fmt::format("It runs in the background: `berth down{}` drains and stops it.\n", hints.file_words);
  context.terminal.out("\n" + paint(Paint::dim, fitted(context.terminal, how), colour));
  if (all_answer(status)) co_return ExitCode::ok;
  std::string silent = silent_servers(status);
  if (silent.empty()) silent = "not every task became healthy.\n";
  const std::string end = fmt::format("berth up: {}The rest is up, and Berth goes on trying.\n", silent);
  context.terminal.err(fitted(context.terminal, end));
  co_return ExitCode::unhealthy;
}

ExitCode stopped_elsewhere(Context& context) {
  context.terminal.err("berth up: another command stopped the service before it had come up.\n");
  return ExitCode::not_running;
}

/// `berth up -d`: starts `berth up` in a session of its own and returns when every task is healthy.
Task<ExitCode> run_detached(Context& context, const model::Spec& spec, const SpecLocation& location,
                            std::optional<std::string> only) {
  std::error_code error;
  std::filesystem::create_directories(location.state_directory, error);
  if (error) {
    Error failure(ErrorCode::permission_denied, fmt::format("The folder {} cannot be made: {}.",
                                                            location.state_directory, error.message()));
    co_return report(context, "up", failure);
  }
  std::string log = location.state_directory + "/up.log";
  static_cast<void>(write_file(log, "", IfExists::replace));
  std::vector<std::string> words{"up", location.path};
  if (only) words.insert(words.end(), {"--only", *only});
  Result<void> started = context.background.start(words, log);
  if (!started) co_return report(context, "up", started.error());
  Control control(context, location.state_directory);
  TimePoint begin = context.clock.now();
  bool warned = false;
  bool colour = context.terminal.colour();
  while (true) {
    co_await context.clock.sleep_for(poll_interval);
    std::optional<std::string> ended = context.background.ended();
    if (ended) {
      // It ends well where `berth down` asked it to.
      if (ended->ends_with(" 0")) co_return stopped_elsewhere(context);
      context.terminal.err(
          fmt::format("berth up: the service did not come up; it {}.\n{}", *ended, printable(log_tail(log))));
      co_return ExitCode::failed;
    }
    Result<cluster::ServiceStatus> status = co_await control.status();
    if (!status) continue;
    if (status->desired == 0) co_return stopped_elsewhere(context);
    Duration waited = context.clock.now() - begin;
    std::string picture = headline(*status, colour) + "\n" +
                          task_table(*status, context.clock.wall(), context.terminal.columns(), colour);
    const bool late = (waited > time_to_start(spec) || nobody_waits(*status)) && !all_healthy(*status);
    bool slow = waited > patience && !all_healthy(*status);
    if (slow && !std::exchange(warned, true)) context.terminal.err(picture + "\nStill waiting…\n");
    if (!all_healthy(*status) && !late) continue;
    context.terminal.out(picture);
    co_return co_await settle(context, spec, location, control, *status);
  }
}

}  // namespace

Task<ExitCode> run_up(Context& context, const Arguments& arguments) {
  Result<SpecLocation> location = find_spec(context, given_file(arguments), Need::spec);
  if (!location) {
    co_return report(context, "up", location.error(), Cause::spec);
  }
  const SpecPart part{.only = only_servers(arguments), .leave_out_bad_entries = true};
  Result<model::Spec> spec = load_spec(context, *location, part);
  if (!spec) {
    context.terminal.err(printable(spec.error().message()) + "\n");
    co_return ExitCode::invalid_spec;
  }
  for (const std::string& note : said_at_start(*spec)) {
    context.terminal.err(fitted(context.terminal, fmt::format("berth up: {}\n", printable(note))));
  }
  const Result<void> keys = check_keys(spec->auth.keys, spec->listener.address, context.environment);
  if (!keys) co_return report(context, "up", keys.error(), Cause::spec);
  Control control(context, location->state_directory);
  Result<cluster::ServiceStatus> running = co_await control.status();
  if (running) {
    const std::string words = file_words(context, *location);
    const Result<std::vector<std::string>> keys_changed = co_await control.differing_keys(*spec);
    const std::string text = fmt::format(
        "berth up: {0} is already up (pid {1}). `berth status{2}` shows it, `berth down{2}` stops it.\n{3}",
        running->service, running->pid, words,
        keys_changed ? what_differs(*keys_changed, words) : std::string());
    context.terminal.err(fitted(context.terminal, text));
    co_return ExitCode::already_running;
  }
  if (arguments.has("detach"))
    co_return co_await run_detached(context, *spec, *location, arguments.get("only"));
  Up up(context, std::move(*spec), std::move(*location), part);
  co_return co_await up.run();
}

}  // namespace berth::cli
