// The job API up to the end of a phase: nodes, hand-out, leases, logs, objects, states.
#include <gtest/gtest.h>

#include "run/testing_stage.h"
#include "run/trace.h"

namespace terrane::run {
namespace {

using http::Method;
using test::run;
using test::Stage;
using test::TestAnswer;
using worker_protocol::Ending;
using worker_protocol::Job;
using worker_protocol::Phase;

TEST(JobClaim, CarriesVariableSetsByTheirPrecedence) {
  run([](Stage& stage) -> Task<> {
    auto variable = [&](std::string owner, std::string key, std::string value) -> Task<> {
      const std::string id = "var-" + owner + key;
      const std::string column = owner.starts_with("ws-") ? "workspace_id" : "variable_set_id";
      std::string sealed = co_await stage.vault.encrypt("terrane", Secret(value), id);
      co_await stage.sql("INSERT INTO terrane.variables (id, " + column +
                         ", key, sealed_value, category, version_id) VALUES ('" + id + "', '" + owner +
                         "', '" + key + "', '" + sealed + "', 'terraform', 'v')");
    };
    co_await stage.sql(
        "INSERT INTO terrane.variable_sets (id, organization_id, name, global, priority) SELECT s.id, "
        "w.organization_id, s.id, true, s.priority FROM terrane.workspaces w, (VALUES ('varset-first', "
        "true), "
        "('varset-last', false)) s (id, priority) WHERE w.id = 'ws-1'");
    for (const char* key : {"everywhere", "last", "both"}) co_await variable("varset-last", key, "last");
    for (const char* key : {"everywhere", "first"}) co_await variable("varset-first", key, "first");
    for (const char* key : {"everywhere", "both", "own"}) co_await variable("ws-1", key, "own");
    std::string id = co_await stage.make_run(
        {{"variables", json::array{json::object{{"key", "everywhere"}, {"value", "\"run\""}},
                                   json::object{{"key", "own"}, {"value", "\"run\""}}}}});
    co_await stage.sql("DELETE FROM terrane.variable_sets");
    co_await stage.until(id, "plan_queued");
    Job job = co_await stage.must_claim();
    std::map<std::string, std::string> last_wins;
    for (const worker_protocol::Variable& got : job.variables) last_wins[got.key] = got.value.reveal();
    EXPECT_EQ(last_wins, (std::map<std::string, std::string>{{"everywhere", "first"},
                                                             {"first", "first"},
                                                             {"own", "\"run\""},
                                                             {"both", "own"},
                                                             {"last", "last"}}));
  });
}

TEST(JobClaim, CarriesTheOrganizationsTimes) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql("UPDATE terrane.organizations SET plan_timeout = '1h30m', apply_timeout = '2h'");
    std::string id = co_await stage.make_run({});
    co_await stage.until(id, "plan_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.time_limit, std::chrono::minutes(90));
  });
}

TEST(JobClaim, CarriesAllThatAPhaseNeeds) {
  run([](Stage& stage) -> Task<> {
    for (auto [key, value, category, hcl] :
         {std::tuple("region", "eu-1", "terraform", "false"), std::tuple("TOKEN", "hunter2", "env", "false"),
          std::tuple("list", "[1]", "terraform", "true")}) {
      std::string id = std::string("var-") + key;
      std::string sealed = co_await stage.vault.encrypt("terrane", Secret(value), id);
      co_await stage.sql(
          "INSERT INTO terrane.variables (id, workspace_id, key, sealed_value, category, hcl, version_id) "
          "VALUES ('" +
          id + "', 'ws-1', '" + key + "', '" + sealed + "', '" + category + "', " + hcl + ", 'v')");
    }
    co_await stage.sql(
        "UPDATE terrane.workspaces SET working_directory = 'deep', structured_run_output_enabled = true "
        "WHERE id = 'ws-1'");
    std::string id = co_await stage.make_run(
        {{"variables", json::array{json::object{{"key", "zone"}, {"value", "\"a\""}}}},
         {"target-addrs", json::array{"null_resource.a"}},
         {"replace-addrs", json::array{"null_resource.b"}},
         {"refresh", false}});
    // What is changed later is not the run's any more.
    co_await stage.sql("UPDATE terrane.variables SET category = 'env', key = key || '_later'");
    co_await stage.until(id, "plan_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.run, id);
    EXPECT_EQ(job.phase, Phase::plan);
    EXPECT_EQ(job.attempt, 1);
    EXPECT_EQ(job.workspace, "ws-1");
    EXPECT_EQ(job.workspace_name, "one");
    EXPECT_EQ(job.organization, "acme");
    EXPECT_EQ(job.working_directory, "deep");
    EXPECT_TRUE(job.structured_output);
    EXPECT_FALSE(job.refresh);
    EXPECT_EQ(job.targets, std::vector<std::string>{"null_resource.a"});
    EXPECT_EQ(job.replaces, std::vector<std::string>{"null_resource.b"});
    EXPECT_EQ(job.hostname, "terrane.test:9443");
    EXPECT_EQ(job.epoch, 1);
    EXPECT_EQ(job.state_path, "");
    EXPECT_EQ(job.state_serial, -1);
    EXPECT_EQ(job.environment["TFC_WORKSPACE_SLUG"], "acme/one");
    EXPECT_EQ(job.environment["TFC_RUN_ID"], id);
    EXPECT_EQ(job.environment["TFC_PROJECT_NAME"], "Default Project");
    object::Grant configuration =
        *stage.urls.verify(job.configuration_path.substr(job.configuration_path.rfind('/') + 1));
    EXPECT_EQ(configuration.object.text(), "obj-cv1");
    EXPECT_EQ(configuration.access, object::Access::read);

    std::map<std::string, std::string> variables;
    for (const worker_protocol::Variable& variable : job.variables)
      variables[variable.key] =
          variable.value.reveal() + (variable.environment ? " env" : "") + (variable.hcl ? " hcl" : "");
    EXPECT_EQ(variables,
              (std::map<std::string, std::string>{
                  {"region", "eu-1"}, {"TOKEN", "hunter2 env"}, {"list", "[1] hcl"}, {"zone", "\"a\" hcl"}}));
    EXPECT_EQ(job.variables.back().key, "zone") << "the run's own win";

    std::set<std::string> objects{job.log.object};
    for (const worker_protocol::Slot& slot : job.slots) {
      objects.insert(slot.object);
      EXPECT_EQ(slot.key.reveal().size(), 32U);
      Secret opened = co_await stage.vault.decrypt("archivist", slot.wrapped);
      EXPECT_EQ(opened.reveal(), slot.key.reveal());
    }
    EXPECT_EQ(objects.size(), job.slots.size() + 1) << "each with an id of its own";
    EXPECT_GE(job.slots.size(), 4U);
    EXPECT_EQ(job.log_segment, 1);
    std::optional<api::Principal> principal = co_await stage.tokens.authenticate(job.run_token.reveal());
    EXPECT_TRUE(principal && principal->workspace_id == "ws-1");
    EXPECT_EQ(co_await stage.status(id), "planning");
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/plan")).text("/data/attributes/status"),
              "running");
  });
}

TEST(JobClaim, AnApplyGetsThePlanAndTheState) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    std::string plan =
        co_await stage.value("SELECT plan_object_id FROM terrane.plans WHERE run_id = '" + id + "'");
    std::string plan_token =
        co_await stage.value("SELECT count(*) FROM terrane.tokens WHERE owner_id = '" + id + "'");
    EXPECT_EQ(plan_token, "0") << "the plan's token ended with the plan";
    co_await stage.sql(R"sql(
      INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-s', 'state', 'ws-1', 'ws-1', 'live');
      INSERT INTO terrane.state_versions (id, workspace_id, serial, lineage, md5, object_id, status) VALUES ('sv-1', 'ws-1', 7, 'line', 'm', 'obj-s', 'finalized');
      UPDATE terrane.workspaces SET current_state_version_id = 'sv-1' WHERE id = 'ws-1')sql");
    co_await stage.post("/api/v2/runs/" + id + "/actions/apply");
    co_await stage.until(id, "apply_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.phase, Phase::apply);
    EXPECT_EQ(stage.urls.verify(job.plan_path.substr(job.plan_path.rfind('/') + 1))->object.text(), plan);
    EXPECT_EQ(stage.urls.verify(job.state_path.substr(job.state_path.rfind('/') + 1))->object.text(),
              "obj-s");
    EXPECT_EQ(job.state_serial, 7);
    EXPECT_EQ(job.state_lineage, "line");
    EXPECT_EQ(co_await stage.value("SELECT log_id FROM terrane.applies WHERE run_id = '" + id + "'"),
              job.log_object)
        << "a log of its own";
  });
}

TEST(JobClaim, AppliesFirstThenPlansThenSpeculativeByAge) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace) VALUES ('obj-x', 'configuration', 'ws-2');"
        "INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id) VALUES ('cv-2', "
        "'ws-2', 'uploaded', 'obj-x')");
    std::string applying = co_await stage.planned_run();
    std::string speculative = co_await stage.make_run({{"plan-only", true}});
    std::string later_speculative = co_await stage.make_run({{"plan-only", true}});
    std::string plan = co_await stage.make_run({}, "ws-2");
    co_await stage.until(speculative, "plan_queued");
    co_await stage.until(later_speculative, "plan_queued");
    co_await stage.until(plan, "plan_queued");
    co_await stage.post("/api/v2/runs/" + applying + "/actions/apply");
    co_await stage.until(applying, "apply_queued");
    for (const std::string& expected : {applying, plan, speculative, later_speculative}) {
      Job job = co_await stage.must_claim();
      EXPECT_EQ(job.run, expected);
    }
    EXPECT_FALSE(co_await stage.claim());
  });
}

TEST(JobClaim, GivesEachJobToOneNode) {
  run([](Stage& stage) -> Task<> {
    for (int i = 0; i < 6; ++i) {
      std::string id = co_await stage.make_run({{"plan-only", true}});
      co_await stage.until(id, "plan_queued");
    }
    std::vector<std::string> claimed;
    int ended = 0;
    auto take = [](Stage& on, std::string node, std::vector<std::string>& into, int& count) -> Task<> {
      while (true) {
        std::optional<Job> job = co_await on.claim(node);
        if (!job) break;
        into.push_back(job->id);
      }
      ++count;
    };
    for (const char* node : {"n1", "n2", "n1"})
      net::spawn(stage.executor, node, take(stage, node, claimed, ended));
    co_await testing::eventually("all", [&] { return ended == 3; });
    // One that was skipped because another held its row is there for the next look.
    while (true) {
      std::optional<Job> job = co_await stage.claim();
      if (!job) break;
      claimed.push_back(job->id);
    }
    EXPECT_EQ(claimed.size(), 6U);
    EXPECT_EQ(std::set<std::string>(claimed.begin(), claimed.end()).size(), 6U);
  });
}

TEST(JobClaim, IsForRegisteredNodesThatDoNotDrain) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    EXPECT_EQ((co_await stage.ask("n9", Method::post, "/job/v1/claims", "{}")).status, 409)
        << "not registered";
    EXPECT_EQ((co_await stage.ask("", Method::post, "/job/v1/claims", "{}")).status, 401) << "no certificate";
    co_await set_draining(stage.database, "n1", true);
    co_await set_draining(stage.database, "n1", true);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE queue = 'terrane.node.n1'"),
              "1")
        << "the node hears of it at once, and of no repeat";
    EXPECT_FALSE(co_await stage.claim());
    EXPECT_EQ((co_await stage.register_node("n1")).at("/draining"), json::value(true));
    std::string listed = co_await nodes_text(stage.database);
    EXPECT_NE(listed.find("draining"), std::string::npos) << listed;
    EXPECT_TRUE(co_await stage.claim("n2"));
    co_await set_draining(stage.database, "n1", false);
    bool absent = false;
    try {
      co_await set_draining(stage.database, "n9", true);
    } catch (const Error& error) {
      absent = error.code() == Code::not_found;
    }
    EXPECT_TRUE(absent);
  });
}

TEST(JobClaim, RefusesOtherNodesNames) {
  run([](Stage& stage) -> Task<> {
    json::object body{{"name", "n"}, {"incarnation", "i"}, {"capacity", 1}};
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/nodes/n2", json::serialize(body))).status,
              403);
    EXPECT_EQ((co_await stage.ask("", Method::post, "/job/v1/nodes/n2", json::serialize(body))).status, 401);
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/nodes/n1", "{}")).status, 400);
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/nodes/n1", "{")).status, 400);
    body["capacity"] = 1LL << 40;
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/nodes/n1", json::serialize(body))).status, 200)
        << "bounded, not broken";
    EXPECT_EQ((co_await stage.ask("n1", Method::get, "/job/v1/claims", "")).status, 401)
        << "nothing of the kind";
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/claims", "[]")).status, 422);
  });
}

TEST(JobClaim, AJobOfARunThatHasEndedIsNeverGivenOut) {
  run([](Stage& stage) -> Task<> {
    std::string dead = co_await stage.make_run({{"plan-only", true}});
    std::string alive = co_await stage.make_run({{"plan-only", true}});
    co_await stage.until(dead, "plan_queued");
    co_await stage.until(alive, "plan_queued");
    co_await stage.sql("UPDATE terrane.runs SET status = 'canceled' WHERE id = '" + dead + "'");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.run, alive) << "and it holds nobody up";
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.jobs WHERE run_id = '" + dead + "'"),
              "canceled");
  });
}

TEST(JobClaim, AnOlderEpochIsNotServed) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    co_await stage.sql("UPDATE terrane.installation SET epoch = 2");
    EXPECT_FALSE(co_await stage.claim());
    EXPECT_EQ((co_await stage.register_node("n1")).at("/epoch"), json::value(2));
  });
}

TEST(JobClaim, VariablesThatDoNotOpenEndTheirRunOnly) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "INSERT INTO terrane.variables (id, workspace_id, key, sealed_value, category, version_id)"
        " VALUES ('var-x', 'ws-1', 'x', 'vault:v1:bm9uc2Vuc2U=', 'env', 'v')");
    std::string broken = co_await stage.make_run({{"plan-only", true}});
    co_await stage.sql("DELETE FROM terrane.variables");
    std::string sound = co_await stage.make_run({{"plan-only", true}});
    co_await stage.until(broken, "plan_queued");
    co_await stage.until(sound, "plan_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.run, sound) << "one that cannot be handed out holds nobody up";
    EXPECT_EQ(co_await stage.status(broken), "errored");
    EXPECT_NE((co_await stage.get("/api/v2/runs/" + broken))
                  .text("/data/attributes/error-message")
                  .find("decrypted"),
              std::string::npos);

    std::string waiting = co_await stage.make_run(
        {{"plan-only", true}, {"variables", json::array{json::object{{"key", "a"}, {"value", "1"}}}}});
    co_await stage.until(waiting, "plan_queued");
    stage.vault.set_away(true);
    EXPECT_EQ((co_await stage.ask("n1", Method::post, "/job/v1/claims", "{}")).status, 503)
        << "an outage ends nothing";
    EXPECT_EQ(co_await stage.status(waiting), "plan_queued");
    stage.vault.set_away(false);
    Job after = co_await stage.must_claim();
    EXPECT_EQ(after.run, waiting);
  });
}

TEST(JobLease, IsAskedOnEveryRoute) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    std::string outcome = json::serialize(worker_protocol::to_json(Stage::planned()));
    std::string state =
        json::serialize(worker_protocol::to_json(worker_protocol::State{"obj-s", "line", "m", 1, 1, true}));
    const std::vector<std::tuple<Method, std::string, std::string>> routes{
        {Method::post, "beats", R"({"counter": 1})"},
        {Method::post, "slots", R"({"count": 1})"},
        {Method::post, "log?segment=1&position=0", "x"},
        {Method::put, "objects/obj-abc", "x"},
        {Method::post, "states", state},
        {Method::post, "recovered", state},
        {Method::post, "result", outcome},
        {Method::post, "lost", "{}"}};
    EXPECT_EQ(routes.size() + 3, stage.job_router.rows().size())
        << "every route but registration, claim and ping";
    for (const auto& [method, what, body] : routes) {
      const std::string path = "/job/v1/jobs/" + job.id + "/" + what;
      EXPECT_EQ((co_await stage.ask("", method, path, body, job.lease, "state")).status, 401) << what;
      EXPECT_EQ((co_await stage.ask("n2", method, path, body, job.lease, "state")).status, 409)
          << "another node's lease: " << what;
      EXPECT_EQ((co_await stage.ask("n1", method, path, body, "forged", "state")).status, 409) << what;
      EXPECT_EQ((co_await stage.ask("n1", method, "/job/v1/jobs/job-none/" + what, body, job.lease, "state"))
                    .status,
                409)
          << what;
      int without = (co_await stage.ask("n1", method, path, body, "", "state")).status;
      EXPECT_TRUE(without == 400 || without == 409) << what << without;
    }
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "");
  });
}

TEST(JobLease, BeatsCountUpwards) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    auto counter = [&] { return stage.value("SELECT beat FROM terrane.jobs WHERE id = '" + job.id + "'"); };
    EXPECT_EQ((co_await stage.beat(job, 3)).body, R"({"wish":"none"})");
    EXPECT_EQ((co_await stage.beat(job, 2)).status, 200) << "one that was overtaken";
    EXPECT_EQ(co_await counter(), "3");
    EXPECT_EQ((co_await stage.about(job, "beats", {})).status, 400);
    EXPECT_EQ((co_await stage.about(job, "beats", {{"counter", "x"}})).status, 400);
    co_await stage.finish(job, Stage::planned());
    EXPECT_EQ((co_await stage.beat(job, 4)).status, 409) << "a closed lease beats no more";
  });
}

TEST(JobLease, GivesMoreSlots) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    TestAnswer some = co_await stage.about(job, "slots", {{"count", 5}});
    EXPECT_EQ(some.at("/slots").as_array().size(), 5U);
    EXPECT_EQ((co_await stage.about(job, "slots", {{"count", 1'000'000}})).at("/slots").as_array().size(),
              32U);
    EXPECT_EQ((co_await stage.about(job, "slots", {{"count", -5}})).at("/slots").as_array().size(), 1U);
    EXPECT_EQ((co_await stage.about(job, "slots", {})).status, 400);
  });
}

TEST(JobLease, ShipsTheLogOfItsSegment) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    auto ship = [&](std::string query, std::string bytes) {
      return stage.ask("n1", Method::post, "/job/v1/jobs/" + job.id + "/log?" + query, std::move(bytes),
                       job.lease);
    };
    EXPECT_EQ((co_await ship("segment=1&position=0", "abc")).body, R"({"size":3})");
    EXPECT_EQ((co_await ship("segment=1&position=0", "abcde")).body, R"({"size":5})") << "a repeat with more";
    TestAnswer gap = co_await ship("segment=1&position=9", "xyz");
    EXPECT_EQ(gap.status, 409);
    EXPECT_EQ(gap.at("/size"), json::value(5))
        << "the shim reads where to go on, and does not take the lease for closed";
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "abcde");
    TestAnswer other = co_await ship("segment=2&position=0", "x");
    EXPECT_EQ(other.status, 409);
    EXPECT_TRUE(other.at("/size").is_null()) << "not its segment";
    for (const char* bad : {"segment=1", "position=0", "segment=x&position=0", "segment=1&position=-"}) {
      EXPECT_EQ((co_await ship(bad, "x")).status, 400) << bad;
    }
    EXPECT_EQ((co_await ship("segment=1&position=5", std::string((4 << 20) + 1, 'x'))).status, 413);
    stage.archivist_role.set_away(true);
    EXPECT_EQ((co_await ship("segment=1&position=5", "f")).status, 503)
        << "the shim keeps it and tries again";
    stage.archivist_role.set_away(false);
    co_await stage.finish(job, Stage::planned());
    TestAnswer closed = co_await ship("segment=1&position=5", "f");
    EXPECT_EQ(closed.status, 409);
    EXPECT_TRUE(closed.at("/size").is_null());
  });
}

TEST(JobLease, UploadsObjectsOnce) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    std::string object = co_await stage.put(job, 0, "state", "bytes");
    EXPECT_EQ(stage.archivist_role.bytes(object), "bytes");
    EXPECT_EQ(co_await stage.put(job, 0, "state", "bytes"), object) << "a repeat is harmless";
    auto put = [&](std::string name, std::string kind, std::string bytes) -> Task<int> {
      TestAnswer answer = co_await stage.ask("n1", Method::put, "/job/v1/jobs/" + job.id + "/objects/" + name,
                                             std::move(bytes), job.lease, std::move(kind));
      co_return answer.status;
    };
    EXPECT_EQ(co_await put(object, "state", "other"), 409);
    EXPECT_EQ(co_await put(object, "plan", "bytes"), 409) << "the id is another object's";
    EXPECT_EQ(co_await put("obj-cv9", "state", "bytes"), 409) << "another workspace's object";
    for (const char* kind : {"configuration", "log", "", "json-state"})
      EXPECT_EQ(co_await put("obj-new", kind, "x"), 400) << kind;
    for (const char* name : {"cv-1", "obj-", "obj-a%2Fplain", "obj-a%3Fb", "..%2F..%2Fx"})
      EXPECT_EQ(co_await put(name, "state", "x"), 400) << name;
    EXPECT_EQ(co_await put("obj-" + std::string(100, 'a'), "state", "x"), 400);
  });
}

}  // namespace
}  // namespace terrane::run
