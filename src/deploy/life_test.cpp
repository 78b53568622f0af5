#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/testing/sim_clock.h"
#include "deploy/destroy.h"
#include "deploy/pipeline.h"
#include "deploy/pipeline_image.h"
#include "deploy/template.h"
#include "deploy/testing/fake_account.h"
#include "model/parse.h"

/// Whatever is deployed, renamed, destroyed and interrupted from one folder, in whatever order: nothing is
/// deleted that a stack which stands holds, or that another service made; and once every service is destroyed
/// with its data, nothing is left. Other lives: BERTH_LIVES=FIRST+COUNT, as 1000+300.
namespace berth::deploy {
namespace {

namespace fs = std::filesystem;
using testing::CutClient;
using testing::FakeAccount;
using testing::FakeImages;
using testing::FakeProgress;

/// Each composes templates half a dozen times, which is most of its half a second under ASan.
struct Lives {
  unsigned first = 0;
  unsigned count = 4;
};
constexpr int steps_of_a_life = 7;
constexpr int seconds_max = 7200;
constexpr int seconds_until_cut = 60;
constexpr std::array services = {"stage", "prod", "renamed"};

struct Region {
  explicit Region(const std::string& name, int first_id) : account(name, first_id) { account.answer_data(); }
  FakeAccount account;
  FakeImages images{account};
};

class Life {
 public:
  explicit Life(unsigned seed) : random_(seed) {
    std::string path = (fs::temp_directory_path() / "berth-life-XXXXXX").string();
    folder_ = mkdtemp(path.data());
    std::ofstream program(folder_ + "/berth");
    program << std::string(
                   "\x7f"
                   "ELF\x02\x01",
                   6)
            << std::string(12, '\0') << static_cast<char>(own_architecture() == "arm64" ? 183 : 62)
            << std::string(45, '\0');
    for (std::unique_ptr<Region>& region : regions_) {
      FakeAccount& account = region->account;
      account.on_delete = [this, &account](const std::string& id) { check_deletion(account, id); };
    }
  }
  ~Life() { fs::remove_all(folder_); }

  void run() {
    for (int i = 0; i < steps_of_a_life && !::testing::Test::HasFailure(); ++i) step();
    for (std::unique_ptr<Region>& region : regions_) {
      for (const std::string service : services) destroy_all(*region, service, DataFate::remove, no_cut);
      EXPECT_TRUE(region->account.stacks.empty()) << story_;
      EXPECT_TRUE(region->account.data.empty()) << story_ << region->account.data.begin()->first;
    }
    EXPECT_TRUE(records().empty()) << story_;
  }

 private:
  static constexpr int no_cut = -1;

  int any(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void step() {
    Region& region = *regions_.at(static_cast<std::size_t>(any(2)));
    const std::string service = services.at(static_cast<std::size_t>(any(3)));
    const int cut = any(3) == 0 ? any(70) : no_cut;
    const int kind = any(6);
    if (kind < 4) return deploy(region, service, cut, kind == 3);
    destroy_all(region, service, kind == 4 ? DataFate::keep : DataFate::remove, cut);
  }

  void tell(const Region& region, std::string_view what, const std::string& service, int cut) {
    story_ += fmt::format("{} {} in {}", what, service, region.account.client.region());
    story_ += cut == no_cut ? "\n" : fmt::format(", cut after {} calls\n", cut);
  }

  /// A third of the interruptions let the last call take effect unheard.
  std::unique_ptr<aws::Client> client_of(Region& region, int cut) {
    const std::size_t calls = cut == no_cut ? std::size_t{1} << 30 : static_cast<std::size_t>(cut);
    const auto how = any(3) == 0 ? CutClient::Cut::after : CutClient::Cut::before;
    return std::make_unique<CutClient>(region.account.client, clock_, calls, how);
  }

  template <class T>
  static Task<void> keep(Task<T> task, std::optional<T>& out) {
    T result = co_await std::move(task);
    out.emplace(std::move(result));
  }
  /// Empty: it was cut off.
  template <class T>
  std::optional<T> wait(Task<T> task, int cut) {
    std::optional<T> out;
    TaskScope scope(loop_.get_executor());
    scope.spawn(keep(std::move(task), out));
    const int seconds = cut == no_cut ? seconds_max : seconds_until_cut;
    for (int second = 0; second < seconds && !out; ++second) {
      clock_.run_until_idle();
      if (!out) clock_.advance(std::chrono::seconds(1));
    }
    scope.cancel();
    clock_.run_until_idle();
    return out;
  }

  model::Spec spec_of(const Region& region, const std::string& service) {
    const std::string text = fmt::format("name: {}\nserver: {{builtin: workspace}}\naws: {{region: {}}}\n",
                                         service, region.account.client.region());
    model::SpecSource source{
        .text = text, .file = "berth.yaml", .directory = folder_, .environment = {}, .keep_variables = true};
    return model::parse_spec(source).value();
  }

  void deploy(Region& region, const std::string& service, int cut, bool new_file_system) {
    tell(region, new_file_system ? "deploy with a new file system" : "deploy", service, cut);
    region.account.replaces_file_system = new_file_system;
    region.images.source = fmt::format("source {}", any(3));
    const std::unique_ptr<aws::Client> client = client_of(region, cut);
    DeployWorld world{.client = *client,
                      .images = region.images,
                      .clock = clock_,
                      .progress = progress_,
                      .environment = {}};
    DeployOptions options{.spec = spec_of(region, service),
                          .state_directory = state_directory(),
                          .berth = folder_ + "/berth",
                          .image = {},
                          .prove = {}};
    const std::unique_ptr<Pipeline> pipeline = make_pipeline(std::move(world), std::move(options));
    const auto done = wait(pipeline->run(), cut);
    if (cut == no_cut) {
      ASSERT_TRUE(done && *done) << story_ << (done ? done->error().message() : "It did not end.");
    }
  }

  Task<Result<Remains>> destroy_as_the_verb(aws::Client& client, Names of, Record record, DataFate fate) {
    const std::optional<Record> known = read_record(state_directory(), key_of(record));
    const Result<Standing> standing = co_await look_around(client, of, known);
    if (!standing) co_return Failure(standing.error());
    const Record own = known.value_or(record);
    if (standing->nothing()) {
      remove_record(state_directory(), key_of(record));
      co_return Remains();
    }
    const Result<void> written = record_standing(state_directory(), own, *standing);
    if (!written) co_return Failure(written.error());
    StackWorld world{.client = client, .clock = clock_, .progress = progress_};
    Result<Remains> remains = co_await destroy(world, of, *standing, DestroyOptions{.data = fate});
    if (remains) static_cast<void>(record_remains(state_directory(), own, *remains));
    co_return remains;
  }

  void destroy_all(Region& region, const std::string& service, DataFate fate, int cut) {
    tell(region, fate == DataFate::remove ? "destroy, with data," : "destroy, keeping data,", service, cut);
    destroying_ = service;
    const std::unique_ptr<aws::Client> client = client_of(region, cut);
    Record record{.region = region.account.client.region(),
                  .account = "123456789012",
                  .service_stack = service,
                  .base_stack = service + "-base"};
    const auto done =
        wait(destroy_as_the_verb(*client, names(spec_of(region, service)), std::move(record), fate), cut);
    destroying_.clear();
    if (cut == no_cut) {
      ASSERT_TRUE(done && *done) << story_ << (done ? done->error().message() : "It did not end.");
    }
  }

  void check_deletion(const FakeAccount& account, const std::string& id) {
    EXPECT_TRUE(account.data.contains(id)) << story_ << id << " is not there";
    if (account.data.contains(id)) {
      EXPECT_EQ(account.data.at(id), destroying_) << story_ << id;
    }
    for (const std::string& holder : account.holders_of(id))
      ADD_FAILURE() << story_ << id << " is held by the stack " << holder;
  }

  std::string state_directory() const { return folder_ + "/.berth"; }
  std::vector<std::string> records() const {
    std::vector<std::string> out;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(state_directory() + "/deployed", none))
      out.push_back(entry.path().string());
    return out;
  }

  std::mt19937 random_;
  asio::io_context loop_;
  ::berth::testing::SimClock clock_{loop_};
  FakeProgress progress_;
  std::array<std::unique_ptr<Region>, 2> regions_{std::make_unique<Region>("us-east-1", 1),
                                                  std::make_unique<Region>("eu-central-1", 1000)};
  std::string folder_;
  std::string destroying_;  ///< the service whose data may go
  std::string story_;
};

Lives lives() {
  Lives out;
  const char* const asked = std::getenv("BERTH_LIVES");
  if (asked != nullptr && std::sscanf(asked, "%u+%u", &out.first, &out.count) != 2)
    ADD_FAILURE() << "BERTH_LIVES is FIRST+COUNT, as 1000+300, not " << asked;
  return out;
}

TEST(Life, of_services_in_one_folder_never_costs_another_its_data_and_ends_with_nothing_left) {
  const auto [first, count] = lives();
  for (unsigned seed = first; seed < first + count && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
  }
}

}  // namespace
}  // namespace berth::deploy
