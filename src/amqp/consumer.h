#pragma once
#include <functional>
#include <memory>
#include <string>

#include "amqp/options.h"
#include "net/io.h"

namespace terrane::amqp {

/// A message of a queue.
struct Delivery {
  std::string body;
  /// Takes the message off the queue; without it, it comes again on the next connection of any consumer. Call
  /// it on the consumer's executor. It does nothing the second time, or when the connection of the delivery
  /// or the consumer is gone.
  std::function<void()> ack;
};

/// Receives the messages of one quorum queue, which it declares. It has one connection, on a thread of its
/// own, and reconnects for ever, with pauses of 0.2 to 2 s. One executor; destroy it before its executor,
/// which takes less than a second.
class Consumer {
 public:
  using Callback = std::function<void(Delivery)>;
  /// At most `prefetch` messages are delivered and not acknowledged at any time. `on_connected` is called
  /// after each (re)connect, when consuming has begun. Both are called on the executor; what they throw is
  /// logged.
  Consumer(net::Executor executor, Options options, std::string queue, std::uint16_t prefetch,
           Callback on_delivery, std::function<void()> on_connected = {});
  ~Consumer();

  /// Changes the limit; with 0 nothing more is delivered until it is raised again. What is on its way at that
  /// moment still comes.
  void set_prefetch(std::uint16_t prefetch);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::amqp
