#include "organization/access.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <tuple>

#include "base/text.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::organization {
namespace {

using testing::TestDatabase;
using Kind = api::Principal::Kind;

constexpr std::string_view rows = R"sql(
  INSERT INTO terrane.users (id, username, email) VALUES ('user-owner', 'a', 'a@x'), ('user-dev', 'b', 'b@x'), ('user-far', 'c', 'c@x');
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x'), ('org-2', 'other', 'o@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES
    ('team-1', 'org-1', 'owners'), ('team-dev', 'org-1', 'dev'), ('team-2', 'org-2', 'owners');
  INSERT INTO terrane.team_members VALUES ('team-1', 'user-owner'), ('team-dev', 'user-dev'), ('team-2', 'user-far');
  INSERT INTO terrane.projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'p'), ('prj-2', 'org-2', 'p');
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name, global_remote_state) VALUES
    ('ws-own', 'org-1', 'prj-1', 'own', false), ('ws-closed', 'org-1', 'prj-1', 'closed', false), ('ws-shared', 'org-1', 'prj-1', 'shared', false),
    ('ws-global', 'org-1', 'prj-1', 'global', true), ('ws-far', 'org-2', 'prj-2', 'far', true);
  INSERT INTO terrane.remote_state_consumers VALUES ('ws-shared', 'ws-own'), ('ws-far', 'ws-own');
)sql";

api::Principal principal(Kind kind, const char* id, const char* organization = "",
                         const char* workspace = "") {
  api::Principal made;
  made.kind = kind;
  made.id = id;
  made.organization_id = organization;
  made.workspace_id = workspace;
  return made;
}

/// One letter for each right that is there, in a fixed order.
std::string letters(const WorkspaceAccess& access) {
  std::string out;
  const std::pair<bool, char> rights[]{
      {access.read, 'r'},         {access.read_variables, 'v'}, {access.write_variables, 'V'},
      {access.read_outputs, 'o'}, {access.read_state, 's'},     {access.write_state, 'S'},
      {access.queue_runs, 'q'},   {access.apply_runs, 'a'},     {access.lock, 'l'},
      {access.force_unlock, 'f'}, {access.update, 'u'},         {access.destroy, 'd'}};
  for (auto [has, letter] : rights) {
    if (has) out += letter;
  }
  return out;
}

constexpr const char* everything = "rvVosSqalfud";
constexpr const char* reading = "ros";

void run(std::function<Task<>(postgres::Tx&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  at.run(std::string(rows));
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, at.options());
    postgres::Tx tx = co_await database.begin();
    co_await body(tx);
  });
}

TEST(WorkspaceAccess, IsWhatEachPrincipalMay) {
  api::Principal admin = principal(Kind::user, "user-nobody");
  admin.site_admin = true;
  const api::Principal owner = principal(Kind::user, "user-owner");
  const api::Principal dev = principal(Kind::user, "user-dev");
  const api::Principal far = principal(Kind::user, "user-far");
  const api::Principal owners = principal(Kind::team, "team-1", "org-1");
  const api::Principal dev_team = principal(Kind::team, "team-dev", "org-1");
  const api::Principal organization = principal(Kind::organization, "org-1", "org-1");
  const api::Principal of_run = principal(Kind::run, "run-1", "org-1", "ws-own");
  struct Case {
    const api::Principal& who;
    const char* workspace;
    const char* rights;
  };
  const std::vector<Case> cases{
      {admin, "ws-own", everything},
      {admin, "ws-none", ""},
      {owner, "ws-own", everything},
      {owner, "ws-far", ""},
      {dev, "ws-own", ""},
      {dev, "ws-global", ""},
      {far, "ws-own", ""},
      {far, "ws-far", everything},
      {owners, "ws-closed", everything},
      {owners, "ws-far", ""},
      {dev_team, "ws-own", ""},
      {organization, "ws-own", "rvVosfud"},
      {organization, "ws-far", ""},
      {of_run, "ws-own", reading},
      {of_run, "ws-closed", ""},
      {of_run, "ws-shared", reading},
      {of_run, "ws-global", reading},
      {of_run, "ws-far", ""},
      {of_run, "ws-none", ""},
  };
  run([&](postgres::Tx& tx) -> Task<> {
    for (const Case& item : cases) {
      WorkspaceAccess access = co_await access_to_workspace(tx, item.who, item.workspace);
      EXPECT_EQ(letters(access), item.rights) << item.who.id << " " << item.workspace;
    }
  });
}

TEST(WorkspaceAccess, TakesSiteAdminOfPeopleOnly) {
  run([](postgres::Tx& tx) -> Task<> {
    for (Kind kind : {Kind::organization, Kind::team, Kind::run}) {
      api::Principal forged = principal(kind, "x");
      forged.site_admin = true;
      EXPECT_EQ(letters(co_await access_to_workspace(tx, forged, "ws-own")), "");
      EXPECT_FALSE((co_await access_to_organization(tx, forged, "acme")).read);
    }
  });
}

TEST(OrganizationAccess, IsWhatEachPrincipalMay) {
  struct Case {
    api::Principal who;
    bool read;
    bool manage;
  };
  const std::vector<Case> cases{
      {principal(Kind::user, "user-owner"), true, true},
      {principal(Kind::user, "user-dev"), true, false},
      {principal(Kind::user, "user-far"), false, false},
      {principal(Kind::team, "team-1", "org-1"), true, true},
      {principal(Kind::team, "team-dev", "org-1"), true, false},
      {principal(Kind::team, "team-2", "org-2"), false, false},
      {principal(Kind::organization, "org-1", "org-1"), true, true},
      {principal(Kind::organization, "org-2", "org-2"), false, false},
      {principal(Kind::run, "run-1", "org-1", "ws-own"), true, false},
      {principal(Kind::run, "run-2", "org-2", "ws-far"), false, false},
  };
  run([&](postgres::Tx& tx) -> Task<> {
    for (const Case& item : cases) {
      OrganizationAccess access = co_await access_to_organization(tx, item.who, "Acme");
      EXPECT_EQ(access.read, item.read) << item.who.id;
      EXPECT_EQ(access.manage, item.manage) << item.who.id;
      EXPECT_EQ(access.create_workspaces, item.manage) << item.who.id;
      std::optional<Code> code;
      try {
        OrganizationAccess required = co_await require_organization(tx, item.who, "acme");
        EXPECT_EQ(required.id, "org-1");
      } catch (const Error& error) {
        code = error.code();
      }
      EXPECT_EQ(code, item.read ? std::nullopt : std::optional(Code::not_found)) << item.who.id;
    }
  });
}

/// Each of the team's rights in the organization, one at a time, and what follows from it.
TEST(OrganizationAccess, AddsUpWhatTeamsMay) {
  using Access = OrganizationAccess;
  struct Case {
    const char* column;
    std::vector<bool Access::*> rights;
  };
  const std::vector<Case> cases{
      {"manage_workspaces",
       {&Access::manage_workspaces, &Access::read_workspaces, &Access::read_projects,
        &Access::create_workspaces}},
      {"read_workspaces", {&Access::read_workspaces}},
      {"manage_projects",
       {&Access::manage_projects, &Access::manage_workspaces, &Access::read_workspaces,
        &Access::read_projects, &Access::create_workspaces}},
      {"read_projects", {&Access::read_projects}},
      {"manage_membership", {&Access::manage_membership}},
      {"manage_teams", {&Access::manage_teams, &Access::manage_membership}},
      {"manage_organization_access",
       {&Access::manage_organization_access, &Access::manage_teams, &Access::manage_membership}},
      {"access_secret_teams", {&Access::access_secret_teams}},
      {"manage_policies", {&Access::manage_policies}},
      {"manage_policy_overrides", {&Access::manage_policy_overrides}},
      {"manage_vcs_settings", {&Access::manage_vcs_settings, &Access::manage_ssh_keys}},
      {"manage_run_tasks", {&Access::manage_run_tasks}},
      {"manage_agent_pools", {&Access::manage_agent_pools, &Access::read_workspaces, &Access::read_projects}},
      {"manage_modules", {&Access::manage_modules}},
      {"manage_providers", {&Access::manage_providers}},
  };
  const std::vector<bool Access::*> all{&Access::own,
                                        &Access::manage,
                                        &Access::create_workspaces,
                                        &Access::manage_workspaces,
                                        &Access::read_workspaces,
                                        &Access::manage_projects,
                                        &Access::read_projects,
                                        &Access::manage_membership,
                                        &Access::manage_teams,
                                        &Access::manage_organization_access,
                                        &Access::access_secret_teams,
                                        &Access::manage_policies,
                                        &Access::manage_policy_overrides,
                                        &Access::manage_vcs_settings,
                                        &Access::manage_run_tasks,
                                        &Access::manage_agent_pools,
                                        &Access::manage_modules,
                                        &Access::manage_providers,
                                        &Access::manage_ssh_keys};
  run([&](postgres::Tx& tx) -> Task<> {
    const api::Principal dev = principal(Kind::user, "user-dev");
    for (const Case& item : cases) {
      const std::string column = item.column;
      const std::string set = "UPDATE terrane.teams SET " + column + " = ";
      const std::string on = "test_set_" + column, off = "test_unset_" + column;
      co_await tx.run({on, set + "true WHERE id = 'team-dev'"});
      OrganizationAccess access = co_await access_to_organization(tx, dev, "acme");
      for (std::size_t i = 0; i < all.size(); ++i) {
        const bool wanted = std::find(item.rights.begin(), item.rights.end(), all[i]) != item.rights.end();
        EXPECT_EQ(access.*all[i], wanted) << column << " and right " << i;
      }
      EXPECT_FALSE((co_await access_to_organization(tx, dev, "other")).read) << "another organization's";
      co_await tx.run({off, set + "false WHERE id = 'team-dev'"});
    }
    OrganizationAccess token =
        co_await access_to_organization(tx, principal(Kind::organization, "org-1", "org-1"), "acme");
    EXPECT_TRUE(token.manage && token.manage_organization_access && token.manage_vcs_settings);
    EXPECT_FALSE(token.own || token.manage_ssh_keys) << "it changes neither itself nor keys";
  });
}

/// What a team that is granted something here, for the project, or by flags in the organization may do.
TEST(WorkspaceAccess, AddsUpGrants) {
  auto here = [](const char* access, const char* rest) {
    return "INSERT INTO terrane.team_workspaces (id, team_id, workspace_id, access, runs, variables, "
           "state_versions, sentinel_mocks, workspace_locking, run_tasks) VALUES ('g', 'team-dev', 'ws-own', "
           "'" +
           std::string(access) + "', " + rest + ")";
  };
  auto project = [](const char* access, const char* rest) {
    return "INSERT INTO terrane.team_projects (id, team_id, project_id, access, settings, teams, "
           "variable_sets, "
           "runs, variables, state_versions, sentinel_mocks, create_workspaces, locking, move_workspaces, "
           "delete_workspaces, run_tasks) VALUES ('g', 'team-dev', 'prj-1', '" +
           std::string(access) + "', 'read', 'none', 'none', " + rest + ")";
  };
  auto flag = [](const char* column) {
    return "UPDATE terrane.teams SET " + std::string(column) + " = true WHERE id = 'team-dev'";
  };
  // Each with the rights in the workspace, and in another one of the same project.
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {here("read", "'read', 'read', 'read', 'none', false, false"), "rvos", ""},
      {here("plan", "'plan', 'read', 'read', 'none', false, false"), "rvosq", ""},
      {here("write", "'apply', 'write', 'write', 'read', true, false"), "rvVosSqal", ""},
      {here("admin", "'apply', 'write', 'write', 'read', true, true"), everything, ""},
      {here("custom", "'read', 'none', 'none', 'none', false, false"), "r", ""},
      {here("custom", "'read', 'none', 'read-outputs', 'none', true, false"), "rol", ""},
      {here("custom", "'plan', 'write', 'none', 'none', false, false"), "rvVq", ""},
      {project("read", "'read', 'read', 'read', 'none', false, false, false, false, false"), "rvos", "rvos"},
      {project("write", "'apply', 'write', 'write', 'read', false, true, false, false, false"), "rvVosSqal",
       "rvVosSqal"},
      {project("maintain", "'apply', 'write', 'write', 'read', true, true, false, true, false"), everything,
       everything},
      {project("custom", "'read', 'none', 'none', 'none', false, false, false, true, false"), "rd", "rd"},
      {flag("read_workspaces"), "rvos", "rvos"},
      {flag("manage_workspaces"), everything, everything},
      {flag("manage_projects"), everything, everything},
      {flag("manage_policies"), "r", "r"},
      {flag("manage_agent_pools"), "r", "r"},
      {flag("manage_membership"), "", ""},
      {flag("read_workspaces") + "; " + here("custom", "'apply', 'none', 'none', 'none', false, false"),
       "rvosqa", "rvos"},
  };
  TestDatabase at(TestDatabase::Content::migrated);
  at.run(std::string(rows));
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, at.options());
    int number = 0;
    for (const auto& [sql, rights, elsewhere] : cases) {
      postgres::Tx tx = co_await database.begin();  // and rolled back
      for (std::string_view statement : split(sql, ';')) {
        const std::string name = "test_grant_" + std::to_string(++number);
        co_await tx.run({name, statement});
      }
      for (const api::Principal& who :
           {principal(Kind::user, "user-dev"), principal(Kind::team, "team-dev", "org-1")}) {
        EXPECT_EQ(letters(co_await access_to_workspace(tx, who, "ws-own")), rights) << sql;
        EXPECT_EQ(letters(co_await access_to_workspace(tx, who, "ws-closed")), elsewhere) << sql;
        EXPECT_EQ(letters(co_await access_to_workspace(tx, who, "ws-far")), "") << sql;
        // What lists ask agrees with the single question.
        ReadableScope scope = co_await readable_scope(tx, who, "org-1");
        auto has = [](const std::vector<std::string>& ids, const char* id) {
          return std::find(ids.begin(), ids.end(), id) != ids.end();
        };
        const bool in_project = scope.all_workspaces || has(scope.projects, "prj-1");
        EXPECT_EQ(in_project || has(scope.workspaces, "ws-closed"), !elsewhere.empty()) << sql;
        EXPECT_EQ(in_project || has(scope.workspaces, "ws-own"), !rights.empty()) << sql;
        ReadableScope far = co_await readable_scope(tx, who, "org-2");
        EXPECT_FALSE(far.all_workspaces || !far.projects.empty() || !far.workspaces.empty());
      }
      EXPECT_EQ(letters(co_await access_to_workspace(tx, principal(Kind::user, "user-far"), "ws-own")), "")
          << sql;
    }
  });
}

TEST(OrganizationAccess, EndsWhereTheOrganizationIsClosed) {
  run([](postgres::Tx& tx) -> Task<> {
    api::Principal admin = principal(Kind::user, "user-nobody");
    admin.site_admin = true;
    const api::Principal owner = principal(Kind::user, "user-owner");
    const api::Principal owners = principal(Kind::team, "team-1", "org-1");
    const api::Principal of_run = principal(Kind::run, "run-1", "org-1", "ws-own");
    auto may = [&](const api::Principal& who) -> Task<bool> {
      const bool organization = (co_await access_to_organization(tx, who, "acme")).read;
      const bool workspace = (co_await access_to_workspace(tx, who, "ws-own")).read;
      EXPECT_EQ(organization, workspace);
      co_return organization;
    };
    co_await tx.run({"test_no_user_tokens", "UPDATE terrane.organizations SET user_tokens_enabled = false"});
    EXPECT_FALSE(co_await may(owner));
    EXPECT_TRUE(co_await may(owners) && co_await may(admin) && co_await may(of_run));
    EXPECT_FALSE((co_await access_to_project(tx, owner, "prj-1")).read);
    co_await tx.run({"test_disabled", "UPDATE terrane.organizations SET is_disabled = true"});
    EXPECT_FALSE(co_await may(owners));
    EXPECT_TRUE(co_await may(admin) && co_await may(of_run));
  });
}

TEST(ReadableScope, OfARunIsWhatItsWorkspaceMayRead) {
  run([](postgres::Tx& tx) -> Task<> {
    const api::Principal of_run = principal(Kind::run, "run-1", "org-1", "ws-own");
    ReadableScope scope = co_await readable_scope(tx, of_run, "org-1");
    std::sort(scope.workspaces.begin(), scope.workspaces.end());
    EXPECT_EQ(scope.workspaces, (std::vector<std::string>{"ws-global", "ws-own", "ws-shared"}));
    EXPECT_FALSE(scope.all_workspaces || scope.all_projects);
    EXPECT_TRUE((co_await readable_scope(tx, of_run, "org-2")).workspaces.empty());
  });
}

}  // namespace
}  // namespace terrane::organization
