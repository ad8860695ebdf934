#include "run/triggers.h"

#include <gtest/gtest.h>

#include "run/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::run {
namespace {

using test::TestAnswer;
using worker_protocol::Job;

struct Stage : test::Stage {
  workspace::Api workspaces;
  TriggerApi triggers;
  TriggeredRuns triggered;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at),
        workspaces(database, includes),
        triggers(database, includes),
        triggered(on, database) {
    workspaces.add_routes(router);
    triggers.add_routes(router);
  }
  Task<TestAnswer> create(std::string workspace, std::string source, std::string as = "user-ann") {
    json::object body = api::test_document("run-triggers", {});
    body["data"].as_object()["relationships"] = json::object{
        {"sourceable",
         json::object{{"data", json::object{{"type", "workspaces"}, {"id", std::move(source)}}}}}};
    std::string path = "/api/v2/workspaces/" + workspace + "/run-triggers";
    co_return co_await post(std::move(path), std::move(body), std::move(as));
  }
  Task<TestAnswer> list(std::string workspace, std::string rest) {
    co_return co_await get("/api/v2/workspaces/" + workspace +
                           "/run-triggers?filter[run-trigger][type]=" + rest);
  }
  Task<std::string> runs_of(std::string workspace) {
    return value("SELECT count(*) FROM terrane.runs WHERE workspace_id = '" + workspace + "'");
  }
  /// Gives ws-2 a configuration.
  Task<> configure() {
    co_await sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-cv2', "
        "'configuration', 'ws-2', 'ws-2', 'live');"
        "INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id) VALUES ('cv-2', "
        "'ws-2', 'uploaded', 'obj-cv2')");
  }
  /// Applies a run of ws-1. What waits in ws-2 would be handed out first.
  Task<std::string> applied() {
    co_await sql(
        "UPDATE terrane.jobs SET status = 'canceled' WHERE workspace_id = 'ws-2'; UPDATE terrane.runs SET "
        "status = 'canceled' WHERE workspace_id = 'ws-2'");
    auto [id, job] = co_await applying_run();
    TestAnswer answer = co_await finish(job, planned());
    if (answer.status != 204) throw std::runtime_error(answer.body);
    co_return id;
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(RunTriggers, AreMadeReadAndDeleted) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.create("ws-2", "ws-1");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("rt-"));
    EXPECT_EQ(made.text("/data/attributes/workspace-name"), "two");
    EXPECT_EQ(made.text("/data/attributes/sourceable-name"), "one");
    EXPECT_EQ(made.text("/data/relationships/workspace/data/id"), "ws-2");
    EXPECT_EQ(made.text("/data/relationships/sourceable/data/id"), "ws-1");
    const std::string one = "/api/v2/run-triggers/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).at("/data"), made.at("/data"));
    EXPECT_EQ((co_await stage.get(one + "?include=workspace,sourceable")).at("/included").as_array().size(),
              2U);
    EXPECT_EQ((co_await stage.get(one + "?include=run")).status, 400);
    EXPECT_EQ((co_await stage.list("ws-2", "inbound")).at("/data/0"), made.at("/data"));
    EXPECT_EQ((co_await stage.list("ws-1", "inbound")).at("/meta/pagination/total-count"), json::value(0));
    EXPECT_EQ((co_await stage.list("ws-1", "outbound")).text("/data/0/id"), made.text("/data/id"));
    EXPECT_EQ((co_await stage.list("ws-2", "inbound&include=sourceable")).text("/included/0/id"), "ws-1");
    TestAnswer beyond = co_await stage.list("ws-2", "inbound&page[number]=999");
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(1));
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    for (const char* type : {"", "both"}) EXPECT_EQ((co_await stage.list("ws-2", type)).status, 400) << type;
    EXPECT_EQ((co_await stage.get(one, "run-1")).at("/data"), made.at("/data")) << "it reads the source";
    for (const char* who : {"user-eve", "user-bob"})
      EXPECT_EQ((co_await stage.get(one, who)).status, 404) << who;
    for (const char* who : {"user-eve", "user-bob", "run-1"}) {
      EXPECT_EQ((co_await stage.del(one, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.create("ws-2", "ws-1", who)).status, 404) << who;
    }
    EXPECT_EQ((co_await stage.del(one)).status, 204);
    EXPECT_EQ((co_await stage.get(one)).status, 404);
    EXPECT_EQ((co_await stage.del(one)).status, 404);
  });
}

TEST(RunTriggers, RefuseWhatMakesNoSense) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.create("ws-2", "ws-2")).status, 422) << "itself";
    for (const char* source : {"ws-9", "ws-none"})
      EXPECT_EQ((co_await stage.create("ws-2", source)).status, 404) << source;
    json::object nothing = api::test_document("run-triggers", {});
    EXPECT_EQ((co_await stage.post("/api/v2/workspaces/ws-2/run-triggers", nothing)).status, 422);
    EXPECT_EQ((co_await stage.create("ws-2", "ws-1")).status, 201);
    EXPECT_EQ((co_await stage.create("ws-2", "ws-1")).status, 422) << "once";
    co_await stage.sql(
        "INSERT INTO terrane.workspaces (id, organization_id, project_id, name) SELECT 'ws-s' || n, 'org-1', "
        "'prj-1', 's' || n FROM generate_series(1, 20) n;"
        "INSERT INTO terrane.run_triggers (id, workspace_id, sourceable_id) SELECT 'rt-' || n, 'ws-2', "
        "'ws-s' || n FROM generate_series(1, 19) n");
    EXPECT_EQ((co_await stage.create("ws-2", "ws-s20")).status, 422) << "twenty sources at most";
  });
}

TEST(RunTriggers, AnAppliedRunQueuesOne) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("ws-2", "ws-1");
    EXPECT_EQ(co_await stage.runs_of("ws-2"), "0");
    co_await stage.applied();
    EXPECT_EQ(co_await stage.triggered.look(), 1U);
    EXPECT_EQ(co_await stage.runs_of("ws-2"), "0") << "without a configuration there is nothing to run";
    EXPECT_EQ(co_await stage.triggered.look(), 0U) << "each is looked at once";

    co_await stage.configure();
    std::string source = co_await stage.applied();
    co_await stage.triggered.look();
    EXPECT_EQ(co_await stage.runs_of("ws-2"), "1");
    EXPECT_EQ(co_await stage.triggered.look(), 0U);
    std::string id = co_await stage.value("SELECT id FROM terrane.runs WHERE workspace_id = 'ws-2'");
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_EQ(shown.text("/data/attributes/source"), "tfe-run-trigger");
    EXPECT_NE(shown.text("/data/attributes/message").find(source), std::string::npos);
    EXPECT_EQ(shown.at("/data/attributes/auto-apply"), json::value(false)) << "whatever auto-apply says";
    EXPECT_EQ(shown.text("/data/relationships/configuration-version/data/id"), "cv-2");

    // A run that was not applied sets nothing off; a local workspace runs nothing.
    co_await stage.sql(
        "UPDATE terrane.jobs SET status = 'canceled' WHERE workspace_id = 'ws-2'; UPDATE terrane.runs SET "
        "status = 'canceled' WHERE workspace_id = 'ws-2'");
    std::string discarded = co_await stage.planned_run();
    co_await stage.post("/api/v2/runs/" + discarded + "/actions/discard");
    EXPECT_EQ(co_await stage.triggered.look(), 0U);
    co_await stage.sql("UPDATE terrane.workspaces SET auto_apply_run_trigger = true WHERE id = 'ws-2'");
    co_await stage.applied();
    co_await stage.triggered.look();
    EXPECT_EQ(
        co_await stage.value(
            "SELECT auto_apply FROM terrane.runs WHERE workspace_id = 'ws-2' ORDER BY position DESC LIMIT 1"),
        "true");
    std::string before = co_await stage.applied();
    co_await stage.sql("UPDATE terrane.installation SET epoch = 2");
    co_await stage.triggered.look();
    EXPECT_EQ(co_await stage.value("SELECT auto_apply FROM terrane.runs WHERE workspace_id = 'ws-2' ORDER BY "
                                   "position DESC LIMIT 1"),
              "false")
        << "the database went back: a person decides";
    co_await stage.sql("UPDATE terrane.installation SET epoch = 1");
    co_await stage.sql("UPDATE terrane.workspaces SET execution_mode = 'local' WHERE id = 'ws-2'");
    co_await stage.applied();
    EXPECT_EQ(co_await stage.triggered.look(), 1U);
    EXPECT_EQ(co_await stage.runs_of("ws-2"), "3");
  });
}

TEST(RunTriggers, TwoAtOnceQueueOneRun) {
  run([](Stage& stage) -> Task<> {
    co_await stage.create("ws-2", "ws-1");
    co_await stage.configure();
    co_await stage.applied();
    TriggeredRuns second(stage.executor, stage.database);
    int done = 0;
    auto look = [](TriggeredRuns& at, int& count) -> Task<> {
      co_await at.look();
      ++count;
    };
    net::spawn(stage.executor, "first", look(stage.triggered, done));
    net::spawn(stage.executor, "second", look(second, done));
    co_await testing::eventually("both", [&] { return done == 2; });
    EXPECT_EQ(co_await stage.runs_of("ws-2"), "1");
  });
}

TEST(RunTriggers, AnAppliedProvisionalConfigurationBecomesCurrent) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql("UPDATE terrane.configuration_versions SET provisional = true WHERE id = 'cv-1'");
    auto current = [&] {
      return stage.value("SELECT current_configuration_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
    };
    TestAnswer made = co_await stage.post("/api/v2/runs", stage.new_run({{"message", "p"}}, "ws-1", "cv-1"));
    const std::string id = made.text("/data/id");
    co_await stage.until(id, "plan_queued");
    Job plan = co_await stage.must_claim();
    co_await stage.finish(plan, Stage::planned());
    EXPECT_EQ(co_await current(), "");
    co_await stage.post("/api/v2/runs/" + id + "/actions/apply");
    co_await stage.until(id, "apply_queued");
    Job apply = co_await stage.must_claim();
    co_await stage.finish(apply, Stage::planned());
    EXPECT_EQ(co_await current(), "cv-1");
  });
}

}  // namespace
}  // namespace terrane::run
