#include "workspace/workspace.h"

#include "organization/execution.h"
#include "workspace/workspace_settings.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

using jsonapi::attr;
constexpr unsigned settable = jsonapi::create | jsonapi::update;

template <std::size_t most>
std::optional<std::string> at_most(const json::value& given) {
  if (given.is_string() && given.get_string().size() > most)
    return "must have at most " + std::to_string(most) + " characters";
  return std::nullopt;
}

}  // namespace

const jsonapi::Resource& resource() {
  using W = Workspace;
  constexpr unsigned hidden = jsonapi::hidden;
  static const std::array attributes{
      attr<&W::name>("name", "name", settable, jsonapi::valid_name),
      attr<&W::description>("description", "description", settable, at_most<4096>),
      attr<&W::assessments_enabled>("assessments-enabled", "assessments_enabled", settable),
      attr<&W::auto_apply>("auto-apply", "auto_apply", settable),
      attr<&W::auto_apply_run_trigger>("auto-apply-run-trigger", "auto_apply_run_trigger", settable),
      attr<&W::allow_destroy_plan>("allow-destroy-plan", "allow_destroy_plan", settable),
      attr<&W::auto_destroy_at>("auto-destroy-at", "auto_destroy_at", settable),
      attr<&W::auto_destroy_activity_duration>("auto-destroy-activity-duration",
                                               "auto_destroy_activity_duration", settable,
                                               organization::valid_activity_duration),
      attr<&W::inherits_project_auto_destroy>("inherits-project-auto-destroy",
                                              "inherits_project_auto_destroy", settable),
      attr<&W::execution_mode>("execution-mode", "execution_mode"),
      attr<&W::file_triggers_enabled>("file-triggers-enabled", "file_triggers_enabled", settable),
      attr<&W::global_remote_state>("global-remote-state", "global_remote_state", settable),
      attr<&W::project_remote_state>("project-remote-state", "project_remote_state", settable),
      attr<&W::queue_all_runs>("queue-all-runs", "queue_all_runs", settable),
      attr<&W::source>("source", "source"),
      attr<&W::source_name>("source-name", "source_name", settable, at_most<1024>),
      attr<&W::source_url>("source-url", "source_url", settable, at_most<1024>),
      attr<&W::speculative_enabled>("speculative-enabled", "speculative_enabled", settable),
      attr<&W::structured_run_output_enabled>("structured-run-output-enabled",
                                              "structured_run_output_enabled", settable),
      attr<&W::terraform_version>("terraform-version", "terraform_version", settable, plausible_version),
      attr<&W::trigger_prefixes>("trigger-prefixes", "trigger_prefixes", settable, path_list),
      attr<&W::trigger_patterns>("trigger-patterns", "trigger_patterns", settable, path_list),
      attr<&W::working_directory>("working-directory", "working_directory", settable, inner_path),
      attr<&W::created_at>("created-at", "created_at"),
      attr<&W::updated_at>("updated-at", "updated_at"),
      attr<&W::latest_change_at>("latest-change-at", "latest_change_at"),
      attr<&W::resource_count>("resource-count", "resource_count"),
      attr<&W::tag_names>("tag-names", "tag_names"),
      attr<&W::run_failures>("run-failures", "run_failures"),
      attr<&W::runs_count>("workspace-kpis-runs-count", "runs_count"),
      attr<&W::plan_duration_average>("plan-duration-average", "plan_duration_average"),
      attr<&W::apply_duration_average>("apply-duration-average", "apply_duration_average"),
      attr<&W::lock_reason>("locked-reason", "lock_reason"),
      attr<&W::organization_id>("organization-external-id", "organization_id", hidden),
      attr<&W::organization>("organization-name", "organization", hidden),
      attr<&W::project>("project-id", "project_id", hidden),
      attr<&W::agent_pool>("agent-pool-id", "agent_pool_id", hidden),
      attr<&W::overwrites_execution_mode>("overwrites-execution-mode", "overwrites_execution_mode", hidden),
      attr<&W::lock_kind>("lock-kind", "lock_kind", hidden),
      attr<&W::lock_owner>("lock-owner", "lock_owner", hidden),
      attr<&W::lock_owner_name>("lock-owner-name", "lock_owner_name", hidden),
      attr<&W::ssh_key>("ssh-key-id", "ssh_key_id", hidden),
      attr<&W::variables>("vars", "variables", hidden),
      attr<&W::current_run>("current-run-id", "current_run_id", hidden),
      attr<&W::current_state_version>("current-state-version-id", "current_state_version_id", hidden),
      attr<&W::current_configuration_version>("current-configuration-version-id",
                                              "current_configuration_version_id", hidden),
      attr<&W::others_may_force_delete>("allow-force-delete", "allow_force_delete_workspaces", hidden),
      attr<&W::retention_policy>("retention-policy", "retention_policy_id", hidden),
      attr<&W::retention_days>("retention-days", "retention_days", hidden),
  };
  static const jsonapi::Resource table{"workspaces", attributes, {}};
  return table;
}

bool may_force_delete(const Workspace& workspace, const organization::WorkspaceAccess& access) {
  return access.destroy && (access.own || workspace.others_may_force_delete);
}

namespace {

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  if (!id) return {{"data", nullptr}};
  return {{"data", json::object{{"id", *id}, {"type", type}}}};
}

json::object permissions(const Workspace& workspace, const organization::WorkspaceAccess& access) {
  return {{"can-update", access.update},
          {"can-destroy", access.destroy},
          {"can-queue-run", access.queue_runs},
          {"can-queue-apply", access.apply_runs},
          {"can-queue-destroy", access.apply_runs},
          {"can-read-run", access.read},
          {"can-read-variable", access.read_variables},
          {"can-update-variable", access.write_variables},
          {"can-read-state-versions", access.read_state},
          {"can-read-state-outputs", access.read_outputs},
          {"can-create-state-versions", access.write_state},
          {"can-lock", access.lock},
          {"can-unlock", access.lock},
          {"can-force-unlock", access.force_unlock},
          {"can-read-settings", access.read},
          {"can-manage-run-tasks", access.manage_run_tasks},
          {"can-force-delete", may_force_delete(workspace, access)}};
}

json::object relationships(const Workspace& workspace, const organization::WorkspaceAccess& access) {
  json::object relations;
  relations["organization"] = linkage("organizations", workspace.organization);
  relations["project"] = linkage("projects", workspace.project);
  relations["agent-pool"] = linkage("agent-pools", workspace.agent_pool);
  relations["ssh-key"] = linkage("ssh-keys", workspace.ssh_key);
  if (access.read_variables) relations["vars"] = jsonapi::linkage("vars", workspace.variables);
  relations["current-run"] = linkage("runs", workspace.current_run);
  relations["current-state-version"] = linkage("state-versions", workspace.current_state_version);
  relations["current-configuration-version"] =
      linkage("configuration-versions", workspace.current_configuration_version);
  if (workspace.locked()) relations["locked-by"] = linkage(*workspace.lock_kind, workspace.lock_owner);
  const std::string_view policy =
      workspace.retention_days ? "data-retention-policy-delete-olders" : "data-retention-policy-dont-deletes";
  relations["data-retention-policy"] = linkage(policy, workspace.retention_policy);
  return relations;
}

}  // namespace

json::object document(const Workspace& workspace, const organization::WorkspaceAccess& access) {
  json::object out = jsonapi::encode(resource(), &workspace, workspace.id.text());
  json::object& attributes = out["attributes"].as_object();
  const bool overwrites = workspace.overwrites_execution_mode;
  attributes["locked"] = workspace.locked();
  attributes["operations"] = workspace.execution_mode != "local";
  attributes["environment"] = "default";
  attributes["vcs-repo"] = nullptr;
  attributes["vcs-repo-identifier"] = nullptr;
  attributes["hyok-enabled"] = false;
  // Nothing checks policies here, so nothing failed to pass them.
  attributes["policy-check-failures"] = nullptr;
  attributes["can-queue-destroy-plan"] = access.apply_runs && workspace.allow_destroy_plan;
  attributes["setting-overwrites"] = json::object{{"execution-mode", overwrites}, {"agent-pool", overwrites}};
  attributes["permissions"] = permissions(workspace, access);
  attributes["actions"] = json::object{{"is-destroyable", access.destroy}};
  out["relationships"] = relationships(workspace, access);
  const std::string& organization = workspace.organization;
  out["links"] =
      json::object{{"self", "/api/v2/organizations/" + organization + "/workspaces/" + workspace.name},
                   {"self-html", "/app/" + organization + "/workspaces/" + workspace.name}};
  return out;
}

std::string lock_description(const Workspace& workspace) {
  std::string kind = workspace.lock_kind == "runs" ? "Run" : workspace.lock_kind == "teams" ? "Team" : "User";
  std::string text =
      "Workspace " + workspace.name + " is locked by " + kind + " " + workspace.lock_owner_name.value_or("");
  if (workspace.lock_reason && !workspace.lock_reason->empty()) text += " (" + *workspace.lock_reason + ")";
  return text + ".";
}

Workspace from_row(const postgres::Row& row) {
  Workspace workspace = jsonapi::from_row<Workspace>(resource(), row);
  workspace.id = Id<Workspace>(row.string("id"));
  return workspace;
}

Task<std::optional<Workspace>> find(postgres::Tx& tx, const std::string& id, RowLock lock) {
  if (lock == RowLock::yes) co_await tx.run(sql::workspace_lock_row, postgres::Params::of(id));
  postgres::Result result = co_await tx.run(sql::workspace_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return from_row(*row);
}

Task<std::optional<Workspace>> find_by_name(postgres::Tx& tx, const std::string& organization_id,
                                            const std::string& name) {
  postgres::Result result =
      co_await tx.run(sql::workspace_find_by_name, postgres::Params::of(organization_id, name));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return from_row(*row);
}

Task<Visible> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                      RowLock lock) {
  std::optional<Workspace> found = co_await find(tx, id, lock);
  if (!found) throw Error(Code::not_found, "");
  organization::WorkspaceAccess access = co_await organization::access_to_workspace(tx, principal, id);
  if (!access.read) throw Error(Code::not_found, "");
  co_return Visible{*std::move(found), access};
}

Task<Visible> require_changeable(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                                 RowLock lock) {
  Visible seen = co_await require(tx, principal, id, lock);
  if (!seen.access.update) throw Error(Code::not_found, "");
  co_return seen;
}

Task<std::map<std::string, Visible>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::workspace_find_many, postgres::Params::of(ids));
  const auto visible = co_await organization::access_to_workspaces(tx, principal, ids);
  std::map<std::string, Visible> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto access = visible.find(rows[i].string("id"));
    if (access != visible.end()) out.emplace(access->first, Visible{from_row(rows[i]), access->second});
  }
  co_return out;
}

Task<json::array> visible_documents(postgres::Tx& tx, const api::Principal& principal,
                                    const postgres::Result& rows) {
  json::array out;
  if (rows.empty()) co_return out;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < rows.size(); ++i) ids.push_back(rows[i].string("id"));
  const auto visible = co_await find_visible(tx, principal, ids);
  for (const std::string& id : ids) {
    auto seen = visible.find(id);
    if (seen != visible.end()) out.push_back(document(seen->second.workspace, seen->second.access));
  }
  co_return out;
}

Task<> set_lock(postgres::Tx& tx, const Id<Workspace>& id, std::string_view kind, const std::string& owner,
                const std::optional<std::string>& reason) {
  co_await tx.run(sql::workspace_set_lock, postgres::Params::of(id, kind, owner, reason));
}

Task<bool> clear_lock(postgres::Tx& tx, const std::string& id, std::string_view kind,
                      const std::string& owner) {
  postgres::Result result = co_await tx.run(sql::workspace_clear_lock, postgres::Params::of(id, kind, owner));
  if (result.affected() == 0) co_return false;
  co_await tx.run(sql::workspace_promote_states, postgres::Params::of(id));
  co_await tx.run(sql::workspace_wake_queue, postgres::Params::of(id));
  co_return true;
}

Task<> set_current_run(postgres::Tx& tx, const std::string& id, const std::string& run) {
  co_await tx.run(sql::workspace_set_current_run, postgres::Params::of(id, run));
}

Task<> set_current_state(postgres::Tx& tx, const std::string& id, const std::string& state_version) {
  co_await tx.run(sql::workspace_set_current_state, postgres::Params::of(id, state_version));
}

Task<> set_current_configuration(postgres::Tx& tx, const std::string& id,
                                 const std::string& configuration_version) {
  co_await tx.run(sql::workspace_set_current_configuration, postgres::Params::of(id, configuration_version));
}

}  // namespace terrane::workspace
