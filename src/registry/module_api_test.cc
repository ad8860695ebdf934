#include <gtest/gtest.h>

#include "organization/organization.h"
#include "registry/module.h"
#include "workspace/testing_stage.h"

namespace terrane::registry {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;

const std::string origin = "https://terrane.test:9443";
const std::string all = "/api/v2/organizations/acme/registry-modules";

struct Stage : workspace::test::Stage {
  object::UrlSigner urls;
  Api modules;
  configversion::Api configurations;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at),
        urls(Secret(std::string(32, 'k'))),
        modules(database, urls, origin),
        configurations({database, urls, origin, includes, module_access}) {
    modules.add_routes(router);
    configurations.add_routes(router);
  }
  Task<TestAnswer> create(json::object attributes, std::string as = "user-ann") {
    json::object body = test_document("registry-modules", std::move(attributes));
    co_return co_await post(all, std::move(body), std::move(as));
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(RegistryModules, AreRegisteredReadAndDeleted) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create({{"name", "network"}, {"provider", "aws"}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("mod-"));
    json::object expected{{"name", "network"},          {"provider", "aws"},
                          {"registry-name", "private"}, {"namespace", "acme"},
                          {"no-code", false},           {"status", "pending"},
                          {"vcs-repo", nullptr},        {"version-statuses", json::array{}}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(made.at("/data/attributes/" + std::string(key)), value) << key;
    EXPECT_EQ(made.at("/data/attributes/permissions/can-delete"), json::value(true));
    EXPECT_EQ(made.text("/data/relationships/organization/data/id"), "acme");
    const std::string one = all + "/private/acme/network/aws";
    for (const std::string& path : {one, "/api/v2/registry-modules/" + made.text("/data/id")}) {
      EXPECT_EQ((co_await stage.get(path)).at("/data"), made.at("/data"));
      EXPECT_EQ((co_await stage.get(path, "user-eve")).status, 404) << path;
      EXPECT_EQ((co_await stage.get(path, "run-1")).status, 404) << path;
      TestAnswer member = co_await stage.get(path, "user-bob");
      EXPECT_EQ(member.status, 200);
      EXPECT_EQ(member.at("/data/attributes/permissions/can-delete"), json::value(false));
    }
    EXPECT_EQ((co_await stage.get(all + "/public/acme/network/aws")).status, 404);
    for (const char* who : {"user-bob", "user-eve", "run-1"})
      EXPECT_EQ((co_await stage.del(one, who)).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
  });
}

TEST(RegistryModules, AreDeletedByNameForAllProviders) {
  run([](Stage& stage) -> Task<> {
    const std::string old = "/api/v2/registry-modules/actions/delete/acme/network";
    for (const std::string& path : {all + "/private/acme/network", old}) {
      for (const char* provider : {"aws", "google"}) {
        TestAnswer made = co_await stage.create({{"name", "network"}, {"provider", provider}});
        EXPECT_EQ(made.status, 201) << made.body;
      }
      TestAnswer gone = path == old ? co_await stage.post(path) : co_await stage.del(path);
      EXPECT_EQ(gone.status, 204) << path;
      EXPECT_EQ((co_await stage.get(all)).at("/meta/pagination/total-count"), json::value(0));
    }
    co_await stage.create(
        {{"name", "network"}, {"provider", "aws"}, {"registry-name", "public"}, {"namespace", "x"}});
    EXPECT_EQ((co_await stage.post(old)).status, 404) << "the old path knows private modules only";
    EXPECT_EQ((co_await stage.post(old, {}, "user-eve")).status, 404);
  });
}

TEST(RegistryModules, AreListedAndFiltered) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create({{"name", "network"}, {"provider", "aws"}});
    co_await stage.create({{"name", "cluster"}, {"provider", "google"}});
    co_await stage.create(
        {{"name", "vpc"}, {"provider", "aws"}, {"registry-name", "public"}, {"namespace", "somebody"}});
    std::vector<std::pair<std::string, int>> cases{{"", 3},
                                                   {"?q=NET", 1},
                                                   {"?q=somebody", 1},
                                                   {"?filter[provider]=aws", 2},
                                                   {"?filter[registry_name]=public", 1},
                                                   {"?filter[organization_name]=acme", 3},
                                                   {"?filter[organization_name]=evil", 0},
                                                   {"?q=cluster&filter[provider]=aws", 0}};
    for (const auto& [query, count] : cases) {
      TestAnswer list = co_await stage.get(all + query);
      EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(count)) << query;
      EXPECT_EQ(list.at("/data").as_array().size(), static_cast<std::size_t>(count)) << query;
    }
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999");
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(3));
    EXPECT_EQ((co_await stage.get(all, "user-eve")).status, 404);
  });
}

TEST(RegistryModules, RefuseBadInput) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.create({{"name", "network"}, {"provider", "aws"}})).status, 201);
    std::vector<std::pair<json::object, std::string>> cases{
        {{{"name", "network"}, {"provider", "aws"}}, "name"},  // it is there already
        {{{"provider", "aws"}}, "name"},
        {{{"name", "n"}}, "provider"},
        {{{"name", "a b"}, {"provider", "aws"}}, "name"},
        {{{"name", std::string(65, 'a')}, {"provider", "aws"}}, "name"},
        {{{"name", "n"}, {"provider", "a/b"}}, "provider"},
        {{{"name", "n"}, {"provider", "aws"}, {"registry-name", "other"}}, "registry-name"},
        {{{"name", "n"}, {"provider", "aws"}, {"namespace", "evil"}}, "namespace"},
        {{{"name", "n"}, {"provider", "aws"}, {"registry-name", "public"}}, "namespace"}};
    for (const auto& [attributes, member] : cases) {
      TestAnswer refused = co_await stage.create(attributes);
      EXPECT_EQ(refused.status, 422) << json::serialize(attributes);
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/" + member) << refused.body;
    }
    for (const char* who : {"user-bob", "user-eve", "run-1"})
      EXPECT_EQ((co_await stage.create({{"name", "n"}, {"provider", "aws"}}, who)).status, 404) << who;
  });
}

TEST(RegistryModules, HaveConfigurationVersionsForTheirTests) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create({{"name", "network"}, {"provider", "aws"}});
    const std::string path =
        "/api/v2/organizations/acme/tests/registry-modules/private/acme/network/aws/test-runs/"
        "configuration-versions";
    for (const char* who : {"user-bob", "user-eve", "run-1"})
      EXPECT_EQ((co_await stage.post(path, {}, who)).status, 404) << who;
    TestAnswer made = co_await stage.post(path);
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/attributes/status"), "pending");
    const std::string url = made.text("/data/attributes/upload-url");
    std::optional<object::Grant> grant = stage.urls.verify(url.substr(url.rfind('/') + 1));
    EXPECT_TRUE(grant && grant->access == object::Access::write);
    const std::string one = "/api/v2/configuration-versions/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).status, 200);
    EXPECT_FALSE((co_await stage.get(one)).at("/data/attributes").as_object().contains("upload-url"));
    EXPECT_EQ((co_await stage.get(one, "user-eve")).status, 404);

    // Its bytes go with the module, and with the organization.
    const std::string status = "SELECT status FROM terrane.objects WHERE id = '" + grant->object.text() + "'";
    co_await stage.del(all + "/private/acme/network/aws");
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ(co_await stage.value(status), "deleted");
    co_await stage.create({{"name", "network"}, {"provider", "aws"}});
    co_await stage.post(path);
    postgres::Tx tx = co_await stage.database.begin();
    co_await organization::remove(tx, Id<organization::Organization>("org-1"));
    co_await tx.commit();
    EXPECT_EQ(
        co_await stage.value(
            "SELECT count(*) FROM terrane.objects WHERE workspace LIKE 'mod-%' AND status <> 'deleted'"),
        "0");
  });
}

}  // namespace
}  // namespace terrane::registry
