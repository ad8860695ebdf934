#pragma once
// What the tests of teams share: an organization with people of every kind, another one, and their tokens.
#include <gtest/gtest.h>
#include <optional>
#include <string>

#include "api/testing_client.h"
#include "http/router.h"
#include "postgres/database.h"
#include "team/grant_api.h"
#include "team/membership_api.h"
#include "team/team_api.h"
#include "team/token_api.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "user/tokens.h"
#include "user/user_api.h"

namespace terrane::team::test {

using api::test_document;
using api::TestAnswer;
using http::Method;

/// ann owns acme; bob is in `devs`, carl in nothing, mia manages membership, tom teams, oli organization
/// access; eve owns evil; root is site admin. `devs` is secret, `open` visible. ws-1 is in prj-1, the default
/// project.
constexpr const char* rows = R"sql(
  INSERT INTO terrane.users (id, username, email, password_hash, is_site_admin) VALUES
    ('user-ann', 'ann', 'ann@x', 'h', false), ('user-bob', 'bob', 'bob@x', 'h', false), ('user-carl', 'Carl', 'carl@x', 'h', false),
    ('user-mia', 'mia', 'mia@x', 'h', false), ('user-tom', 'tom', 'tom@x', 'h', false), ('user-oli', 'oli', 'oli@x', 'h', false),
    ('user-eve', 'eve', 'eve@x', 'h', false), ('user-root', 'root', 'root@x', 'h', true);
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x'), ('org-2', 'evil', 'e@x');
  INSERT INTO terrane.teams (id, organization_id, name, visibility) VALUES
    ('team-owners', 'org-1', 'owners', 'organization'), ('team-devs', 'org-1', 'devs', 'secret'),
    ('team-open', 'org-1', 'open', 'organization'), ('team-mem', 'org-1', 'mem', 'secret'),
    ('team-adm', 'org-1', 'adm', 'secret'), ('team-acc', 'org-1', 'acc', 'secret'), ('team-evil', 'org-2', 'owners', 'secret');
  UPDATE terrane.teams SET manage_membership = true WHERE id = 'team-mem';
  UPDATE terrane.teams SET manage_teams = true WHERE id = 'team-adm';
  UPDATE terrane.teams SET manage_organization_access = true WHERE id = 'team-acc';
  INSERT INTO terrane.team_members VALUES ('team-owners', 'user-ann'), ('team-devs', 'user-bob'), ('team-mem', 'user-mia'),
    ('team-adm', 'user-tom'), ('team-acc', 'user-oli'), ('team-evil', 'user-eve');
  INSERT INTO terrane.organization_memberships (id, organization_id, user_id) VALUES ('ou-carl', 'org-1', 'user-carl');
  INSERT INTO terrane.projects (id, organization_id, name, is_default) VALUES
    ('prj-1', 'org-1', 'Default Project', true), ('prj-9', 'org-2', 'Default Project', true);
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES
    ('ws-1', 'org-1', 'prj-1', 'one'), ('ws-9', 'org-2', 'prj-9', 'nine');
)sql";

struct Stage {
  postgres::Database database;
  user::Tokens tokens;
  api::Includes includes;
  user::UserApi users{database, tokens, includes};
  TeamApi teams{database, tokens, includes};
  TokenApi authentication_tokens{database, tokens};
  MembershipApi memberships{database, includes};
  GrantApi workspace_grants{database, workspace_grant_place()};
  GrantApi project_grants{database, project_grant_place()};
  http::Router router;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor on, const testing::TestDatabase& at)
      : database(on, at.options(4)), tokens(database, Secret("a key of the tests")) {
    users.add_routes(router);
    teams.add_routes(router);
    authentication_tokens.add_routes(router);
    memberships.add_routes(router);
    workspace_grants.add_routes(router);
    project_grants.add_routes(router);
    client.emplace(router, [this](const std::string& token) { return tokens.authenticate(token); });
  }

  Task<> prepare() {
    postgres::Tx tx = co_await database.begin();
    for (auto [kind, owner] :
         {std::pair("user", "user-ann"), std::pair("user", "user-bob"), std::pair("user", "user-carl"),
          std::pair("user", "user-mia"), std::pair("user", "user-tom"), std::pair("user", "user-oli"),
          std::pair("user", "user-eve"), std::pair("user", "user-root"), std::pair("organization", "org-1"),
          std::pair("team", "team-devs")}) {
      user::NewToken made =
          co_await tokens.create(tx, kind, owner, "of the tests", std::nullopt, std::nullopt);
      token_of[owner] = made.token.reveal();
    }
    co_await tx.commit();
  }

  Task<TestAnswer> call(Method method, std::string path, json::object body, std::string as = "user-ann") {
    std::string token = token_of.contains(as) ? token_of[as] : as;
    co_return co_await client->call(method, "/api/v2/" + path, body, std::move(token));
  }
  Task<TestAnswer> get(std::string path, std::string as = "user-ann") {
    std::string token = token_of.contains(as) ? token_of[as] : as;
    co_return co_await client->call(Method::get, "/api/v2/" + path, std::string(), std::move(token));
  }
  Task<TestAnswer> post(std::string path, json::object body, std::string as = "user-ann") {
    co_return co_await call(Method::post, std::move(path), std::move(body), std::move(as));
  }
  Task<TestAnswer> patch(std::string path, json::object body, std::string as = "user-ann") {
    co_return co_await call(Method::patch, std::move(path), std::move(body), std::move(as));
  }
  Task<TestAnswer> del(std::string path, std::string as = "user-ann", json::object body = {}) {
    co_return co_await call(Method::del, std::move(path), std::move(body), std::move(as));
  }
};

inline void run(std::function<Task<>(Stage&)> body) {
  testing::TestDatabase at(testing::TestDatabase::Content::migrated);
  at.run(rows);
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    co_await stage.prepare();
    co_await body(stage);
  });
}

/// The ids in a list's `data`, or in a relation's, in order.
inline std::vector<std::string> ids(const TestAnswer& answer, std::string_view pointer = "/data") {
  std::vector<std::string> out;
  const json::value list = answer.at(pointer);
  if (!list.is_array()) return out;
  for (const json::value& item : list.get_array()) out.emplace_back(item.at("id").as_string());
  return out;
}

/// `{"data": [{"id", "type"}]}`.
inline json::object people(std::string_view type, const std::vector<std::string>& names) {
  json::array data;
  for (const std::string& name : names) data.push_back(json::object{{"id", name}, {"type", type}});
  return {{"data", std::move(data)}};
}

/// A document with relations to one each.
inline json::object granted(std::string_view type, json::object attributes, std::string_view team,
                            std::string_view place_name, std::string_view place) {
  json::object document = test_document(type, std::move(attributes));
  document["data"].as_object()["relationships"] =
      json::object{{"team", json::object{{"data", json::object{{"id", team}, {"type", "teams"}}}}},
                   {place_name, json::object{{"data", json::object{{"id", place}}}}}};
  return document;
}

}  // namespace terrane::team::test
