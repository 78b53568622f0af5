#include "deploy/stack_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "aws/time_text.h"

namespace berth::deploy {
namespace {

namespace json = boost::json;

constexpr int pages_max = 50;  // of events between two polls
constexpr std::size_t tasks_known_max = 200;

StackEvent event_of(const json::object& object) {
  return StackEvent{.id = aws::text(object, "EventId"),
                    .time = aws::text(object, "Timestamp"),
                    .resource = aws::text(object, "LogicalResourceId"),
                    .type = aws::text(object, "ResourceType"),
                    .physical = aws::text(object, "PhysicalResourceId"),
                    .status = aws::text(object, "ResourceStatus"),
                    .reason = aws::text(object, "ResourceStatusReason"),
                    .token = aws::text(object, "ClientRequestToken")};
}

bool begins_operation(const StackEvent& event) {
  return event.type == "AWS::CloudFormation::Stack" &&
         (event.status == "CREATE_IN_PROGRESS" || event.status == "UPDATE_IN_PROGRESS" ||
          event.status == "DELETE_IN_PROGRESS");
}

/// "arn:aws:ecs:region:account:service/cluster/name" → {"cluster", "name"}.
std::pair<std::string, std::string> service_of(const std::string& arn) {
  const std::size_t first = arn.find('/');
  const std::size_t last = arn.rfind('/');
  if (first == std::string::npos || first == last) return {};
  return {arn.substr(first + 1, last - first - 1), arn.substr(last + 1)};
}

/// Of an event, since the epoch; 0 where it cannot be read.
double seconds_of(const std::string& time) {
  const auto parsed = aws::parse_rfc3339(time);
  return parsed ? static_cast<double>(to_unix_ms(*parsed)) / 1000 : 0;
}

class Watch {
 public:
  Watch(aws::Client& client, Clock& clock, WatchOptions options, StackListener& listener)
      : client_(client), clock_(clock), options_(std::move(options)), listener_(listener) {
    seen_ = options_.since;
  }

  Task<aws::Reply<StackEnd>> run() {
    const TimePoint begin = clock_.now();
    TimePoint answered = begin;
    while (true) {
      const auto done = co_await poll();
      const bool passing = !done && is_passing(done.error());
      if (!done && (!passing || clock_.now() - answered > options_.outage_max))
        co_return std::unexpected(done.error());
      if (!done && !lost_)
        listener_.on_notice("No answer from AWS; the operation goes on by itself. Asking again…");
      if (done && lost_) listener_.on_notice("AWS answers again.");
      lost_ = !done;
      if (done) answered = clock_.now();
      if (done && *done) co_return end_;
      if (clock_.now() - begin > options_.timeout) {
        end_.evidence.status = end_.state.status;
        co_return end_;
      }
      co_await clock_.sleep_for(options_.poll);
    }
  }

 private:
  /// True once the operation has ended. The state is read before the events, so that an ended stack's
  /// events are complete.
  Task<aws::Reply<bool>> poll() {
    auto state = co_await describe_stack(client_, options_.stack);
    if (!state) co_return std::unexpected(state.error());
    if (!state->exists() && !end_.state.exists() && first_) {
      end_.ok = true;
      co_return true;
    }
    first_ = false;
    const auto read = co_await read_events();
    if (!read && !(read.error().is("ValidationError") && !state->exists()))
      co_return std::unexpected(read.error());
    // Once more when it has failed: the rollback takes service and tasks away.
    const bool look = service_busy_ || service_failed_;
    service_failed_ = false;
    if (look) co_await look_at_tasks();
    if (look) co_await look_at_service();
    listener_.on_progress(done_.size(), busy());
    end_.state = *state;
    const bool cleaning = state->status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" && !options_.through_cleanup;
    if (in_progress(state->status) && !cleaning) co_return false;
    end_.ok = !state->exists() || state->status == "CREATE_COMPLETE" || state->status == "UPDATE_COMPLETE" ||
              cleaning;
    if (!end_.ok) co_await gather();
    co_return true;
  }

  Task<aws::Reply<void>> read_events() {
    std::vector<StackEvent> fresh;
    std::string token;
    bool reached = false;
    for (int page = 0; page < pages_max && !reached; ++page) {
      json::object input{{"StackName", options_.stack}};
      if (!token.empty()) input["NextToken"] = token;
      const auto reply = co_await client_.call("cloudformation", "DescribeStackEvents", std::move(input));
      if (!reply) co_return std::unexpected(reply.error());
      for (const json::value& item : aws::array(*reply, "StackEvents")) {
        if (!item.is_object()) continue;
        StackEvent event = event_of(item.get_object());
        if (event.id == seen_) reached = true;
        if (reached) break;
        const bool first = seen_.empty() && begins_operation(event);
        fresh.push_back(std::move(event));
        if (first) reached = true;
        if (reached) break;
      }
      token = aws::text(*reply, "NextToken");
      if (token.empty()) break;
    }
    if (!fresh.empty()) seen_ = fresh.front().id;
    for (auto event = fresh.rbegin(); event != fresh.rend(); ++event) take(*event);
    co_return aws::Reply<void>();
  }

  void take(const StackEvent& event) {
    if (event.type != "AWS::CloudFormation::Stack") {
      const bool ended = !in_progress(event.status);
      if (ended && !event.failed()) done_.insert(event.resource);
      if (ended) {
        busy_.erase(event.resource);
      } else {
        busy_[event.resource] = event.type;
      }
      if (event.failed()) end_.evidence.failures.push_back(event);
    }
    if (event.type == "AWS::ECS::Service") {
      service_busy_ = in_progress(event.status);
      service_failed_ = service_failed_ || event.failed();
      if (service_busy_ && service_since_ == 0) service_since_ = seconds_of(event.time);
      const auto [cluster, service] = service_of(event.physical);
      if (!service.empty()) cluster_ = cluster;
      if (!service.empty()) service_ = service;
    }
    const std::string record = validation_record(event.reason);
    if (!record.empty() && records_.insert(record).second) {
      listener_.on_notice(fmt::format(
          "The certificate waits for this record in the DNS of its domain; the deploy goes on once it is "
          "there:\n  {}",
          record));
    }
    listener_.on_event(event);
  }

  std::vector<std::string> busy() const {
    std::vector<std::string> out;
    for (const auto& [resource, type] : busy_) out.push_back(resource);
    return out;
  }

  Task<void> look_at_tasks() {
    if (service_.empty()) co_return;
    StoppedFilter filter{.known = {}, .since = service_since_};
    for (const TaskEnd& task : end_.evidence.tasks) filter.known.push_back(task.id);
    if (filter.known.size() >= tasks_known_max) co_return;
    const auto stopped = co_await stopped_tasks(client_, cluster_, service_, std::move(filter));
    if (!stopped) co_return;
    for (const TaskEnd& task : *stopped) {
      if (end_.evidence.tasks.empty())
        listener_.on_notice(fmt::format("A task stopped: {} {}", task.reason, task.container_reason));
      end_.evidence.tasks.push_back(task);
    }
  }

  /// Where ECS cannot place tasks it goes on trying for hours: whoever waits is told now.
  Task<void> look_at_service() {
    if (service_.empty()) co_return;
    const auto service = co_await describe_service(client_, cluster_, service_);
    if (!service) co_return;
    for (const std::string& event : events_since(*service, service_since_)) {
      if (event.find("unable to") == std::string::npos) continue;
      Evidence evidence;
      evidence.service_events.push_back(event);
      const Explanation why = explain(evidence);
      if (!causes_.insert(why.cause).second) continue;
      listener_.on_notice(fmt::format(
          "{} {} ECS goes on trying meanwhile; `berth rollback` ends an update, `berth destroy` a first "
          "deploy.\n  {}",
          why.cause, why.remedy, event));
    }
  }

  Task<void> gather() {
    end_.evidence.status = end_.state.status;
    co_await look_at_tasks();
    if (service_.empty()) co_return;
    const auto service = co_await describe_service(client_, cluster_, service_);
    if (service) end_.evidence.service_events = events_since(*service, service_since_);
  }

  aws::Client& client_;
  Clock& clock_;
  WatchOptions options_;
  StackListener& listener_;
  StackEnd end_;
  std::string seen_;
  std::set<std::string> done_;
  std::map<std::string, std::string> busy_;
  std::set<std::string> records_;
  std::set<std::string> causes_;  ///< that were told of
  std::string cluster_, service_;
  bool service_busy_ = false;
  bool service_failed_ = false;  ///< since the last look
  double service_since_ = 0;     ///< when its work began, seconds since the epoch
  bool first_ = true;
  bool lost_ = false;
};

}  // namespace

std::string validation_record(const std::string& reason) {
  if (reason.find("DNS Record") == std::string::npos) return {};
  auto field = [&](std::string_view name) {
    const std::size_t at = reason.find(fmt::format("{}: ", name));
    if (at == std::string::npos) return std::string();
    const std::size_t begin = at + name.size() + 2;
    return reason.substr(begin, reason.find_first_of(",}", begin) - begin);
  };
  const std::string name = field("Name");
  const std::string value = field("Value");
  return name.empty() || value.empty() ? "" : fmt::format("{} {} {}", name, field("Type"), value);
}

Task<aws::Reply<std::string>> last_event(aws::Client& client, std::string stack) {
  json::object input{{"StackName", stack}};
  const auto reply = co_await client.call("cloudformation", "DescribeStackEvents", std::move(input));
  if (!reply) {
    if (reply.error().is("ValidationError")) co_return std::string();
    co_return std::unexpected(reply.error());
  }
  for (const json::value& event : aws::array(*reply, "StackEvents")) {
    if (event.is_object()) co_return aws::text(event.get_object(), "EventId");
  }
  co_return std::string();
}

Task<aws::Reply<StackEnd>> watch_stack(aws::Client& client, Clock& clock, WatchOptions options,
                                       StackListener& listener) {
  Watch watch(client, clock, std::move(options), listener);
  co_return co_await watch.run();
}

}  // namespace berth::deploy
