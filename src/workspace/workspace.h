#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"

namespace terrane {

struct Organization;
struct Project;
struct Run;
struct StateVersion;
struct ConfigurationVersion;

/// A configuration's place: settings, variables, runs, states, and the lock that orders who may change the
/// state.
struct Workspace {
  static constexpr std::string_view id_prefix = "ws";
  Id<Workspace> id;
  std::string organization_id;
  std::string organization;  ///< its name, which API v2 uses as id
  std::string project;
  std::string name;
  std::optional<std::string> description;
  bool assessments_enabled = false;
  bool auto_apply = false;
  bool auto_apply_run_trigger = false;
  bool allow_destroy_plan = true;
  std::optional<Time> auto_destroy_at;
  std::optional<std::string> auto_destroy_activity_duration;  ///< in force: its own or the project's
  bool inherits_project_auto_destroy = true;
  std::string execution_mode = "remote";  ///< in force: its own or what the project says
  std::optional<std::string> agent_pool;  ///< the same
  bool overwrites_execution_mode = false;
  bool file_triggers_enabled = true;
  bool global_remote_state = false;
  bool project_remote_state = false;
  bool queue_all_runs = false;
  std::string source = "tfe-api";
  std::optional<std::string> source_name, source_url;
  bool speculative_enabled = true;
  bool structured_run_output_enabled = false;
  std::string terraform_version = "latest";
  std::vector<std::string> trigger_prefixes, trigger_patterns;
  std::optional<std::string> working_directory;

  std::optional<std::string> lock_kind;  ///< users, teams or runs; nothing when it is not locked
  std::optional<std::string> lock_owner;
  std::optional<std::string> lock_reason;
  std::optional<std::string> lock_owner_name;  ///< for messages: a user name, a run id
  std::optional<std::string> current_run, current_state_version, current_configuration_version;
  std::optional<std::string> ssh_key;  ///< with which its runs fetch modules
  std::vector<std::string> variables;  ///< ids of its own
  Time created_at, updated_at, latest_change_at;

  // What follows from other rows, read only.
  std::int64_t resource_count = 0;
  std::vector<std::string> tag_names;
  bool others_may_force_delete = false;  ///< the organization lets its workspaces' admins do so
  std::optional<std::string> retention_policy;
  std::optional<std::int64_t> retention_days;     ///< nothing: the policy keeps everything
  std::int64_t runs_count = 0, run_failures = 0;  ///< of the last thirty that ended
  std::optional<std::int64_t> plan_duration_average, apply_duration_average;  ///< milliseconds, of the same

  bool locked() const { return lock_kind.has_value(); }
  bool locked_by(std::string_view kind, std::string_view owner) const {
    return lock_kind == kind && lock_owner == owner;
  }
};

namespace workspace {

/// The table that declares the resource.
const jsonapi::Resource& resource();

/// The workspace of a row of the statements that find workspaces.
Workspace from_row(const postgres::Row& row);

/// The resource object with computed attributes, permissions and relations as `access` allows.
json::object document(const Workspace& workspace, const organization::WorkspaceAccess& access);

/// Whether one with this access may delete the workspace whatever it manages.
bool may_force_delete(const Workspace& workspace, const organization::WorkspaceAccess& access);

/// What locks need to say when they refuse: "… is locked by Run run-…", the words that clients look for.
std::string lock_description(const Workspace& workspace);

/// Reads a workspace. `lock` also locks its row until the transaction ends: all that decides about states,
/// locks and the queue does.
enum class RowLock { no, yes };
Task<std::optional<Workspace>> find(postgres::Tx& tx, const std::string& id, RowLock lock = RowLock::no);
Task<std::optional<Workspace>> find_by_name(postgres::Tx& tx, const std::string& organization_id,
                                            const std::string& name);

/// A workspace that `principal` may read, and what else it may do. Throws Error{not_found}.
struct Visible {
  Workspace workspace;
  organization::WorkspaceAccess access;
};
Task<Visible> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                      RowLock lock = RowLock::no);
/// The same, and the principal may change its settings.
Task<Visible> require_changeable(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                                 RowLock lock = RowLock::no);
/// Those of the workspaces that `principal` may read, by id; two statements.
Task<std::map<std::string, Visible>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids);
/// Their resource objects, in the order of a list's rows, which hold their ids.
Task<json::array> visible_documents(postgres::Tx& tx, const api::Principal& principal,
                                    const postgres::Result& rows);

/// Takes the lock for an owner. The caller holds the row lock and has seen that it is free.
Task<> set_lock(postgres::Tx& tx, const Id<Workspace>& id, std::string_view kind, const std::string& owner,
                const std::optional<std::string>& reason);
/// Frees the lock if it is still this owner's; returns whether it was.
Task<bool> clear_lock(postgres::Tx& tx, const std::string& id, std::string_view kind,
                      const std::string& owner);
Task<> set_current_run(postgres::Tx& tx, const std::string& id, const std::string& run);
Task<> set_current_state(postgres::Tx& tx, const std::string& id, const std::string& state_version);
Task<> set_current_configuration(postgres::Tx& tx, const std::string& id,
                                 const std::string& configuration_version);

}  // namespace workspace
}  // namespace terrane
