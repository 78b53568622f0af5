#include "cli/service_access.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/ip_address.h"
#include "cli/control.h"
#include "cli/files.h"
#include "model/addresses.h"
#include "model/key_length.h"
#include "model/parse.h"

namespace berth::cli {
namespace {

constexpr std::size_t key_bytes_max = 4096;
constexpr std::size_t certificate_bytes_max = 256 * 1024;

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

std::string known_names(const std::vector<ServerAddress>& servers) {
  std::string out;
  for (const ServerAddress& server : servers)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", server.name);
  return out;
}

Result<std::shared_ptr<net::TlsContext>> trust(const std::string& path) {
  if (path.empty()) return net::make_tls_client("");
  Result<std::string> certificate = read_file(path, certificate_bytes_max);
  if (!certificate) return Failure(certificate.error());
  return net::make_tls_client(*certificate);
}

}  // namespace

std::vector<ServerAddress> group_urls(const std::vector<cluster::ServiceUrl>& urls) {
  std::vector<ServerAddress> out;
  for (const cluster::ServiceUrl& url : urls) {
    auto found = std::ranges::find(out, url.server, &ServerAddress::name);
    if (found == out.end()) {
      out.push_back({.name = url.server, .http = {}, .https = {}, .outside = {}});
      found = out.end() - 1;
    }
    std::string& place = url.outside                     ? found->outside
                         : url.url.starts_with("https:") ? found->https
                                                         : found->http;
    if (place.empty()) place = url.url;
  }
  return out;
}

Task<Result<ServiceAccess>> find_service(Context& context, const Arguments& arguments) {
  ServiceAccess access;
  Result<SpecLocation> location = find_spec(context, arguments.get("file"), Need::service);
  if (!location) co_return Failure(location.error());
  access.location = *location;
  Control control(context, location->state_directory);
  Result<cluster::ServiceStatus> status = co_await control.status();
  if (!status) co_return Failure(status.error());
  access.status = std::move(*status);
  access.servers = group_urls(access.status.urls);
  SpecLocation of_keys = access.location;
  if (!access.status.spec_file.empty() && exists(access.status.spec_file))
    of_keys.path = access.status.spec_file;
  Result<model::Spec> spec =
      of_keys.path.empty() ? Result<model::Spec>(model::Spec()) : load_spec(context, of_keys);
  if (spec) access.keys = spec->auth.keys;
  bool https =
      std::ranges::any_of(access.servers, [](const ServerAddress& server) { return !server.https.empty(); });
  if (https) access.ca_file = ca_file(context, spec ? spec->listener : model::ListenerSpec());
  co_return access;
}

Result<ServerAddress> choose_server(const ServiceAccess& access, const Arguments& arguments) {
  std::optional<std::string> name = arguments.get("server");
  if (!name && access.servers.size() == 1) return access.servers.front();
  if (!name) {
    return fail(ErrorCode::not_found, fmt::format("There are several servers; choose one with --server: {}.",
                                                  known_names(access.servers)));
  }
  auto found = std::ranges::find(access.servers, *name, &ServerAddress::name);
  if (found != access.servers.end()) return *found;
  return fail(ErrorCode::not_found,
              fmt::format("There is no server \"{}\"; there is {}.", *name, known_names(access.servers)));
}

Result<McpAddress> address_of(Context& context, const ServiceAccess& access, const ServerAddress& server,
                              const Arguments& arguments) {
  McpAddress address;
  address.url = server.http.empty() ? server.https : server.http;
  if (address.url.starts_with("https:")) {
    Result<std::shared_ptr<net::TlsContext>> tls = trust(access.ca_file);
    if (!tls) return Failure(tls.error());
    address.tls = std::move(*tls);
  }
  std::optional<std::string> name = arguments.get("key");
  if (access.keys.empty() && !name) return address;
  auto key = name ? std::ranges::find(access.keys, *name, &model::KeySpec::principal) : access.keys.begin();
  if (key == access.keys.end()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("There is no key \"{}\" among auth.keys of berth.yaml.", *name));
  }
  Result<Secret> secret = read_key(*key, context.environment);
  if (!secret) return Failure(secret.error());
  address.key = std::move(*secret);
  return address;
}

Result<Secret> read_key(const model::KeySpec& key, const std::map<std::string, std::string>& environment) {
  if (!key.environment.empty()) {
    auto found = environment.find(key.environment);
    if (found != environment.end() && !found->second.empty()) return Secret(found->second);
    return fail(
        ErrorCode::not_found,
        fmt::format("The key \"{}\" is read from the environment variable {}, which is not set; export "
                    "{}=… first.",
                    key.principal, key.environment, key.environment));
  }
  Result<std::string> text = read_file(key.file, key_bytes_max);
  if (!text) return Failure(text.error().within(fmt::format("The key \"{}\"", key.principal)));
  std::string secret = trimmed(std::move(*text));
  if (secret.empty())
    return fail(ErrorCode::not_found, fmt::format("The key \"{}\" is empty: {}.", key.principal, key.file));
  return Secret(std::move(secret));
}

Result<void> check_keys(const std::vector<model::KeySpec>& keys, const std::string& listener,
                        const std::map<std::string, std::string>& environment) {
  for (const model::KeySpec& key : keys) {
    const Result<Secret> secret = read_key(key, environment);
    if (!secret) return Failure(secret.error());
    if (is_loopback_address(listener)) continue;
    if (secret->reveal().size() < model::key_bytes_min) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("The key \"{}\" has fewer than {} characters, and other machines can reach the "
                              "listener {}; make a longer one: openssl rand -hex 32.",
                              key.principal, model::key_bytes_min, listener));
    }
    struct stat info{};
    if (key.file.empty() || ::stat(key.file.c_str(), &info) != 0) continue;
    if ((info.st_mode & (S_IRGRP | S_IROTH)) != 0) {
      return fail(ErrorCode::permission_denied,
                  fmt::format("The key \"{0}\" is in {1}, which other users can read; chmod 600 {1}.",
                              key.principal, key.file));
    }
  }
  return {};
}

std::string authority_directory(const Context& context) {
  auto value = [&](const char* name) {
    auto found = context.environment.find(name);
    return found == context.environment.end() ? std::string() : found->second;
  };
  std::string data = value("XDG_DATA_HOME");
  if (data.empty() && value("HOME").empty()) return {};
  return (data.empty() ? value("HOME") + "/.local/share" : data) + "/berth";
}

Result<security::ServerCertificate> server_certificate(const Context& context,
                                                       const model::ListenerSpec& listener) {
  WallTime now = context.clock.wall();
  if (!listener.certificate_file.empty()) {
    return security::given_certificate(listener.certificate_file, listener.key_file, now);
  }
  const std::string directory = authority_directory(context);
  if (directory.empty()) {
    return fail(ErrorCode::not_found,
                "Neither HOME nor XDG_DATA_HOME is set, so there is no place for Berth's local CA.");
  }
  return security::local_certificate(directory, model::own_hosts(listener), now);
}

std::string ca_file(const Context& context, const model::ListenerSpec& listener) {
  if (!listener.https) return {};
  Result<security::ServerCertificate> certificate = server_certificate(context, listener);
  return certificate ? certificate->ca_path : std::string();
}

}  // namespace berth::cli
