#include "workspace/workspace.h"

#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

using jsonapi::attr;
constexpr unsigned settable = jsonapi::create | jsonapi::update;

std::optional<std::string> known_execution_mode(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view mode = given.get_string();
  if (mode == "remote" || mode == "local") return std::nullopt;
  return "must be remote or local";
}

/// Any version or constraint is accepted; what serves it is decided when a run is queued.
std::optional<std::string> plausible_version(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.empty() || text.size() > 128) return "must have 1 to 128 characters";
  for (char c : text) {
    bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   std::string_view(".-+ ~<>=!,").find(c) != std::string_view::npos;
    if (!allowed) return "must be a version such as 1.9.0, a constraint such as ~> 1.9.0, or latest";
  }
  return std::nullopt;
}

/// A relative path that stays inside the configuration.
std::optional<std::string> inner_path(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.size() > 1024) return "must have at most 1024 characters";
  std::filesystem::path path(text);
  for (const auto& part : path) {
    if (part == "..") return "must not contain ..";
  }
  return std::nullopt;
}

template <std::size_t most>
std::optional<std::string> at_most(const json::value& given) {
  if (given.is_string() && given.get_string().size() > most)
    return "must have at most " + std::to_string(most) + " characters";
  return std::nullopt;
}

}  // namespace

const jsonapi::Resource& resource() {
  static const std::array attributes{
      attr<&Workspace::name>("name", "name", settable, jsonapi::valid_name),
      attr<&Workspace::description>("description", "description", settable, at_most<4096>),
      attr<&Workspace::auto_apply>("auto-apply", "auto_apply", settable),
      attr<&Workspace::allow_destroy_plan>("allow-destroy-plan", "allow_destroy_plan", settable),
      attr<&Workspace::execution_mode>("execution-mode", "execution_mode", settable, known_execution_mode),
      attr<&Workspace::file_triggers_enabled>("file-triggers-enabled", "file_triggers_enabled", settable),
      attr<&Workspace::global_remote_state>("global-remote-state", "global_remote_state", settable),
      attr<&Workspace::queue_all_runs>("queue-all-runs", "queue_all_runs", settable),
      attr<&Workspace::source>("source", "source"),
      attr<&Workspace::source_name>("source-name", "source_name", settable, at_most<256>),
      attr<&Workspace::source_url>("source-url", "source_url", settable, at_most<2048>),
      attr<&Workspace::speculative_enabled>("speculative-enabled", "speculative_enabled", settable),
      attr<&Workspace::structured_run_output_enabled>("structured-run-output-enabled",
                                                      "structured_run_output_enabled", settable),
      attr<&Workspace::terraform_version>("terraform-version", "terraform_version", settable,
                                          plausible_version),
      attr<&Workspace::trigger_prefixes>("trigger-prefixes", "trigger_prefixes", settable),
      attr<&Workspace::working_directory>("working-directory", "working_directory", settable, inner_path),
      attr<&Workspace::created_at>("created-at", "created_at"),
      attr<&Workspace::updated_at>("updated-at", "updated_at"),
      attr<&Workspace::latest_change_at>("latest-change-at", "latest_change_at"),
      attr<&Workspace::resource_count>("resource-count", "resource_count"),
      attr<&Workspace::organization_id>("organization-external-id", "organization_id", jsonapi::hidden),
      attr<&Workspace::organization>("organization-name", "organization", jsonapi::hidden),
      attr<&Workspace::project>("project-id", "project_id", jsonapi::hidden),
      attr<&Workspace::lock_kind>("lock-kind", "lock_kind", jsonapi::hidden),
      attr<&Workspace::lock_owner>("lock-owner", "lock_owner", jsonapi::hidden),
      attr<&Workspace::lock_reason>("locked-reason", "lock_reason"),
      attr<&Workspace::lock_owner_name>("lock-owner-name", "lock_owner_name", jsonapi::hidden),
      attr<&Workspace::current_run>("current-run-id", "current_run_id", jsonapi::hidden),
      attr<&Workspace::current_state_version>("current-state-version-id", "current_state_version_id",
                                              jsonapi::hidden),
      attr<&Workspace::current_configuration_version>("current-configuration-version-id",
                                                      "current_configuration_version_id", jsonapi::hidden),
  };
  static const jsonapi::Resource table{"workspaces", attributes, {}};
  return table;
}

namespace {

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  if (!id) return {{"data", nullptr}};
  return {{"data", json::object{{"id", *id}, {"type", type}}}};
}

json::object permissions(const organization::WorkspaceAccess& access) {
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
          {"can-manage-run-tasks", false},
          {"can-force-delete", access.destroy}};
}

}  // namespace

json::object document(const Workspace& workspace, const organization::WorkspaceAccess& access) {
  json::object out = jsonapi::encode(resource(), &workspace, workspace.id.text());
  json::object& attributes = out["attributes"].as_object();
  attributes["locked"] = workspace.locked();
  attributes["operations"] = workspace.execution_mode != "local";
  attributes["environment"] = "default";
  attributes["vcs-repo"] = nullptr;
  attributes["tag-names"] = json::array();
  attributes["permissions"] = permissions(access);
  attributes["actions"] = json::object{{"is-destroyable", access.destroy}};
  json::object relations;
  relations["organization"] = linkage("organizations", workspace.organization);
  relations["project"] = linkage("projects", workspace.project);
  relations["current-run"] = linkage("runs", workspace.current_run);
  relations["current-state-version"] = linkage("state-versions", workspace.current_state_version);
  relations["current-configuration-version"] =
      linkage("configuration-versions", workspace.current_configuration_version);
  if (workspace.locked()) relations["locked-by"] = linkage(*workspace.lock_kind, workspace.lock_owner);
  out["relationships"] = std::move(relations);
  out["links"] = json::object{
      {"self", "/api/v2/organizations/" + workspace.organization + "/workspaces/" + workspace.name}};
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

Task<std::map<std::string, Visible>> find_visible(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::workspace_find_many, postgres::Params::of(ids));
  std::map<std::string, Visible> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string id = rows[i].string("id");
    organization::WorkspaceAccess access = co_await organization::access_to_workspace(tx, principal, id);
    if (access.read) out.emplace(id, Visible{from_row(rows[i]), access});
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
