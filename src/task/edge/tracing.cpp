#include "task/edge/tracing.h"

namespace berth::task::edge {

void note(const RequestContext& context, std::string_view method, const mcp::RequestParts& parts) {
  if (context.mcp_method != nullptr) context.mcp_method->assign(method);
  if (context.trace == nullptr) return;
  if (!context.forwarded && parts.trace_parent.exists())
    context.trace->adopt(parts.trace_parent.as_string().value_or(""));
  if (!context.trace->sampled()) return;
  const bool has_target = method == "tools/call" || method == "prompts/get";
  const std::string target = has_target ? parts.name.as_string().value_or("") : std::string();
  context.trace->describe(method.empty() ? "response" : method, target);
}

std::string own_trace_parent(const RequestContext& context) {
  if (context.trace == nullptr || !context.trace->sampled()) return {};
  return context.trace->span()->traceparent();
}

}  // namespace berth::task::edge
