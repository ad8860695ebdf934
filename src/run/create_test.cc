// POST /runs: what a run takes over, what it refuses, and that a repeat makes no second one.
#include <gtest/gtest.h>

#include "run/testing_stage.h"

namespace terrane::run {
namespace {

using http::Method;
using test::run;
using test::Stage;
using test::TestAnswer;

const std::string runs = "/api/v2/runs";

TEST(RunCreate, HasDefaults) {
  run([](Stage& stage) -> Task<> {
    TestAnswer made = co_await stage.post(runs, stage.new_run());
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("run-"));
    json::object expected{{"status", "pending"},
                          {"source", "tfe-api"},
                          {"trigger-reason", "manual"},
                          {"message", "Queued manually via the Terraform Enterprise API"},
                          {"is-destroy", false},
                          {"refresh", true},
                          {"refresh-only", false},
                          {"plan-only", false},
                          {"save-plan", false},
                          {"auto-apply", false},
                          {"allow-empty-apply", false},
                          {"allow-config-generation", false},
                          {"target-addrs", json::array{}},
                          {"replace-addrs", json::array{}},
                          {"terraform-version", "latest"},
                          {"variables", nullptr},
                          {"has-changes", false},
                          {"error-message", nullptr},
                          {"canceled-at", nullptr},
                          {"force-cancel-available-at", nullptr}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(made.at("/data/attributes/" + std::string(key)), value) << key;
    EXPECT_TRUE(parse_time(made.text("/data/attributes/status-timestamps/plan-queueable-at")))
        << "set in the very first answer";
    EXPECT_EQ(
        made.at("/data/attributes/actions"),
        parse_json(
            R"({"is-cancelable": true, "is-confirmable": false, "is-discardable": true, "is-force-cancelable": false})"));
    EXPECT_EQ(made.at("/data/attributes/permissions"),
              parse_json(R"({"can-apply": true, "can-cancel": true, "can-comment": true,
        "can-discard": true, "can-force-execute": true, "can-force-cancel": true, "can-override-policy-check": false})"));
    const std::string suffix = made.text("/data/id").substr(4);
    EXPECT_EQ(made.text("/data/relationships/plan/data/id"), "plan-" + suffix);
    EXPECT_EQ(made.text("/data/relationships/apply/data/id"), "apply-" + suffix);
    EXPECT_EQ(made.text("/data/relationships/workspace/data/id"), "ws-1");
    EXPECT_EQ(made.text("/data/relationships/configuration-version/data/id"), "cv-1")
        << "the newest that is neither provisional nor speculative";
    EXPECT_EQ(made.text("/data/relationships/created-by/data/id"), "user-ann");
    EXPECT_TRUE(made.at("/data/relationships/confirmed-by/data").is_null());
    EXPECT_TRUE(made.at("/data/relationships/cost-estimate/data").is_null());
    EXPECT_TRUE(made.at("/data/relationships/policy-checks/data").as_array().empty());
    EXPECT_EQ(made.at("/data/relationships/run-events/data").as_array().size(), 1U);
  });
}

TEST(RunCreate, TakesWhatIsGiven) {
  run([](Stage& stage) -> Task<> {
    json::object attributes{{"message", "because"},
                            {"refresh", false},
                            {"plan-only", true},
                            {"allow-empty-apply", true},
                            {"allow-config-generation", true},
                            {"target-addrs", json::array{"null_resource.a", "module.b[\"x y\"]"}},
                            {"replace-addrs", json::array{"null_resource.c"}},
                            {"invoke-action-addrs", json::array{"action.x.y"}},
                            {"policy-paths", json::array{"./policies"}},
                            {"terraform-version", "1.9.0"},
                            {"variables", json::array{json::object{{"key", "zone"}, {"value", "\"eu\""}}}}};
    TestAnswer made = co_await stage.post(runs, stage.new_run(attributes, "ws-1", "cv-1"));
    EXPECT_EQ(made.status, 201) << made.body;
    TestAnswer shown = co_await stage.get(runs + "/" + made.text("/data/id"));
    for (const TestAnswer& answer : {made, shown}) {
      for (const auto& [key, value] : attributes)
        EXPECT_EQ(answer.at("/data/attributes/" + std::string(key)), value) << key;
    }
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs r WHERE r::text LIKE '%zone%'"), "0")
        << "variables lie sealed";
    TestAnswer by_run = co_await stage.get(runs + "/" + made.text("/data/id"), "run-1");
    EXPECT_TRUE(by_run.at("/data/attributes/variables").is_null()) << "who may not read variables sees none";

    TestAnswer destroy =
        co_await stage.post(runs, stage.new_run({{"is-destroy", true}, {"save-plan", true}}));
    EXPECT_EQ(destroy.at("/data/attributes/is-destroy"), json::value(true));
    EXPECT_EQ(destroy.at("/data/attributes/save-plan"), json::value(true));
    TestAnswer refresh = co_await stage.post(runs, stage.new_run({{"refresh-only", true}}));
    EXPECT_EQ(refresh.at("/data/attributes/refresh-only"), json::value(true));
    TestAnswer read_only = co_await stage.post(
        runs, stage.new_run({{"status", "applied"}, {"source", "x"}, {"has-changes", true}}));
    EXPECT_EQ(read_only.text("/data/attributes/status"), "pending");
    EXPECT_EQ(read_only.text("/data/attributes/source"), "tfe-api");
  });
}

TEST(RunCreate, AutoApplyIsTheWorkspacesUnlessGiven) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql("UPDATE terrane.workspaces SET auto_apply = true");
    auto auto_apply = [&](json::object attributes) -> Task<json::value> {
      TestAnswer made = co_await stage.post(runs, stage.new_run(std::move(attributes)));
      co_return made.at("/data/attributes/auto-apply");
    };
    EXPECT_EQ(co_await auto_apply({}), json::value(true));
    EXPECT_EQ(co_await auto_apply({{"auto-apply", false}}), json::value(false))
        << "as the CLI sends it without -auto-approve";
    EXPECT_EQ(co_await auto_apply({{"plan-only", true}}), json::value(false));
    EXPECT_EQ(co_await auto_apply({{"save-plan", true}, {"auto-apply", true}}), json::value(false));
    co_await stage.sql("UPDATE terrane.workspaces SET auto_apply = false");
    EXPECT_EQ(co_await auto_apply({{"auto-apply", true}}), json::value(true));
  });
}

TEST(RunCreate, OfASpeculativeConfigurationOnlyPlans) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace) VALUES ('obj-x', 'configuration', 'ws-1');"
        "INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id, speculative, "
        "created_at)"
        " VALUES ('cv-s', 'ws-1', 'uploaded', 'obj-x', true, now() + interval '1 hour')");
    TestAnswer made = co_await stage.post(runs, stage.new_run({{"auto-apply", true}}, "ws-1", "cv-s"));
    EXPECT_EQ(made.status, 201);
    EXPECT_EQ(made.at("/data/attributes/plan-only"), json::value(true)) << "the CLI does not send plan-only";
    EXPECT_EQ(made.at("/data/attributes/auto-apply"), json::value(false));
    EXPECT_EQ((co_await stage.post(runs, stage.new_run()))
                  .text("/data/relationships/configuration-version/data/id"),
              "cv-1");
    co_await stage.sql("UPDATE terrane.workspaces SET speculative_enabled = false");
    EXPECT_EQ((co_await stage.post(runs, stage.new_run({{"message", "2"}}, "ws-1", "cv-s"))).status, 422);
  });
}

TEST(RunCreate, RefusesWhatTheWorkspaceDoesNotAllow) {
  run([](Stage& stage) -> Task<> {
    auto refused = [&](json::object attributes, std::string workspace,
                       std::string configuration) -> Task<int> {
      TestAnswer answer = co_await stage.post(
          runs, stage.new_run(std::move(attributes), std::move(workspace), std::move(configuration)));
      co_return answer.status;
    };
    EXPECT_EQ(co_await refused({}, "ws-2", ""), 422) << "no configuration yet";
    EXPECT_EQ(co_await refused({}, "ws-1", "cv-none"), 404);
    EXPECT_EQ(co_await refused({}, "ws-1", "cv-9"), 404) << "another workspace's";
    EXPECT_EQ(co_await refused({}, "ws-none", ""), 404);
    EXPECT_EQ(co_await refused({}, "ws-9", "cv-9"), 404) << "another organization's";
    TestAnswer versioned = co_await stage.post(runs, stage.new_run({{"terraform-version", "1.9.0"}}));
    EXPECT_EQ(versioned.status, 422) << "only with plan-only";
    EXPECT_EQ(versioned.text("/errors/0/source/pointer"), "/data/attributes/terraform-version");
    EXPECT_EQ(co_await refused({{"terraform-version", "my own"}, {"plan-only", true}}, "ws-1", ""), 422);
    EXPECT_EQ(co_await refused({{"is-destroy", true}, {"refresh-only", true}}, "ws-1", ""), 422);
    co_await stage.sql("UPDATE terrane.configuration_versions SET status = 'pending' WHERE id = 'cv-1'");
    EXPECT_EQ(co_await refused({}, "ws-1", "cv-1"), 422) << "not uploaded";
    co_await stage.sql("UPDATE terrane.configuration_versions SET status = 'uploaded' WHERE id = 'cv-1'");
    co_await stage.sql("UPDATE terrane.workspaces SET allow_destroy_plan = false");
    TestAnswer destroy = co_await stage.post(runs, stage.new_run({{"is-destroy", true}}));
    EXPECT_EQ(destroy.status, 422);
    EXPECT_EQ(destroy.text("/errors/0/source/pointer"), "/data/attributes/is-destroy");
    co_await stage.sql("UPDATE terrane.workspaces SET execution_mode = 'local'");
    EXPECT_EQ(co_await refused({}, "ws-1", ""), 422) << "runs execute elsewhere";
    for (const char* who : {"user-eve", "user-bob", "org-1", "run-1"}) {
      EXPECT_EQ((co_await stage.post(runs, stage.new_run(), who)).status, 404) << who;
    }
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs"), "1");
  });
}

TEST(RunCreate, RefusesBadInput) {
  run([](Stage& stage) -> Task<> {
    std::vector<std::pair<json::object, std::string>> bad{
        {{{"message", 5}}, "message"},
        {{{"message", std::string(17 * 1024, 'm')}}, "message"},
        {{{"refresh", "no"}}, "refresh"},
        {{{"target-addrs", "a"}}, "target-addrs"},
        {{{"target-addrs", json::array{1}}}, "target-addrs"},
        {{{"target-addrs", json::array{std::string("\0", 1)}}}, "target-addrs"},
        {{{"plan-only", nullptr}}, "plan-only"},
        {{{"variables", "x"}}, "variables"},
        {{{"variables", json::object{}}}, "variables"},
        {{{"variables", json::array{5}}}, "variables/0"},
        {{{"variables", json::array{json::object{{"key", "a"}}}}}, "variables/0"},
        {{{"variables", json::array{json::object{{"key", ""}, {"value", "1"}}}}}, "variables/0"},
        {{{"variables", json::array{json::object{{"key", "a"}, {"value", std::string("\0", 1)}}}}},
         "variables/0"}};
    for (const auto& [attributes, member] : bad) {
      TestAnswer refused = co_await stage.post(runs, stage.new_run(attributes));
      EXPECT_EQ(refused.status, 422) << json::serialize(attributes).substr(0, 100) << refused.body;
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/" + member);
    }
    for (const char* body : {"", "{", "[]", R"({"data": {}})", R"({"data": {"type": "plans"}})",
                             R"({"data": {"relationships": {"workspace": {"data": 5}}}})"}) {
      int status = (co_await stage.call(Method::post, runs, body)).status;
      EXPECT_TRUE(status == 400 || status == 422) << body << status;
    }
    EXPECT_EQ((co_await stage.call(Method::post, runs, std::string(2 << 20, ' '))).status, 413);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs"), "1");
  });
}

TEST(RunCreate, ARepeatOfAnUnansweredRequestGetsTheSameRun) {
  run([](Stage& stage) -> Task<> {
    auto send = [&](json::object attributes, std::string as) -> Task<std::string> {
      http::Request request;
      request.headers.set("Authorization", "Bearer " + stage.token_of[as]);
      TestAnswer answer = co_await stage.send(stage.front, request, Method::post, runs,
                                              json::serialize(stage.new_run(std::move(attributes))));
      EXPECT_EQ(answer.status, 201) << answer.body;
      co_return answer.text("/data/id");
    };
    // Its answer was never sent: the caller lost the connection and asks again.
    std::string first = co_await send({}, "user-ann");
    EXPECT_EQ(co_await send({}, "user-ann"), first);
    EXPECT_NE(co_await send({{"message", "another"}}, "user-ann"), first) << "another body";
    EXPECT_NE(co_await send({}, "user-root"), first) << "another token";
    co_await stage.sql("UPDATE terrane.runs SET created_at = now() - interval '121 seconds'");
    std::string second = co_await send({}, "user-ann");
    EXPECT_NE(second, first) << "two minutes later";

    // Once answered, the same request means another run, at once: the database may not know of the answer
    // yet.
    TestAnswer answered = co_await stage.post(runs, stage.new_run());
    EXPECT_EQ(answered.text("/data/id"), second);
    std::string third = co_await send({}, "user-ann");
    EXPECT_NE(third, second);
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(10);
    while (
        (co_await stage.value("SELECT answered_at FROM terrane.runs WHERE id = '" + second + "'")).empty()) {
      if (net::Clock::now() > end) throw std::runtime_error("never marked as answered");
      co_await net::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(co_await send({}, "user-ann"), third);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs WHERE id <> 'run-1'"), "5");
  });
}

TEST(RunCreate, WithoutVaultThereAreNoSecretsToLose) {
  run([](Stage& stage) -> Task<> {
    stage.vault.set_away(true);
    json::object secret{{"variables", json::array{json::object{{"key", "a"}, {"value", "1"}}}}};
    EXPECT_EQ((co_await stage.post(runs, stage.new_run(secret))).status, 503);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs"), "1");
    EXPECT_EQ((co_await stage.post(runs, stage.new_run())).status, 201)
        << "a run without variables needs no vault";
  });
}

}  // namespace
}  // namespace terrane::run
