#pragma once

#include <string>

#include "base/secret.h"
#include "cli/aws_session.h"
#include "cli/context.h"
#include "cli/mcp_client.h"
#include "deploy/doctor.h"

namespace berth::cli {

/// How many tools the server lists to a client, on the first page of its list.
Task<Result<std::size_t>> count_tools(Context& context, McpAddress server, Duration timeout);

/// Goes the way of a client, step by step: name, connection, TLS, /healthz, and tools/list of every server
/// with `key` (empty: that only where `is_open`). Each step up to there has ten seconds.
Task<deploy::Probe> probe(Context& context, const model::Spec& spec, std::string url, Secret key,
                          bool is_open);

/// The key that calls the service: that of its own making, out of Secrets Manager, or the first of auth.keys,
/// out of this environment. Empty: open, or not to be had (`why` then says so).
Task<Secret> find_key(Context& context, const AwsSession& session, std::string& why);

/// The ARN of the key's secret; empty when the service has none of its own making.
Task<aws::Reply<std::string>> find_key_secret(const AwsSession& session);

}  // namespace berth::cli
