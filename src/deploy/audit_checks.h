#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/audit.h"

/// How checks are written: a row says what and why, a function judges.
namespace berth::deploy {

/// What is judged, with what several checks ask for.
struct Subject {
  const model::Spec& spec;
  const Document& document;
  std::set<std::string> public_subnets;  ///< logical ids with a route to an internet gateway
};
Subject subject_of(const model::Spec& spec, const Document& document);

/// What a judge found. Nothing said: not applicable.
class Outcome {
 public:
  /// There is something to judge.
  void applies() { applies_ = true; }
  /// `resource` breaks the rule; `detail` says how.
  void fail(std::string resource, std::string detail);
  /// Judges `good`: applies, and fails when it is false.
  void expect(bool good, const std::string& resource, std::string_view detail);

  Verdict verdict() const;
  const std::vector<std::string>& resources() const { return resources_; }
  const std::string& detail() const { return detail_; }

 private:
  bool applies_ = false;
  bool failed_ = false;
  std::vector<std::string> resources_;
  std::string detail_;
};

struct Check {
  std::string_view id;
  std::string_view title;
  Gravity gravity = Gravity::medium;
  void (*judge)(const Subject& subject, Outcome& outcome) = nullptr;
  std::string_view why;
  std::string_view remedy;
};

/// The remedy of whatever somebody changed in the account.
inline constexpr std::string_view by_hand = "Deploy again to undo a change made by hand.";

std::span<const Check> network_checks();
std::span<const Check> encryption_checks();
std::span<const Check> access_checks();
std::span<const Check> task_checks();
std::span<const Check> data_checks();
std::span<const Check> monitoring_checks();

/// One rule of a security group, inline or a resource of its own.
struct GroupRule {
  std::string group;     ///< logical id of the group
  std::string resource;  ///< that holds the rule
  bool ingress = true;
  std::string protocol;
  std::string from, to;
  std::string cidr;  ///< IPv4 or IPv6 block; empty when the peer is a group or a prefix list
  std::string peer;  ///< logical id of the other group
  bool prefix_list = false;

  bool from_anywhere() const { return cidr == "0.0.0.0/0" || cidr == "::/0"; }
  bool port_is(std::string_view port) const { return from == port && to == port; }
};
std::vector<GroupRule> group_rules(const Document& document);

/// Logical ids that the values under `path` refer to.
std::set<std::string> references_at(const boost::json::object& object, std::string_view path);

/// Statements of an IAM or resource policy document.
std::vector<const boost::json::object*> statements(const boost::json::value* policy);
/// Whether some statement denies what does not come over TLS.
bool denies_clear_text(const boost::json::value* policy);

/// The service, and its containers.
struct Container {
  std::string resource;  ///< logical id of the task definition
  const boost::json::object* definition = nullptr;
};
std::vector<Container> containers(const Document& document);

}  // namespace berth::deploy
