#include "task/edge/testing/memory_records.h"

namespace berth::task::testing {
namespace {

class View final : public SessionRecords {
 public:
  View(MemoryRecords& all, TaskIdentity self) : all_(all), self_(std::move(self)) {}

  Succession look(const std::string& session, std::uint64_t generation) override {
    if (!all_.available) return {Standing::unavailable, {}};
    const MemoryRecords::Name name{session, generation};
    if (const auto heir = all_.heirs.find(name); heir != all_.heirs.end())
      return {Standing::taken, heir->second};
    return {all_.ended.contains(name) ? Standing::over : Standing::open, {}};
  }
  Succession claim(const std::string& session, std::uint64_t generation) override {
    Succession found = look(session, generation);
    if (found.standing != Standing::open) return found;
    all_.heirs[{session, generation}] = self_;
    return {Standing::taken, self_};
  }
  Succession confirm(const std::string& session) override {
    const auto heir = all_.heirs.find({session, self_.generation});
    return heir == all_.heirs.end() ? Succession{Standing::open, {}}
                                    : Succession{Standing::taken, heir->second};
  }
  void end(const std::string& session) override {
    all_.ended.insert({session, self_.generation});
    all_.kept.erase({session, self_.generation});
  }
  void flush() override {}
  void keep(const std::string& session, std::string_view text) override {
    all_.kept[{session, self_.generation}] = text;
  }
  std::string kept(const std::string& session, std::uint64_t generation) override {
    const auto at = all_.kept.find({session, generation});
    return at == all_.kept.end() ? std::string() : at->second;
  }

 private:
  MemoryRecords& all_;
  TaskIdentity self_;
};

}  // namespace

std::unique_ptr<SessionRecords> MemoryRecords::of(TaskIdentity self) {
  return std::make_unique<View>(*this, std::move(self));
}

}  // namespace berth::task::testing
