#pragma once

#include <string>

#include "cli/context.h"
#include "task/runtime/otlp_exporter.h"

namespace berth::app {

/// Signs for X-Ray in `region` with the task's own credentials: the container's role, or whatever the chain
/// of aws/credentials.h finds. They are fetched when first needed.
task::RequestSigner make_aws_signer(cli::Context& context, const std::string& region);

}  // namespace berth::app
