#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "net/io.h"
#include "postgres/database.h"

namespace terrane::outbox {

/// Queues of RabbitMQ. A message means "look": whoever gets it takes the best waiting row, whatever the
/// message named.
constexpr std::string_view jobs_queue = "terrane.jobs";  ///< a phase waits for a worker
constexpr std::string_view services_queue =
    "terrane.services";  ///< something waits for a service, e.g. a state to be parsed

/// Writes a message that leaves when `tx` commits, and wakes the relay.
Task<> write(postgres::Tx& tx, std::string_view queue, const json::object& body);

/// Sends a message to a queue and suspends until the broker has it durably, as amqp::Publisher does. Throws
/// Error when it is not known to be there.
using Publish = std::function<Task<>(std::string queue, std::string body)>;

/// Publishes unsent messages, and marks them sent only when the broker has confirmed them: a message may come
/// twice, never not at all. Several relays may run at once; each row is taken by one.
class Relay {
 public:
  /// `look_interval`: between looks of its own; 0: only `wake` makes it look.
  Relay(net::Executor executor, postgres::Database& database, Publish publish,
        std::chrono::milliseconds look_interval = std::chrono::seconds(2));
  /// Relays until `stop`.
  Task<> run(net::Stop& stop);
  /// Called when NOTIFY says that there is something.
  void wake() {
    woken_ = true;
    event_.notify();
  }

 private:
  Task<std::size_t> relay_once();
  postgres::Database& database_;
  Publish publish_;
  std::chrono::milliseconds look_interval_;
  net::Event event_;
  bool woken_ = false;
};

}  // namespace terrane::outbox
