#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "task/identity.h"

namespace berth::task {

/// What the tasks of a service leave each other of their legacy sessions, so that a session outlives its
/// task: who has taken a session over from a life of a task that is gone, what a session has changed since
/// its initialize, and which sessions have ended. A life is a task's generation; a session is named by its
/// key. Calls block for the time of a few file operations.
class SessionRecords {
 public:
  virtual ~SessionRecords() = default;

  enum class Standing : std::uint8_t {
    open,         ///< nobody has taken it over yet
    taken,        ///< by `heir`, which may be this task
    over,         ///< it has ended, or its life has been gone for longer than an unused session is kept
    unavailable,  ///< the records cannot be read or written now
  };
  struct Succession {
    Standing standing = Standing::over;
    TaskIdentity heir;  ///< `taken` only
  };
  /// What has become of `session` after the life `generation`.
  virtual Succession look(const std::string& session, std::uint64_t generation) = 0;
  /// As look(), but an open session is taken over for this task: of several that try at once, one has it.
  virtual Succession claim(const std::string& session, std::uint64_t generation) = 0;

  /// Whether a session of this life, which sisters may have believed lost, is still this task's (`open`).
  virtual Succession confirm(const std::string& session) = 0;

  /// A session of this life has ended: nobody takes it over. Written with the next flush().
  virtual void end(const std::string& session) = 0;
  virtual void flush() = 0;

  /// What a session of this life has changed, in place of what was kept before.
  virtual void keep(const std::string& session, std::string_view text) = 0;
  /// What was kept last in the life `generation`; empty: nothing.
  virtual std::string kept(const std::string& session, std::uint64_t generation) = 0;
};

/// For a task alone: every session ends with it.
std::unique_ptr<SessionRecords> make_no_session_records();

}  // namespace berth::task
