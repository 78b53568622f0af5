#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "task/home/home_table.h"
#include "task/homes.h"
#include "task/peers.h"
#include "task/runtime/peer_clients.h"

namespace berth::task {

/// The homes of a task with sisters: carries out what HomeTable decides. A sister is asked with POST
/// /peer/home {"key":…,"from":ID} and answers {"here":BOOL,"had":BOOL,"at":ID}, the last of which is the
/// living sister that it takes for the caller's home, or empty; it is told with POST /peer/homes
/// {"id":…,"address":…,"generation":"hexadecimal","draining":BOOL,"keys":[…]} what is at home here.
/// Nothing is said while callers stay where they are.
class FleetHomes final : public Homes {
 public:
  /// What is given by reference outlives it.
  FleetHomes(const TaskIdentity& self, const PeerForwarder& peers, PeerClients& clients, Clock& clock,
             Log& log);

  std::shared_ptr<Home> find(std::string_view key) override { return table_.find(key, clock_.now()); }
  Task<Place> settle(std::string key, From from, std::span<const std::string> tried) override;
  Task<Place> settle_sole(std::string key, From from, std::span<const std::string> tried) override;
  Task<std::shared_ptr<Home>> claim(std::string key) override;
  void give_up(std::string_view server) override { table_.give_up(server, clock_.now()); }
  void keep(Home& home) override;
  HomeLoad load(std::string_view server) const override { return table_.load(server); }
  std::size_t count(std::string_view server) const override { return table_.count(server); }

  /// Whether this task has met those that were there before it; asked before it makes a home of which there
  /// may be one. Unset: it has.
  void on_asked_for_fleet(std::function<bool()> has_met) { has_met_ = std::move(has_met); }

  /// A sister's question and its answer, and what a sister tells. invalid_argument: not such a body.
  Result<std::string> receive_question(std::string_view body);
  Result<void> receive_homes(std::string_view body);

  /// This task will end: idle callers are at home elsewhere from now on, and the sisters learn what is lost.
  Task<void> drain();
  /// Await before destruction.
  Task<void> stop();

 private:
  struct Inquiry;
  struct Line {
    std::vector<std::string> pending;  ///< keys
  };
  Task<std::shared_ptr<Inquiry>> ask(std::string key, std::span<const std::string> tried);
  Task<void> ask_one(std::shared_ptr<Inquiry> inquiry, TaskIdentity sister);
  Task<void> send_pending(TaskIdentity sister, std::shared_ptr<Line> line);
  Task<Result<http::Response>> post(const TaskIdentity& sister, std::string target, std::string body,
                                    http::Delivery* delivery = nullptr);
  std::string write_homes(const std::vector<std::string>& keys) const;
  void tell(const TaskIdentity& sister, const std::vector<std::string>& keys);

  const TaskIdentity& self_;
  const PeerForwarder& peers_;
  PeerClients& clients_;
  Clock& clock_;
  Log& log_;
  HomeTable table_;
  std::function<bool()> has_met_;
  std::map<std::string, std::shared_ptr<Line>> lines_;  ///< by the id of a sister that has not heard all
  TaskScope telling_;
  TaskScope asking_;
};

}  // namespace berth::task
