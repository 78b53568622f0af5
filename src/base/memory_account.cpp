#include "base/memory_account.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace berth {

namespace {

/// Principals that are remembered though they hold nothing.
constexpr std::size_t idle_holders_max = 1024;

}  // namespace

MemoryAccount::~MemoryAccount() {
  BERTH_CHECK(sum_ == 0 && watches_.empty(), "an account outlives its charges");
}

MemoryAccount::Charge MemoryAccount::open(std::string_view principal, Kind kind) {
  auto at = holders_.find(principal);
  if (at == holders_.end()) {
    if (holders_.size() >= idle_holders_max)
      std::erase_if(holders_, [](const auto& entry) { return entry.second.charges == 0; });
    at = holders_.emplace(principal, Holder{}).first;
  }
  return Charge(*this, at->second, kind);
}

std::size_t MemoryAccount::share(const Holder& holder) const {
  const std::size_t others = sum_ - holder.sum;
  return others < bytes_max_ ? (bytes_max_ - others) / 2 : 0;
}

bool MemoryAccount::fits(const Holder& holder, std::size_t bytes) const {
  const std::size_t most = share(holder);
  return holder.sum <= most && bytes <= most - holder.sum;
}

bool MemoryAccount::is_tight(std::string_view principal) const {
  if (sum_ >= bytes_max_ / 4 * 3) return true;
  if (principal.empty()) return false;
  const auto at = holders_.find(principal);
  return at != holders_.end() && at->second.sum >= share(at->second) / 3 * 2;
}

void MemoryAccount::move(Holder& holder, Kind kind, std::size_t up, std::size_t down) {
  const auto index = static_cast<std::size_t>(kind);
  holder.bytes[index] += up - down;
  holder.sum += up - down;
  bytes_[index] += up - down;
  sum_ += up - down;
  peak_ = std::max(peak_, sum_);
  if (down == 0) return;
  for (const auto& callback : watches_) callback();
}

MemoryAccount::Charge::Charge(MemoryAccount& account, Holder& holder, Kind kind)
    : account_(&account), holder_(&holder), kind_(kind) {
  ++holder.charges;
}

MemoryAccount::Charge::Charge(Charge&& other) noexcept
    : account_(other.account_),
      holder_(std::exchange(other.holder_, nullptr)),
      kind_(other.kind_),
      bytes_(std::exchange(other.bytes_, 0)) {}

MemoryAccount::Charge& MemoryAccount::Charge::operator=(Charge&& other) noexcept {
  std::swap(account_, other.account_);
  std::swap(holder_, other.holder_);
  std::swap(kind_, other.kind_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MemoryAccount::Charge::~Charge() {
  if (holder_ == nullptr) return;
  release();
  --holder_->charges;
}

bool MemoryAccount::Charge::grow(std::size_t bytes) {
  if (!fits(bytes)) {
    ++account_->refused_[static_cast<std::size_t>(kind_)];
    return false;
  }
  add(bytes);
  return true;
}

bool MemoryAccount::Charge::fits(std::size_t bytes) const { return account_->fits(*holder_, bytes); }

bool MemoryAccount::Charge::admits_message(std::size_t bytes) {
  if (bytes <= small_bytes_max || fits(bytes)) return true;
  ++account_->refused_[static_cast<std::size_t>(kind_)];
  return false;
}

bool MemoryAccount::Charge::take_message(std::size_t bytes) {
  const bool admitted = admits_message(bytes);
  if (admitted) add(bytes);
  return admitted;
}

void MemoryAccount::Charge::add(std::size_t bytes) {
  bytes_ += bytes;
  account_->move(*holder_, kind_, bytes, 0);
}

void MemoryAccount::Charge::shrink(std::size_t bytes) {
  BERTH_CHECK(bytes <= bytes_, "no more is given back than was taken");
  bytes_ -= bytes;
  account_->move(*holder_, kind_, 0, bytes);
}

MemoryAccount::Charge MemoryAccount::Charge::sibling(Kind kind) const { return {*account_, *holder_, kind}; }

MemoryAccount::Charge MemoryAccount::Charge::take() {
  Charge taken = sibling(kind_);
  std::swap(taken.bytes_, bytes_);
  return taken;
}

}  // namespace berth
