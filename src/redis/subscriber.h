#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/io.h"
#include "redis/client.h"

namespace terrane::redis {

/// What a Subscriber listens to.
struct Subscription {
  std::vector<std::string> channels;
  std::vector<std::string> patterns;  ///< with * and ?, as Redis's PSUBSCRIBE
};

/// Listens on a connection of its own, reconnecting for ever. A message is a hint only: after each
/// (re)connect, when all subscriptions are in force, `on_message` is called with channel "" so that the
/// listener looks by itself at what it may have missed. One executor; destroy it before its executor.
class Subscriber {
 public:
  using Callback = std::function<void(const std::string& channel, const std::string& payload)>;
  Subscriber(net::Executor executor, Options options, Subscription subscription, Callback on_message);
  ~Subscriber();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::redis
