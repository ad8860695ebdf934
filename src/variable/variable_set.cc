#include "variable/variable_set.h"

#include "base/text.h"
#include "variable/variable_set_sql.h"

namespace terrane::variable {
namespace {

constexpr std::size_t most_name_bytes = 90;
constexpr std::size_t most_set_description_bytes = 512;

std::optional<std::string> set_name(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (trim(text).empty()) return "Name can't be blank";
  if (text.size() > most_name_bytes)
    return "Name is too long (maximum is " + std::to_string(most_name_bytes) + " bytes)";
  return std::nullopt;
}

std::optional<std::string> set_description(const json::value& given) {
  if (given.is_string() && given.get_string().size() > most_set_description_bytes) {
    return "Description is too long (maximum is " + std::to_string(most_set_description_bytes) + " bytes)";
  }
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
using S = VariableSet;
const std::array attributes{
    jsonapi::attr<&S::id>("own-id", "id", jsonapi::hidden),
    jsonapi::attr<&S::name>("name", "name", writable, set_name),
    jsonapi::attr<&S::description>("description", "description", writable, set_description),
    jsonapi::attr<&S::global>("global", "global", writable),
    jsonapi::attr<&S::priority>("priority", "priority", writable),
    jsonapi::attr<&S::updated_at>("updated-at", "updated_at"),
    jsonapi::attr<&S::project_id>("project", "project_id", jsonapi::hidden),
    jsonapi::attr<&S::workspaces>("workspaces", "workspaces", jsonapi::hidden),
    jsonapi::attr<&S::projects>("projects", "projects", jsonapi::hidden),
    jsonapi::attr<&S::variables>("vars", "variables", jsonapi::hidden),
};

std::optional<std::string> organization_of(const void* set) {
  return static_cast<const VariableSet*>(set)->organization;
}
void read_organization(const postgres::Row& row, std::string_view column, void* set) {
  static_cast<VariableSet*>(set)->organization = row.string(column);
}
const std::array relations{
    jsonapi::Relation{"organization", "organizations", organization_of, "organization", read_organization}};

std::string_view name_of(Sets which) {
  switch (which) {
    case Sets::of_organization: return "organization";
    case Sets::of_workspace: return "workspace";
    case Sets::of_project: return "project";
  }
  return "";
}

/// The statements for one kind of target.
struct TargetStatements {
  std::string_view name;
  const Statement &clear, &reach, &apply, &unapply;
};
const TargetStatements& statements_of(Target target) {
  static const TargetStatements workspaces{
      "workspaces", sql::variable_set_clear_workspaces, sql::variable_set_reach_workspaces,
      sql::variable_set_apply_workspaces, sql::variable_set_unapply_workspaces};
  static const TargetStatements projects{"projects", sql::variable_set_clear_projects,
                                         sql::variable_set_reach_projects, sql::variable_set_apply_projects,
                                         sql::variable_set_unapply_projects};
  return target == Target::workspaces ? workspaces : projects;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "variable_sets_name") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

void check_global(const VariableSet& set) {
  if (set.global && set.project_id) {
    throw Error(Code::unprocessable, "Global cannot be true for a variable set that a project owns",
                "/data/attributes/global");
  }
}

/// Makes the set apply to exactly what it says.
Task<> write_targets(postgres::Tx& tx, const VariableSet& set) {
  for (Target target : {Target::workspaces, Target::projects}) {
    const std::vector<std::string>& ids = target == Target::workspaces ? set.workspaces : set.projects;
    co_await tx.run(statements_of(target).clear, postgres::Params::of(set.id));
    if (!set.global && !ids.empty()) co_await apply(tx, set, target, ids);
  }
}

}  // namespace

const jsonapi::Resource& set_resource() {
  static const jsonapi::Resource table{"varsets", attributes, relations};
  return table;
}

json::object encode(const VariableSet& set, Want may) {
  json::object out = jsonapi::encode(set_resource(), &set, set.id);
  json::object& shown = out["attributes"].as_object();
  shown["var-count"] = set.variables.size();
  shown["workspace-count"] = set.workspaces.size();
  shown["project-count"] = set.projects.size();
  shown["permissions"] = json::object{{"can-update", may == Want::write}};
  json::object& related = out["relationships"].as_object();
  related["parent"] = json::object{
      {"data", set.project_id ? json::object{{"id", *set.project_id}, {"type", "projects"}}
                              : json::object{{"id", set.organization}, {"type", "organizations"}}}};
  related["vars"] = jsonapi::linkage("vars", set.variables);
  related["workspaces"] = jsonapi::linkage("workspaces", set.workspaces);
  related["projects"] = jsonapi::linkage("projects", set.projects);
  out["links"] = json::object{{"self", "/api/v2/varsets/" + set.id}};
  return out;
}

bool may_list(const organization::OrganizationAccess& access) { return access.read_workspaces; }

Task<bool> may(postgres::Tx& tx, const api::Principal& principal, const VariableSet& set, Want want) {
  organization::OrganizationAccess access =
      co_await organization::access_to_organization(tx, principal, set.organization);
  if (want == Want::write ? access.manage_workspaces : access.read_workspaces) co_return true;
  if (!set.project_id) co_return false;
  organization::ProjectAccess there =
      co_await organization::access_to_project(tx, principal, *set.project_id);
  co_return want == Want::write ? there.write_variable_sets : there.read_variable_sets;
}

Task<std::pair<std::vector<VariableSet>, std::int64_t>> list_sets(postgres::Tx& tx, Sets which,
                                                                  const std::string& of_id,
                                                                  std::string_view search,
                                                                  const jsonapi::Page& page) {
  postgres::Result total =
      co_await tx.run(sql::variable_set_count, postgres::Params::of(of_id, name_of(which), search));
  postgres::Result rows = co_await tx.run(
      sql::variable_set_list, postgres::Params::of(of_id, name_of(which), search, page.size, page.offset()));
  std::vector<VariableSet> sets;
  for (std::size_t i = 0; i < rows.size(); ++i)
    sets.push_back(jsonapi::from_row<VariableSet>(set_resource(), rows[i]));
  co_return std::pair(std::move(sets), total[0].integer("total"));
}

Task<std::optional<VariableSet>> find_set(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::variable_set_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return jsonapi::from_row<VariableSet>(set_resource(), *row);
}

Task<VariableSet> require_set(postgres::Tx& tx, const api::Principal& principal, const std::string& id,
                              Want want) {
  std::optional<VariableSet> set = co_await find_set(tx, id);
  if (!set || !co_await may(tx, principal, *set, want)) throw Error(Code::not_found, "");
  co_return *std::move(set);
}

Task<> insert(postgres::Tx& tx, const VariableSet& set, const std::string& organization_id) {
  const VariableSet& s = set;
  check_global(s);
  if (s.project_id) {
    postgres::Result project =
        co_await tx.run(sql::variable_set_project, postgres::Params::of(*s.project_id, organization_id));
    if (project.empty())
      throw Error(Code::unprocessable, "There is no such project in this organization",
                  "/data/relationships/parent");
  }
  std::size_t made = 0;
  try {
    postgres::Result result = co_await tx.run(
        sql::variable_set_insert, postgres::Params::of(s.id, organization_id, s.project_id, s.name,
                                                       s.description, s.global, s.priority, most_sets));
    made = result.affected();
  } catch (const Error& error) {
    throw taken(error);
  }
  if (made == 0) {
    throw Error(Code::unprocessable,
                "An organization may have at most " + std::to_string(most_sets) + " variable sets.");
  }
  co_await write_targets(tx, set);
}

Task<> update(postgres::Tx& tx, const VariableSet& set) {
  const VariableSet& s = set;
  check_global(s);
  try {
    co_await tx.run(sql::variable_set_update,
                    postgres::Params::of(s.id, s.name, s.description, s.global, s.priority));
  } catch (const Error& error) {
    throw taken(error);
  }
  co_await write_targets(tx, set);
}

Task<> remove_set(postgres::Tx& tx, const std::string& id) {
  co_await tx.run(sql::variable_set_delete, postgres::Params::of(id));
}

Task<> apply(postgres::Tx& tx, const VariableSet& set, Target target, const std::vector<std::string>& ids) {
  const TargetStatements& statements = statements_of(target);
  const std::string pointer = "/data/relationships/" + std::string(statements.name);
  if (set.global) {
    throw Error(Code::unprocessable,
                "A global variable set applies to all workspaces; it cannot be applied by name", pointer);
  }
  postgres::Result reached = co_await tx.run(statements.reach, postgres::Params::of(set.id, ids));
  if (reached[0].integer("reached") != static_cast<std::int64_t>(ids.size())) {
    throw Error(
        Code::unprocessable,
        "The list names something that the variable set cannot be applied to: there is no such one in "
        "its organization or project",
        pointer);
  }
  co_await tx.run(statements.apply, postgres::Params::of(set.id, ids));
  postgres::Result applied = co_await tx.run(sql::variable_set_applied, postgres::Params::of(set.id));
  if (applied[0].integer("most") > static_cast<std::int64_t>(most_applied)) {
    throw Error(Code::unprocessable,
                "A variable set may be applied by name to at most " + std::to_string(most_applied) + " " +
                    std::string(statements.name) + ".",
                pointer);
  }
}

Task<> unapply(postgres::Tx& tx, const VariableSet& set, Target target, const std::vector<std::string>& ids) {
  co_await tx.run(statements_of(target).unapply, postgres::Params::of(set.id, ids));
}

}  // namespace terrane::variable
