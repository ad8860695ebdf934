#pragma once
// What tests of workspaces and of what stands on them share: a database with a few principals, and their
// tokens.
#include <optional>
#include <string>

#include "api/includes.h"
#include "api/testing_client.h"
#include "http/router.h"
#include "postgres/database.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "user/tokens.h"

namespace terrane::workspace::test {

/// ann owns acme, bob belongs to it without rights, eve owns evil, root is site admin; ws-1 and ws-2 are
/// acme's, ws-9 is evil's. run-1 is a run of ws-1 that has ended.
constexpr const char* rows = R"sql(
  INSERT INTO terrane.installation (id, mode, hostname, system_identifier, timeline) VALUES ('i', 'demo', 'terrane.test', 's', 1);
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES
    ('user-ann', 'ann', 'a@x', false), ('user-bob', 'bob', 'b@x', false), ('user-eve', 'eve', 'e@x', false), ('user-root', 'root', 'r@x', true);
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x'), ('org-2', 'evil', 'e@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES
    ('team-1', 'org-1', 'owners'), ('team-2', 'org-1', 'developers'), ('team-9', 'org-2', 'owners');
  INSERT INTO terrane.team_members VALUES ('team-1', 'user-ann'), ('team-2', 'user-bob'), ('team-9', 'user-eve');
  INSERT INTO terrane.projects (id, organization_id, name, is_default) VALUES
    ('prj-1', 'org-1', 'Default Project', true), ('prj-2', 'org-1', 'other', false), ('prj-9', 'org-2', 'Default Project', true);
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES
    ('ws-1', 'org-1', 'prj-1', 'one'), ('ws-2', 'org-1', 'prj-1', 'two'), ('ws-9', 'org-2', 'prj-9', 'nine');
  INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, size, md5) VALUES
    ('obj-cv1', 'configuration', 'ws-1', 'ws-1', 'live', 10, 'm'), ('obj-log1', 'log', 'ws-1', 'ws-1', 'uploading', NULL, NULL),
    ('obj-log2', 'log', 'ws-1', 'ws-1', 'uploading', NULL, NULL), ('obj-cv9', 'configuration', 'ws-9', 'ws-9', 'live', 10, 'm');
  INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id) VALUES
    ('cv-1', 'ws-1', 'uploaded', 'obj-cv1'), ('cv-9', 'ws-9', 'uploaded', 'obj-cv9');
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, terraform_version, epoch)
    VALUES ('run-1', 'ws-1', 'cv-1', 'applied', 'm', '1.0.0', 1);
  INSERT INTO terrane.plans (id, run_id, log_id, status) VALUES ('plan-1', 'run-1', 'obj-log1', 'finished');
  INSERT INTO terrane.applies (id, run_id, log_id, status) VALUES ('apply-1', 'run-1', 'obj-log2', 'finished');
)sql";

/// A database, a router that tests fill, and calls in the name of a principal.
struct Stage {
  net::Executor executor;
  const testing::TestDatabase& place;
  postgres::Database database;
  user::Tokens tokens;
  http::Router router;
  api::Includes includes;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor on, const testing::TestDatabase& at)
      : executor(on), place(at), database(on, at.options(6)), tokens(database, Secret("a key of the tests")) {
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

  Task<api::TestAnswer> call(http::Method method, std::string path, std::string body,
                             std::string as = "user-ann") {
    co_return co_await client->call(method, std::move(path), std::move(body), token_of[as]);
  }
  Task<api::TestAnswer> get(std::string path, std::string as = "user-ann") {
    co_return co_await call(http::Method::get, std::move(path), "", std::move(as));
  }
  Task<api::TestAnswer> post(std::string path, json::object body = {}, std::string as = "user-ann") {
    co_return co_await call(http::Method::post, std::move(path), json::serialize(body), std::move(as));
  }
  Task<api::TestAnswer> patch(std::string path, json::object body, std::string as = "user-ann") {
    co_return co_await call(http::Method::patch, std::move(path), json::serialize(body), std::move(as));
  }
  Task<api::TestAnswer> del(std::string path, std::string as = "user-ann") {
    co_return co_await call(http::Method::del, std::move(path), "", std::move(as));
  }

  /// Runs SQL that changes something, outside of the product's statements.
  Task<> sql(std::string text) { co_await database.run_script(text); }
  /// The one value that a SELECT gives, as text; empty for NULL or no row.
  Task<std::string> value(std::string select) {
    // Statements keep their names for good, so each text has one of its own.
    static std::map<std::string, std::string> names;
    std::string& name = names[select];
    if (name.empty()) name = "test_select_" + std::to_string(names.size());
    std::string text = "SELECT (SELECT (" + select + ")::text) AS value";
    postgres::Result result = co_await database.query(Statement{name, text});
    co_return result[0].opt_string("value").value_or("");
  }
};

/// Runs a test's body on a fresh database with the rows above, on a stage of type `S`.
template <class S>
void run_on(std::function<Task<>(S&)> body) {
  testing::TestDatabase at(testing::TestDatabase::Content::migrated);
  at.run(rows);
  testing::run_task([&](net::Executor executor) -> Task<> {
    S stage(executor, at);
    co_await stage.prepare();
    co_await body(stage);
  });
}

}  // namespace terrane::workspace::test
