#pragma once

#include "task/edge/modern_edge.h"

namespace berth::task::edge {

/// Answers a subscriptions/listen: acknowledges, then sends the changes asked for until the client leaves or
/// the endpoint drains (which ends with the complete result). `incoming` and `caller` outlive it.
Task<void> listen(Shared& shared, const Incoming& incoming, const mcp::Caller& caller);

/// A place among the open streams.
class StreamPlace {
 public:
  StreamPlace(Shared& shared, const std::string& principal);
  ~StreamPlace();
  StreamPlace(const StreamPlace&) = delete;
  StreamPlace& operator=(const StreamPlace&) = delete;

 private:
  Shared& shared_;
  std::map<std::string, std::size_t, std::less<>>::iterator of_principal_;
};

/// Null when there is no place, which 503 has told the client: this task has `limits.listen_streams_max` open
/// streams, or three quarters of them are the caller's.
Task<std::unique_ptr<StreamPlace>> admit_stream(Shared& shared, const Incoming& incoming);

}  // namespace berth::task::edge
