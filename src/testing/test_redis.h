#pragma once
#include <csignal>
#include <optional>
#include <string>

#include "testing/child.h"

namespace terrane::testing {

/// A real Redis that listens on a unix socket in a temporary directory only and keeps nothing. It ends with
/// the object or the test's process. All calls block.
class TestRedis {
 public:
  /// Starts it; `password` may be empty.
  explicit TestRedis(std::string password = {});
  ~TestRedis();

  std::string socket() const { return (directory_.path() / "redis.sock").string(); }
  /// Starts the killed server, empty, and waits until it takes connections.
  void start();
  /// SIGKILL.
  void kill();
  /// SIGSTOP and SIGCONT: it takes connections but does not answer.
  void pause() { server_->signal(SIGSTOP); }
  void resume() { server_->signal(SIGCONT); }

 private:
  TestDirectory directory_;
  std::string password_;
  std::optional<Child> server_;
};

}  // namespace terrane::testing
