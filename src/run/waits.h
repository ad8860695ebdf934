#pragma once
#include <map>
#include <optional>
#include <string>

#include "base/time.h"
#include "postgres/database.h"
#include "run/machine.h"

namespace terrane::run {

/// What is around a run that may be waiting.
struct Wait {
  Status status = Status::pending;
  bool goes_past = false;  ///< plan-only or a saved plan: no place in the workspace's queue, no lock
  std::string run;
  std::optional<std::string> lock_kind, lock_owner, lock_reason;
  std::optional<std::string> before;  ///< the first run of the workspace's queue
  std::int64_t runs_before = 0;
  std::int64_t jobs_before = 0;  ///< phases of all workspaces that come first
  std::int64_t nodes = 0, capacity = 0, executing = 0;
  /// The silent owner of this run's phase, or of the phase that holds the workspace.
  struct Silence {
    std::string run, node;
    Time since;
  };
  std::optional<Silence> silence;
};

/// Whether a run of this status may be waiting for something else than a person. Pure.
bool may_wait(Status status);

/// Why the run does not go on, in a sentence; nothing when it does, has ended, or waits for somebody to
/// confirm it. Pure.
std::optional<std::string> describe(const Wait& wait);

/// The same for runs as they are now, by id; those that wait for nothing are left out.
Task<std::map<std::string, std::string>> waiting_for(postgres::Tx& tx, const std::vector<std::string>& runs);

}  // namespace terrane::run
