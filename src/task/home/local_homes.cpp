#include <utility>

#include "task/home/home_table.h"

namespace berth::task {

namespace {

class LocalHomes final : public Homes {
 public:
  LocalHomes(const TaskIdentity& self, Clock& clock) : clock_(clock), table_(self) {}

  std::shared_ptr<Home> find(std::string_view key) override { return table_.find(key, clock_.now()); }
  Task<Place> settle(std::string key, From, std::span<const std::string>) override {
    co_return Place{table_.claim(key, false, clock_.now()), std::nullopt};
  }
  Task<Place> settle_sole(std::string key, From from, std::span<const std::string> tried) override {
    return settle(std::move(key), from, tried);
  }
  Task<std::shared_ptr<Home>> claim(std::string key) override {
    co_return table_.claim(key, false, clock_.now());
  }
  void give_up(std::string_view server) override { table_.give_up(server, clock_.now()); }
  void keep(Home& home) override { home.is_kept = true; }
  HomeLoad load(std::string_view server) const override { return table_.load(server); }
  std::size_t count(std::string_view server) const override { return table_.count(server); }

 private:
  Clock& clock_;
  HomeTable table_;
};

}  // namespace

std::unique_ptr<Homes> make_local_homes(const TaskIdentity& self, Clock& clock) {
  return std::make_unique<LocalHomes>(self, clock);
}

}  // namespace berth::task
