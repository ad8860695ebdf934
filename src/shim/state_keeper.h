#pragma once
#include <memory>
#include <optional>
#include <string>

#include "net/io.h"
#include "shim/job_api.h"
#include "shim/run_files.h"
#include "shim/slots.h"
#include "shim/spool.h"
#include "shim/state_file.h"

namespace terrane::shim {

/// Seals a state file under a slot into the spool, durably, and collects its instances; nothing when it
/// changed meanwhile. It blocks. Throws Error{internal}.
std::optional<SpooledState> seal_state(const Spool& spool, int descriptor, const StateFacts& facts,
                                       const worker_protocol::Slot& slot, bool intermediate,
                                       Instances& instances);

/// Uploads a spooled state and makes it known; then takes it off the spool. A state that the control plane
/// refuses (Error{invalid}) is offered as recovered, and the refusal thrown. Throws as JobApi; repeat it with
/// `persistently`.
Task<> send_state(JobApi& api, Lease lease, Spool spool, SpooledState spooled);

/// Sets room aside in the run directory for the engine's next state and for its events: a run that fills its
/// disk must not lose what it did.
void reserve_room(const RunFiles& files, const std::string& state_file, std::uint64_t disk_bytes);

/// Keeps each complete state that the engine writes: sealed in the spool first, then sent at once. At most
/// two wait in the spool; the newer wins. One executor; one engine command at a time.
class StateKeeper {
 public:
  /// `known` is the state that the phase began with, if any: it is not sent again.
  StateKeeper(net::Executor executor, JobApi& api, Slots& slots, const Spool& spool,
              std::shared_ptr<RunFiles> files, std::optional<StateFacts> known, std::uint64_t disk_bytes);
  ~StateKeeper();

  /// Looks for new states each 250 ms from now on, until `finish`.
  void watch();
  /// Takes the last state, as no intermediate one, into the spool; the engine has ended. What it throws is
  /// about the spool.
  Task<> take_last();
  /// The resources of the last state that was kept.
  const Instances& saved() const noexcept;
  /// Suspends until everything is acknowledged. Throws Error{conflict} when the lease is closed, {invalid}
  /// when a state was refused.
  Task<> sent();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::shim
