#pragma once
// What tests of the endpoints around an organization share: a database with a few principals, all routes of
// this folder, and calls in the name of a principal.
#include <map>
#include <optional>
#include <string>

#include "api/testing_client.h"
#include "organization/admin_api.h"
#include "organization/organization_api.h"
#include "organization/retention_api.h"
#include "organization/subscription_api.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "user/tokens.h"
#include "user/user_api.h"

namespace terrane::organization::test {

/// ann owns acme, bob belongs to it without rights, eve owns evil, root is site admin. run-1 is a run of
/// acme's ws-1 that has ended.
constexpr const char* rows = R"sql(
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES
    ('user-ann', 'ann', 'a@x', false), ('user-bob', 'bob', 'b@x', false), ('user-eve', 'eve', 'e@x', false), ('user-root', 'root', 'r@x', true);
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x'), ('org-2', 'evil', 'e@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES
    ('team-1', 'org-1', 'owners'), ('team-2', 'org-1', 'developers'), ('team-9', 'org-2', 'owners');
  INSERT INTO terrane.team_members VALUES ('team-1', 'user-ann'), ('team-2', 'user-bob'), ('team-9', 'user-eve');
  INSERT INTO terrane.projects (id, organization_id, name, is_default) VALUES
    ('prj-1', 'org-1', 'Default Project', true), ('prj-9', 'org-2', 'Default Project', true);
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-1', 'org-1', 'prj-1', 'one');
  INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-cv1', 'configuration', 'ws-1', 'ws-1', 'live');
  INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id) VALUES ('cv-1', 'ws-1', 'uploaded', 'obj-cv1');
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, terraform_version, epoch)
    VALUES ('run-1', 'ws-1', 'cv-1', 'applied', 'm', '1.0.0', 1);
)sql";

struct Stage {
  postgres::Database database;
  user::Tokens tokens;
  api::Includes includes;
  OrganizationApi organizations;
  SubscriptionApi subscriptions;
  RetentionApi retention;
  AdminApi admin;
  user::UserApi users;
  http::Router router;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor executor, const testing::TestDatabase& at)
      : database(executor, at.options()),
        tokens(database, Secret("a key of the tests")),
        organizations(database, tokens, includes),
        subscriptions(database),
        retention(database),
        admin(database, tokens, includes),
        users(database, tokens, includes) {
    organizations.add_routes(router);
    subscriptions.add_routes(router);
    retention.add_routes(router);
    admin.add_routes(router);
    users.add_routes(router);
    client.emplace(router, [this](const std::string& token) { return tokens.authenticate(token); });
  }

  /// Makes the tokens; call it first.
  Task<> prepare() {
    postgres::Tx tx = co_await database.begin();
    for (auto [kind, owner] :
         {std::pair("user", "user-ann"), std::pair("user", "user-bob"), std::pair("user", "user-eve"),
          std::pair("user", "user-root"), std::pair("team", "team-1"), std::pair("organization", "org-1"),
          std::pair("run", "run-1")}) {
      user::NewToken made = co_await tokens.create(tx, kind, owner, std::nullopt, std::nullopt, std::nullopt);
      token_of[owner] = made.token.reveal();
    }
    co_await tx.commit();
  }

  Task<api::TestAnswer> call(http::Method method, std::string path, json::object body, std::string as) {
    std::string text = body.empty() ? std::string() : json::serialize(body);
    co_return co_await client->call(method, std::move(path), std::move(text), token_of[as]);
  }
  Task<api::TestAnswer> get(std::string path, std::string as = "user-ann") {
    co_return co_await call(http::Method::get, std::move(path), {}, std::move(as));
  }
  Task<api::TestAnswer> post(std::string path, json::object body, std::string as = "user-ann") {
    co_return co_await call(http::Method::post, std::move(path), std::move(body), std::move(as));
  }
  Task<api::TestAnswer> patch(std::string path, json::object body, std::string as = "user-ann") {
    co_return co_await call(http::Method::patch, std::move(path), std::move(body), std::move(as));
  }
  Task<api::TestAnswer> del(std::string path, std::string as = "user-ann") {
    co_return co_await call(http::Method::del, std::move(path), {}, std::move(as));
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

}  // namespace terrane::organization::test
