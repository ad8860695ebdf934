#pragma once
#include <memory>
#include <string>

#include "amqp/options.h"
#include "base/task.h"
#include "net/io.h"

namespace terrane::amqp {

/// Sends persistent messages to quorum queues, each confirmed by the broker. It has one connection, on a
/// thread of its own, and reconnects for ever. One executor, not thread-safe; destroy it before its executor,
/// which takes less than a second.
class Publisher {
 public:
  Publisher(net::Executor executor, Options options);
  ~Publisher();

  /// Suspends until the broker has the message durably. The queue is declared on first use of its name.
  /// Several may be under way at once. Throws Error{unavailable} when the broker is away, or has not
  /// confirmed after 5 s: then the message may have arrived all the same. Throws Error{too_large} for a body
  /// over 1 MiB.
  Task<> publish(std::string queue, std::string body);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::amqp
