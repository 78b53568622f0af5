#include "task/edge/progress.h"

#include "codec/json.h"
#include "mcp/modern.h"

namespace berth::task::edge {

std::string relayed(const mcp::Notification& notification, const mcp::Call& call,
                    std::string_view progress_token, double& last_progress) {
  const json::Slice params = json::Slice::trusted(notification.params);
  if (notification.method == "notifications/progress") {
    if (!call.wants_progress) return {};
    const std::optional<double> progress = params.find("progress").as_double();
    if (!progress || *progress <= last_progress) return {};
    last_progress = *progress;
    return mcp::write_notification(notification.method,
                                   mcp::progress_params(notification.params, progress_token));
  }
  if (notification.method == "notifications/message") {
    const auto level = mcp::parse_logging_level(params.find("level").as_string().value_or(""));
    if (!call.log_level || !level || *level < *call.log_level) return {};
  }
  return mcp::write_notification(notification.method, notification.params);
}

}  // namespace berth::task::edge
