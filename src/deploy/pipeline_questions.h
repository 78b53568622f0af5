#pragma once

#include <string>

#include "deploy/pipeline.h"
#include "deploy/stack.h"
#include "deploy/template.h"

/// What a deploy asks and says before it changes anything.
namespace berth::deploy {

/// What a first deploy makes, costs and takes.
std::string first_question(const model::Spec& spec, const Template& base, const Template& service,
                           const Caller& caller, const std::string& region);

/// What an update interrupts or replaces; empty when it does neither.
std::string replacement_question(const ChangeSet& set);

/// "Sets TaskSecurityGroup (AWS::EC2::SecurityGroup): SecurityGroupIngress": what was changed by hand.
std::string revert_notice(const ResourceChange& change);

}  // namespace berth::deploy
