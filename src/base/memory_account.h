#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace berth {

/// The bytes a task holds on behalf of its callers, by principal: bodies, sessions, answers not yet sent.
/// Whoever holds something keeps a Charge, which gives its bytes back when it ends.
///
/// A principal may hold at most as much as is left free for all others: alone it can take half of the
/// account, beside one that did so a quarter, and there is always room for one who holds nothing. So the one
/// that holds most is refused first. One event loop.
class MemoryAccount {
 public:
  enum class Kind : std::uint8_t {
    request,  ///< bodies, from the first byte on, until they are answered
    session,  ///< what a legacy session or a listen stream keeps: capabilities, URIs, events to replay
    answer,   ///< what waits to be read by a client
  };
  static constexpr std::size_t kinds = 3;
  /// Requests and answers up to this size are taken in any case, so that a caller whose share is used up can
  /// still say and hear something; the number of connections bounds them.
  static constexpr std::size_t small_bytes_max = 4096;

  explicit MemoryAccount(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  /// Outlives its charges and watches.
  ~MemoryAccount();
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

 private:
  struct Holder {
    std::array<std::size_t, kinds> bytes{};
    std::size_t sum = 0;
    std::size_t charges = 0;
  };

 public:
  /// Bytes of one kind held for one principal, from 0 on.
  class Charge {
   public:
    Charge(Charge&& other) noexcept;
    Charge& operator=(Charge&& other) noexcept;
    ~Charge();

    /// `bytes` more; false when the principal's share does not allow it: then nothing has changed, and the
    /// refusal is counted.
    [[nodiscard]] bool grow(std::size_t bytes);
    /// Whether grow() would succeed.
    bool fits(std::size_t bytes) const;
    /// `bytes` more in any case: of what is small, or exists already.
    void add(std::size_t bytes);
    /// A request or an answer: grow(), but what is small is taken in any case.
    [[nodiscard]] bool take_message(std::size_t bytes);
    /// Whether take_message() would succeed; a refusal is counted here already.
    bool admits_message(std::size_t bytes);
    void shrink(std::size_t bytes);
    void release() { shrink(bytes_); }
    std::size_t bytes() const { return bytes_; }
    /// Another charge of the same principal.
    Charge sibling(Kind kind) const;
    /// The bytes so far as a charge of their own; this one goes on from 0.
    Charge take();

    /// What the principal holds by all its charges, of one kind or of all.
    std::size_t held(Kind kind) const { return holder_->bytes[static_cast<std::size_t>(kind)]; }
    std::size_t held() const { return holder_->sum; }
    /// What `bytes` more would be measured against.
    std::size_t share() const { return account_->share(*holder_); }

   private:
    friend class MemoryAccount;
    Charge(MemoryAccount& account, Holder& holder, Kind kind);

    MemoryAccount* account_;
    Holder* holder_;  ///< null once moved from
    Kind kind_;
    std::size_t bytes_ = 0;
  };
  Charge open(std::string_view principal, Kind kind);

  /// Calls back whenever something was given back, for as long as it lives.
  class Watch {
   public:
    Watch(MemoryAccount& account, std::function<void()> callback)
        : account_(account), place_(account.watches_.insert(account.watches_.end(), std::move(callback))) {}
    ~Watch() { account_.watches_.erase(place_); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    MemoryAccount& account_;
    std::list<std::function<void()>>::iterator place_;
  };

  /// Whether answers of `principal` had better not be fetched now: it holds two thirds of what it may, or all
  /// hold three quarters of everything. An empty `principal` asks for the latter alone.
  bool is_tight(std::string_view principal) const;

  std::size_t bytes_max() const { return bytes_max_; }
  void set_bytes_max(std::size_t bytes_max) { bytes_max_ = bytes_max; }
  std::size_t held() const { return sum_; }
  /// The most that was held since forget_peak().
  std::size_t peak() const { return peak_; }
  void forget_peak() { peak_ = sum_; }
  std::size_t held(Kind kind) const { return bytes_[static_cast<std::size_t>(kind)]; }
  std::uint64_t refused(Kind kind) const { return refused_[static_cast<std::size_t>(kind)]; }
  /// Times a server's output was left unread because is_tight().
  std::uint64_t pauses() const { return pauses_; }
  void count_pause() { ++pauses_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  /// The most that a principal may hold, given what the others hold.
  std::size_t share(const Holder& holder) const;
  bool fits(const Holder& holder, std::size_t bytes) const;
  void move(Holder& holder, Kind kind, std::size_t up, std::size_t down);

  std::size_t bytes_max_;
  std::size_t sum_ = 0;
  std::array<std::size_t, kinds> bytes_{};
  std::array<std::uint64_t, kinds> refused_{};
  std::size_t peak_ = 0;
  std::uint64_t pauses_ = 0;
  /// Those who hold nothing stay until there are many, so that a call costs no allocation.
  std::unordered_map<std::string, Holder, Hash, std::equal_to<>> holders_;
  std::list<std::function<void()>> watches_;
};

}  // namespace berth
