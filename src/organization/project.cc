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
const std::array attributes{
    jsonapi::attr<&Project::name>("name", "name", writable, project_name),
    jsonapi::attr<&Project::description>("description", "description", writable, short_description),
    jsonapi::attr<&Project::created_at>("created-at", "created_at"),
    jsonapi::attr<&Project::default_execution_mode>("default-execution-mode", "default_execution_mode"),
    jsonapi::attr<&Project::workspace_count>("workspace-count", "workspace_count"),
    jsonapi::attr<&Project::is_default>("is-default", "is_default", jsonapi::hidden),
};

std::optional<std::string> organization_of(const void* project) {
  return static_cast<const Project*>(project)->organization;
}
void read_organization(const postgres::Row& row, std::string_view column, void* project) {
  static_cast<Project*>(project)->organization = row.string(column);
}
const std::array relations{
    jsonapi::Relation{"organization", "organizations", organization_of, "organization", read_organization}};

Project read(const postgres::Row& row) {
  Project project = jsonapi::from_row<Project>(project_resource(), row);
  project.id = Id<Project>(row.string("id"));
  return project;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "projects_organization_id_name_key") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

}  // namespace

const jsonapi::Resource& project_resource() {
  static const jsonapi::Resource table{"projects", attributes, relations};
  return table;
}

json::object encode(const Project& project, const OrganizationAccess& access) {
  json::object out = jsonapi::encode(project_resource(), &project, project.id.text());
  json::object& shown = out["attributes"].as_object();
  shown["is-unified"] = false;
  shown["auto-destroy-activity-duration"] = nullptr;
  shown["setting-overwrites"] =
      json::object{{"default-execution-mode", false}, {"default-agent-pool", false}};
  shown["permissions"] = json::object{{"can-read", access.read},
                                      {"can-update", access.manage},
                                      {"can-destroy", access.manage && !project.is_default},
                                      {"can-create-workspace", access.create_workspaces}};
  out["links"] = json::object{{"self", "/api/v2/projects/" + project.id.text()}};
  return out;
}

Task<std::optional<Project>> find_project(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::project_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::vector<Project>> find_projects(postgres::Tx& tx, const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::project_find_many, postgres::Params::of(ids));
  std::vector<Project> projects;
  for (std::size_t i = 0; i < rows.size(); ++i) projects.push_back(read(rows[i]));
  co_return projects;
}

Task<std::pair<std::vector<Project>, std::int64_t>> list_projects(postgres::Tx& tx,
                                                                  const std::string& organization_id,
                                                                  const std::vector<std::string>& names,
                                                                  std::string_view search,
                                                                  const jsonapi::Page& page) {
  postgres::Result total =
      co_await tx.run(sql::project_count, postgres::Params::of(organization_id, names, search));
  postgres::Result rows = co_await tx.run(
      sql::project_list, postgres::Params::of(organization_id, names, search, page.size, page.offset()));
  std::vector<Project> projects;
  for (std::size_t i = 0; i < rows.size(); ++i) projects.push_back(read(rows[i]));
  co_return std::pair(std::move(projects), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Project& project, const std::string& organization_id) {
  try {
    co_await tx.run(sql::project_insert, postgres::Params::of(project.id, organization_id, project.name,
                                                              project.description, project.is_default));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> update_project(postgres::Tx& tx, const std::string& id, const json::object& columns) {
  try {
    co_await tx.run(sql::project_update, postgres::Params::of(id, columns));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> remove_project(postgres::Tx& tx, const std::string& id) {
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
