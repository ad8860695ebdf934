// How phases end: as their shim reports, or lost with it.
#include <gtest/gtest.h>

#include "run/testing_stage.h"

namespace terrane::run {
namespace {

using http::Method;
using test::run;
using test::Stage;
using test::TestAnswer;
using worker_protocol::Ending;
using worker_protocol::Job;
using worker_protocol::Outcome;
using worker_protocol::State;

/// A job that waits for its plan's end, of a new run.
Task<std::pair<std::string, Job>> planning_run(Stage& stage, json::object attributes = {}) {
  std::string id = co_await stage.make_run(std::move(attributes));
  co_await stage.until(id, "plan_queued");
  Job job = co_await stage.must_claim();
  co_return std::pair(id, std::move(job));
}

TEST(JobEnd, OfAPlan) {
  run([](Stage& stage) -> Task<> {
    struct Case {
      json::object attributes;
      Outcome outcome;
      std::string run, plan, apply;
    };
    const std::vector<Case> cases{
        {{}, Stage::planned(), "planned", "finished", "pending"},
        {{}, Stage::planned(false), "planned_and_finished", "finished", "unreachable"},
        {{{"plan-only", true}}, Stage::planned(), "planned_and_finished", "finished", "unreachable"},
        {{{"save-plan", true}}, Stage::planned(), "planned_and_saved", "finished", "pending"},
        {{{"save-plan", true}}, Stage::planned(false), "planned_and_finished", "finished", "unreachable"},
        {{{"allow-empty-apply", true}}, Stage::planned(false), "planned", "finished", "pending"},
        {{}, Stage::ended(Ending::errored, "exit 1"), "errored", "errored", "unreachable"},
        {{}, Stage::ended(Ending::canceled), "canceled", "canceled", "unreachable"}};
    for (const Case& one : cases) {
      auto [id, job] = co_await planning_run(stage, one.attributes);
      EXPECT_EQ((co_await stage.finish(job, one.outcome)).status, 204);
      const std::string label = json::serialize(one.attributes) + " " + one.run;
      EXPECT_EQ(co_await stage.status(id), one.run) << label;
      TestAnswer shown = co_await stage.get("/api/v2/runs/" + id + "?include=plan,apply");
      EXPECT_EQ(shown.text("/included/0/attributes/status"), one.plan) << label;
      EXPECT_EQ(shown.text("/included/1/attributes/status"), one.apply) << label;
      EXPECT_EQ(shown.at("/data/attributes/has-changes"), json::value(one.outcome.has_changes)) << label;
      EXPECT_EQ(shown.at("/data/attributes/error-message"),
                one.outcome.error.empty() ? json::value() : json::value(one.outcome.error))
          << label;
      EXPECT_EQ(co_await stage.lock_owner(), one.run == "planned" ? id : "") << label;
      if (one.run == "planned") co_await stage.post("/api/v2/runs/" + id + "/actions/discard");
    }
  });
}

TEST(JobEnd, OfAnApply) {
  run([](Stage& stage) -> Task<> {
    for (auto [ending, status, apply] : {std::tuple(Ending::finished, "applied", "finished"),
                                         std::tuple(Ending::errored, "errored", "errored"),
                                         std::tuple(Ending::canceled, "canceled", "canceled")}) {
      auto [id, job] = co_await stage.applying_run();
      Outcome outcome = Stage::ended(ending, ending == Ending::errored ? "exit 1" : "");
      outcome.additions = 2;
      outcome.changes = 3;
      outcome.destructions = 4;
      outcome.imports = 5;
      if (ending == Ending::errored) outcome.import_list = "import {}\n";
      co_await stage.finish(job, outcome);
      EXPECT_EQ(co_await stage.status(id), status);
      EXPECT_EQ(co_await stage.lock_owner(), "");
      TestAnswer shown = co_await stage.get("/api/v2/runs/" + id + "/apply");
      EXPECT_EQ(shown.text("/data/attributes/status"), apply);
      EXPECT_EQ(shown.at("/data/attributes/resource-additions"), json::value(2));
      EXPECT_EQ(shown.at("/data/attributes/resource-changes"), json::value(3));
      EXPECT_EQ(shown.at("/data/attributes/resource-destructions"), json::value(4));
      EXPECT_EQ(shown.at("/data/attributes/resource-imports"), json::value(5));
      TestAnswer imports = co_await stage.get("/api/v2/applies/" + shown.text("/data/id") + "/import-list");
      EXPECT_EQ(imports.status, ending == Ending::errored ? 200 : 404);
      if (ending == Ending::errored) EXPECT_EQ(imports.body, "import {}\n");
      EXPECT_EQ(shown.at("/data/attributes/has-import-list"), json::value(ending == Ending::errored));
    }
  });
}

TEST(JobEnd, IsReportedOnce) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    EXPECT_EQ((co_await stage.finish(job, Stage::planned())).status, 204);
    EXPECT_EQ((co_await stage.finish(job, Stage::planned())).status, 204)
        << "the shim did not hear the answer";
    EXPECT_EQ((co_await stage.finish(job, Stage::ended(Ending::errored, "other"))).status, 204);
    EXPECT_EQ(co_await stage.status(id), "applied") << "the first word counts";
    EXPECT_EQ(
        co_await stage.value(
            "SELECT count(*) FROM terrane.run_events WHERE action = 'applied' AND run_id = '" + id + "'"),
        "1");
    EXPECT_EQ((co_await stage.about(job, "lost", {})).status, 204) << "nothing to lose any more";
    EXPECT_EQ(co_await stage.status(id), "applied");

    auto [other, planning] = co_await planning_run(stage);
    for (const char* bad : {"{}", R"({"ending": "bored"})", "[]", "{"}) {
      int status = (co_await stage.ask("n1", Method::post, "/job/v1/jobs/" + planning.id + "/result", bad,
                                       planning.lease))
                       .status;
      EXPECT_TRUE(status == 400 || status == 422) << bad << status;
    }
    Outcome unknown = Stage::planned();
    unknown.plan_object = "obj-none";
    EXPECT_EQ((co_await stage.finish(planning, unknown)).status, 422) << "an object that was never sent";
    EXPECT_EQ(co_await stage.status(other), "planning");
  });
}

TEST(JobEnd, ACanceledPlanIsNotAppliedByItself) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await planning_run(stage, {{"auto-apply", true}});
    co_await stage.post("/api/v2/runs/" + id + "/actions/cancel");
    co_await stage.finish(job, Stage::planned());  // the engine was faster than the wish
    EXPECT_EQ(co_await stage.status(id), "canceled");
    EXPECT_EQ(co_await stage.lock_owner(), "");

    auto [applying, apply] = co_await stage.applying_run();
    co_await stage.post("/api/v2/runs/" + applying + "/actions/cancel");
    co_await stage.finish(apply, Stage::planned());
    EXPECT_EQ(co_await stage.status(applying), "applied") << "an apply that finished is applied";
  });
}

TEST(JobStates, AreCurrentUnderALiveLeaseAndRecoveredAfterIt) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    auto current = [&] {
      return stage.value("SELECT current_state_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
    };
    auto state_of = [](std::string object, std::int64_t serial, bool intermediate) {
      return worker_protocol::to_json(
          State{std::move(object), "line", "md5-" + std::to_string(serial), serial, 6, intermediate});
    };
    EXPECT_EQ((co_await stage.about(job, "states", state_of(job.slots[0].object, 1, true))).status, 409)
        << "its bytes are not there";
    std::string object = co_await stage.put(job, 0, "state");
    // Even somebody else's lock is no reason to lose what the engine did.
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-root' WHERE id = 'ws-1'");
    TestAnswer first = co_await stage.about(job, "states", state_of(object, 1, true));
    EXPECT_EQ(first.status, 200) << first.body;
    EXPECT_EQ(co_await current(), first.text("/id"));
    EXPECT_EQ((co_await stage.about(job, "states", state_of(object, 1, true))).text("/id"), first.text("/id"))
        << "a repeat changes nothing";
    co_await stage.sql("UPDATE terrane.workspaces SET lock_kind = 'runs', lock_owner = '" + id +
                       "' WHERE id = 'ws-1'");
    std::string second_object = co_await stage.put(job, 1, "state", "more");
    TestAnswer second = co_await stage.about(job, "states", state_of(second_object, 2, true));
    EXPECT_EQ(co_await current(), second.text("/id"));
    std::string plan_object = co_await stage.put(job, 2, "plan");
    EXPECT_EQ((co_await stage.about(job, "states", state_of(plan_object, 3, false))).status, 409)
        << "that is no state";
    EXPECT_EQ((co_await stage.about(job, "states", {})).status, 400);

    co_await stage.finish(job, Stage::planned());
    EXPECT_EQ(co_await stage.value("SELECT intermediate FROM terrane.state_versions WHERE id = '" +
                                   second.text("/id") + "'"),
              "false")
        << "the phase has ended";
    TestAnswer applied = co_await stage.get("/api/v2/runs/" + id + "/apply");
    EXPECT_EQ(applied.text("/data/relationships/state-versions/data/0/id"), second.text("/id"))
        << "newest first";
    EXPECT_EQ(applied.at("/data/relationships/state-versions/data").as_array().size(), 2U);

    // The spool of a closed lease comes late: kept, never current.
    std::string late_object = co_await stage.put(job, 3, "state", "late");
    for (const char* route : {"states", "recovered"}) {
      TestAnswer late = co_await stage.about(job, route, state_of(late_object, 9, false));
      EXPECT_EQ(late.status, 200) << late.body;
      EXPECT_EQ(co_await stage.value("SELECT recovered FROM terrane.state_versions WHERE id = '" +
                                     late.text("/id") + "'"),
                "true");
    }
    EXPECT_EQ(co_await current(), second.text("/id"));
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/apply"))
                  .at("/data/relationships/state-versions/data")
                  .as_array()
                  .size(),
              2U);
  });
}

TEST(JobLost, APlanIsDoneAgainUpToFiveTimes) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    std::set<std::string> logs, tokens;
    std::string last_token;
    for (int attempt = 1; attempt <= 5; ++attempt) {
      Job job = co_await stage.must_claim();
      EXPECT_EQ(job.attempt, attempt);
      EXPECT_EQ(job.log_segment, attempt) << "the log goes on";
      EXPECT_EQ(job.plan_note.empty(), attempt == 1) << "after a line that says why";
      logs.insert(job.log_object);
      co_await stage.beat(job, 1);
      EXPECT_EQ(
          (co_await stage.about(job, "lost", {{"error", "The worker's machine died."}, {"started", true}}))
              .status,
          204);
      EXPECT_EQ((co_await stage.about(job, "lost", {})).status, 204) << "a repeat changes nothing";
      EXPECT_EQ((co_await stage.beat(job, 2)).status, 409) << "its lease is closed";
      EXPECT_EQ((co_await stage.finish(job, Stage::planned())).status, 409)
          << "and its result comes too late";
      stage.tokens.forget("");
      EXPECT_FALSE(co_await stage.tokens.authenticate(job.run_token.reveal())) << "as is its token";
      EXPECT_EQ(co_await stage.status(id), attempt < 5 ? "plan_queued" : "errored") << attempt;
      EXPECT_EQ(co_await stage.lock_owner(), attempt < 5 ? id : "");
    }
    EXPECT_EQ(logs.size(), 1U) << "one log across attempts";
    EXPECT_FALSE(co_await stage.claim());
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id)).text("/data/attributes/error-message"),
              "The worker's machine died.");
    EXPECT_EQ(stage.archivist_role.log(*logs.begin()), "\x02\nThe worker's machine died.\n\x03");
  });
}

TEST(JobLost, AnApplyIsNeverDoneAgain) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    co_await stage.beat(job, 1);
    co_await stage.ask("n1", Method::post, "/job/v1/jobs/" + job.id + "/log?segment=1&position=0", "sealed",
                       job.lease);
    json::object loss{
        {"error", "The engine vanished."}, {"import_list", "import { to = a.b }\n"}, {"started", true}};
    stage.archivist_role.set_away(true);
    EXPECT_EQ((co_await stage.about(job, "lost", loss)).status, 503) << "the log comes before the status";
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_EQ(co_await stage.lock_owner(), id) << "and the lock goes last";
    stage.archivist_role.set_away(false);
    EXPECT_EQ((co_await stage.about(job, "lost", loss)).status, 204);
    EXPECT_EQ((co_await stage.about(job, "lost", loss)).status, 204);
    EXPECT_EQ(co_await stage.status(id), "errored");
    EXPECT_EQ(co_await stage.lock_owner(), "");
    EXPECT_FALSE(co_await stage.claim());
    std::string log = stage.archivist_role.log(job.log_object);
    EXPECT_TRUE(log.starts_with("sealed\nThe engine vanished.\n")) << log;
    EXPECT_NE(log.find("import list"), std::string::npos);
    EXPECT_EQ(std::count(log.begin(), log.end(), '\x03'), 1);
    EXPECT_EQ(log.back(), '\x03') << "the log is complete";
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id + "/apply");
    EXPECT_EQ(shown.text("/data/attributes/status"), "errored");
    EXPECT_EQ((co_await stage.get("/api/v2/applies/" + shown.text("/data/id") + "/import-list")).body,
              "import { to = a.b }\n");
  });
}

TEST(JobLost, AnApplyThatNeverBeganWaitsAgain) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    EXPECT_EQ((co_await stage.about(job, "lost", {{"error", "no sandbox"}})).status, 204);
    EXPECT_EQ(co_await stage.status(id), "apply_queued");
    EXPECT_EQ(co_await stage.lock_owner(), id);
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "") << "nothing ended";
    Job again = co_await stage.must_claim();
    EXPECT_EQ(again.attempt, 2);
    EXPECT_EQ(again.log_segment, 2);
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "\x02") << "begun, which the first shim could not";
    EXPECT_NE(again.lease, job.lease);
    // The shim says that its engine ran, though no beat was confirmed.
    EXPECT_EQ((co_await stage.about(again, "lost", {{"error", "gone"}, {"started", true}})).status, 204);
    EXPECT_EQ(co_await stage.status(id), "errored");
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "\x02\ngone\n\x03");

    // One that can never be started is not tried for ever.
    auto [other, first] = co_await stage.applying_run();
    co_await stage.about(first, "lost", {});
    for (int attempt = 2; attempt <= 5; ++attempt) {
      EXPECT_EQ(co_await stage.status(other), "apply_queued");
      Job next = co_await stage.must_claim();
      co_await stage.about(next, "lost", {});
    }
    EXPECT_EQ(co_await stage.status(other), "errored");
  });
}

TEST(JobLost, AfterACancelItIsCanceled) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await planning_run(stage);
    co_await stage.post("/api/v2/runs/" + id + "/actions/cancel");
    co_await stage.about(job, "lost", {{"error", "killed"}});
    EXPECT_EQ(co_await stage.status(id), "canceled") << "nobody wants it planned again";
    EXPECT_TRUE((co_await stage.get("/api/v2/runs/" + id)).at("/data/attributes/error-message").is_null());
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "\x02\nkilled\n\x03");
    EXPECT_EQ(co_await stage.lock_owner(), "");
    EXPECT_FALSE(co_await stage.claim());
  });
}

TEST(JobLost, ACancelDuringTheLossIsNotForgotten) {
  run([](Stage& stage) -> Task<> {
    for (int round = 0; round < 10; ++round) {
      auto [id, job] = co_await planning_run(stage);
      int ended = 0;
      auto lose = [](Stage& on, Job lost, int& count) -> Task<> {
        co_await on.about(lost, "lost", {{"error", "gone"}});
        ++count;
      };
      auto cancel = [](Stage& on, std::string run, int& count) -> Task<> {
        EXPECT_EQ((co_await on.post("/api/v2/runs/" + run + "/actions/cancel")).status, 202);
        ++count;
      };
      if (round % 2) net::spawn(stage.executor, "lose", lose(stage, job, ended));
      net::spawn(stage.executor, "cancel", cancel(stage, id, ended));
      if (round % 2 == 0) net::spawn(stage.executor, "lose", lose(stage, job, ended));
      co_await testing::eventually("both", [&] { return ended == 2; });
      EXPECT_EQ(co_await stage.status(id), "canceled") << "whoever was first";
      EXPECT_FALSE(co_await stage.claim());
      EXPECT_EQ(co_await stage.lock_owner(), "");
    }
  });
}

TEST(JobLost, AllReasonsAreBounded) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    co_await stage.beat(job, 1);
    std::string long_reason;
    while (long_reason.size() < 200'000) long_reason += "ä";
    EXPECT_EQ((co_await stage.about(job, "lost", {{"error", long_reason}})).status, 204);
    EXPECT_EQ(co_await stage.status(id), "errored");
    EXPECT_LT(stage.archivist_role.log(job.log_object).size(), 70'000U);
    std::string body(5 << 20, ' ');
    EXPECT_EQ(
        (co_await stage.ask("n1", Method::post, "/job/v1/jobs/" + job.id + "/lost", body, job.lease)).status,
        413);
  });
}

TEST(JobLost, ARegistrationTellsWhatTheNodeNoLongerKnows) {
  run([](Stage& stage) -> Task<> {
    auto [kept, kept_job] = co_await planning_run(stage, {{"plan-only", true}});
    auto [gone, gone_job] = co_await planning_run(stage, {{"plan-only", true}});
    auto [fresh, fresh_job] = co_await planning_run(stage, {{"plan-only", true}});
    auto [ended, ended_job] = co_await planning_run(stage, {{"plan-only", true}});
    co_await stage.finish(ended_job, Stage::planned());
    co_await stage.sql(
        "UPDATE terrane.jobs SET claimed_at = claimed_at - interval '11 seconds' WHERE id IN ('" +
        kept_job.id + "', '" + gone_job.id + "')");

    TestAnswer other = co_await stage.register_node("n2");
    EXPECT_TRUE(other.at("/closed").as_array().empty());
    EXPECT_EQ(co_await stage.status(gone), "planning") << "another node's jobs are not its business";
    TestAnswer answer = co_await stage.register_node("n1", {kept_job.id, ended_job.id, "job-none"});
    EXPECT_EQ(answer.at("/closed"), json::value(json::array{ended_job.id, "job-none"}))
        << "leases that it may forget";
    EXPECT_EQ(co_await stage.status(kept), "planning");
    EXPECT_EQ(co_await stage.status(gone), "plan_queued") << "it died before the spool was written";
    EXPECT_EQ(co_await stage.status(fresh), "planning") << "one that was just handed out is on its way";
    Job again = co_await stage.must_claim("n2");
    EXPECT_EQ(again.run, gone);
    EXPECT_EQ(again.attempt, 2);
  });
}

}  // namespace
}  // namespace terrane::run
