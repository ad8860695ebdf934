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
        configurations({database, urls, origin, includes, owners_see_modules}) {
    configurations.add_routes(router);
  }
  /// Stands for the registry: ann has all modules.
  static Task<bool> owners_see_modules(postgres::Tx&, const api::Principal& principal, std::string) {
    if (principal.id != "user-ann") throw Error(Code::not_found, "");
    co_return true;
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
  Task<std::string> current() {
    return value("SELECT current_configuration_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
  }
  /// Makes a version and uploads it; returns its id.
  Task<std::string> uploaded(json::object attributes = {}) {
    TestAnswer made = co_await create(std::move(attributes));
    Id<Object> object = grant_of(made.text("/data/attributes/upload-url")).object;
    co_await sql("UPDATE terrane.objects SET status = 'live' WHERE id = '" + object.text() + "'");
    co_await upload(object);
    co_return made.text("/data/id");
  }
  Task<TestAnswer> act(std::string id, std::string action, std::string as = "user-ann") {
    co_return co_await post("/api/v2/configuration-versions/" + id + "/actions/" + action, {}, std::move(as));
  }
  Task<std::string> status(std::string id) {
    co_return (co_await get("/api/v2/configuration-versions/" + id)).text("/data/attributes/status");
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
    EXPECT_TRUE(made.at("/data/relationships/ingress-attributes/data").is_null());
    EXPECT_EQ(co_await stage.current(), made.text("/data/id")) << "before its upload, too";
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
    EXPECT_EQ(co_await stage.current(), made.text("/data/id"));
    EXPECT_FALSE(co_await stage.upload(Id<Object>("obj-log1"))) << "not a configuration";
    EXPECT_FALSE(co_await stage.upload(Id<Object>("obj-none")));
  });
}

TEST(ConfigurationVersionApi, OnlyAPlainOneBecomesCurrent) {
  run([](Stage& stage) -> Task<> {
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
      EXPECT_EQ(co_await stage.current(), "") << kind;
      EXPECT_EQ(co_await newest(), "cv-1") << kind;
    }
    TestAnswer plain = co_await stage.create();
    EXPECT_EQ(co_await newest(), "cv-1") << "pending";
    co_await stage.upload(stage.grant_of(plain.text("/data/attributes/upload-url")).object);
    EXPECT_EQ(co_await stage.current(), plain.text("/data/id"));
    EXPECT_EQ(co_await newest(), plain.text("/data/id"));
    postgres::Tx tx = co_await stage.database.begin();
    EXPECT_FALSE(co_await latest(tx, "ws-2"));
    EXPECT_FALSE(co_await find(tx, "cv-none"));
  });
}

TEST(ConfigurationVersionApi, AnOlderOnesUploadTakesNothingBack) {
  run([](Stage& stage) -> Task<> {
    TestAnswer older = co_await stage.create();
    std::string newer = co_await stage.uploaded();
    co_await stage.upload(stage.grant_of(older.text("/data/attributes/upload-url")).object);
    EXPECT_EQ(co_await stage.current(), newer);
    // An applied provisional one is current, and the next run's.
    std::string provisional = co_await stage.uploaded({{"provisional", true}});
    co_await stage.sql("UPDATE terrane.workspaces SET current_configuration_version_id = '" + provisional +
                       "' WHERE id = 'ws-1'");
    postgres::Tx tx = co_await stage.database.begin();
    EXPECT_EQ((co_await latest(tx, "ws-1"))->id.text(), provisional);
  });
}

TEST(ConfigurationVersionApi, MayBeUploadedAgainUntilARunIsMadeOfIt) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create();
    const std::string id = made.text("/data/id");
    Id<Object> first = stage.grant_of(made.text("/data/attributes/upload-url")).object;
    auto target = [&](std::int64_t expires = 4'000'000'000) {
      return upload_target(stage.database, first, expires);
    };
    auto live = [&](const Id<Object>& object) {
      return stage.sql("UPDATE terrane.objects SET status = 'live' WHERE id = '" + object.text() + "'");
    };
    auto bytes = [&] {
      return stage.value("SELECT object_id FROM terrane.configuration_versions WHERE id = '" + id + "'");
    };
    EXPECT_EQ(co_await target(), first) << "nothing was uploaded yet";
    co_await live(first);
    co_await stage.upload(first);
    EXPECT_EQ(co_await target(1), first) << "the URL has expired";
    for (int again = 0; again < 2; ++again) {
      Id<Object> next = co_await target();
      EXPECT_NE(next, first);
      EXPECT_NE(co_await bytes(), next.text()) << "not before its bytes are there";
      co_await live(next);
      std::optional<Uploaded> uploaded = co_await stage.upload(next);
      EXPECT_TRUE(uploaded && !uploaded->now) << "no second run is queued";
      EXPECT_EQ(co_await bytes(), next.text());
    }
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.objects WHERE id = '" + first.text() + "'"),
              "deleted");

    Id<Object> late = co_await target();
    co_await stage.sql(
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, "
        "epoch) "
        "VALUES ('run-new', 'ws-1', '" +
        id + "', 'm', '1.0.0', 1)");
    co_await live(late);
    std::optional<Code> refused;
    try {
      co_await stage.upload(late);
    } catch (const Error& error) {
      refused = error.code();
    }
    EXPECT_EQ(refused, Code::conflict);
    EXPECT_NE(co_await bytes(), late.text()) << "what a run is made of does not change";
    EXPECT_EQ(co_await target(), first);
    EXPECT_EQ(co_await upload_target(stage.database, Id<Object>("obj-log1"), 4'000'000'000),
              Id<Object>("obj-log1"));
  });
}

TEST(ConfigurationVersionApi, IsOfItsRunToo) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.get("/api/v2/runs/run-1/configuration-version")).text("/data/id"), "cv-1");
    EXPECT_EQ((co_await stage.get("/api/v2/runs/run-1/configuration-version/download")).status, 302);
    EXPECT_EQ((co_await stage.get("/api/v2/runs/run-none/configuration-version")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/runs/run-1/configuration-version", "user-eve")).status, 404);
  });
}

TEST(ConfigurationVersionApi, OnlyWhatNothingNeedsIsArchived) {
  run([](Stage& stage) -> Task<> {
    std::string old = co_await stage.uploaded();
    TestAnswer refused = co_await stage.act(old, "archive");
    EXPECT_EQ(refused.status, 409);
    for (const char* part :
         {"transition not allowed", "configuration could not be archived because it is current"})
      EXPECT_NE(refused.body.find(part), std::string::npos) << refused.body;
    co_await stage.uploaded();
    co_await stage.sql(
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, "
        "terraform_version, epoch) VALUES ('run-open', 'ws-1', '" +
        old + "', 'planned', 'm', '1.0.0', 1)");
    refused = co_await stage.act(old, "archive");
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("run-open"), std::string::npos) << refused.body;
    co_await stage.sql("UPDATE terrane.runs SET status = 'discarded' WHERE id = 'run-open'");
    for (const char* who : {"user-eve", "user-bob", "run-1"})
      EXPECT_EQ((co_await stage.act(old, "archive", who)).status, 404) << who;
    TestAnswer archived = co_await stage.act(old, "archive");
    EXPECT_EQ(archived.status, 202);
    EXPECT_EQ(archived.body, "");
    TestAnswer shown = co_await stage.get("/api/v2/configuration-versions/" + old);
    EXPECT_EQ(shown.text("/data/attributes/status"), "archived");
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/archived-at")));
    EXPECT_EQ((co_await stage.get("/api/v2/configuration-versions/" + old + "/download")).status, 404);
    EXPECT_EQ(
        co_await stage.value("SELECT o.status FROM terrane.objects o JOIN terrane.configuration_versions c "
                             "ON c.object_id = o.id WHERE c.id = '" +
                             old + "'"),
        "deleted")
        << "the sweeper takes the bytes";
    EXPECT_EQ((co_await stage.act(old, "archive")).status, 409) << "once";
    TestAnswer pending = co_await stage.create();
    EXPECT_EQ((co_await stage.act(pending.text("/data/id"), "archive")).status, 409);
    EXPECT_EQ((co_await stage.act("cv-none", "archive")).status, 404);
  });
}

TEST(ConfigurationVersionApi, BackingDataGoesAndComesBack) {
  run([](Stage& stage) -> Task<> {
    std::string old = co_await stage.uploaded();
    EXPECT_EQ((co_await stage.act(old, "soft_delete_backing_data")).status, 409) << "the next run needs it";
    std::string newest = co_await stage.uploaded();
    const std::string download = "/api/v2/configuration-versions/" + old + "/download";
    EXPECT_EQ((co_await stage.act(old, "restore_backing_data")).status, 409);
    EXPECT_EQ((co_await stage.act(old, "permanently_delete_backing_data")).status, 409)
        << "not without the first step";
    for (const char* who : {"user-eve", "user-bob", "run-1"})
      EXPECT_EQ((co_await stage.act(old, "soft_delete_backing_data", who)).status, 404) << who;

    TestAnswer hidden = co_await stage.act(old, "soft_delete_backing_data");
    EXPECT_EQ(hidden.status, 200);
    EXPECT_EQ(hidden.text("/data/attributes/status"), "backing_data_soft_deleted");
    EXPECT_EQ((co_await stage.get(download)).status, 404);
    EXPECT_EQ((co_await stage.act(old, "restore_backing_data")).status, 200);
    EXPECT_EQ(co_await stage.status(old), "uploaded");
    EXPECT_EQ((co_await stage.get(download)).status, 302);

    co_await stage.act(old, "soft_delete_backing_data");
    EXPECT_EQ((co_await stage.act(old, "permanently_delete_backing_data")).status, 200);
    EXPECT_EQ(co_await stage.status(old), "backing_data_permanently_deleted");
    TestAnswer gone = co_await stage.act(old, "restore_backing_data");
    EXPECT_EQ(gone.status, 409);
    EXPECT_NE(gone.body.find("transition not allowed"), std::string::npos) << gone.body;
    EXPECT_EQ((co_await stage.get(download)).status, 404);
    EXPECT_EQ(co_await stage.status(newest), "uploaded");
  });
}

TEST(ConfigurationVersionApi, MayBelongToAModule) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.registry_modules (id, organization_id, registry_name, namespace, name, "
        "provider) "
        "VALUES ('mod-1', 'org-1', 'private', 'acme', 'm', 'p')");
    postgres::Tx tx = co_await stage.database.begin();
    ConfigurationVersion given;
    given.registry_module = "mod-1";
    ConfigurationVersion made = co_await insert(tx, given);
    co_await tx.commit();
    const std::string one = "/api/v2/configuration-versions/" + made.id.text();
    TestAnswer shown = co_await stage.get(one);
    EXPECT_EQ(shown.text("/data/attributes/status"), "pending");
    EXPECT_EQ(shown.text("/data/relationships/registry-module/data/id"), "mod-1");
    EXPECT_FALSE(shown.at("/data/relationships").as_object().contains("workspace"));
    EXPECT_EQ((co_await stage.get(one, "user-eve")).status, 404);
    EXPECT_TRUE((co_await stage.upload(Id<Object>(made.object)))->now);
    EXPECT_EQ((co_await stage.get(one + "/download")).status, 302);
    EXPECT_EQ((co_await stage.act(made.id.text(), "archive")).status, 202);
    EXPECT_EQ((co_await stage.get(one + "/download", "user-eve")).status, 404);
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
