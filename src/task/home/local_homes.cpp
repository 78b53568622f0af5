#include <utility>

#include "task/home/home_table.h"

namespace berth::task {

namespace {

class LocalHomes final : public Homes {
 public:
  explicit LocalHomes(const TaskIdentity& self) : table_(self) {}

  std::shared_ptr<Home> find(std::string_view key) override { return table_.find(key, TimePoint{}); }
  Task<Place> settle(std::string key, From, std::span<const std::string>) override {
    co_return Place{table_.claim(key, false, TimePoint{}), std::nullopt};
  }
  void keep(Home& home) override { home.is_kept = true; }
  std::size_t count(std::string_view server) const override { return table_.count(server); }

 private:
  HomeTable table_;
};

}  // namespace

std::unique_ptr<Homes> make_local_homes(const TaskIdentity& self) {
  return std::make_unique<LocalHomes>(self);
}

}  // namespace berth::task
