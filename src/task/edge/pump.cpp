#include "task/edge/pump.h"

#include <algorithm>

#include "codec/sse.h"
#include "task/edge/answers.h"
#include "task/edge/event_name.h"
#include "task/edge/legacy_call.h"
#include "task/edge/sse_stream.h"

namespace berth::task::edge {
namespace {

/// How long a client waits before it comes back for a broken stream.
constexpr std::int64_t reconnect_ms = 1000;

Task<void> answer_whole(http::Exchange& exchange, EventStream& stream, bool is_batch) {
  EventStream::Unsent unsent = stream.take_unsent();
  if (unsent.events.empty()) {
    // Cancelled: there is nothing to say, and nothing may be said.
    http::ResponseHead head = event_stream_head();
    const auto begun = co_await exchange.begin(std::move(head));
    if (begun) co_await exchange.finish();
    co_return;
  }
  std::string body;
  if (is_batch) {
    for (const Event& event : unsent.events) {
      body.push_back(body.empty() ? '[' : ',');
      body.append(event.json);
    }
    body.push_back(']');
    unsent.events.clear();
  } else {
    body = std::move(unsent.events.front().json);
  }
  http::Response response = http::json_response(is_batch ? 200 : stream.status(), std::move(body));
  if (const auto seconds = stream.retry_after_s())
    response.headers.add("Retry-After", std::to_string(*seconds));
  co_await exchange.respond(std::move(response));
}

Task<bool> send_unsent(const Shared& shared, EventStream& stream, SseStream& out, const Session* session) {
  const EventStream::Unsent unsent = stream.take_unsent();
  for (const Event& event : unsent.events) {
    const std::string id =
        session != nullptr ? write_event_id(shared, *session, stream, event.sequence) : std::string();
    const bool sent = co_await out.message(event.json, id);
    if (!sent) co_return false;
  }
  co_return true;
}

/// Head, and for clients that know it (2025-11-25) an event with an id and no data, so that a connection that
/// breaks before the first message can be taken up again.
Task<bool> open_stream(const Shared& shared, EventStream& stream, SseStream& out, const Session* session) {
  const bool opened = co_await out.open();
  const bool knows_priming =
      session != nullptr && session->caller->protocol_version == mcp::latest_legacy_version;
  if (!opened || !knows_priming) co_return opened;
  sse::Event event;
  event.id = write_event_id(shared, *session, stream, stream.sent_sequence());
  event.retry_ms = reconnect_ms;
  const std::string priming = sse::write(event);
  const bool sent = co_await out.raw(priming);
  co_return sent;
}

/// Until there is something to stream or everything has been said; false: stop here.
Task<bool> await_first_news(EventStream& stream, StreamReader& reader) {
  while (!stream.must_stream() && !stream.is_closed()) {
    if (reader.is_gone() || reader.is_cut()) co_return false;
    co_await reader.wait_for_end();
    if (reader.take_silence()) stream.require_stream();
  }
  co_return !reader.is_gone();
}

/// A client of a session that leaves has not cancelled anything (Streamable HTTP, Sending Messages): its
/// calls go on. One without a session is gone with its connection.
void on_client_gone(Shared& shared, EventStream& stream) {
  ++shared.counters.disconnected;
  if (!stream.has_ids()) return stream.close();
  const auto running =
      std::ranges::count_if(stream.calls(), [](const auto& call) { return !call->has_ended(); });
  if (running > 0)
    shared.world.log.info("client_gone", {{"server", shared.world.server}, {"calls", running}});
}

}  // namespace

Task<void> pump(Shared& shared, http::Exchange& exchange, std::shared_ptr<EventStream> stream,
                StreamReader& reader, const Session* session, bool is_batch) {
  if (!stream->is_closed()) exchange.on_disconnect([&reader] { reader.leave(); });
  const bool there = co_await await_first_news(*stream, reader);
  if (reader.is_cut()) stream->fail_calls(cut_sentence);
  if (!there && reader.is_gone()) co_return on_client_gone(shared, *stream);
  if (!stream->must_stream()) {
    co_await answer_whole(exchange, *stream, is_batch);
    co_return;
  }
  SseStream out(shared, exchange);
  bool open = co_await open_stream(shared, *stream, out, session);
  while (open && !reader.is_gone()) {
    if (reader.is_cut()) stream->fail_calls(cut_sentence);
    open = co_await send_unsent(shared, *stream, out, session);
    if (!open || stream->has_unsent()) continue;
    if (stream->is_closed() || reader.is_ending() || reader.is_cut()) {
      if (stream->is_closed()) stream->set_read();
      co_await out.finish();
      co_return;
    }
    reader.note_write(out.last_write(), shared.world.limits.keep_alive_interval);
    co_await reader.wait();
    if (reader.take_silence()) open = co_await out.keep_alive();
  }
  on_client_gone(shared, *stream);
}

}  // namespace berth::task::edge
