#include "deploy/secrets.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "deploy/trouble.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr std::size_t secret_bytes_max = 65'536;  // of Secrets Manager, for one value

SecretValues parse_values(const std::string& text) {
  SecretValues out;
  json::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return out;
  for (const auto& [name, member] : value.get_object()) {
    if (member.is_string()) out[std::string(name)] = Secret(std::string(member.get_string()));
  }
  return out;
}

double created_at(const json::object& version) {
  const json::value* created = version.if_contains("CreatedDate");
  return created != nullptr && created->is_number() ? created->to_number<double>() : 0;
}

bool equal(const SecretValues& a, const SecretValues& b) {
  return std::ranges::equal(a, b, [](const auto& left, const auto& right) {
    return left.first == right.first && left.second.reveal() == right.second.reveal();
  });
}

std::string without_key(const std::string& name) {
  // "name:key" or "arn:aws:secretsmanager:region:account:secret:name:key".
  const std::size_t colons = static_cast<std::size_t>(std::ranges::count(name, ':'));
  const bool has_key = name.starts_with("arn:") ? colons > 6 : colons > 0;
  return has_key ? name.substr(0, name.rfind(':')) : name;
}

}  // namespace

std::vector<std::string> own_variables(const model::Spec& spec) {
  std::vector<std::string> out;
  for (const std::string& name : spec.variables) {
    if (!spec.aws.secrets.contains(name)) out.push_back(name);
  }
  return out;
}

Result<SecretValues> merge_values(const std::vector<std::string>& names,
                                  const std::map<std::string, std::string>& environment,
                                  const SecretValues& present) {
  SecretValues out;
  std::vector<std::string> missing;
  std::size_t bytes = 0;
  for (const std::string& name : names) {
    const auto given = environment.find(name);
    const auto there = present.find(name);
    if (given != environment.end() && !given->second.empty()) {
      out[name] = Secret(given->second);
    } else if (there != present.end() && !there->second.empty()) {
      out[name] = there->second;
    } else {
      missing.push_back(name);
      continue;
    }
    bytes += name.size() + out[name].reveal().size();
  }
  if (!missing.empty()) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("berth.yaml needs {0}, which {1} not set here: export {2}=… and deploy again, or name "
                    "an existing secret: aws.secrets: {{{2}: NAME-OR-ARN}}.",
                    fmt::join(missing, ", "), missing.size() == 1 ? "is" : "are", missing.front()));
  }
  if (bytes > secret_bytes_max) {
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("The variables of berth.yaml have {} bytes; a secret holds {}. Put large ones into "
                    "secrets of their own: aws.secrets.",
                    bytes, secret_bytes_max));
  }
  return out;
}

Task<Result<SecretsOutcome>> put_secrets(aws::Client& client, std::string arn, std::vector<std::string> names,
                                         std::map<std::string, std::string> environment) {
  json::object ask{{"SecretId", arn}};
  const auto reply = co_await client.call("secretsmanager", "GetSecretValue", std::move(ask));
  SecretValues present;
  SecretsOutcome outcome{.names = names.size()};
  if (reply) {
    present = parse_values(aws::text(*reply, "SecretString"));
    outcome.changed_at = created_at(*reply);
  } else if (!reply.error().is("ResourceNotFoundException")) {
    co_return Failure(explain_fault(reply.error()));
  }
  const Result<SecretValues> wanted = merge_values(names, environment, present);
  if (!wanted) co_return Failure(wanted.error());
  if (equal(*wanted, present)) co_return outcome;
  json::object values;
  for (const auto& [name, value] : *wanted) values[name] = value.reveal();
  // Secrets Manager demands a token of whoever is no SDK, and takes a request that is sent again by it.
  json::object put{
      {"SecretId", arn}, {"SecretString", json::serialize(values)}, {"ClientRequestToken", random_hex(16)}};
  const auto done = co_await client.call("secretsmanager", "PutSecretValue", std::move(put));
  if (!done) co_return Failure(explain_fault(done.error()));
  outcome.changed = true;
  // By AWS's clock, as the start of a deployment that it is compared with.
  json::object again{{"SecretId", arn}};
  const auto version = co_await client.call("secretsmanager", "GetSecretValue", std::move(again));
  if (!version) co_return Failure(explain_fault(version.error()));
  outcome.changed_at = created_at(*version);
  co_return outcome;
}

Task<Result<void>> check_named_secrets(aws::Client& client, std::map<std::string, std::string> secrets) {
  std::vector<std::string> missing;
  for (const auto& [variable, name] : secrets) {
    json::object ask{{"SecretId", without_key(name)}};
    const auto reply = co_await client.call("secretsmanager", "DescribeSecret", std::move(ask));
    if (reply && !reply->contains("DeletedDate")) continue;
    if (!reply && !reply.error().is("ResourceNotFoundException"))
      co_return Failure(explain_fault(reply.error()));
    missing.push_back(fmt::format("{} ({})", variable, name));
  }
  if (missing.empty()) co_return Result<void>();
  co_return fail(
      ErrorCode::not_found,
      fmt::format("aws.secrets names secrets that are not in {}: {}. Make them (`aws secretsmanager "
                  "create-secret --name … --secret-string file://…`) or correct the names.",
                  client.region(), fmt::join(missing, ", ")));
}

Task<aws::Reply<Secret>> read_secret(aws::Client& client, std::string arn) {
  json::object ask{{"SecretId", arn}};
  const auto reply = co_await client.call("secretsmanager", "GetSecretValue", std::move(ask));
  if (!reply) co_return std::unexpected(reply.error());
  co_return Secret(aws::text(*reply, "SecretString"));
}

Task<aws::Reply<Secret>> read_named_secret(aws::Client& client, std::string name) {
  const std::string whole = without_key(name);
  const auto text = co_await read_secret(client, whole);
  if (!text || whole == name) co_return text;
  const SecretValues values = parse_values(std::string(text->reveal()));
  const auto found = values.find(name.substr(whole.size() + 1));
  co_return found == values.end() ? Secret() : found->second;
}

Task<aws::Reply<SecretValues>> read_values(aws::Client& client, std::string arn) {
  const auto text = co_await read_secret(client, arn);
  if (!text) co_return std::unexpected(text.error());
  co_return parse_values(std::string(text->reveal()));
}

}  // namespace berth::deploy
