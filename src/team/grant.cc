#include "team/grant.h"

#include <array>

#include "base/error.h"

namespace terrane::team {
namespace {

constexpr std::array<std::string_view, 3> run_levels{"read", "plan", "apply"};
constexpr std::array<std::string_view, 3> variable_levels{"none", "read", "write"};
constexpr std::array<std::string_view, 4> state_levels{"none", "read-outputs", "read", "write"};
constexpr std::array<std::string_view, 2> mock_levels{"none", "read"};
constexpr std::array<std::string_view, 3> setting_levels{"read", "update", "delete"};
constexpr std::array<std::string_view, 3> team_levels{"none", "read", "manage"};

constexpr std::array<GrantField, 6> workspace_fields{{
    {"", "runs", "runs", "Runs", run_levels},
    {"", "variables", "variables", "Variables", variable_levels},
    {"", "state-versions", "state_versions", "State versions", state_levels},
    {"", "sentinel-mocks", "sentinel_mocks", "Sentinel mocks", mock_levels},
    {"", "workspace-locking", "workspace_locking", "Workspace locking", {}},
    {"", "run-tasks", "run_tasks", "Run tasks", {}},
}};

constexpr std::string_view of_project = "project-access";
constexpr std::string_view of_workspaces = "workspace-access";
constexpr std::array<GrantField, 12> project_fields{{
    {of_project, "settings", "settings", "Settings", setting_levels},
    {of_project, "teams", "teams", "Teams", team_levels},
    {of_project, "variable-sets", "variable_sets", "Variable sets", variable_levels},
    {of_workspaces, "runs", "runs", "Runs", run_levels},
    {of_workspaces, "variables", "variables", "Variables", variable_levels},
    {of_workspaces, "state-versions", "state_versions", "State versions", state_levels},
    {of_workspaces, "sentinel-mocks", "sentinel_mocks", "Sentinel mocks", mock_levels},
    {of_workspaces, "create", "create_workspaces", "Create", {}},
    {of_workspaces, "locking", "locking", "Locking", {}},
    {of_workspaces, "move", "move_workspaces", "Move", {}},
    {of_workspaces, "delete", "delete_workspaces", "Delete", {}},
    {of_workspaces, "run-tasks", "run_tasks", "Run tasks", {}},
}};

std::string pointer_to(const GrantField& field) {
  std::string pointer = "/data/attributes/";
  if (!field.group.empty()) pointer += std::string(field.group) + "/";
  return pointer + std::string(field.name);
}

/// What a request says about a right; null when nothing.
const json::value* given(const GrantField& field, const json::object& attributes) {
  const json::object* group = field.group.empty() ? &attributes : find_object(attributes, field.group);
  const json::value* value = group ? group->if_contains(field.name) : nullptr;
  return value && !value->is_null() ? value : nullptr;
}

std::optional<std::string> wrong(const GrantField& field, const json::value& value) {
  if (field.values.empty()) {
    if (!value.is_bool()) return std::string(field.title) + " must be true or false";
    return std::nullopt;
  }
  std::string allowed;
  for (std::string_view item : field.values) {
    if (value.is_string() && value.get_string() == item) return std::nullopt;
    allowed += (allowed.empty() ? "'" : ", '") + std::string(item) + "'";
  }
  return std::string(field.title) + " must be one of " + allowed;
}

const GrantLevel* find_level(const GrantKind& kind, std::string_view name) {
  for (const GrantLevel& level : kind.levels) {
    if (level.name == name) return &level;
  }
  return nullptr;
}

std::string access_of(const GrantKind& kind, const json::object& attributes, const json::object* before) {
  const json::value* wanted = attributes.if_contains("access");
  if (!wanted || wanted->is_null()) {
    if (before) return std::string(before->at("access").as_string());
    throw Error(Code::unprocessable, "Access can't be blank", "/data/attributes/access");
  }
  std::string allowed = "'custom'";
  for (const GrantLevel& level : kind.levels) allowed += ", '" + std::string(level.name) + "'";
  const bool known =
      wanted->is_string() && (wanted->get_string() == "custom" || find_level(kind, wanted->get_string()));
  if (!known) throw Error(Code::unprocessable, "Access must be one of " + allowed, "/data/attributes/access");
  return std::string(wanted->get_string());
}

}  // namespace

const GrantKind& workspace_grants() {
  static const std::vector<GrantLevel> levels{
      {"read", {"read", "read", "read", "none", false, false}},
      {"plan", {"plan", "read", "read", "none", false, false}},
      {"write", {"apply", "write", "write", "read", true, false}},
      {"admin", {"apply", "write", "write", "read", true, true}},
  };
  static const GrantKind kind{"team-workspaces", "workspace", "workspaces",
                              workspace_fields,  levels,      {"read", "none", "none", "none", false, false}};
  return kind;
}

const GrantKind& project_grants() {
  static const std::vector<GrantLevel> levels{
      {"read", {"read", "none", "none", "read", "read", "read", "none", false, false, false, false, false}},
      {"write",
       {"read", "none", "write", "apply", "write", "write", "read", false, true, false, false, false}},
      {"maintain",
       {"read", "none", "write", "apply", "write", "write", "read", true, true, false, true, false}},
      {"admin",
       {"delete", "manage", "write", "apply", "write", "write", "read", true, true, true, true, true}},
  };
  static const GrantKind kind{
      "team-projects",
      "project",
      "projects",
      project_fields,
      levels,
      {"read", "none", "none", "read", "none", "none", "none", false, false, false, false, false}};
  return kind;
}

json::object encode(const GrantKind& kind, const json::object& row) {
  json::object attributes{{"access", row.at("access")}};
  for (const GrantField& field : kind.fields) {
    if (field.group.empty()) {
      attributes[field.name] = row.at(field.column);
    } else {
      json::value& group = attributes[field.group];
      if (!group.is_object()) group = json::object();
      group.as_object()[field.name] = row.at(field.column);
    }
  }
  auto related = [](std::string_view type, const json::value& id) {
    return json::object{{"data", json::object{{"id", id}, {"type", type}}}};
  };
  const json::value& id = row.at("id");
  return {{"id", id},
          {"type", kind.type},
          {"attributes", std::move(attributes)},
          {"relationships", json::object{{"team", related("teams", row.at("team_id"))},
                                         {kind.place, related(kind.place_type, row.at("place_id"))}}},
          {"links",
           json::object{{"self", "/api/v2/" + std::string(kind.type) + "/" + std::string(id.as_string())}}}};
}

json::object decide(const GrantKind& kind, const json::object& data, const json::object* before) {
  static const json::object none;
  const json::object* found = find_object(data, "attributes");
  const json::object& attributes = found ? *found : none;
  const std::string access = access_of(kind, attributes, before);
  const GrantLevel* level = find_level(kind, access);
  json::object columns{{"access", access}};
  std::vector<Problem> problems;
  for (std::size_t i = 0; i < kind.fields.size(); ++i) {
    const GrantField& field = kind.fields[i];
    const json::value* asked = given(field, attributes);
    const json::value stays = level ? level->gives[i] : before ? before->at(field.column) : kind.least[i];
    if (asked) {
      if (std::optional<std::string> why = wrong(field, *asked)) {
        problems.push_back({*why, pointer_to(field)});
      } else if (level && *asked != stays) {
        problems.push_back({std::string(field.title) + " is read-only when access level is '" + access +
                                "'; use the 'custom' access level to set this attribute.",
                            pointer_to(field)});
      }
    }
    columns[field.column] = asked ? *asked : stays;
  }
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  return columns;
}

}  // namespace terrane::team
