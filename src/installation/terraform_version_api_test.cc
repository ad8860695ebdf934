#include "installation/terraform_version_api.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "installation/terraform_version.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::installation {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;
using testing::TestDatabase;

const std::string all = "/api/v2/admin/terraform-versions";
const std::string sha_one(64, 'a');
const std::string sha_two(64, 'b');

/// Tokens of the tests are words: `admin`, `user`, `organization`.
Task<std::optional<api::Principal>> known(const std::string& token) {
  api::Principal principal;
  principal.id = token;
  principal.site_admin = token == "admin" || token == "organization";
  if (token == "organization") principal.kind = api::Principal::Kind::organization;
  if (token != "admin" && token != "user" && token != "organization") co_return std::nullopt;
  co_return principal;
}

struct Stage {
  postgres::Database database;
  TerraformVersionApi versions;
  http::Router router;
  std::optional<api::TestClient> client;

  Stage(net::Executor executor, const TestDatabase& at)
      : database(executor, at.options()), versions(database) {
    versions.add_routes(router);
    client.emplace(router, known);
  }
  Task<TestAnswer> call(Method method, std::string path, json::object body, std::string as = "admin") {
    co_return co_await client->call(method, std::move(path), body, std::move(as));
  }
  Task<TestAnswer> create(json::object attributes) {
    json::object body = test_document("terraform-versions", std::move(attributes));
    co_return co_await call(Method::post, all, body);
  }
};

void run(std::function<Task<>(Stage&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    co_await body(stage);
  });
}

json::object arch(const std::string& sha, const char* cpu) {
  return {{"url", "https://example.com/x.zip"}, {"sha", sha}, {"os", "linux"}, {"arch", cpu}};
}

TEST(TerraformVersionApi, CreatesFromUrlAndSha) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create(
        {{"version", "1.5.7"}, {"url", "https://example.com/terraform.zip"}, {"sha", sha_one}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("tool-"));
    EXPECT_EQ(made.text("/data/attributes/archs/0/sha"), sha_one);
    EXPECT_EQ(made.text("/data/attributes/archs/0/arch"), "amd64");
    EXPECT_EQ(made.at("/data/attributes/enabled"), json::value(true));
    EXPECT_EQ(made.at("/data/attributes/official"), json::value(false));
    EXPECT_TRUE(made.at("/data/attributes/deprecated-reason").is_null());
    EXPECT_EQ(made.text("/data/attributes/engine"), "terraform");
    TestAnswer shown = co_await stage.call(Method::get, all + "/" + made.text("/data/id"), {});
    EXPECT_EQ(shown.at("/data"), made.at("/data"));
    TestAnswer again =
        co_await stage.create({{"version", "1.5.7"}, {"url", "https://example.com/x.zip"}, {"sha", sha_two}});
    EXPECT_EQ(again.status, 422);
    EXPECT_EQ(again.text("/errors/0/source/pointer"), "/data/attributes/version");
  });
}

TEST(TerraformVersionApi, KeepsUrlShaAndArchsInAgreement) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"version", "1.6.0"},
                               {"deprecated", true},
                               {"deprecated-reason", "old"},
                               {"archs", json::array{arch(sha_one, "amd64"), arch(sha_two, "arm64")}}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/attributes/sha"), sha_one);
    EXPECT_EQ(made.text("/data/attributes/deprecated-reason"), "old");
    const std::string one = all + "/" + made.text("/data/id");

    json::object by_url =
        test_document("terraform-versions",
                      {{"url", "https://example.com/y.zip"}, {"sha", sha_two}, {"deprecated", false}});
    TestAnswer second = co_await stage.call(Method::patch, one, by_url);
    EXPECT_EQ(second.status, 200) << second.body;
    EXPECT_EQ(second.at("/data/attributes/archs").as_array().size(), 1U);
    EXPECT_EQ(second.text("/data/attributes/archs/0/url"), "https://example.com/y.zip");
    EXPECT_TRUE(second.at("/data/attributes/deprecated-reason").is_null());

    json::object by_arch =
        test_document("terraform-versions", {{"archs", json::array{arch(sha_one, "arm64")}}});
    TestAnswer third = co_await stage.call(Method::patch, one, by_arch);
    EXPECT_TRUE(third.at("/data/attributes/url").is_null());
    EXPECT_TRUE(third.at("/data/attributes/sha").is_null());
    EXPECT_EQ(third.text("/data/attributes/archs/0/arch"), "arm64");
    TestAnswer shown = co_await stage.call(Method::get, one, {});
    EXPECT_EQ(shown.at("/data/attributes/archs"), third.at("/data/attributes/archs"));
  });
}

TEST(TerraformVersionApi, ListsByNumberFiltersAndSearches) {
  run([](Stage& stage) -> Task<> {
    for (const char* version : {"1.9.0", "1.10.0", "1.10.0-rc1", "0.15.5"}) {
      TestAnswer made = co_await stage.create(
          {{"version", version}, {"url", "https://example.com/x.zip"}, {"sha", sha_one}});
      EXPECT_EQ(made.status, 201);
    }
    co_await register_engine(stage.database, "1.12.6", sha_two, "opentofu");
    co_await register_engine(stage.database, "1.12.6", sha_one, "opentofu");
    TestAnswer list = co_await stage.call(Method::get, all, {});
    std::vector<std::string> order;
    const json::value items = list.at("/data");
    for (const json::value& item : items.as_array())
      order.emplace_back(item.at("attributes").at("version").as_string());
    EXPECT_EQ(order, (std::vector<std::string>{"1.12.6", "1.10.0", "1.10.0-rc1", "1.9.0", "0.15.5"}));
    EXPECT_EQ(list.text("/data/0/attributes/sha"), sha_one) << "registered again: the newest digest counts";
    EXPECT_EQ(list.text("/data/0/attributes/engine"), "opentofu");

    TestAnswer exact = co_await stage.call(Method::get, all + "?filter%5Bversion%5D=1.9.0", {});
    EXPECT_EQ(exact.text("/meta/pagination/total-count"), "1");
    TestAnswer none = co_await stage.call(Method::get, all + "?filter[version]=1000.1000.42", {});
    EXPECT_EQ(none.text("/data"), "[]");
    TestAnswer part = co_await stage.call(Method::get, all + "?search[version]=1.10", {});
    EXPECT_EQ(part.text("/meta/pagination/total-count"), "2");
    TestAnswer beyond = co_await stage.call(Method::get, all + "?page[number]=999&page[size]=100", {});
    EXPECT_EQ(beyond.text("/data"), "[]");
    EXPECT_EQ(beyond.text("/meta/pagination/current-page"), "999");

    postgres::Tx tx = co_await stage.database.begin();
    std::vector<Candidate> registered = co_await candidates(tx);
    EXPECT_EQ(resolve_version(registered, "~> 1.9.0"), "1.9.0");
    EXPECT_EQ(resolve_version(registered, "latest"), "1.12.6");
  });
}

TEST(TerraformVersionApi, DeletesWhatNobodyUses) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"version", "1.5.7"}, {"url", "https://example.com/x.zip"}, {"sha", sha_one}});
    co_await stage.database.query(
        {"test_org", "INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x')"});
    co_await stage.database.query(
        {"test_prj",
         "INSERT INTO terrane.projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'p')"});
    co_await stage.database.query(
        {"test_ws",
         "INSERT INTO terrane.workspaces (id, organization_id, project_id, name, terraform_version) "
         "VALUES ('ws-1', 'org-1', 'prj-1', 'w', '1.5.7')"});
    const std::string one = all + "/" + made.text("/data/id");
    TestAnswer used = co_await stage.call(Method::del, one, {});
    EXPECT_EQ(used.status, 422);
    EXPECT_EQ((co_await stage.call(Method::get, one, {})).text("/data/attributes/usage"), "1");
    co_await stage.database.query({"test_ws_gone", "DELETE FROM terrane.workspaces"});
    EXPECT_EQ((co_await stage.call(Method::del, one, {})).status, 204);
    EXPECT_EQ((co_await stage.call(Method::del, one, {})).status, 404);
    co_await register_engine(stage.database, "1.12.6", sha_two, "opentofu");
    TestAnswer list = co_await stage.call(Method::get, all, {});
    TestAnswer official = co_await stage.call(Method::del, all + "/" + list.text("/data/0/id"), {});
    EXPECT_EQ(official.status, 422);
  });
}

TEST(TerraformVersionApi, IsThereForSiteAdminsOnly) {
  run([](Stage& stage) -> Task<> {
    json::object body = test_document(
        "terraform-versions", {{"version", "1.5.7"}, {"url", "https://example.com/x.zip"}, {"sha", sha_one}});
    for (const char* as : {"user", "organization"}) {
      for (const std::string& path : {all, all + "/tool-1"}) {
        EXPECT_EQ((co_await stage.call(Method::get, path, {}, as)).status, 404) << as;
      }
      EXPECT_EQ((co_await stage.call(Method::post, all, body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::patch, all + "/tool-1", body, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.call(Method::del, all + "/tool-1", {}, as)).status, 404) << as;
    }
    EXPECT_EQ((co_await stage.call(Method::get, all, {}, "stranger")).status, 401);
  });
}

TEST(TerraformVersionApi, RefusesBadInputAndStoresNothing) {
  const std::string good = R"("version":"1.5.7","url":"https://example.com/x.zip","sha":")" + sha_one + '"';
  struct Bad {
    std::string attributes;
    const char* pointer;
  };
  const std::vector<Bad> bad{
      {"", "/data/attributes/version"},
      {R"("version":"1.5.7")", "/data/attributes/url"},
      {R"("version":"1.5.7","url":"https://example.com/x.zip")", "/data/attributes/sha"},
      {R"("version":7)", "/data/attributes/version"},
      {R"("version":"1.5")", "/data/attributes/version"},
      {R"("version":"1.5.7","url":"file:///etc/passwd")", "/data/attributes/url"},
      {R"("version":"1.5.7","sha":"abc")", "/data/attributes/sha"},
      {good + R"(,"enabled":"yes")", "/data/attributes/enabled"},
      {good + R"(,"engine":"pulumi")", "/data/attributes/engine"},
      {good + R"(,"archs":"x")", "/data/attributes/archs"},
      {good + R"(,"archs":[7])", "/data/attributes/archs"},
      {good + R"(,"archs":[{"url":"https://example.com","sha":"short","os":"linux","arch":"amd64"}])",
       "/data/attributes/archs"},
      {good + R"(,"archs":[{"url":"https://example.com","sha":")" + sha_one +
           R"(","os":"plan9","arch":"amd64"}])",
       "/data/attributes/archs"},
      {good + R"(,"deprecated-reason":")" + std::string(1025, 'x') + '"',
       "/data/attributes/deprecated-reason"},
  };
  run([&](Stage& stage) -> Task<> {
    TestAnswer made =
        co_await stage.create({{"version", "1.4.0"}, {"url", "https://example.com/x.zip"}, {"sha", sha_two}});
    const std::string one = all + "/" + made.text("/data/id");
    for (const Bad& item : bad) {
      const std::string body =
          R"({"data":{"type":"terraform-versions","attributes":{)" + item.attributes + "}}}";
      TestAnswer answer = co_await stage.client->call(Method::post, all, body, "admin");
      EXPECT_EQ(answer.status, 422) << item.attributes;
      EXPECT_EQ(answer.text("/errors/0/source/pointer"), item.pointer) << item.attributes;
    }
    for (const std::string& path : {all, one}) {
      const Method method = path == all ? Method::post : Method::patch;
      EXPECT_EQ((co_await stage.client->call(method, path, "{", "admin")).status, 400);
      EXPECT_EQ((co_await stage.client->call(method, path, R"({"data":[]})", "admin")).status, 422);
      EXPECT_EQ((co_await stage.client->call(method, path, std::string(70'000, ' '), "admin")).status, 413);
    }
    const std::string wrong = R"({"data":{"attributes":{"version":"no","beta":1}}})";
    TestAnswer patched = co_await stage.client->call(Method::patch, one, wrong, "admin");
    EXPECT_EQ(patched.status, 422);
    EXPECT_EQ(patched.at("/errors").as_array().size(), 2U) << "all problems at once";
    EXPECT_EQ(
        (co_await stage.call(Method::patch, all + "/nonexisting", test_document("terraform-versions", {})))
            .status,
        404);
    TestAnswer list = co_await stage.call(Method::get, all, {});
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "1");
    EXPECT_EQ(list.at("/data/0"), made.at("/data"));
  });
}

}  // namespace
}  // namespace terrane::installation
