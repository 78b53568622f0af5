#pragma once

#include <string>

#include "deploy/progress.h"
#include "deploy/stack.h"
#include "deploy/stack_watch.h"

/// Bringing one stack to what it is to be, whatever state an earlier try left it in.
namespace berth::deploy {

struct StackWorld {
  aws::Client& client;
  Clock& clock;
  Progress& progress;
};

/// How a watched operation ended, for the one who asked for it.
struct Settled {
  StackState state;
  bool joined = false;  ///< the operation that is wanted was in progress and has ended well
};

/// Returns once the stack can be created or updated: waits for what is in progress when it is this very
/// deploy's (its token is `token_of(target)`), a rollback or a clean-up, deletes what failed to be created
/// and finishes a rollback that failed, both after asking. conflict: an operation of somebody else is in
/// progress; cancelled: the answer was no.
Task<Result<Settled>> settle(StackWorld world, StackTarget target);

/// conflict when somebody else's operation is in progress on the stack. `prefix`: what the tokens of this
/// deploy begin with.
Task<Result<void>> refuse_others(StackWorld world, StackState state, std::string prefix);

/// Brings a stack in UPDATE_ROLLBACK_FAILED back to what ran before, after asking. conflict: it fails again.
Task<Result<void>> finish_rollback(StackWorld world, StackState state);

/// Watches the operation in progress; the state it ended in. The failure carries the explanation.
/// `total`: resources, for "24 of 61"; 0: not known.
Task<Result<StackState>> watch_to_end(StackWorld world, WatchOptions options, std::size_t total);

/// Watches without a verdict: for rollbacks and deletions.
Task<Result<StackState>> watch_whatever(StackWorld world, WatchOptions options);

/// Deletes the stack and watches it go. `ok` only when it is gone.
Task<Result<void>> remove_stack(StackWorld world, StackState state);

/// Undoes an update that has come to its end: the stack gets back the template, parameters and tags of
/// `former`. `change`: what the update had changed.
Task<Result<StackState>> put_back(StackWorld world, StackTarget former, StackChange change);

}  // namespace berth::deploy
