#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "task/edge/session.h"

namespace berth::task::edge {

/// An event of one of a session's streams, as a client names it in Last-Event-ID. Clients get the name
/// sealed.
struct EventName {
  std::uint64_t life = 0;  ///< generation of the task that sent it
  std::uint64_t stream = 0;
  std::uint64_t sequence = 0;
  std::string requests;  ///< EventStream::requests: whose answers the stream brings
};

std::string write_event_id(const Shared& shared, const Session& session, const EventStream& stream,
                           std::uint64_t sequence);
/// nullopt for whatever is none of this session's.
std::optional<EventName> read_event_id(const Shared& shared, const Session& session, std::string_view id);

}  // namespace berth::task::edge
