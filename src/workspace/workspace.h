#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/includes.h"
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
  bool auto_apply = false;
  bool allow_destroy_plan = true;
  std::string execution_mode = "remote";
  bool file_triggers_enabled = true;
  bool global_remote_state = false;
  bool queue_all_runs = false;
  std::string source = "tfe-api";
  std::optional<std::string> source_name, source_url;
  bool speculative_enabled = true;
  bool structured_run_output_enabled = false;
  std::string terraform_version = "latest";
  std::vector<std::string> trigger_prefixes;
  std::optional<std::string> working_directory;

  std::optional<std::string> lock_kind;  ///< users, teams or runs; nothing when it is not locked
  std::optional<std::string> lock_owner;
  std::optional<std::string> lock_reason;
  std::optional<std::string> lock_owner_name;  ///< for messages: a user name, a run id
  std::optional<std::string> current_run, current_state_version, current_configuration_version;
  Time created_at, updated_at, latest_change_at;
  std::int64_t resource_count = 0;

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
/// Those of the workspaces that `principal` may read, by id.
Task<std::map<std::string, Visible>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids);

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

/// Endpoints of workspaces: read, list, create, update, delete, lock, unlock, force-unlock, remote state
/// consumers.
class Api {
 public:
  Api(postgres::Database& database, api::Includes& includes) : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> show_by_name(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> update_by_name(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> remove_by_name(http::Request& request);
  Task<http::Response> safe_delete(http::Request& request);
  Task<http::Response> safe_delete_by_name(http::Request& request);
  Task<http::Response> lock(http::Request& request);
  Task<http::Response> unlock(http::Request& request);
  Task<http::Response> force_unlock(http::Request& request);
  Task<http::Response> list_consumers(http::Request& request);
  Task<http::Response> add_consumers(http::Request& request);
  Task<http::Response> remove_consumers(http::Request& request);
  Task<http::Response> replace_consumers(http::Request& request);

  Task<http::Response> update_one(http::Request& request, std::string id);
  /// Whether a deletion may take resources' state with it.
  enum class Deletion { whatever_it_manages, nothing_managed };
  Task<http::Response> remove_one(http::Request& request, std::string id, Deletion deletion);
  Task<std::string> id_by_name(postgres::Tx& tx, const http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace workspace
}  // namespace terrane
