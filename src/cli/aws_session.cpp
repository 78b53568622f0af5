#include "cli/aws_session.h"

#include <fmt/format.h>

#include "aws/credentials.h"
#include "cli/connection.h"
#include "cli/files.h"
#include "model/parse.h"

namespace berth::cli {
namespace {

constexpr std::size_t spec_bytes_max = 4u << 20;
constexpr std::size_t ca_bytes_max = 8u << 20;

std::string variable(const Context& context, const std::string& name) {
  const auto found = context.environment.find(name);
  return found == context.environment.end() ? "" : found->second;
}

/// Asks on stderr, so that what a verb prints stays clean; nullopt when nobody sits there.
Task<std::optional<std::string>> ask_line(Terminal& terminal, std::string question) {
  if (!terminal.in_is_terminal()) co_return std::nullopt;
  terminal.err(question);
  auto line = co_await terminal.read_line();
  co_return line;
}

}  // namespace

Result<model::Spec> load_spec_for_aws(const Context& context, const SpecLocation& location) {
  Result<std::string> text = read_file(location.path, spec_bytes_max);
  if (!text) return Failure(text.error());
  model::SpecSource source{.text = std::move(*text),
                           .file = location.shown,
                           .directory = location.directory,
                           .environment = context.environment,
                           .keep_variables = true};
  return model::parse_spec(source);
}

Result<std::unique_ptr<aws::Client>> make_aws_client(Context& context, const Arguments& arguments,
                                                     const model::Spec& spec,
                                                     const std::optional<deploy::Record>& record) {
  aws::CredentialsOptions credentials{.environment = context.environment,
                                      .profile = arguments.get("profile").value_or(spec.aws.profile),
                                      .region = {}};
  std::string given = arguments.get("region").value_or(spec.aws.region);
  // Verbs about a deployed service find it wherever the shell's AWS_REGION points to.
  if (given.empty() && record) given = record->region;
  const Result<std::string> region = aws::find_region(given, credentials);
  if (!region) return Failure(region.error());
  credentials.region = *region;
  credentials.ask = [&terminal = context.terminal](std::string question) {
    return ask_line(terminal, std::move(question));
  };
  const Result<aws::CredentialsOptions> configured = aws::with_profile_settings(std::move(credentials));
  if (!configured) return Failure(configured.error());
  aws::ClientOptions options{
      .region = *region,
      .environment = configured->environment,
      .credentials = aws::make_credentials(*configured, context.network, context.launcher)};
  return aws::make_client(std::move(options), context.network, null_log());
}

deploy::RecordKey record_key(const Arguments& arguments, const model::Spec& spec) {
  return {.service_stack = deploy::names(spec).service_stack,
          .region = arguments.get("region").value_or(spec.aws.region),
          .account = spec.aws.account};
}

Result<AwsSession> open_aws(Context& context, const Arguments& arguments) {
  AwsSession session;
  Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::spec);
  if (!location) return Failure(location.error());
  session.location = std::move(*location);
  Result<model::Spec> spec = load_spec_for_aws(context, session.location);
  if (!spec) return Failure(spec.error());
  session.spec = std::move(*spec);
  session.names = deploy::names(session.spec);
  session.record = deploy::read_record(session.location.state_directory, record_key(arguments, session.spec));
  Result<std::unique_ptr<aws::Client>> client =
      make_aws_client(context, arguments, session.spec, session.record);
  if (!client) return Failure(client.error());
  session.client = std::move(*client);
  return session;
}

Result<Place> find_place(const Context& context, const Arguments& arguments) {
  const std::optional<std::string> on = arguments.get("on");
  if (on == "aws") return Place::aws;
  if (on == "here") return Place::here;
  if (on) {
    return fail(ErrorCode::invalid_argument, fmt::format("--on is \"{}\"; it takes aws or here.", *on));
  }
  const Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::service);
  if (!location) return Place::here;
  if (exists(location->state_directory + "/control.sock")) return Place::here;
  // Without a file nothing says which service is meant, and AWS cannot be asked either.
  const Result<model::Spec> spec = load_spec_for_aws(context, *location);
  if (!spec) return Place::here;
  const std::optional<deploy::Record> record =
      deploy::read_record(location->state_directory, record_key(arguments, *spec));
  return record && !record->destroyed ? Place::aws : Place::here;
}

Result<std::shared_ptr<net::TlsContext>> public_tls(const Context& context) {
  std::string path = variable(context, "BERTH_CA_FILE");
  if (path.empty()) path = variable(context, "SSL_CERT_FILE");
  std::string pem;
  if (!path.empty()) {
    Result<std::string> text = read_file(path, ca_bytes_max);
    if (!text) return Failure(text.error().within(fmt::format("The CA file {}", path)));
    pem = std::move(*text);
  }
  return net::make_tls_client(pem);
}

std::vector<std::pair<std::string, std::string>> server_urls(const model::Spec& spec,
                                                             const std::string& url) {
  std::vector<std::pair<std::string, std::string>> out;
  const bool several = spec.servers.size() > 1;
  for (const model::ServerSpec& server : spec.servers) {
    const std::string path = several ? fmt::format("/{}/mcp", server.name) : "/mcp";
    out.emplace_back(several ? server.name : spec.name, url + path);
  }
  return out;
}

std::string claude_line_on_aws(const std::string& name, const std::string& url, const std::string& secret_arn,
                               const std::string& region, const std::vector<model::KeySpec>& keys) {
  Connection connection{.name = name, .url = url, .key = {}};
  if (!keys.empty()) connection.key = keys.front();
  std::string line = claude_line(connection);
  if (secret_arn.empty()) return line;
  return line + fmt::format(
                    " --header \"Authorization: Bearer $(aws secretsmanager get-secret-value --region {} "
                    "--secret-id {} --query SecretString --output text)\"",
                    region, secret_arn);
}

}  // namespace berth::cli
