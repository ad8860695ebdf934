#include "variable/variable_api.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "user/tokens.h"
#include "variable/variable.h"
#include "vault_client/fake_vault.h"

namespace terrane::variable {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;
using testing::TestDatabase;

constexpr std::string_view rows = R"sql(
  INSERT INTO terrane.users (id, username, email) VALUES ('user-ann', 'ann', 'a@x'), ('user-bob', 'bob', 'b@x');
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x');
  INSERT INTO terrane.teams (id, organization_id, name) VALUES ('team-1', 'org-1', 'owners'), ('team-dev', 'org-1', 'dev');
  INSERT INTO terrane.team_members VALUES ('team-1', 'user-ann'), ('team-dev', 'user-bob');
  INSERT INTO terrane.projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'p');
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-1', 'org-1', 'prj-1', 'one'), ('ws-2', 'org-1', 'prj-1', 'two');
  INSERT INTO terrane.objects (id, kind, workspace) VALUES ('obj-1', 'configuration', 'ws-1');
  INSERT INTO terrane.configuration_versions (id, workspace_id, object_id) VALUES ('cv-1', 'ws-1', 'obj-1');
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, sealed_variables, epoch)
    VALUES ('run-1', 'ws-1', 'cv-1', 'm', '1.0.0', 's', 1);
)sql";

const std::string all = "/api/v2/workspaces/ws-1/vars";

struct Stage {
  postgres::Database database;
  user::Tokens tokens;
  vault_client::FakeVault vault;
  api::Includes includes;
  VariableApi variables;
  http::Router router;
  std::optional<api::TestClient> client;
  std::map<std::string, std::string> token_of;

  Stage(net::Executor executor, const TestDatabase& at)
      : database(executor, at.options()),
        tokens(database, Secret("a key of the tests")),
        variables(database, vault, includes) {
    variables.add_routes(router);
    client.emplace(router, [this](const std::string& token) { return tokens.authenticate(token); });
  }
  Task<> prepare() {
    co_await vault.ensure_key("terrane");
    postgres::Tx tx = co_await database.begin();
    for (auto [kind, owner] : {std::pair("user", "user-ann"), std::pair("user", "user-bob"),
                               std::pair("organization", "org-1"), std::pair("run", "run-1")}) {
      user::NewToken made = co_await tokens.create(tx, kind, owner, std::nullopt, std::nullopt, std::nullopt);
      token_of[owner] = made.token.reveal();
    }
    co_await tx.commit();
  }
  Task<TestAnswer> call(Method method, std::string path, json::object body, std::string as = "user-ann") {
    std::string token = token_of[as];
    co_return co_await client->call(method, std::move(path), body, std::move(token));
  }
  Task<TestAnswer> get(std::string path, std::string as = "user-ann") {
    std::string token = token_of[as];
    co_return co_await client->call(Method::get, std::move(path), std::string(), std::move(token));
  }
  Task<TestAnswer> create(json::object attributes) {
    json::object body = test_document("vars", std::move(attributes));
    co_return co_await call(Method::post, all, body);
  }
  Task<std::string> stored() {
    postgres::Result result = co_await database.query(
        {"test_variables",
         "SELECT coalesce(string_agg(v::text, ';' ORDER BY v.id), '') AS whole FROM terrane.variables v"});
    co_return result[0].string("whole");
  }
};

void run(std::function<Task<>(Stage&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  at.run(std::string(rows));
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    co_await stage.prepare();
    co_await body(stage);
  });
}

TEST(VariableApi, MakesShowsAndLists) {
  run([](Stage& stage) -> Task<> {
    TestAnswer plain = co_await stage.create(
        {{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}, {"description", "where"}});
    EXPECT_EQ(plain.status, 201) << plain.body;
    EXPECT_TRUE(plain.text("/data/id").starts_with("var-"));
    EXPECT_EQ(plain.text("/data/type"), "vars");
    EXPECT_EQ(plain.text("/data/attributes/value"), "eu-1");
    EXPECT_EQ(plain.text("/data/attributes/description"), "where");
    EXPECT_NE(plain.text("/data/attributes/version-id"), "");
    EXPECT_EQ(plain.text("/data/relationships/configurable/data/id"), "ws-1");
    TestAnswer secret = co_await stage.create(
        {{"key", "PASSWORD"}, {"value", "hunter2"}, {"category", "env"}, {"sensitive", true}});
    EXPECT_EQ(secret.status, 201);
    EXPECT_TRUE(secret.at("/data/attributes/value").is_null());
    TestAnswer empty = co_await stage.create({{"key", "empty"}, {"category", "terraform"}, {"hcl", true}});
    EXPECT_EQ(empty.text("/data/attributes/value"), "");
    EXPECT_EQ(empty.at("/data/attributes/hcl"), json::value(true));

    const std::size_t calls = stage.vault.calls();
    TestAnswer list = co_await stage.get(all);
    EXPECT_EQ(stage.vault.calls(), calls + 1) << "one batch for all";
    EXPECT_EQ(list.at("/data").as_array().size(), 3U);
    EXPECT_EQ(list.at("/data/0"), plain.at("/data"));
    EXPECT_EQ(list.at("/data/1"), secret.at("/data"));
    EXPECT_EQ(list.at("/data/2"), empty.at("/data"));
    TestAnswer shown = co_await stage.get(all + "/" + plain.text("/data/id"));
    EXPECT_EQ(shown.at("/data"), plain.at("/data"));

    std::string stored = co_await stage.stored();
    for (const char* text : {"eu-1", "hunter2"}) EXPECT_EQ(stored.find(text), std::string::npos) << text;
  });
}

TEST(VariableApi, ChangesOnlyWhatIsGiven) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}});
    const std::string one = all + "/" + made.text("/data/id");
    auto patch = [&](json::object attributes) -> Task<TestAnswer> {
      json::object body = test_document("vars", std::move(attributes));
      co_return co_await stage.call(Method::patch, one, body);
    };
    std::set<std::string> versions{made.text("/data/attributes/version-id")};
    TestAnswer renamed = co_await patch({{"key", "zone"}, {"hcl", true}});
    EXPECT_EQ(renamed.status, 200) << renamed.body;
    EXPECT_EQ(renamed.text("/data/attributes/key"), "zone");
    EXPECT_EQ(renamed.text("/data/attributes/value"), "eu-1");
    versions.insert(renamed.text("/data/attributes/version-id"));
    TestAnswer nothing = co_await patch({});
    EXPECT_EQ(nothing.text("/data/attributes/key"), "zone");
    versions.insert(nothing.text("/data/attributes/version-id"));
    TestAnswer valued = co_await patch({{"value", "eu-2"}});
    EXPECT_EQ(valued.text("/data/attributes/value"), "eu-2");
    versions.insert(valued.text("/data/attributes/version-id"));
    EXPECT_EQ(versions.size(), 4U);
    EXPECT_EQ((co_await stage.get(one)).at("/data"), valued.at("/data"));

    TestAnswer hidden = co_await patch({{"sensitive", true}});
    EXPECT_EQ(hidden.status, 200);
    EXPECT_TRUE(hidden.at("/data/attributes/value").is_null());
    TestAnswer revealed = co_await patch({{"sensitive", false}});
    EXPECT_EQ(revealed.status, 422);
    EXPECT_EQ(revealed.text("/errors/0/source/pointer"), "/data/attributes/sensitive");
    TestAnswer as_env = co_await patch({{"category", "env"}});
    EXPECT_EQ(as_env.text("/data/attributes/category"), "env");

    EXPECT_EQ((co_await stage.call(Method::del, one, {})).status, 204);
    EXPECT_EQ((co_await stage.call(Method::del, one, {})).status, 404);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
  });
}

TEST(VariableApi, HasEachKeyOnceInItsCategory) {
  run([](Stage& stage) -> Task<> {
    json::object attributes{{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}};
    co_await stage.create(attributes);
    TestAnswer again = co_await stage.create(attributes);
    EXPECT_EQ(again.status, 422);
    EXPECT_EQ(again.text("/errors/0/detail"), "Key has already been taken");
    EXPECT_EQ(again.text("/errors/0/source/pointer"), "/data/attributes/key");
    TestAnswer other = co_await stage.create({{"key", "region"}, {"category", "env"}});
    EXPECT_EQ(other.status, 201);
    const std::string one = all + "/" + other.text("/data/id");
    TestAnswer moved =
        co_await stage.call(Method::patch, one, test_document("vars", {{"category", "terraform"}}));
    EXPECT_EQ(moved.status, 422);
    EXPECT_EQ(moved.text("/errors/0/detail"), "Key has already been taken");
  });
}

TEST(VariableApi, IsThereForThoseWhoMay) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}});
    const std::string one = all + "/" + made.text("/data/id");
    json::object body = test_document("vars", {{"key", "more"}, {"category", "terraform"}});
    for (const char* as : {"user-bob", "run-1"}) {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::post, all, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::patch, one, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::del, one, {}, as)).status, 404) << as;
    }
    EXPECT_EQ((co_await stage.call(Method::post, all, body, "org-1")).status, 201);
    // The variable of one workspace is not reached through another.
    const std::string elsewhere = "/api/v2/workspaces/ws-2/vars/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(elsewhere)).status, 404);
    EXPECT_EQ((co_await stage.call(Method::patch, elsewhere, body)).status, 404);
    EXPECT_EQ((co_await stage.call(Method::del, elsewhere, {})).status, 404);
    EXPECT_EQ((co_await stage.get(one)).status, 200);
  });
}

TEST(VariableApi, ListsWhatARunGets) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create({{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}, {"hcl", true}});
    co_await stage.create(
        {{"key", "PASSWORD"}, {"value", "hunter2"}, {"category", "env"}, {"sensitive", true}});
    stage.vault.rotate("terrane");
    co_await stage.create({{"key", "late"}, {"value", "x"}, {"category", "terraform"}});
    TestAnswer shown = co_await stage.get("/api/v2/workspaces/ws-1/all-vars");
    EXPECT_EQ(shown.text("/data/0/attributes/key"), "PASSWORD");
    EXPECT_TRUE(shown.at("/data/0/attributes/value").is_null());
    EXPECT_EQ(shown.text("/data/1/attributes/value"), "x");
    EXPECT_EQ(shown.text("/data/2/attributes/value"), "eu-1");
    EXPECT_EQ(shown.at("/data/2/attributes/hcl"), json::value(true));
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-2/all-vars")).text("/data"), "[]");
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/all-vars", "user-bob")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/nothing/all-vars")).status, 404);
  });
}

TEST(VariableApi, ARunTakesOnlySoMuch) {
  run([](Stage& stage) -> Task<> {
    const std::string fill =
        "INSERT INTO terrane.variable_sets (id, organization_id, name, global) SELECT 'varset-' || n, "
        "'org-1', 'set ' || n, true "
        "FROM generate_series(1, 3) n; INSERT INTO terrane.variables (id, variable_set_id, key, "
        "sealed_value, category, version_id) "
        "SELECT 'var-' || n, 'varset-' || n, 'key' || n, repeat('x', 6000000), 'env', 'v' FROM "
        "generate_series(1, 3) n";
    co_await stage.database.run_script(fill);
    TestAnswer all_of_them = co_await stage.get("/api/v2/workspaces/ws-1/all-vars");
    EXPECT_EQ(all_of_them.status, 422);
    EXPECT_NE(all_of_them.body.find("12582912 bytes"), std::string::npos) << "the limit is named";
    postgres::Tx tx = co_await stage.database.begin();
    std::optional<Error> refused;
    try {
      co_await require_fit_for_run(tx, "ws-1");
    } catch (const Error& error) {
      refused = error;
    }
    EXPECT_TRUE(refused && refused->code() == Code::unprocessable);
  });
}

TEST(VariableApi, DoesNotOpenAnExchangedValue) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create({{"key", "one"}, {"value", "1"}, {"category", "terraform"}});
    co_await stage.create({{"key", "two"},
                           {"value", "2"},
                           {
                               "category",
                               "terraform",
                           }});
    co_await stage.database.query(
        {"test_swap",
         "UPDATE terrane.variables v SET sealed_value = o.sealed_value FROM terrane.variables o "
         "WHERE o.key <> v.key"});
    EXPECT_EQ((co_await stage.get(all)).status, 500);
  });
}

TEST(VariableApi, StoresNothingWithoutTheVault) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}});
    const std::string before = co_await stage.stored();
    stage.vault.set_sealed(true);
    TestAnswer refused = co_await stage.create({{"key", "other"}, {"value", "x"}, {"category", "terraform"}});
    EXPECT_EQ(refused.status, 503);
    EXPECT_TRUE(refused.headers.find("Retry-After"));
    const std::string one = all + "/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.call(Method::patch, one, test_document("vars", {{"key", "zone"}}))).status,
              503);
    EXPECT_EQ(co_await stage.stored(), before);
    stage.vault.set_sealed(false);
    EXPECT_EQ((co_await stage.get(one)).text("/data/attributes/key"), "region");
  });
}

TEST(VariableApi, IsBounded) {
  run([](Stage& stage) -> Task<> {
    const std::string longest(most_value_bytes, 'x');
    TestAnswer large = co_await stage.create(
        {{"key", std::string(most_key_bytes, 'k')}, {"value", longest}, {"category", "terraform"}});
    EXPECT_EQ(large.status, 201);
    EXPECT_EQ(large.text("/data/attributes/value"), longest);
    // The sealed form of one value is longer than a 24th of what a workspace may hold, so it is full before
    // the 25th.
    int made = 1;
    TestAnswer answer;
    while (made < 40) {
      answer = co_await stage.create(
          {{"key", "k" + std::to_string(made)}, {"value", longest}, {"category", "terraform"}});
      if (answer.status != 201) break;
      ++made;
    }
    EXPECT_EQ(answer.status, 422);
    EXPECT_EQ(answer.text("/errors/0/source/pointer"), "/data/attributes/value");
    EXPECT_GT(made, 20);
    TestAnswer small = co_await stage.create({{"key", "grows"}, {"value", ""}, {"category", "terraform"}});
    EXPECT_EQ(small.status, 201);
    const std::string one = all + "/" + small.text("/data/id");
    EXPECT_EQ((co_await stage.call(Method::patch, one, test_document("vars", {{"value", longest}}))).status,
              422);

    co_await stage.database.query({"test_clear", "DELETE FROM terrane.variables"});
    co_await stage.database.query(
        {"test_fill",
         "INSERT INTO terrane.variables (id, workspace_id, key, sealed_value, category, version_id) "
         "SELECT 'var-' || i, 'ws-1', 'k' || i, 'vault:v1:', 'terraform', 'v' FROM generate_series(1, 1000) "
         "i"});
    EXPECT_EQ((co_await stage.create({{"key", "more"}, {"value", ""}, {"category", "terraform"}})).status,
              422);
  });
}

TEST(VariableApi, RefusesBadInputAndStoresNothing) {
  struct Bad {
    Method method;
    std::string path;
    std::string body;
    int status;
    const char* pointer;
  };
  auto attributes = [](const std::string& inner) {
    return R"({"data":{"type":"vars","attributes":{)" + inner + "}}}";
  };
  const std::string good = R"("key":"good","category":"terraform",)";
  run([&](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"key", "region"}, {"value", "eu-1"}, {"category", "terraform"}});
    const std::string one = all + "/" + made.text("/data/id");
    const std::vector<Bad> bad{
        {Method::post, all, "", 400, ""},
        {Method::post, all, R"({"data":{"type":"vars")", 400, ""},
        {Method::post, all, "7", 422, "/data"},
        {Method::post, all, R"({"data":{"type":"runs"}})", 422, "/data/type"},
        {Method::post, all, R"({"data":{"attributes":[]}})", 422, "/data/attributes"},
        {Method::post, all, attributes(""), 422, "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":"x")"), 422, "/data/attributes/category"},
        {Method::post, all, attributes(R"("key":" ","category":"env")"), 422, "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":7,"category":"env")"), 422, "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":"a b","category":"env")"), 422, "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":"9","category":"env")"), 422, "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":")" + std::string(257, 'k') + R"(","category":"env")"), 422,
         "/data/attributes/key"},
        {Method::post, all, attributes(R"("key":"x","category":"policy-set")"), 422,
         "/data/attributes/category"},
        {Method::post, all, attributes(good + R"("value":7)"), 422, "/data/attributes/value"},
        {Method::post, all, attributes(good + R"("value":"a\u0000b")"), 422, "/data/attributes/value"},
        {Method::post, all, attributes(good + R"("value":")" + std::string(most_value_bytes + 1, 'x') + '"'),
         422, "/data/attributes/value"},
        {Method::post, all, attributes(good + R"("hcl":"true")"), 422, "/data/attributes/hcl"},
        {Method::post, all, attributes(good + R"("sensitive":null)"), 422, "/data/attributes/sensitive"},
        {Method::post, all, attributes(good + R"("description":")" + std::string(513, 'x') + '"'), 422,
         "/data/attributes/description"},
        {Method::post, all, std::string(2 * 1024 * 1024, ' '), 413, ""},
        {Method::post, "/api/v2/workspaces/nonexisting/vars", attributes(R"("key":"x","category":"env")"),
         404, ""},
        {Method::patch, one, "{", 400, ""},
        {Method::patch, one, attributes(R"("key":null)"), 422, "/data/attributes/key"},
        {Method::patch, one, attributes(R"("key":"a.b")"), 422, "/data/attributes/key"},
        {Method::patch, one, attributes(R"("category":"x")"), 422, "/data/attributes/category"},
        {Method::patch, all + "/nonexisting", attributes(""), 404, ""},
        {Method::get, all + "/nonexisting", "", 404, ""},
        {Method::get, "/api/v2/workspaces/nonexisting/vars", "", 404, ""},
        {Method::del, all + "/nonexisting", "", 404, ""},
    };
    const std::string before = co_await stage.stored();
    for (const Bad& item : bad) {
      TestAnswer answer =
          co_await stage.client->call(item.method, item.path, item.body, stage.token_of["user-ann"]);
      EXPECT_EQ(answer.status, item.status)
          << item.path << " " << item.body.substr(0, 100) << " " << answer.body;
      if (*item.pointer)
        EXPECT_EQ(answer.text("/errors/0/source/pointer"), item.pointer) << item.body.substr(0, 100);
      EXPECT_LT(answer.body.size(), 2000U) << "an error does not repeat the request";
    }
    EXPECT_EQ(co_await stage.stored(), before);
  });
}

}  // namespace
}  // namespace terrane::variable
