#pragma once
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>

#include "testing/child.h"

namespace terrane::testing {

/// A real RabbitMQ on ports of 127.0.0.1, with a port mapper of its own. Starting takes 5 to 20 s. It ends
/// with the test's process. All calls block.
class TestRabbit {
 public:
  /// The process's common broker, started on first use. A test that stops it starts it again.
  static TestRabbit& shared();
  TestRabbit();
  ~TestRabbit();

  std::uint16_t port() const noexcept { return port_; }
  std::string user() const { return "terrane"; }
  std::string password() const { return "test-password"; }
  std::string vhost() const { return "/terrane"; }

  /// Starts the killed broker and waits until it takes connections.
  void start();
  /// SIGKILL to all its processes.
  void kill();
  /// SIGSTOP and SIGCONT: it takes connections but does not answer.
  void pause() { broker_->signal(SIGSTOP, true); }
  void resume() { broker_->signal(SIGCONT, true); }
  /// Whether the broker's directory of quorum queues on disk names this one: it is written a moment after the
  /// queue is made, and a broker that is killed before loses the queue.
  bool has_written(const std::string& queue) const;

 private:
  TestDirectory directory_;
  std::uint16_t port_;
  int mapper_port_;
  int peer_port_;
  std::optional<Child> mapper_;
  std::optional<Child> broker_;
};

}  // namespace terrane::testing
