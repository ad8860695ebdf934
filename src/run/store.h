#pragma once
#include <optional>
#include <string>
#include <vector>

#include "postgres/database.h"
#include "run/run.h"
#include "workspace/workspace.h"

namespace terrane::run {

Task<std::optional<Run>> find(postgres::Tx& tx, const std::string& id);
/// The same with the run's row locked until the transaction ends. Locks are taken in the order workspace,
/// run, job, everywhere.
Task<std::optional<Run>> find_locked(postgres::Tx& tx, const std::string& id);
/// The runs with these ids, the newest first.
Task<std::vector<Run>> find_runs(postgres::Tx& tx, const std::vector<std::string>& ids);
Run run_from_row(const postgres::Row& row);

Task<std::vector<PhaseRecord>> find_plans(postgres::Tx& tx, const std::vector<std::string>& ids);
Task<std::vector<PhaseRecord>> find_applies(postgres::Tx& tx, const std::vector<std::string>& ids);
Task<std::optional<PhaseRecord>> find_plan(postgres::Tx& tx, const std::string& id);
Task<std::optional<PhaseRecord>> find_apply(postgres::Tx& tx, const std::string& id);

/// Who did it and why, for the run's events and its trace.
struct Cause {
  std::string who;                   ///< a user's id, `background`, a node
  std::string action;                ///< the run event's action as API v2 names them; empty: no event
  json::object detail;               ///< for the trace
  std::optional<std::string> error;  ///< the run's error message
};

/// Makes one transition of the machine and all that belongs to it: the status with its time, the plan's and
/// apply's status, an event, the trace; when the run has ended, the workspace's lock and the run's tokens.
/// The caller holds the workspace's and the run's row. Throws Error{conflict} when the machine does not allow
/// it. `run.status` is the new one afterwards.
Task<> transition(postgres::Tx& tx, Run& run, Event event, Cause cause);

/// What follows from an applied run in the same transaction: its configuration is the workspace's own, and
/// run triggers are set off.
Task<> after_applied(postgres::Tx& tx, const Run& run);

/// Writes a line of the run's trace.
Task<> trace(postgres::Tx& tx, const std::string& run, std::string_view who, std::string_view what,
             const json::object& detail);

/// Queues an attempt at a phase and its message to the workers.
Task<> queue_job(postgres::Tx& tx, const Run& run, worker_protocol::Phase phase);

/// Records what is wished for the run's executing phase, and the message that makes its node look at once.
/// Repeating it changes nothing, and nothing takes the place of a forced cancel. The caller holds the run's
/// row.
Task<> wish(postgres::Tx& tx, const Run& run, worker_protocol::Wish wanted);

/// What a new run is made of.
struct NewRun {
  Run run;                            ///< what was asked for; its id is made already
  std::optional<std::string> sealed;  ///< the run's own variables
  std::optional<std::string> created_by;
  std::optional<std::string> request_key;  ///< see run_unanswered
};
/// Inserts a run with its plan, apply and logs, freezes the workspace's variables and wakes the scheduler.
/// The caller holds the workspace's row and has checked everything.
Task<> insert(postgres::Tx& tx, const NewRun& wanted);

/// Queues a run because a configuration was uploaded that asks for it. Nothing happens when the workspace
/// executes locally.
Task<> queue_automatic(postgres::Tx& tx, const std::string& workspace_id,
                       const std::string& configuration_version, bool speculative);

}  // namespace terrane::run
