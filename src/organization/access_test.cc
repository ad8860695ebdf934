#include "organization/access.h"

#include <gtest/gtest.h>

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
      {organization, "ws-own", "rvVoslfud"},
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

}  // namespace
}  // namespace terrane::organization
