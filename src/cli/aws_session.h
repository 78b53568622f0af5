#pragma once

#include <memory>
#include <optional>
#include <string>

#include "aws/client.h"
#include "cli/context.h"
#include "cli/mcp_client.h"
#include "cli/options.h"
#include "cli/spec_file.h"
#include "deploy/record.h"
#include "deploy/template.h"
#include "model/spec.h"

/// What every verb about a service on AWS begins with.
namespace berth::cli {

inline constexpr Option region_option{
    .name = "region", .value = "NAME", .meaning = "instead of aws.region, AWS_REGION or the profile's"};
inline constexpr Option profile_option{
    .name = "profile", .value = "NAME", .meaning = "of ~/.aws/config, instead of aws.profile or AWS_PROFILE"};
inline constexpr Option on_option{.name = "on",
                                  .value = "aws|here",
                                  .meaning = "which service: default aws once deployed and none runs here"};

/// The service on AWS that a verb means.
struct AwsSession {
  SpecLocation location;
  model::Spec spec;  ///< read with keep_variables
  deploy::Names names;
  std::optional<deploy::Record> record;  ///< of this service, in .berth/deployed
  std::unique_ptr<aws::Client> client;

  const std::string& region() const { return client->region(); }
};

/// berth.yaml with ${NAME} left as it is.
Result<model::Spec> load_spec_for_aws(const Context& context, const SpecLocation& location);

/// Reads berth.yaml and makes a client; asks AWS nothing. Errors: those of find_spec and load_spec,
/// invalid_argument when there is no region. A region that differs from the one deployed to is taken as
/// given.
Result<AwsSession> open_aws(Context& context, const Arguments& arguments);
/// The client alone, for a spec that was read already.
Result<std::unique_ptr<aws::Client>> make_aws_client(Context& context, const Arguments& arguments,
                                                     const model::Spec& spec,
                                                     const std::optional<deploy::Record>& record);

/// The record that a verb means, as far as its words and the spec say.
deploy::RecordKey record_key(const Arguments& arguments, const model::Spec& spec);

/// Where a verb that works here and on AWS is meant: --on; otherwise AWS when a record says so and no
/// service runs here. invalid_argument for another word after --on.
enum class Place : unsigned char { here, aws };
Result<Place> find_place(const Context& context, const Arguments& arguments);

/// TLS for clients of the service: trusts $BERTH_CA_FILE, else $SSL_CERT_FILE, else the system's store.
Result<std::shared_ptr<net::TlsContext>> public_tls(const Context& context);

/// The URLs of the servers below the service's own: {"everything", "https://x/mcp"}.
std::vector<std::pair<std::string, std::string>> server_urls(const model::Spec& spec, const std::string& url);

/// The line that connects Claude Code; the key is asked of Secrets Manager by the shell, not shown.
std::string claude_line_on_aws(const std::string& name, const std::string& url, const std::string& secret_arn,
                               const std::string& region, const std::vector<model::KeySpec>& keys);

}  // namespace berth::cli
