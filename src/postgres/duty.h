#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/io.h"

namespace terrane::postgres {

/// Work that one of several processes does at a time, under an advisory lock. The lock only spares work: what
/// it guards must be right when two do it at once, since a lock is lost with its connection and nobody
/// notices at that very moment. And a holder may hang: who has waited for `patience` does the work for a
/// moment without the lock, so that it never rests on one process.
class Duty {
 public:
  /// The work itself: it goes on until its stop is requested.
  using Work = std::function<Task<>(net::Stop&)>;
  static constexpr std::chrono::seconds default_patience{30};

  /// `wake` is called at a stop, for work that waits for something else than its stop; may be empty.
  /// `locked` false: the work is done whoever else does it (a setting for tests).
  Duty(net::Executor executor, std::string url, std::int64_t key, bool locked, Work work,
       std::function<void()> wake = {}, std::chrono::milliseconds patience = default_patience);

  /// Waits for the lock, works while it is held, and so on until `stop`. What the work throws is logged, and
  /// it begins again a second later. What the duty works on must outlive the executor's last turn.
  Task<> run(net::Stop& stop);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::postgres
