#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "task/host/url_call.h"
#include "task/server_host.h"

namespace berth::task::host {

/// What a legacy upstream asks on its sessions' own streams, which do not say for which call. A question that
/// calls of several clients may have caused waits until one of them remains; one outside every call is handed
/// on.
class UrlQuestions {
 public:
  struct World {
    const model::ServerSpec& spec;
    const UrlCalls& calls;
    Clock& clock;
    std::function<void(const std::shared_ptr<UrlSession>&, mcp::InputRequest,
                       std::function<void(std::string_view)> answer)>
        on_outside;
  };
  explicit UrlQuestions(World world) : world_(std::move(world)), timer_(world_.clock.make_timer()) {}

  void take(UrlSession& session, const Message& question);
  /// A call has ended or been parked: an asker may be known now.
  void look_again();

 private:
  /// One that waits, with the texts of its message.
  struct Held {
    std::weak_ptr<UrlSession> session;
    std::string id;
    std::string method;
    std::string params;
    TimePoint deadline;
    Message message() const;
  };
  bool try_to_ask(UrlSession& session, const Message& question);
  void arm();
  void expire();

  World world_;
  std::list<Held> held_;
  std::uint64_t next_key_ = 1;
  std::unique_ptr<Timer> timer_;
};

}  // namespace berth::task::host
