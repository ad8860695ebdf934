#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "net/io.h"
#include "sandbox/shim_side.h"

namespace terrane::shim {

/// Why a phase ends before its engine has ended by itself.
enum class Cause { none, canceled, forced, time_limit, silence, lease_closed };

/// Ends a phase early: SIGINT to the engine, SIGKILL to the sandbox after the grace, or at once. One
/// executor; copies share.
class Ender {
 public:
  /// `say` gets a line for the log.
  Ender(net::Executor executor, std::chrono::milliseconds grace, std::function<void(std::string_view)> say);

  /// The sandbox to act on; before, a wish is only noted.
  void attach(sandbox::Sandbox sandbox);
  /// Interrupts; the first cause stands. The second call changes nothing.
  void interrupt(Cause cause);
  /// Kills at once. The cause of an earlier interrupt stands.
  void kill(Cause cause);

  Cause cause() const noexcept;
  /// Whether nothing new may be started.
  bool ending() const noexcept { return cause() != Cause::none; }
  /// Suspends until the phase is to end early, at most `limit`. Returns whether it is.
  Task<bool> wait_for(net::Clock::duration limit);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace terrane::shim
