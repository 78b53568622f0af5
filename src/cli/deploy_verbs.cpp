#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "cli/all_verbs.h"
#include "cli/aws_session.h"
#include "cli/control.h"
#include "cli/deploy_lock.h"
#include "cli/deploy_view.h"
#include "cli/operate_probe.h"
#include "cli/plan_view.h"
#include "cli/service_access.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "deploy/iam.h"
#include "deploy/pipeline.h"
#include "deploy/pipeline_image.h"
#include "deploy/plan.h"
#include "deploy/secrets.h"
#include "model/deployable.h"

/// The verbs plan and deploy.
namespace berth::cli {
namespace {

namespace json = boost::json;

constexpr Duration redraw_interval = std::chrono::seconds(1);
constexpr Duration proof_timeout = std::chrono::seconds(60);

/// Where images are kept between deploys: $XDG_CACHE_HOME/berth/images, else ~/.cache/berth/images.
std::string image_store(const Context& context, const SpecLocation& location) {
  for (const auto& [variable, below] :
       {std::pair{"XDG_CACHE_HOME", "/berth/images"}, {"HOME", "/.cache/berth/images"}}) {
    const auto found = context.environment.find(variable);
    if (found != context.environment.end() && !found->second.empty()) return found->second + below;
  }
  return location.state_directory + "/images";
}

/// A proof that the service works: every server's tools, listed as a client does.
class Prover {
 public:
  Prover(Context& context, const model::Spec& spec) : context_(context), spec_(spec) {}

  Task<std::vector<deploy::ServerProof>> prove(std::string url, Secret key) {
    const Result<std::shared_ptr<net::TlsContext>> tls = public_tls(context_);
    std::vector<deploy::ServerProof> out;
    for (const auto& [name, address] : server_urls(spec_, url)) {
      if (!tls) {
        out.push_back({.server = name, .tools = Failure(tls.error())});
        continue;
      }
      McpAddress server{.url = address, .tls = *tls, .key = key};
      Result<std::size_t> tools = co_await count_tools(context_, std::move(server), proof_timeout);
      out.push_back({.server = name, .tools = std::move(tools)});
    }
    co_return out;
  }

 private:
  Context& context_;
  const model::Spec& spec_;
};

/// `berth deploy`, from its start to its end or to Ctrl-C.
class DeployRun {
 public:
  DeployRun(Context& context, AwsSession& session, DeployView& view, deploy::Pipeline& pipeline)
      : context_(context),
        session_(session),
        view_(view),
        pipeline_(pipeline),
        ended_(context.clock.executor()),
        scope_(context.clock.executor()) {}

  Task<Result<deploy::Deployed>> run() {
    scope_.spawn(work());
    scope_.spawn(watch_interrupts());
    scope_.spawn(tick());
    co_await ended_.wait();
    scope_.cancel();
    co_await scope_.join();
    if (!result_) view_.interrupt();
    view_.stop();
    if (result_) co_return std::move(*result_);
    co_return fail(ErrorCode::cancelled,
                   deploy::interruption(pipeline_.phase(), session_.names.service_stack, session_.region()));
  }
  bool interrupted() const { return interrupted_; }

 private:
  Task<void> work() {
    Result<deploy::Deployed> result = co_await pipeline_.run();
    result_.emplace(std::move(result));
    ended_.notify();
  }
  Task<void> watch_interrupts() {
    co_await context_.interrupts.next();
    interrupted_ = !result_;
    ended_.notify();
  }
  Task<void> tick() {
    while (true) {
      co_await context_.clock.sleep_for(redraw_interval);
      view_.tick();
    }
  }

  Context& context_;
  AwsSession& session_;
  DeployView& view_;
  deploy::Pipeline& pipeline_;
  std::optional<Result<deploy::Deployed>> result_;
  bool interrupted_ = false;
  Signal ended_;
  TaskScope scope_;
};

Task<void> show_deployed(Context& context, AwsSession& session, const deploy::Deployed& deployed,
                         const DeployView& view) {
  const bool colour = context.terminal.colour();
  std::string out;
  if (!deployed.waited) {
    out =
        "\nThe stack's operation goes on by itself. `berth status --on aws` shows it; `berth deploy` again "
        "waits for it and proves that it works.\n";
    context.terminal.out(fitted(context.terminal, out));
    co_return;
  }
  out = deployed.changed
            ? fmt::format("\n{} is deployed after {}.\n\n", session.spec.name, age(view.elapsed()))
            : fmt::format("\n{} was as it should be; nothing was changed.\n\n", session.spec.name);
  std::string key_arn;
  if (deployed.asks_key) {
    const auto base = co_await deploy::describe_stack(*session.client, session.names.base_stack);
    if (base) key_arn = base->output("ApiKeyArn");
  }
  for (const auto& [name, url] : server_urls(session.spec, deployed.record.url)) {
    out += fmt::format("  {}\n", paint(Paint::cyan, url, colour));
  }
  out += "\nConnect Claude Code (others: berth connect):\n";
  for (const auto& [name, url] : server_urls(session.spec, deployed.record.url)) {
    const std::string line = claude_line_on_aws(name, url, key_arn, session.region(), session.spec.auth.keys);
    out += fmt::format("  {}\n", paint(Paint::bold, line, colour));
  }
  if (deployed.asks_key)
    out += "\n" + fitted(context.terminal,
                         "It is closed by default: that key is in Secrets Manager, and whoever may read the "
                         "secret may call.\n");
  if (deployed.changed)
    out +=
        "\nNext: `berth status`, `berth logs -f`, `berth doctor`; `berth destroy` ends it and its costs.\n";
  context.terminal.out(out);
}

ExitCode show_json(Context& context, const deploy::Deployed& deployed, const DeployView& view) {
  json::object out = json::parse(deploy::to_json(deployed.record)).as_object();
  out["image"] = deployed.image;
  out["changed"] = deployed.changed;
  out["waited"] = deployed.waited;
  out["phases"] = json::parse(view.times_json());
  context.terminal.out(pretty_json(json::serialize(out)) + "\n");
  return ExitCode::ok;
}

ExitCode print_policy(Context& context, const model::Spec& spec, const deploy::Template& base,
                      const deploy::Template& service, bool as_parts) {
  const json::object policy = deploy::deployer_policy(spec, base.document, service.document);
  const std::vector<json::object> parts = deploy::split_policy(policy);
  if (as_parts) {
    json::array out;
    for (const json::object& part : parts) out.push_back(part);
    context.terminal.out(pretty_json(json::serialize(out)) + "\n");
    return ExitCode::ok;
  }
  context.terminal.out(pretty_json(json::serialize(policy)) + "\n");
  if (parts.size() > 1) {
    context.terminal.err(
        fmt::format("A managed policy takes {} characters, and this one has more: --iam --json prints "
                    "it as {} policies.\n",
                    deploy::policy_characters_max, parts.size()));
  }
  return ExitCode::ok;
}

/// What of the file does nothing on AWS, where one would expect it to.
void say_without_meaning(Context& context, std::string_view verb, const model::Spec& spec) {
  const std::vector<std::string> keys = model::keys_without_meaning(spec, model::Place::aws);
  if (keys.empty()) return;
  context.terminal.err(fitted(context.terminal,
                              fmt::format("berth {}: `{}` {} nothing on AWS: that is for `berth up`.\n", verb,
                                          fmt::join(keys, "`, `"), keys.size() == 1 ? "means" : "mean")));
}

}  // namespace

Task<ExitCode> run_plan(Context& context, const Arguments& arguments) {
  const Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::spec);
  Result<model::Spec> spec = location ? load_spec_for_aws(context, *location) : Failure(location.error());
  if (!spec) {
    co_return report(context, "plan", spec.error(), Cause::spec);
  }
  say_without_meaning(context, "plan", *spec);
  const std::optional<deploy::Record> record =
      deploy::read_record(location->state_directory, record_key(arguments, *spec));
  auto client = make_aws_client(context, arguments, *spec, record);
  if (client) spec->aws.region = (*client)->region();
  const Result<deploy::Template> base = deploy::compose_base(*spec);
  const Result<deploy::Template> service = deploy::compose_service(*spec);
  if (!base || !service) {
    co_return report(context, "plan", base ? service.error() : base.error(), Cause::spec);
  }
  if (arguments.has("iam")) co_return print_policy(context, *spec, *base, *service, arguments.has("json"));
  PlanPicture picture{.spec = *spec, .base = *base, .service = *service, .live = {}, .not_live = {}};
  if (client) {
    deploy::LivePlanOptions options{.spec = *spec, .drift = !arguments.has("no-drift")};
    Result<deploy::LivePlan> live = co_await deploy::ask_account(**client, context.clock, std::move(options));
    if (live) picture.live = std::move(*live);
    if (!live) picture.not_live = live.error().message();
  } else {
    picture.not_live = client.error().message();
  }
  context.terminal.out(arguments.has("json")
                           ? plan_json(picture)
                           : plan_text(picture, context.terminal.columns(), context.terminal.colour()));
  co_return ExitCode::ok;
}

Task<ExitCode> run_deploy(Context& context, const Arguments& arguments) {
  if (arguments.has("dry-run")) co_return co_await run_plan(context, arguments);
  Result<AwsSession> session = open_aws(context, arguments);
  if (!session) {
    co_return report(context, "deploy", session.error(), cause_of(session.error()));
  }
  say_without_meaning(context, "deploy", session->spec);
  const Result<DeployLock> lock = DeployLock::take(session->location.state_directory);
  if (!lock) co_return report(context, "deploy", lock.error());
  const std::unique_ptr<registry::Images> images = registry::make_images(
      image_store(context, session->location), context.environment, context.network, context.launcher);
  const Consent consent = arguments.has("yes") ? Consent::given : Consent::ask;
  DeployView view(context, consent, arguments.has("json") ? Picture::lines_to_err : Picture::redrawn);
  Prover prover(context, session->spec);
  namespace fs = std::filesystem;
  const std::string berth =
      arguments.get("berth-binary").value_or(deploy::program_beside(context.program, session->spec.aws));
  deploy::DeployOptions options{.spec = session->spec,
                                .state_directory = session->location.state_directory,
                                .berth = (fs::path(context.directory) / berth).lexically_normal().string(),
                                .image = arguments.get("image").value_or(""),
                                .wait = !arguments.has("no-wait"),
                                .ignore_scan = arguments.has("ignore-scan"),
                                .revert_drift = arguments.has("revert-drift"),
                                .prove = {}};
  options.prove = [&prover](std::string url, Secret key) {
    return prover.prove(std::move(url), std::move(key));
  };
  deploy::DeployWorld world{.client = *session->client,
                            .images = *images,
                            .clock = context.clock,
                            .progress = view,
                            .environment = context.environment};
  const std::unique_ptr<deploy::Pipeline> pipeline =
      deploy::make_pipeline(std::move(world), std::move(options));
  DeployRun run(context, *session, view, *pipeline);
  const Result<deploy::Deployed> deployed = co_await run.run();
  if (!deployed) {
    const std::string text = fmt::format("\nberth deploy: {}\n", printable(deployed.error().message()));
    context.terminal.err(fitted(context.terminal, text));
    if (run.interrupted()) co_return ExitCode::interrupted;
    co_return view.refused() ? ExitCode::not_confirmed : ExitCode::failed;
  }
  if (arguments.has("json")) co_return show_json(context, *deployed, view);
  co_await show_deployed(context, *session, *deployed, view);
  co_return ExitCode::ok;
}

}  // namespace berth::cli
