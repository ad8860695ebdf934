#include "organization/project.h"

#include "base/text.h"
#include "organization/project_sql.h"

namespace terrane::organization {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == ' ';
}

std::optional<std::string> project_name(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (trim(text).empty()) return "Name can't be blank";
  if (text.size() < 3) return "Name is too short (minimum is 3 characters)";
  if (text.size() > 40) return "Name is too long (maximum is 40 characters)";
  if (trim(text) != text || !std::all_of(text.begin(), text.end(), is_name_character)) {
    return "Name may only contain letters, numbers, inner spaces, hyphens, and underscores";
  }
  return std::nullopt;
}

std::optional<std::string> short_description(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 256)
    return "Description is too long (maximum is 256 bytes)";
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
using P = Project;
const std::array attributes{
    jsonapi::attr<&P::name>("name", "name", writable, project_name),
    jsonapi::attr<&P::description>("description", "description", writable, short_description),
    jsonapi::attr<&P::auto_destroy_activity_duration>("auto-destroy-activity-duration",
                                                      "auto_destroy_activity_duration", writable,
                                                      valid_activity_duration),
    jsonapi::attr<&P::created_at>("created-at", "created_at"),
    jsonapi::attr<&P::default_execution_mode>("default-execution-mode", "default_execution_mode"),
    jsonapi::attr<&P::workspace_count>("workspace-count", "workspace_count"),
    jsonapi::attr<&P::team_count>("team-count", "team_count"),
    jsonapi::attr<&P::is_default>("is-default", "is_default", jsonapi::hidden),
    jsonapi::attr<&P::organization_id>("organization-external-id", "organization_id", jsonapi::hidden),
    jsonapi::attr<&P::organization>("organization-name", "organization", jsonapi::hidden),
    jsonapi::attr<&P::overwrites_execution_mode>("overwrites-execution-mode", "overwrites_execution_mode",
                                                 jsonapi::hidden),
    jsonapi::attr<&P::default_agent_pool_id>("agent-pool-id", "default_agent_pool_id", jsonapi::hidden),
};

constexpr ExecutionNames execution_names{"default-execution-mode", "default-agent-pool-id",
                                         "default-execution-mode", "default-agent-pool",
                                         "Default agent pool must be specified when using 'agent' execution "
                                         "mode"};

Project read(const postgres::Row& row) {
  Project project = jsonapi::from_row<Project>(project_resource(), row);
  project.id = Id<Project>(row.string("id"));
  return project;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "projects_organization_id_name_key") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  json::value data;
  if (id) data = json::object{{"id", *id}, {"type", type}};
  return {{"data", std::move(data)}};
}

}  // namespace

const jsonapi::Resource& project_resource() {
  static const jsonapi::Resource table{"projects", attributes, {}};
  return table;
}

json::object encode(const Project& project, const ProjectAccess& access) {
  json::object out = jsonapi::encode(project_resource(), &project, project.id.text());
  json::object& shown = out["attributes"].as_object();
  shown["is-unified"] = false;
  const bool overwrites = project.overwrites_execution_mode;
  shown["setting-overwrites"] =
      json::object{{"default-execution-mode", overwrites}, {"default-agent-pool", overwrites}};
  shown["permissions"] = json::object{{"can-read", access.read},
                                      {"can-update", access.update},
                                      {"can-destroy", access.destroy && !project.is_default},
                                      {"can-create-workspace", access.create_workspaces},
                                      {"can-move-workspace", access.move_workspaces},
                                      {"can-read-teams", access.read_teams},
                                      {"can-manage-teams", access.manage_teams}};
  out["relationships"] =
      json::object{{"organization", linkage("organizations", project.organization)},
                   {"default-agent-pool", linkage("agent-pools", project.default_agent_pool_id)}};
  out["links"] = json::object{{"self", "/api/v2/projects/" + project.id.text()}};
  return out;
}

Task<std::vector<Project>> find_projects(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::project_find_many, postgres::Params::of(ids));
  std::vector<Project> projects;
  for (std::size_t i = 0; i < rows.size(); ++i) projects.push_back(read(rows[i]));
  co_return projects;
}

Task<std::optional<Project>> find_project(postgres::Tx& tx, const std::string& id) {
  std::vector<Project> found = co_await find_projects(tx, {id});
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<std::pair<std::vector<Project>, std::int64_t>> list_projects(postgres::Tx& tx,
                                                                  const std::string& organization_id,
                                                                  const ReadableScope& scope,
                                                                  const ProjectFilter& filter,
                                                                  const jsonapi::Page& page) {
  const json::value tags = api::to_json(filter.tags);
  postgres::Params params = postgres::Params::of(organization_id, filter.names, filter.search,
                                                 scope.all_projects, scope.projects, tags);
  postgres::Result total = co_await tx.run(sql::project_count, params);
  params.add(filter.descending);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::project_list, std::move(params));
  std::vector<Project> projects;
  for (std::size_t i = 0; i < rows.size(); ++i) projects.push_back(read(rows[i]));
  co_return std::pair(std::move(projects), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Project& project, const std::string& organization_id) {
  const Project& p = project;
  try {
    co_await tx.run(sql::project_insert,
                    postgres::Params::of(p.id, organization_id, p.name, p.description, p.is_default,
                                         p.auto_destroy_activity_duration, p.overwrites_execution_mode,
                                         p.default_execution_mode, p.default_agent_pool_id));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> settle_project_execution(postgres::Tx& tx, const json::object& data, Project& project,
                                json::object& columns) {
  Execution execution{project.overwrites_execution_mode, project.default_execution_mode,
                      project.default_agent_pool_id};
  const ExecutionOwner owner{project.organization_id, project.id.text(), ""};
  if (!co_await settle_execution(tx, data, execution_names, owner, execution)) co_return;
  project.overwrites_execution_mode = execution.overwrites;
  project.default_execution_mode = execution.mode;
  project.default_agent_pool_id = execution.agent_pool;
  columns["overwrites_execution_mode"] = execution.overwrites;
  columns["default_execution_mode"] = execution.mode;
  columns["default_agent_pool_id"] =
      execution.agent_pool ? json::value(*execution.agent_pool) : json::value();
}

Task<> update_project(postgres::Tx& tx, const std::string& id, const json::object& columns) {
  try {
    co_await tx.run(sql::project_update, postgres::Params::of(id, columns));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> remove_project(postgres::Tx& tx, const std::string& id) {
  co_await tx.run(sql::project_lock, postgres::Params::of(id));
  std::optional<Project> project = co_await find_project(tx, id);
  if (!project) throw Error(Code::not_found, "");
  if (project->is_default) throw Error(Code::conflict, "The default project cannot be deleted.");
  const Error has_workspaces(Code::conflict, "The project cannot be deleted because it has workspaces.");
  if (project->workspace_count > 0) throw has_workspaces;
  try {
    co_await tx.run(sql::project_delete, postgres::Params::of(id));
  } catch (const Error& error) {
    if (postgres::violated_constraint(error) == "workspaces_project_id_fkey") throw has_workspaces;
    throw;
  }
}

}  // namespace terrane::organization
