#include "team/team.h"

#include "base/text.h"
#include "team/team_sql.h"
#include "user/tokens.h"

namespace terrane::team {
namespace {

using jsonapi::attr;

std::optional<std::string> team_name(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == ' ';
  };
  if (trim(text).empty()) return "Name can't be blank";
  if (text.size() > 90) return "Name is too long (maximum is 90 characters)";
  if (trim(text) != text || !std::all_of(text.begin(), text.end(), is_allowed))
    return "Name can only include letters, numbers, inner spaces, -, and _";
  return std::nullopt;
}

std::optional<std::string> known_visibility(const json::value& given) {
  if (given.is_string() && given.get_string() != "secret" && given.get_string() != "organization")
    return "Visibility must be 'secret' or 'organization'";
  return std::nullopt;
}

std::optional<std::string> short_text(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 255)
    return "Sso team is too long (maximum is 255 bytes)";
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
const std::array attributes{
    attr<&Team::name>("name", "name", writable, team_name),
    attr<&Team::visibility>("visibility", "visibility", writable, known_visibility),
    attr<&Team::sso_team_id>("sso-team-id", "sso_team_id", writable, short_text),
    attr<&Team::allow_member_token_management>("allow-member-token-management",
                                               "allow_member_token_management", writable),
    attr<&Team::users_count>("users-count", "users_count"),
    attr<&Team::organization_id>("organization-id", "organization_id", jsonapi::hidden),
    attr<&Team::organization>("organization", "organization", jsonapi::hidden),
    attr<&Team::is_mine>("is-mine", "is_mine", jsonapi::hidden),
};

const std::array rights{
    attr<&Team::manage_policies>("manage-policies", "manage_policies", writable),
    attr<&Team::manage_policy_overrides>("manage-policy-overrides", "manage_policy_overrides", writable),
    attr<&Team::manage_workspaces>("manage-workspaces", "manage_workspaces", writable),
    attr<&Team::manage_vcs_settings>("manage-vcs-settings", "manage_vcs_settings", writable),
    attr<&Team::manage_providers>("manage-providers", "manage_providers", writable),
    attr<&Team::manage_modules>("manage-modules", "manage_modules", writable),
    attr<&Team::manage_run_tasks>("manage-run-tasks", "manage_run_tasks", writable),
    attr<&Team::manage_projects>("manage-projects", "manage_projects", writable),
    attr<&Team::read_workspaces>("read-workspaces", "read_workspaces", writable),
    attr<&Team::read_projects>("read-projects", "read_projects", writable),
    attr<&Team::manage_membership>("manage-membership", "manage_membership", writable),
    attr<&Team::manage_teams>("manage-teams", "manage_teams", writable),
    attr<&Team::manage_organization_access>("manage-organization-access", "manage_organization_access",
                                            writable),
    attr<&Team::access_secret_teams>("access-secret-teams", "access_secret_teams", writable),
    attr<&Team::manage_agent_pools>("manage-agent-pools", "manage_agent_pools", writable),
};

Team read(const postgres::Row& row) {
  Team team;
  jsonapi::read_row(resource(), row, &team);
  jsonapi::read_row(rights_resource(), row, &team);
  team.id = Id<Team>(row.string("id"));
  return team;
}

std::vector<Team> read_all(const postgres::Result& rows) {
  std::vector<Team> teams;
  for (std::size_t i = 0; i < rows.size(); ++i) teams.push_back(read(rows[i]));
  return teams;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "teams_organization_id_name_key") return error;
  return Error(Code::unprocessable, "Name has already been taken", "/data/attributes/name");
}

/// The rights in a request, whose pointers lead into `organization-access`.
json::object decode_rights(const json::object& given, jsonapi::Flag when, Team& team) {
  const json::object data{{"attributes", given}};
  std::vector<Problem> problems;
  try {
    return jsonapi::decode(rights_resource(), data, when, &team);
  } catch (const Error& error) {
    constexpr std::string_view from = "/data/attributes/";
    for (Problem problem : error.problems()) {
      if (problem.pointer.starts_with(from)) problem.pointer.insert(from.size(), "organization-access/");
      problems.push_back(std::move(problem));
    }
  }
  throw Error(Code::unprocessable, std::move(problems));
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"teams", attributes, {}};
  return table;
}

const jsonapi::Resource& rights_resource() {
  static const jsonapi::Resource table{"organization-access", rights, {}};
  return table;
}

bool sees_secret_teams(const organization::OrganizationAccess& organization) {
  return organization.manage || organization.access_secret_teams;
}

TeamAccess access_to_team(const organization::OrganizationAccess& organization,
                          const api::Principal& principal, const Team& team) {
  TeamAccess access;
  using Kind = api::Principal::Kind;
  if (principal.kind == Kind::run || principal.kind == Kind::audit_trails || !organization.read)
    return access;
  access.read = sees_secret_teams(organization) || team.visibility == "organization" || team.is_mine;
  if (!access.read) return access;
  // Nobody makes himself an owner by a lesser right.
  const bool may_touch = !team.is_owners() || organization.manage;
  access.update = organization.manage_teams && may_touch;
  access.destroy = organization.manage_teams && !team.is_owners();
  access.update_organization_access = organization.manage_organization_access && !team.is_owners();
  access.update_membership = organization.manage_membership && may_touch;
  const bool manages = team.is_owners() ? organization.own : organization.manage_teams;
  access.manage_tokens = manages || (team.is_mine && team.allow_member_token_management);
  return access;
}

json::object encode(const Team& team, const TeamAccess& access) {
  json::object out = jsonapi::encode(resource(), &team, team.id.text());
  json::object& shown = out["attributes"].as_object();
  Team seen = team;
  if (team.is_owners()) {
    for (const jsonapi::Attribute& right : rights) *static_cast<bool*>(right.address(&seen)) = true;
  }
  shown["organization-access"] = jsonapi::encode(rights_resource(), &seen, "").at("attributes");
  shown["is-unified"] = false;
  shown["permissions"] = json::object{{"can-destroy", access.destroy},
                                      {"can-update-membership", access.update_membership},
                                      {"can-update-organization-access", access.update_organization_access},
                                      {"can-update-api-token", access.manage_tokens},
                                      {"can-view-api-token", access.manage_tokens},
                                      {"can-update-visibility", access.update},
                                      {"can-update-name", access.update && !team.is_owners()},
                                      {"can-update-sso-team-id", access.update},
                                      {"can-update-member-token-management", access.update}};
  out["relationships"] = json::object{
      {"organization",
       json::object{{"data", json::object{{"id", team.organization}, {"type", "organizations"}}}}},
      {"authentication-token", json::object{{"meta", json::object()}}}};
  out["links"] = json::object{{"self", "/api/v2/teams/" + team.id.text()}};
  return out;
}

Task<> add_members(postgres::Tx& tx, std::vector<json::object>& teams) {
  std::vector<std::string> ids;
  std::map<std::string, std::pair<json::array, json::array>> members;
  for (const json::object& team : teams) ids.emplace_back(team.at("id").as_string());
  postgres::Result rows = co_await tx.run(sql::team_members, postgres::Params::of(ids));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& [users, memberships] = members[rows[i].string("team_id")];
    if (rows[i].boolean("active"))
      users.push_back(json::object{{"id", rows[i].string("user_id")}, {"type", "users"}});
    memberships.push_back(
        json::object{{"id", rows[i].string("membership_id")}, {"type", "organization-memberships"}});
  }
  for (json::object& team : teams) {
    auto& [users, memberships] = members[std::string(team.at("id").as_string())];
    json::object& relations = team["relationships"].as_object();
    relations["users"] = json::object{{"data", std::move(users)}};
    relations["organization-memberships"] = json::object{{"data", std::move(memberships)}};
  }
}

json::object decode(const json::object& data, jsonapi::Flag when, Team& team, bool& changes_rights) {
  json::object columns = jsonapi::decode(resource(), data, when, &team);
  const json::object* given = find_object(data, "attributes");
  const json::value* wanted = given ? given->if_contains("organization-access") : nullptr;
  changes_rights = false;
  if (!wanted || wanted->is_null()) return columns;
  if (!wanted->is_object())
    throw Error(Code::unprocessable, "must be an object", "/data/attributes/organization-access");
  for (auto& [column, value] : decode_rights(wanted->get_object(), when, team)) {
    changes_rights = changes_rights || when == jsonapi::update || value.as_bool();
    columns[column] = value;
  }
  return columns;
}

Task<std::vector<Team>> find_many(postgres::Tx& tx, const api::Principal& principal,
                                  const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(
      sql::team_find, postgres::Params::of(ids, organization::kind_name(principal.kind), principal.id));
  co_return read_all(rows);
}

Task<std::optional<Team>> find(postgres::Tx& tx, const api::Principal& principal, const std::string& id) {
  const std::vector<std::string> ids{id};
  std::vector<Team> found = co_await find_many(tx, principal, ids);
  if (found.empty()) co_return std::nullopt;
  co_return std::move(found.front());
}

Task<Visible> require(postgres::Tx& tx, const api::Principal& principal, const std::string& id) {
  std::optional<Team> team = co_await find(tx, principal, id);
  if (!team) throw Error(Code::not_found, "");
  organization::OrganizationAccess access =
      co_await organization::require_organization(tx, principal, team->organization);
  const TeamAccess rights_here = access_to_team(access, principal, *team);
  if (!rights_here.read) throw Error(Code::not_found, "");
  co_return Visible{*std::move(team), rights_here, std::move(access)};
}

Task<std::pair<std::vector<Team>, std::int64_t>> list(postgres::Tx& tx, const api::Principal& principal,
                                                      const organization::OrganizationAccess& organization,
                                                      const std::vector<std::string>& names,
                                                      std::string_view search, const jsonapi::Page& page) {
  postgres::Params params =
      postgres::Params::of(organization.id, organization::kind_name(principal.kind), principal.id,
                           sees_secret_teams(organization), names, search);
  postgres::Result total = co_await tx.run(sql::team_count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::team_list, std::move(params));
  co_return std::pair(read_all(rows), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const Team& team, const json::object& columns) {
  try {
    co_await tx.run(sql::team_insert, postgres::Params::of(team.id, team.organization_id, columns));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> update(postgres::Tx& tx, const std::string& id, const json::object& columns) {
  try {
    co_await tx.run(sql::team_update, postgres::Params::of(id, columns));
  } catch (const Error& error) {
    throw taken(error);
  }
  if (columns.contains("name")) co_await tx.run(sql::team_notify_tokens);
}

Task<> remove(postgres::Tx& tx, const std::string& id) {
  co_await user::Tokens::revoke_all(tx, "team", id);
  co_await tx.run(sql::team_delete, postgres::Params::of(id));
}

Task<> lock_owners(postgres::Tx& tx, const std::string& organization_id) {
  co_await tx.run(sql::team_lock_owners, postgres::Params::of(organization_id));
}

Task<> require_owner(postgres::Tx& tx, const std::string& organization_id) {
  postgres::Result left = co_await tx.run(sql::team_has_owner, postgres::Params::of(organization_id));
  if (!left[0].boolean("has_owner"))
    throw Error(Code::unprocessable, "The owners team must keep at least one member.", "/data");
}

Task<> add_users(postgres::Tx& tx, const std::string& team_id, const std::vector<std::string>& users) {
  co_await tx.run(sql::team_add_users, postgres::Params::of(team_id, users));
}

Task<> remove_users(postgres::Tx& tx, const Team& team, const std::vector<std::string>& users) {
  if (team.is_owners()) co_await lock_owners(tx, team.organization_id);
  co_await tx.run(sql::team_remove_users, postgres::Params::of(team.id, users));
  if (team.is_owners()) co_await require_owner(tx, team.organization_id);
}

}  // namespace terrane::team
