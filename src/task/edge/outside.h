#pragma once

#include <list>
#include <memory>

#include "task/edge/session.h"
#include "task/edge/shared.h"

namespace berth::task::edge {

/// What the server asks outside every call. The session of a client of the session era is asked on its own
/// stream, where it is the only one with an open stream that the asking process serves: whose answer it
/// would be is not known otherwise. A question that comes before any client has opened its stream, as
/// servers ask as soon as they are initialized, waits a moment for that.
class OutsideQuestions {
 public:
  OutsideQuestions(Shared& shared, SessionTable& sessions);
  ~OutsideQuestions();
  OutsideQuestions(const OutsideQuestions&) = delete;
  OutsideQuestions& operator=(const OutsideQuestions&) = delete;

  void ask(OutsideQuestion question);
  /// A session's stream has been opened.
  void look_again();

 private:
  struct Waiting {
    OutsideQuestion question;
    TimePoint until;
  };
  /// False: it may be asked later.
  bool try_to_ask(OutsideQuestion& question);
  void arm();
  void expire();

  Shared& shared_;
  SessionTable& sessions_;
  std::list<Waiting> waiting_;  ///< the oldest first
  std::unique_ptr<Timer> timer_;
};

}  // namespace berth::task::edge
