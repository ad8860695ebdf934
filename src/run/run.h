#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "run/machine.h"
#include "worker_protocol/protocol.h"

namespace terrane {

/// One plan, and perhaps one apply, of a configuration in a workspace.
struct Run {
  static constexpr std::string_view id_prefix = "run";
  Id<Run> id;
  std::string workspace, configuration_version;
  std::int64_t position = 0;  ///< its place in the queue
  std::string status = "pending";
  json::value status_timestamps;
  std::string source = "tfe-api", trigger_reason = "manual", message;
  bool is_destroy = false, refresh = true, refresh_only = false, plan_only = false, save_plan = false;
  bool auto_apply = false, allow_empty_apply = false, allow_config_generation = false;
  std::vector<std::string> target_addrs, replace_addrs;
  std::vector<std::string> invoke_action_addrs, policy_paths;  ///< kept as clients give them
  std::string terraform_version;
  std::string sealed_variables;
  bool has_changes = false;
  std::optional<std::string> error_message, created_by, confirmed_by;
  std::optional<Time> canceled_at, force_cancel_available_at, force_canceled_at;
  std::int64_t epoch = 0;
  Time created_at;
  std::string plan, apply;  ///< their ids, derived from the run's

  run::Status state() const { return run::status_from(status).value_or(run::Status::errored); }
  /// Takes a place in the workspace's queue and its lock; plan-only and saved plans do not.
  bool takes_place() const { return !plan_only && !save_plan; }
};

/// The plan or apply of a run, as API v2 shows it.
struct PhaseRecord {
  std::string id, run, status;
  json::value status_timestamps;
  bool has_changes = false, generated_configuration = false;
  std::optional<std::int64_t> additions, changes, destructions, imports;
  std::string log;
  std::int64_t log_segments = 0;
  std::optional<std::string> plan_object, json_object, schemas_object, import_list;
};

/// One attempt at a phase.
struct JobRecord {
  static constexpr std::string_view id_prefix = "job";
  Id<JobRecord> id;
  std::string run, workspace, phase, status;
  std::int64_t attempt = 1, beat = 0, epoch = 0, log_segment = 1;
  std::optional<std::string> lease, node, wish;
};

namespace run {

const jsonapi::Resource& resource();

/// `plan-…` and `apply-…` carry the run's own suffix, so one is found from the other.
std::string plan_id(const Id<Run>& run);
std::string apply_id(const Id<Run>& run);

/// A phase's place among all that wait: applies, then plans, then speculative ones (design: across workspaces
/// by priority, then age).
int priority(const Run& run, worker_protocol::Phase phase);

}  // namespace run
}  // namespace terrane
