/// A server that does a little of everything: structured results, progress, a question to the user in the
/// middle of a call, a resource that clients can watch, and a prompt with completion. State lives in this
/// process; a service of several tasks keeps it on the shared volume instead, as the built-in workspace
/// server does.
#include <map>

#include "berth/berth.h"

namespace {

using namespace std::chrono_literals;

enum class Means { train, plane, bicycle };
BOOST_DESCRIBE_ENUM(Means, train, plane, bicycle)

struct PlanArguments {
  std::string city;
  std::int32_t days = 2;

  static void annotate(berth::Notes<PlanArguments>& note) {
    note(&PlanArguments::city).description("Where to go.").length(1, 80);
    note(&PlanArguments::days).description("For how many days.").range(1, 30).optional();
  }
};
BOOST_DESCRIBE_STRUCT(PlanArguments, (), (city, days))

/// What the user is asked; clients show a form with a list and a check box.
struct Wishes {
  Means means = Means::train;
  bool window_seat = true;

  static void annotate(berth::Notes<Wishes>& note) {
    note(&Wishes::means).title("How would you like to travel?");
    note(&Wishes::window_seat).title("Window seat").optional();
  }
};
BOOST_DESCRIBE_STRUCT(Wishes, (), (means, window_seat))

struct Trip {
  std::string city;
  std::int32_t days = 0;
  std::string means;
  std::vector<std::string> steps;
};
BOOST_DESCRIBE_STRUCT(Trip, (), (city, days, means, steps))

struct City {
  std::string city;
};
BOOST_DESCRIBE_STRUCT(City, (), (city))

std::string_view to_string(Means means) {
  switch (means) {
    case Means::train: return "train";
    case Means::plane: return "plane";
    case Means::bicycle: return "bicycle";
  }
  return "train";
}

class Planner {
 public:
  explicit Planner(berth::Server& server) : server_(server) {
    server
        .tool<PlanArguments>(
            "plan", "Plans a trip; asks the user how to travel.",
            [this](const PlanArguments& wanted, berth::Call& call) { return plan(wanted, call); })
        .title("Plan a trip")
        .additive();
    server
        .resource_template<City>("trip://{city}", "trip",
                                 [this](const City& wanted) { return find(wanted.city); })
        .description("A planned trip; watch it to hear of changes.")
        .media_type("application/json")
        .complete("city", [this](const berth::Completion& typed) { return cities(typed.value); });
    server
        .prompt<City>(
            "pack", "What to pack for a trip.",
            [](const City& wanted) { return "What should I pack for a trip to " + wanted.city + "?"; })
        .complete("city", [this](const berth::Completion& typed) { return cities(typed.value); });
  }

 private:
  berth::Task<berth::Result<Trip>> plan(PlanArguments wanted, berth::Call& call) {
    const auto wishes = co_await call.elicit<Wishes>("How shall we get to " + wanted.city + "?");
    if (!wishes.accepted())
      co_return berth::fail(berth::ErrorCode::cancelled, "The user does not want to travel.");

    Trip trip{.city = wanted.city,
              .days = wanted.days,
              .means = std::string(to_string(wishes.value.means)),
              .steps = {}};
    for (std::int32_t day = 1; day <= wanted.days; ++day) {
      trip.steps.push_back("Day " + std::to_string(day) + ": see " + wanted.city);
      call.progress(day, wanted.days, trip.steps.back());
      co_await call.clock().sleep_for(100ms);
    }
    trips_[trip.city] = trip;
    server_.resource_updated("trip://" + trip.city);
    co_return trip;
  }

  std::optional<std::string> find(const std::string& city) const {
    const auto trip = trips_.find(city);
    if (trip == trips_.end()) return std::nullopt;
    return berth::to_json(trip->second);
  }

  std::vector<std::string> cities(std::string_view typed) const {
    std::vector<std::string> known{"Amsterdam", "Athens", "Berlin", "Lisbon"};
    for (const auto& [city, trip] : trips_) known.push_back(city);
    return berth::starting_with(typed, known);
  }

  berth::Server& server_;
  std::map<std::string, Trip> trips_;
};

}  // namespace

int main(int argc, char** argv) {
  berth::Server server{"trip-planner", "1.0"};
  server.title("Trip planner").instructions("Plan with `plan`; read what was planned under trip://CITY.");
  const Planner planner(server);
  return berth::run(server, argc, argv);
}
