#include <gtest/gtest.h>

#include "configversion/configversion.h"
#include "workspace/testing_stage.h"

namespace terrane::configversion {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;

const std::string origin = "https://terrane.test:9443";
const std::string all = "/api/v2/workspaces/ws-1/configuration-versions";

struct Stage : workspace::test::Stage {
  object::UrlSigner urls;
  Api configurations;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at),
        urls(Secret(std::string(32, 'k'))),
        configurations(database, urls, origin, includes) {
    configurations.add_routes(router);
  }
  Task<TestAnswer> create(json::object attributes = {}, std::string as = "user-ann") {
    json::object body = test_document("configuration-versions", std::move(attributes));
    co_return co_await post(all, std::move(body), std::move(as));
  }
  /// What a signed URL of an answer allows.
  object::Grant grant_of(const std::string& url) {
    EXPECT_TRUE(url.starts_with(origin + "/_archivist/v1/object/")) << url;
    std::optional<object::Grant> grant = urls.verify(url.substr(url.rfind('/') + 1));
    if (!grant) throw std::runtime_error("not signed: " + url);
    return *grant;
  }
  Task<std::optional<Uploaded>> upload(Id<Object> object) {
    postgres::Tx tx = co_await database.begin();
    std::optional<Uploaded> uploaded = co_await on_uploaded(tx, object);
    co_await tx.commit();
    co_return uploaded;
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(ConfigurationVersionApi, IsPendingUntilItsUpload) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create();
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("cv-"));
    json::object expected{{"status", "pending"},      {"source", "tfe-api"},           {"speculative", false},
                          {"provisional", false},     {"auto-queue-runs", true},       {"error", nullptr},
                          {"error-message", nullptr}, {"changed-files", json::array{}}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(made.at("/data/attributes/" + std::string(key)), value) << key;
    EXPECT_EQ(made.text("/data/relationships/workspace/data/id"), "ws-1");
    object::Grant grant = stage.grant_of(made.text("/data/attributes/upload-url"));
    EXPECT_EQ(grant.access, object::Access::write);
    EXPECT_EQ(
        co_await stage.value("SELECT kind FROM terrane.objects WHERE id = '" + grant.object.text() + "'"),
        "configuration");

    const std::string one = "/api/v2/configuration-versions/" + made.text("/data/id");
    TestAnswer shown = co_await stage.get(one);
    EXPECT_EQ(shown.status, 200);
    EXPECT_FALSE(shown.at("/data/attributes").as_object().contains("upload-url")) << "the URL is shown once";
    EXPECT_EQ((co_await stage.get(one + "/download")).status, 404) << "nothing is there yet";

    std::optional<Uploaded> first = co_await stage.upload(grant.object);
    EXPECT_TRUE(first && first->now);
    std::optional<Uploaded> repeated = co_await stage.upload(grant.object);
    EXPECT_TRUE(repeated && !repeated->now) << "a repeat changes nothing";
    shown = co_await stage.get(one);
    EXPECT_EQ(shown.text("/data/attributes/status"), "uploaded");
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/uploaded-at")));
    TestAnswer download = co_await stage.get(one + "/download");
    EXPECT_EQ(download.status, 302);
    object::Grant reading = stage.grant_of(std::string(*download.headers.find("Location")));
    EXPECT_EQ(reading.access, object::Access::read);
    EXPECT_EQ(reading.object, grant.object);
    EXPECT_EQ(co_await stage.value(
                  "SELECT current_configuration_version_id FROM terrane.workspaces WHERE id = 'ws-1'"),
              made.text("/data/id"));
    EXPECT_FALSE(co_await stage.upload(Id<Object>("obj-log1"))) << "not a configuration";
    EXPECT_FALSE(co_await stage.upload(Id<Object>("obj-none")));
  });
}

TEST(ConfigurationVersionApi, OnlyAPlainOneBecomesCurrent) {
  run([](Stage& stage) -> Task<> {
    auto current = [&] {
      return stage.value("SELECT current_configuration_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
    };
    auto newest = [&]() -> Task<std::string> {
      postgres::Tx tx = co_await stage.database.begin();
      std::optional<ConfigurationVersion> found = co_await latest(tx, "ws-1");
      co_return found ? found->id.text() : "";
    };
    EXPECT_EQ(co_await newest(), "cv-1");
    for (const char* kind : {"speculative", "provisional"}) {
      TestAnswer made = co_await stage.create({{kind, true}, {"auto-queue-runs", false}});
      EXPECT_EQ(made.at("/data/attributes/" + std::string(kind)), json::value(true));
      EXPECT_EQ(made.at("/data/attributes/auto-queue-runs"), json::value(false));
      co_await stage.upload(stage.grant_of(made.text("/data/attributes/upload-url")).object);
      EXPECT_EQ(co_await current(), "") << kind;
      EXPECT_EQ(co_await newest(), "cv-1") << kind;
    }
    TestAnswer plain = co_await stage.create();
    EXPECT_EQ(co_await newest(), "cv-1") << "pending";
    co_await stage.upload(stage.grant_of(plain.text("/data/attributes/upload-url")).object);
    EXPECT_EQ(co_await current(), plain.text("/data/id"));
    EXPECT_EQ(co_await newest(), plain.text("/data/id"));
    postgres::Tx tx = co_await stage.database.begin();
    EXPECT_FALSE(co_await latest(tx, "ws-2"));
    EXPECT_FALSE(co_await find(tx, "cv-none"));
  });
}

TEST(ConfigurationVersionApi, ListsInPages) {
  run([](Stage& stage) -> Task<> {
    TestAnswer second = co_await stage.create();
    TestAnswer third = co_await stage.create({{"speculative", true}});
    TestAnswer list = co_await stage.get(all);
    const json::value data = list.at("/data");
    EXPECT_EQ(data.as_array().size(), 3U);
    EXPECT_EQ(list.text("/data/0/id"), third.text("/data/id")) << "newest first";
    EXPECT_EQ(list.text("/data/2/id"), "cv-1");
    for (const json::value& item : data.as_array())
      EXPECT_FALSE(item.at("attributes").as_object().contains("upload-url"));
    TestAnswer page = co_await stage.get(all + "?page[number]=2&page[size]=2");
    EXPECT_EQ(page.text("/data/0/id"), "cv-1");
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999");
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(3));
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    EXPECT_TRUE(beyond.at("/data").as_array().empty());
  });
}

TEST(ConfigurationVersionApi, HidesFromStrangers) {
  run([](Stage& stage) -> Task<> {
    for (const char* who : {"user-eve", "user-bob"}) {
      for (const std::string& path : {all, std::string("/api/v2/configuration-versions/cv-1"),
                                      std::string("/api/v2/configuration-versions/cv-1/download")})
        EXPECT_EQ((co_await stage.get(path, who)).status, 404) << path << who;
      EXPECT_EQ((co_await stage.create({}, who)).status, 404) << who;
    }
    EXPECT_EQ((co_await stage.create({}, "run-1")).status, 404) << "a run's token writes nothing";
    EXPECT_EQ((co_await stage.create({}, "org-1")).status, 404) << "and an organization's makes no runs";
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/cv-1", "org-1")).status, 200);
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/cv-1/download", "org-1")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/cv-9")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/nonexisting")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/nonexisting/configuration-versions")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/cv-1", "nobody")).status, 401);
  });
}

TEST(ConfigurationVersionApi, RefusesBadInput) {
  run([](Stage& stage) -> Task<> {
    for (const char* member : {"speculative", "provisional", "auto-queue-runs"}) {
      TestAnswer refused = co_await stage.create({{member, "yes"}});
      EXPECT_EQ(refused.status, 422) << member;
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/" + std::string(member));
    }
    for (const char* body : {"", "{", "[]", R"({"data": 1})", R"({"data": {"type": "runs"}})"}) {
      int status = (co_await stage.call(Method::post, all, body)).status;
      EXPECT_TRUE(status == 400 || status == 422) << body;
    }
    EXPECT_EQ((co_await stage.call(Method::post, all, std::string(2 << 20, ' '))).status, 413);
    EXPECT_EQ(
        (co_await stage.create({{"status", "uploaded"}, {"error", "x"}})).text("/data/attributes/status"),
        "pending")
        << "read-only attributes are ignored";
    EXPECT_EQ(co_await stage.value(
                  "SELECT count(*) FROM terrane.configuration_versions WHERE workspace_id = 'ws-1'"),
              "2");
  });
}

}  // namespace
}  // namespace terrane::configversion
