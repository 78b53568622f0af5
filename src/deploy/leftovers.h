#pragma once

#include <vector>

#include "deploy/destroy.h"

/// What stacks leave standing when they delete their resources (DeletionPolicy and UpdateReplacePolicy
/// Retain): it belongs to no stack any more, so whoever deletes a stack has to remember it.
namespace berth::deploy {

/// Data that the stack has left so far, by its events; some of it may be gone. `stack`: ARN.
Task<aws::Reply<std::vector<Keepsake>>> leftovers_of(aws::Client& client, std::string stack);

/// Deletes those that nobody has stored anything in, the others come back; a notice of each. For what a
/// creation that failed has left: a bucket with nothing but the test object of a load balancer's logs, a file
/// system of the size of an empty one.
Task<Result<std::vector<Keepsake>>> sweep(StackWorld world, std::vector<Keepsake> leftovers);

}  // namespace berth::deploy
