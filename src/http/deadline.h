#pragma once
#include <functional>
#include <memory>
#include <set>

#include "net/io.h"

namespace terrane::http {

/// Time limits of many connections on one timer: moving a limit further away costs nothing but a store. Lives
/// in a shared_ptr.
class Deadlines : public std::enable_shared_from_this<Deadlines> {
 public:
  explicit Deadlines(net::Executor executor);
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  /// Stops the timer when no limit is set, so that it does not keep an executor busy.
  void rest();

  /// One connection's limit. `expire` is called when it passes; it may cancel operations but not destroy the
  /// entry.
  class Entry {
   public:
    Entry(std::shared_ptr<Deadlines> owner, std::function<void()> expire);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    /// The limit is from now on `after` away; forgets that an earlier one has passed.
    void set(net::Clock::duration after);
    /// There is no limit; `expired` stays as it was.
    void clear() noexcept { at_ = net::Clock::time_point::max(); }
    bool expired() const noexcept { return expired_; }

   private:
    friend class Deadlines;
    std::shared_ptr<Deadlines> owner_;
    std::function<void()> expire_;
    net::Clock::time_point at_ = net::Clock::time_point::max();
    bool expired_ = false;
  };

 private:
  struct Timer;
  void arm(net::Clock::time_point at);
  void fire();

  std::unique_ptr<Timer> timer_;
  net::Clock::time_point armed_ = net::Clock::time_point::max();
  std::set<Entry*> entries_;
};

}  // namespace terrane::http
