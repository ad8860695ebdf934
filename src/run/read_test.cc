// What is read of runs: lists, queue, capacity, plans, applies, included things; and what strangers do not
// read.
#include <gtest/gtest.h>

#include "run/testing_stage.h"
#include "user/user_api.h"
#include "workspace/workspace_api.h"

namespace terrane::run {
namespace {

using http::Method;
using test::run;
using test::Stage;
using test::TestAnswer;
using worker_protocol::Job;
using worker_protocol::Outcome;

std::vector<std::string> ids_of(const TestAnswer& answer) {
  std::vector<std::string> out;
  const json::value data = answer.at("/data");
  for (const json::value& item : data.as_array()) out.emplace_back(item.at("id").as_string());
  return out;
}

TEST(RunRead, ListsInPagesAndByStatus) {
  run([](Stage& stage) -> Task<> {
    const std::string all = "/api/v2/workspaces/ws-1/runs";
    std::string planned = co_await stage.planned_run();
    std::string second = co_await stage.make_run();
    std::string third = co_await stage.make_run();
    EXPECT_EQ(ids_of(co_await stage.get(all)), (std::vector<std::string>{third, second, planned, "run-1"}))
        << "newest first";
    EXPECT_EQ(ids_of(co_await stage.get(all + "?page[size]=2&page[number]=2")),
              (std::vector<std::string>{planned, "run-1"}));
    EXPECT_EQ(ids_of(co_await stage.get(all + "?filter[status]=planned,applied")),
              (std::vector<std::string>{planned, "run-1"}));
    TestAnswer none = co_await stage.get(all + "?filter[status]=nonsense");
    EXPECT_TRUE(ids_of(none).empty());
    EXPECT_EQ(none.at("/meta/pagination/total-count"), json::value(0));
    TestAnswer beyond = co_await stage.get(all + "?page[number]=999&page[size]=100");
    EXPECT_EQ(beyond.status, 200);
    EXPECT_TRUE(ids_of(beyond).empty());
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(4));
    TestAnswer listed = co_await stage.get(all);
    EXPECT_EQ(listed.at("/data/2"), (co_await stage.get("/api/v2/runs/" + planned)).at("/data"));
    EXPECT_EQ((co_await stage.get(all + "?page[size]=-1")).status, 400);
    EXPECT_EQ((co_await stage.get(all + "?filter[status]=%00")).status, 400);
    EXPECT_TRUE(ids_of(co_await stage.get("/api/v2/workspaces/ws-2/runs")).empty());
  });
}

TEST(RunRead, QueueAndCapacityOfAnOrganization) {
  run([](Stage& stage) -> Task<> {
    auto capacity = [&]() -> Task<std::string> {
      TestAnswer answer = co_await stage.get("/api/v2/organizations/acme/capacity");
      EXPECT_EQ(answer.text("/data/type"), "organization-capacity");
      co_return answer.text("/data/attributes/running") + " run, " + answer.text("/data/attributes/pending") +
          " wait";
    };
    EXPECT_EQ(co_await capacity(), "0 run, 0 wait");
    std::string first = co_await stage.make_run();
    co_await stage.until(first, "plan_queued");
    co_await stage.must_claim();
    std::string second = co_await stage.make_run();
    std::string third = co_await stage.make_run({{"plan-only", true}});
    co_await stage.until(third, "plan_queued");
    EXPECT_EQ(co_await capacity(), "1 run, 2 wait");
    TestAnswer queue = co_await stage.get("/api/v2/organizations/acme/runs/queue");
    EXPECT_EQ(ids_of(queue), (std::vector<std::string>{second, third})) << "oldest first";
    EXPECT_EQ(queue.at("/data/0/attributes/position-in-queue"), json::value(0));
    EXPECT_EQ(queue.at("/data/1/attributes/position-in-queue"), json::value(1));
    TestAnswer page = co_await stage.get("/api/v2/organizations/acme/runs/queue?page[number]=2&page[size]=1");
    EXPECT_EQ(ids_of(page), std::vector<std::string>{third});
    EXPECT_EQ(page.at("/data/0/attributes/position-in-queue"), json::value(1));
    TestAnswer beyond = co_await stage.get("/api/v2/organizations/acme/runs/queue?page[number]=999");
    EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(2));
    EXPECT_TRUE(ids_of(beyond).empty());
    TestAnswer of_member = co_await stage.get("/api/v2/organizations/acme/runs/queue", "user-bob");
    EXPECT_EQ(of_member.status, 200);
    EXPECT_TRUE(ids_of(of_member).empty()) << "runs of workspaces that one may not see";
    for (const char* path : {"runs/queue", "capacity"}) {
      EXPECT_EQ((co_await stage.get(std::string("/api/v2/organizations/acme/") + path, "user-eve")).status,
                404)
          << path;
      EXPECT_EQ((co_await stage.get(std::string("/api/v2/organizations/nothing/") + path)).status, 404)
          << path;
    }
  });
}

TEST(RunRead, IncludesWhatIsAskedFor) {
  run([](Stage& stage) -> Task<> {
    workspace::Api workspaces(stage.database, stage.includes);
    workspaces.add_routes(stage.router);
    user::UserApi users(stage.database, stage.tokens, stage.includes);
    users.add_routes(stage.router);
    std::string id = co_await stage.make_run();
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id + "?include=workspace,plan,apply,created_by");
    std::vector<std::pair<std::string, std::string>> included;
    const json::value list = shown.at("/included");
    for (const json::value& item : list.as_array())
      included.emplace_back(item.at("type").as_string(), item.at("id").as_string());
    EXPECT_EQ(included,
              (std::vector<std::pair<std::string, std::string>>{{"workspaces", "ws-1"},
                                                                {"plans", "plan-" + id.substr(4)},
                                                                {"applies", "apply-" + id.substr(4)},
                                                                {"users", "user-ann"}}));
    EXPECT_EQ(shown.at("/included/0/attributes/structured-run-output-enabled"), json::value(false));
    EXPECT_EQ(shown.text("/included/3/attributes/username"), "ann");
    EXPECT_TRUE((co_await stage.get("/api/v2/runs/" + id)).at("/included").is_null());
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "?include=task_stages")).status, 200)
        << "as the CLI asks";
    TestAnswer refused = co_await stage.get("/api/v2/runs/" + id + "?include=workspace,secrets");
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find("include parameter"), std::string::npos);
  });
}

TEST(RunRead, PlansAndAppliesFromTheFirstMoment) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    const std::string suffix = id.substr(4);
    TestAnswer plan = co_await stage.get("/api/v2/plans/plan-" + suffix);
    EXPECT_EQ(plan.status, 200) << plan.body;
    EXPECT_EQ(plan.text("/data/type"), "plans");
    json::object expected{{"has-changes", false},
                          {"generated-configuration", false},
                          {"resource-additions", nullptr},
                          {"resource-changes", nullptr},
                          {"resource-destructions", nullptr},
                          {"resource-imports", nullptr},
                          {"execution-details", json::object{{"mode", "remote"}}}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(plan.at("/data/attributes/" + std::string(key)), value) << key;
    object::Grant log = stage.grant_of(plan.text("/data/attributes/log-read-url"));
    EXPECT_EQ(log.access, object::Access::log);
    EXPECT_EQ(co_await stage.value("SELECT kind FROM terrane.objects WHERE id = '" + log.object.text() + "'"),
              "log");
    EXPECT_GE(
        log.expires - std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count(),
        25 * 3600)
        << "a CLI fetches it once";
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/plan")).at("/data"), plan.at("/data"));
    EXPECT_EQ(plan.text("/data/links/json-output"), "/api/v2/plans/plan-" + suffix + "/json-output");

    TestAnswer apply = co_await stage.get("/api/v2/applies/apply-" + suffix);
    EXPECT_EQ(apply.text("/data/attributes/status"), "pending");
    EXPECT_NE(stage.grant_of(apply.text("/data/attributes/log-read-url")).object, log.object);
    EXPECT_TRUE(apply.at("/data/relationships/state-versions/data").as_array().empty());
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/apply")).at("/data"), apply.at("/data"));
    for (const std::string& path : {"/api/v2/plans/apply-" + suffix, "/api/v2/applies/plan-" + suffix,
                                    std::string("/api/v2/plans/plan-none"), std::string("/api/v2/plans/x"),
                                    std::string("/api/v2/applies/-"), "/api/v2/plans/" + id}) {
      EXPECT_EQ((co_await stage.get(path)).status, 404) << path;
    }
  });
}

TEST(RunRead, ThePlansNumbersAndItsJson) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    const std::string plan = "/api/v2/plans/plan-" + id.substr(4);
    const std::string of_run = "/api/v2/runs/" + id + "/plan";
    const std::vector<std::string> json_paths{plan + "/json-output", of_run + "/json-output",
                                              plan + "/json-schema", of_run + "/json-schema"};
    for (const std::string& path : json_paths)
      EXPECT_EQ((co_await stage.get(path)).status, 204) << "not finished";
    Job job = co_await stage.must_claim();
    Outcome outcome = Stage::planned();
    outcome.additions = 1;
    outcome.changes = 2;
    outcome.destructions = 3;
    outcome.imports = 4;
    outcome.generated_configuration = true;
    outcome.plan_object = co_await stage.put(job, 0, "plan");
    outcome.json_object = co_await stage.put(job, 1, "plan-json", "{}");
    outcome.schemas_object = co_await stage.put(job, 2, "schemas", "{}");
    co_await stage.finish(job, outcome);
    TestAnswer shown = co_await stage.get(plan);
    json::object expected{
        {"status", "finished"},    {"has-changes", true},   {"generated-configuration", true},
        {"resource-additions", 1}, {"resource-changes", 2}, {"resource-destructions", 3},
        {"resource-imports", 4}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(shown.at("/data/attributes/" + std::string(key)), value) << key;
    for (const char* time : {"queued-at", "started-at", "finished-at"})
      EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/" + std::string(time)))) << time;
    for (const std::string& path : json_paths) {
      TestAnswer moved = co_await stage.get(path);
      EXPECT_EQ(moved.status, 307);
      object::Grant grant = stage.grant_of(std::string(*moved.headers.find("Location")));
      EXPECT_EQ(grant.object.text(), path.ends_with("output") ? outcome.json_object : outcome.schemas_object);
      EXPECT_EQ(grant.access, object::Access::read);
      EXPECT_EQ((co_await stage.get(path, "user-eve")).status, 404);
    }
    co_await stage.sql("UPDATE terrane.plans SET schemas_object_id = NULL, json_object_id = NULL");
    for (const std::string& path : json_paths)
      EXPECT_EQ((co_await stage.get(path)).status, 404) << "what has ended without it will never have it";
  });
}

TEST(RunRead, AFailedAppliesSavedState) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    const std::string path = "/api/v2/applies/apply-" + id.substr(4) + "/errored-state";
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-r', 'state', "
        "'ws-1', 'ws-1', 'live');"
        "INSERT INTO terrane.state_versions (id, workspace_id, run_id, serial, md5, object_id, status, "
        "recovered) VALUES ('sv-r', 'ws-1', '" +
        id + "', 3, 'm', 'obj-r', 'finalized', true)");
    EXPECT_EQ((co_await stage.get(path)).status, 404) << "it has not failed";
    co_await stage.finish(job, Stage::ended(worker_protocol::Ending::errored, "no"));
    TestAnswer moved = co_await stage.get(path);
    EXPECT_EQ(moved.status, 307);
    EXPECT_EQ(stage.grant_of(std::string(*moved.headers.find("Location"))).object.text(), "obj-r");
    for (const char* who : {"user-eve", "user-bob"}) EXPECT_EQ((co_await stage.get(path, who)).status, 404);
    co_await stage.sql("UPDATE terrane.state_versions SET recovered = false");
    EXPECT_EQ((co_await stage.get(path)).status, 404) << "nothing was saved apart";
    EXPECT_EQ((co_await stage.get("/api/v2/applies/apply-none/errored-state")).status, 404);
  });
}

TEST(RunRead, IsHiddenFromStrangers) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    const std::string suffix = id.substr(4);
    const std::vector<std::string> paths{"/api/v2/runs/" + id,
                                         "/api/v2/workspaces/ws-1/runs",
                                         "/api/v2/runs/" + id + "/run-events",
                                         "/api/v2/runs/" + id + "/plan",
                                         "/api/v2/runs/" + id + "/apply",
                                         "/api/v2/runs/" + id + "/plan/json-output",
                                         "/api/v2/plans/plan-" + suffix,
                                         "/api/v2/plans/plan-" + suffix + "/json-output",
                                         "/api/v2/applies/apply-" + suffix,
                                         "/api/v2/applies/apply-" + suffix + "/import-list"};
    for (const std::string& path : paths) {
      for (const char* who : {"user-eve", "user-bob"})
        EXPECT_EQ((co_await stage.get(path, who)).status, 404) << path << who;
      EXPECT_EQ((co_await stage.get(path, "nobody")).status, 401) << path;
      int own = (co_await stage.get(path, "run-1")).status;
      EXPECT_TRUE(own < 400 || path.ends_with("import-list"))
          << "a run's token reads its workspace: " << path << own;
    }
    for (const char* absent :
         {"/api/v2/runs/nonexisting", "/api/v2/runs/nonexisting/plan", "/api/v2/runs/nonexisting/apply",
          "/api/v2/runs/nonexisting/run-events", "/api/v2/workspaces/nonexisting/runs",
          "/api/v2/plans/nonexisting", "/api/v2/plans/nonexisting/json-output", "/api/v2/applies/nonexisting",
          "/api/v2/applies/nonexisting/import-list", "/api/v2/run-events/nonexisting"}) {
      EXPECT_EQ((co_await stage.get(absent)).status, 404) << absent;
    }
  });
}

}  // namespace
}  // namespace terrane::run
