#include "organization/organization_api.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::organization {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;
using testing::TestDatabase;

constexpr std::string_view rows = R"sql(
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES
    ('user-ann', 'ann', 'ann@example.com', false), ('user-bob', 'bob', 'bob@example.com', false),
    ('user-root', 'root', 'root@example.com', true);
)sql";

/// A run of the workspace ws-NAME of an organization with a job, and blobs of that workspace.
std::string run_rows(const std::string& organization, const std::string& name, const std::string& phase,
                     const std::string& status) {
  const std::string ws = "'ws-" + name + "'";
  const std::string org = "(SELECT id FROM terrane.organizations WHERE name = '" + organization + "')";
  return "INSERT INTO terrane.workspaces (id, organization_id, project_id, name) SELECT " + ws +
         ", o.id, p.id, '" + name +
         "' FROM terrane.organizations o JOIN terrane.projects p ON p.organization_id = o.id AND "
         "p.is_default WHERE o.id = " +
         org + ";" +
         "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-c-" + name +
         "', 'configuration', " + ws + ", " + ws + ", 'live'), ('obj-l-" + name + "', 'log', " + ws + ", " +
         ws + ", 'uploading');" +
         "INSERT INTO terrane.configuration_versions (id, workspace_id, object_id) VALUES ('cv-" + name +
         "', " + ws + ", 'obj-c-" + name + "');" +
         "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, "
         "sealed_variables, epoch)"
         " VALUES ('run-" +
         name + "', " + ws + ", 'cv-" + name + "', 'm', '1.0.0', 's', 1);" +
         "INSERT INTO terrane.plans (id, run_id, log_id) VALUES ('plan-" + name + "', 'run-" + name +
         "', 'obj-l-" + name + "');" +
         "INSERT INTO terrane.jobs (id, run_id, workspace_id, phase, attempt, priority, position, status, "
         "epoch, log_segment) VALUES ('job-" +
         name + "', 'run-" + name + "', " + ws + ", '" + phase + "', 1, 1, 1, '" + status + "', 1, 0);";
}

struct Stage {
  const TestDatabase& at;
  postgres::Database database;
  user::Tokens tokens;
  api::Includes includes;
  OrganizationApi organizations;
  ProjectApi projects;
  http::Router router;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor executor, const TestDatabase& given)
      : at(given),
        database(executor, given.options()),
        tokens(database, Secret("a key of the tests")),
        organizations(database, tokens, includes),
        projects(database, includes) {
    organizations.add_routes(router);
    projects.add_routes(router);
    client.emplace(router, [this](const std::string& token) { return tokens.authenticate(token); });
  }

  Task<> make_token(std::string kind, std::string owner, std::string name) {
    postgres::Tx tx = co_await database.begin();
    user::NewToken made = co_await tokens.create(tx, kind, owner, std::nullopt, std::nullopt, std::nullopt);
    co_await tx.commit();
    token_of[name] = made.token.reveal();
  }
  Task<TestAnswer> call(Method method, std::string path, json::object body, std::string as) {
    std::string token = token_of[as];
    co_return co_await client->call(method, std::move(path), body, std::move(token));
  }
  Task<TestAnswer> get(std::string path, std::string as) {
    std::string token = token_of[as];
    co_return co_await client->call(Method::get, std::move(path), std::string(), std::move(token));
  }
  Task<TestAnswer> create(std::string name, std::string as) {
    json::object body = test_document("organizations", {{"name", name}, {"email", name + "@example.com"}});
    co_return co_await call(Method::post, "/api/v2/organizations", body, as);
  }
  Task<std::int64_t> count(const char* name, const char* sql) {
    postgres::Result result = co_await database.query({name, sql});
    co_return result[0].integer("n");
  }
};

void run(std::function<Task<>(Stage&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  at.run(std::string(rows));
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    for (const char* user : {"user-ann", "user-bob", "user-root"})
      co_await stage.make_token("user", user, user);
    co_await body(stage);
  });
}

TEST(OrganizationApi, MakesAnOrganizationWithOwnersAndProject) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create("acme", "user-ann");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/id"), "acme");
    EXPECT_TRUE(made.text("/data/attributes/external-id").starts_with("org-"));
    EXPECT_EQ(made.text("/data/attributes/default-execution-mode"), "remote");
    EXPECT_EQ(made.at("/data/attributes/permissions/can-destroy"), json::value(true));
    EXPECT_EQ(made.at("/data/attributes/permissions/can-create-workspace"), json::value(true));
    EXPECT_TRUE(made.at("/data/attributes/trial-expires-at").is_null());
    TestAnswer shown = co_await stage.get("/api/v2/organizations/ACME?include=default-project", "user-ann");
    EXPECT_EQ(shown.at("/data"), made.at("/data")) << "names have no case";
    EXPECT_EQ(shown.text("/included/0/attributes/name"), "Default Project");
    EXPECT_EQ(shown.text("/included/0/id"), shown.text("/data/relationships/default-project/data/id"));
    TestAnswer include = co_await stage.get("/api/v2/organizations/acme?include=nonsense", "user-ann");
    EXPECT_EQ(include.status, 400);
    EXPECT_NE(include.body.find("include parameter"), std::string::npos);

    TestAnswer again = co_await stage.create("ACME", "user-bob");
    EXPECT_EQ(again.status, 422);
    EXPECT_EQ(again.text("/errors/0/detail"), "Name has already been taken");
    EXPECT_EQ(again.text("/errors/0/source/pointer"), "/data/attributes/name");
  });
}

TEST(OrganizationApi, HidesOrganizationsFromStrangers) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    co_await stage.create("other", "user-bob");
    json::object body = test_document("organizations", {{"email", "new@example.com"}});
    for (const char* path : {"/api/v2/organizations/acme", "/api/v2/organizations/nonexisting"}) {
      EXPECT_EQ((co_await stage.get(path, "user-bob")).status, 404) << path;
      EXPECT_EQ((co_await stage.call(Method::patch, path, body, "user-bob")).status, 404) << path;
      EXPECT_EQ((co_await stage.call(Method::del, path, {}, "user-bob")).status, 404) << path;
      for (const char* part : {"/entitlement-set", "/authentication-token", "/projects"}) {
        EXPECT_EQ((co_await stage.get(std::string(path) + part, "user-bob")).status, 404) << path << part;
      }
    }
    TestAnswer own = co_await stage.get("/api/v2/organizations", "user-bob");
    EXPECT_EQ(own.text("/meta/pagination/total-count"), "1");
    EXPECT_EQ(own.text("/data/0/id"), "other");
    TestAnswer every = co_await stage.get("/api/v2/organizations", "user-root");
    EXPECT_EQ(every.at("/data").as_array().size(), 2U);
    TestAnswer search = co_await stage.get("/api/v2/organizations?q=ACME@exam", "user-root");
    EXPECT_EQ(search.text("/data/0/id"), "acme");
    EXPECT_EQ(search.text("/meta/pagination/total-count"), "1");
    TestAnswer beyond =
        co_await stage.get("/api/v2/organizations?page[number]=999&page[size]=100", "user-root");
    EXPECT_EQ(beyond.text("/data"), "[]");
    EXPECT_EQ(beyond.text("/meta/pagination/total-count"), "2");
  });
}

TEST(OrganizationApi, LetsMembersReadAndOwnersWrite) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    stage.at.run(
        "INSERT INTO terrane.teams (id, organization_id, name) SELECT 'team-dev', id, 'dev' FROM "
        "terrane.organizations;"
        "INSERT INTO terrane.team_members VALUES ('team-dev', 'user-bob')");
    TestAnswer shown = co_await stage.get("/api/v2/organizations/acme", "user-bob");
    EXPECT_EQ(shown.status, 200);
    EXPECT_EQ(shown.at("/data/attributes/permissions/can-update"), json::value(false));
    EXPECT_EQ(shown.at("/data/attributes/permissions/can-traverse"), json::value(true));
    json::object body = test_document("organizations", {{"email", "new@example.com"}});
    EXPECT_EQ((co_await stage.call(Method::patch, "/api/v2/organizations/acme", body, "user-bob")).status,
              404);
    json::object token = test_document("authentication-tokens", {});
    EXPECT_EQ((co_await stage.call(Method::post, "/api/v2/organizations/acme/authentication-token", token,
                                   "user-bob"))
                  .status,
              404);
    json::object project = test_document("projects", {{"name", "mine"}});
    EXPECT_EQ((co_await stage.call(Method::post, "/api/v2/organizations/acme/projects", project, "user-bob"))
                  .status,
              404);
    EXPECT_EQ((co_await stage.call(Method::patch, "/api/v2/organizations/acme", body, "user-root")).status,
              200);
  });
}

TEST(OrganizationApi, ChangesAndRenames) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create("acme", "user-ann");
    co_await stage.create("other", "user-ann");
    json::object body = test_document("organizations", {{"name", "acme-two"},
                                                        {"session-timeout", 3600},
                                                        {"default-execution-mode", "local"},
                                                        {"external-id", "org-x"}});
    TestAnswer changed = co_await stage.call(Method::patch, "/api/v2/organizations/acme", body, "user-ann");
    EXPECT_EQ(changed.status, 200) << changed.body;
    EXPECT_EQ(changed.text("/data/id"), "acme-two");
    EXPECT_EQ(changed.text("/data/attributes/external-id"), made.text("/data/attributes/external-id"));
    EXPECT_EQ(changed.text("/data/attributes/email"), "acme@example.com");
    EXPECT_EQ(changed.text("/data/attributes/session-timeout"), "3600");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "user-ann")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme-two", "user-ann")).at("/data"),
              changed.at("/data"));
    json::object same = test_document("organizations", {{"name", "Other"}});
    TestAnswer taken = co_await stage.call(Method::patch, "/api/v2/organizations/acme-two", same, "user-ann");
    EXPECT_EQ(taken.status, 422);
    EXPECT_EQ(taken.text("/errors/0/source/pointer"), "/data/attributes/name");
  });
}

TEST(OrganizationApi, TellsWhatItCanDo) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create("acme", "user-ann");
    TestAnswer set = co_await stage.get("/api/v2/organizations/acme/entitlement-set", "user-ann");
    EXPECT_EQ(set.text("/data/type"), "entitlement-sets");
    EXPECT_EQ(set.text("/data/id"), made.text("/data/attributes/external-id"));
    EXPECT_EQ(set.at("/data/attributes/operations"), json::value(true));
    EXPECT_EQ(set.at("/data/attributes/state-storage"), json::value(true));
    for (const char* name : {"agents", "audit-logging", "cost-estimation", "global-run-tasks",
                             "private-module-registry", "private-run-tasks", "run-tasks", "sso", "sentinel",
                             "teams", "vcs-integrations", "policy-enforcement"}) {
      EXPECT_EQ(set.at(std::string("/data/attributes/") + name), json::value(false)) << name;
    }
  });
}

TEST(OrganizationApi, HasOneToken) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    const std::string path = "/api/v2/organizations/acme/authentication-token";
    EXPECT_EQ((co_await stage.get(path, "user-ann")).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, path, {}, "user-ann")).status, 404);
    TestAnswer first = co_await stage.client->call(Method::post, path, "", stage.token_of["user-ann"]);
    EXPECT_EQ(first.status, 201) << first.body;
    stage.token_of["first"] = first.text("/data/attributes/token");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "first")).status, 200);
    json::object body = test_document("authentication-tokens", {{"expired-at", "2099-01-01T00:00:00Z"}});
    TestAnswer second = co_await stage.call(Method::post, path, body, "user-ann");
    stage.token_of["second"] = second.text("/data/attributes/token");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "first")).status, 401)
        << "the new one replaces it at once";
    TestAnswer shown = co_await stage.get(path, "second");
    EXPECT_EQ(shown.text("/data/id"), second.text("/data/id"));
    EXPECT_TRUE(shown.at("/data/attributes/token").is_null());
    EXPECT_EQ(shown.text("/data/relationships/created-by/data/id"), "user-ann");
    EXPECT_EQ((co_await stage.create("another", "second")).status, 404) << "only people make organizations";
    EXPECT_EQ((co_await stage.call(Method::del, path, {}, "user-ann")).status, 204);
    EXPECT_EQ((co_await stage.get(path, "second")).status, 401);
    TestAnswer bad = co_await stage.client->call(
        Method::post, path, R"({"data":{"attributes":{"expired-at":7}}})", stage.token_of["user-ann"]);
    EXPECT_EQ(bad.status, 422);
    EXPECT_EQ((co_await stage.get(path, "user-ann")).status, 404) << "nothing was stored";
  });
}

TEST(OrganizationApi, GoesWithAllThatBelongsToIt) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create("acme", "user-ann");
    co_await stage.create("other", "user-ann");
    stage.at.run(run_rows("acme", "one", "plan", "claimed"));
    stage.at.run(run_rows("acme", "two", "apply", "queued"));
    stage.at.run(run_rows("other", "far", "apply", "claimed"));
    co_await stage.make_token("organization", made.text("/data/attributes/external-id"), "organization");
    co_await stage.make_token("run", "run-one", "run");
    co_await stage.make_token("run", "run-far", "far");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "run")).status, 200);

    EXPECT_EQ((co_await stage.call(Method::del, "/api/v2/organizations/acme", {}, "user-ann")).status, 204);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "user-ann")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "organization")).status, 401);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme", "run")).status, 401);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/other", "far")).status, 200)
        << "the neighbour is untouched";
    EXPECT_EQ(co_await stage.count("test_ws", "SELECT count(*) AS n FROM terrane.workspaces"), 1);
    EXPECT_EQ(co_await stage.count("test_jobs", "SELECT count(*) AS n FROM terrane.jobs"), 1);
    EXPECT_EQ(
        co_await stage.count(
            "test_gone",
            "SELECT count(*) AS n FROM terrane.objects WHERE status = 'deleted' AND deleted_at IS NOT NULL"),
        4);
    EXPECT_EQ(co_await stage.count("test_kept",
                                   "SELECT count(*) AS n FROM terrane.objects WHERE status <> 'deleted'"),
              2);
    EXPECT_EQ(co_await stage.count("test_tokens", "SELECT count(*) AS n FROM terrane.tokens"), 4);

    TestAnswer busy = co_await stage.call(Method::del, "/api/v2/organizations/other", {}, "user-ann");
    EXPECT_EQ(busy.status, 409);
    EXPECT_NE(busy.body.find("run-far"), std::string::npos);
    EXPECT_EQ(co_await stage.count("test_kept",
                                   "SELECT count(*) AS n FROM terrane.objects WHERE status <> 'deleted'"),
              2);
  });
}

TEST(OrganizationApi, LetsARunSeeItsOrganizationOnly) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    co_await stage.create("other", "user-ann");
    stage.at.run(run_rows("acme", "one", "plan", "claimed"));
    co_await stage.make_token("run", "run-one", "run");
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/entitlement-set", "run")).status, 200);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/other/entitlement-set", "run")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/organizations/acme/projects", "run")).status, 404);
    EXPECT_EQ((co_await stage.create("new", "run")).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, "/api/v2/organizations/acme", {}, "run")).status, 404);
    TestAnswer list = co_await stage.get("/api/v2/organizations", "run");
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "1");
  });
}

TEST(ProjectApi, MakesShowsChangesAndDeletes) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    const std::string all = "/api/v2/organizations/acme/projects";
    TestAnswer made = co_await stage.call(
        Method::post, all, test_document("projects", {{"name", "my project"}, {"description", "qux"}}),
        "user-ann");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("prj-"));
    EXPECT_EQ(made.text("/data/attributes/description"), "qux");
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    const std::string one = "/api/v2/projects/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one, "user-ann")).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(one, "user-bob")).status, 404);

    TestAnswer changed =
        co_await stage.call(Method::patch, one, test_document("projects", {{"name", "renamed"}}), "user-ann");
    EXPECT_EQ(changed.text("/data/attributes/name"), "renamed");
    EXPECT_EQ(changed.text("/data/attributes/description"), "qux");
    EXPECT_EQ((co_await stage.get(one, "user-ann")).at("/data"), changed.at("/data"));
    TestAnswer taken = co_await stage.call(
        Method::patch, one, test_document("projects", {{"name", "Default Project"}}), "user-ann");
    EXPECT_EQ(taken.status, 422);
    EXPECT_EQ(taken.text("/errors/0/detail"), "Name has already been taken");

    TestAnswer list = co_await stage.get(all, "user-ann");
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "2");
    TestAnswer named = co_await stage.get(all + "?filter%5Bnames%5D=renamed,nothing", "user-ann");
    EXPECT_EQ(named.text("/meta/pagination/total-count"), "1");
    EXPECT_EQ(named.text("/data/0/id"), made.text("/data/id"));
    TestAnswer searched = co_await stage.get(all + "?q=default", "user-ann");
    EXPECT_EQ(searched.text("/data/0/attributes/name"), "Default Project");
    EXPECT_EQ(searched.text("/meta/pagination/total-count"), "1");

    const std::string standard = "/api/v2/projects/" + searched.text("/data/0/id");
    EXPECT_EQ((co_await stage.call(Method::del, standard, {}, "user-ann")).status, 409)
        << "the default project stays";
    stage.at.run(
        "INSERT INTO terrane.workspaces (id, organization_id, project_id, name) SELECT 'ws-1', "
        "organization_id, id, 'w' "
        "FROM terrane.projects WHERE name = 'renamed'");
    EXPECT_EQ((co_await stage.call(Method::del, one, {}, "user-ann")).status, 409) << "it has a workspace";
    EXPECT_EQ((co_await stage.get(one, "user-ann")).text("/data/attributes/workspace-count"), "1");
    stage.at.run("DELETE FROM terrane.workspaces");
    EXPECT_EQ((co_await stage.call(Method::del, one, {}, "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, one, {}, "user-ann")).status, 204);
    EXPECT_EQ((co_await stage.call(Method::del, one, {}, "user-ann")).status, 404);
  });
}

TEST(OrganizationApi, RefusesBadInputAndStoresNothing) {
  struct Bad {
    Method method;
    std::string path;
    std::string body;
    int status;
    const char* pointer;
  };
  const std::string all = "/api/v2/organizations";
  const std::string one = all + "/acme";
  const std::string projects = one + "/projects";
  auto attributes = [](const std::string& inner) { return R"({"data":{"attributes":{)" + inner + "}}}"; };
  const std::string mail = R"("email":"a@b",)";
  const std::vector<Bad> bad{
      {Method::post, all, "", 400, ""},
      {Method::post, all, "{\"data\":", 400, ""},
      {Method::post, all, "\xff\xfe", 400, ""},
      {Method::post, all, std::string(3000, '['), 400, ""},
      {Method::post, all, "null", 422, "/data"},
      {Method::post, all, R"({"data":{"type":"workspaces"}})", 422, "/data/type"},
      {Method::post, all, R"({"data":{}})", 422, "/data/attributes/name"},
      {Method::post, all, attributes(R"("name":"good")"), 422, "/data/attributes/email"},
      {Method::post, all, attributes(mail + R"("name":"")"), 422, "/data/attributes/name"},
      {Method::post, all, attributes(mail + R"("name":"ab")"), 422, "/data/attributes/name"},
      {Method::post, all, attributes(mail + R"("name":"! / nope")"), 422, "/data/attributes/name"},
      {Method::post, all, attributes(mail + R"("name":["x"])"), 422, "/data/attributes/name"},
      {Method::post, all, attributes(mail + R"("name":")" + std::string(91, 'x') + '"'), 422,
       "/data/attributes/name"},
      {Method::post, all, attributes(R"("name":"good","email":"nomail")"), 422, "/data/attributes/email"},
      {Method::post, all, attributes(mail + R"("name":"good","default-execution-mode":"agent")"), 422,
       "/data/attributes/default-execution-mode"},
      {Method::post, all,
       attributes(mail + R"("name":"good","collaborator-auth-policy":"two_factor_mandatory")"), 422,
       "/data/attributes/collaborator-auth-policy"},
      {Method::post, all, attributes(mail + R"("name":"good","session-timeout":0)"), 422,
       "/data/attributes/session-timeout"},
      {Method::post, all, attributes(mail + R"("name":"good","session-remember":9223372036854775807)"), 422,
       "/data/attributes/session-remember"},
      {Method::post, all, attributes(mail + R"("name":"good","cost-estimation-enabled":"yes")"), 422,
       "/data/attributes/cost-estimation-enabled"},
      {Method::post, all, std::string(65 * 1024, ' '), 413, ""},
      {Method::patch, one, "{", 400, ""},
      {Method::patch, one, attributes(R"("name":null)"), 422, "/data/attributes/name"},
      {Method::patch, one, attributes(R"("email":{})"), 422, "/data/attributes/email"},
      {Method::get, all + "?page[size]=0", "", 400, ""},
      {Method::get, all + "?page[number]=99999999999999999999", "", 400, ""},
      {Method::get, all + "?q=%00", "", 400, ""},
      {Method::post, projects, "{", 400, ""},
      {Method::post, projects, attributes(""), 422, "/data/attributes/name"},
      {Method::post, projects, attributes(R"("name":"! / nope")"), 422, "/data/attributes/name"},
      {Method::post, projects, attributes(R"("name":" padded ")"), 422, "/data/attributes/name"},
      {Method::post, projects, attributes(R"("name":7)"), 422, "/data/attributes/name"},
      {Method::post, projects, attributes(R"("name":"good","description":")" + std::string(257, 'x') + '"'),
       422, "/data/attributes/description"},
      {Method::get, projects + "?filter[names]=" + std::string(300, ','), "", 200, ""},
      {Method::get, "/api/v2/projects/nonexisting", "", 404, ""},
      {Method::get, "/api/v2/projects/prj-%00", "", 404, ""},
      {Method::patch, "/api/v2/projects/nonexisting", attributes(R"("name":"good")"), 404, ""},
      {Method::del, "/api/v2/projects/nonexisting", "", 404, ""},
      {Method::del, all + "/nonexisting", "", 404, ""},
  };
  run([&](Stage& stage) -> Task<> {
    co_await stage.create("acme", "user-ann");
    const char* whole =
        "SELECT sum(hashtext(o::text)) + count(*) AS n FROM (SELECT o::text FROM terrane.organizations o "
        "UNION ALL "
        "SELECT p::text FROM terrane.projects p) AS all_rows (o)";
    const std::int64_t before = co_await stage.count("test_whole", whole);
    for (const Bad& item : bad) {
      TestAnswer answer =
          co_await stage.client->call(item.method, item.path, item.body, stage.token_of["user-ann"]);
      EXPECT_EQ(answer.status, item.status)
          << item.path << " " << item.body.substr(0, 100) << " " << answer.body;
      if (*item.pointer)
        EXPECT_EQ(answer.text("/errors/0/source/pointer"), item.pointer) << item.body.substr(0, 100);
    }
    EXPECT_EQ(co_await stage.count("test_whole", whole), before);
  });
}

}  // namespace
}  // namespace terrane::organization
