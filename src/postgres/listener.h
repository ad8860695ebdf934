#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/io.h"
#include "postgres/database.h"

namespace terrane::postgres {

/// LISTENs on a connection of its own, reconnecting for ever. A notification is a hint only: after each
/// (re)connect `on_notify` is called with channel "" so that the listener looks by itself at what it may have
/// missed.
class Listener {
 public:
  using Callback = std::function<void(const std::string& channel, const std::string& payload)>;
  Listener(net::Executor executor, std::string url, std::vector<std::string> channels, Callback on_notify);
  ~Listener();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// A session-level advisory lock on a connection of its own: it spares work among several backgrounds and is
/// never what correctness rests on. `held` turns false as soon as the connection is known broken.
class AdvisoryLock {
 public:
  AdvisoryLock(net::Executor executor, std::string url, std::int64_t key);
  ~AdvisoryLock();
  /// Suspends until the lock is held or `stop` is requested; returns whether it is held.
  Task<bool> acquire(net::Stop& stop);
  bool held() const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::postgres
