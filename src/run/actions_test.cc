// What people do to runs, in every status, and what they read afterwards.
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

const std::vector<std::string> actions{"apply", "discard", "cancel", "force-cancel"};

std::string action_path(const std::string& id, const std::string& action) {
  return "/api/v2/runs/" + id + "/actions/" + action;
}

/// The answers that the API promises for a status; force-cancel never within the first minute.
std::map<std::string, int> promised(Status status) {
  return {{"apply", is_confirmable(status) ? 202 : 409},
          {"discard", is_discardable(status) ? 202 : 409},
          {"cancel", is_cancelable(status) ? 202 : 409},
          {"force-cancel", 409}};
}

TEST(RunActions, InEveryStatus) {
  run([](Stage& stage) -> Task<> {
    // The scheduler would move them on.
    stage.stop.request();
    for (Status status : all_statuses) {
      for (const auto& [action, expected] : promised(status)) {
        std::string id = co_await stage.make_run({{"plan-only", status == Status::pending}});
        co_await stage.sql("UPDATE terrane.runs SET status = '" + std::string(name(status)) +
                           "' WHERE id = '" + id + "'");
        co_await stage.sql(
            "UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL WHERE id = 'ws-1'");
        TestAnswer answer = co_await stage.post(action_path(id, action));
        EXPECT_EQ(answer.status, expected) << name(status) << " " << action << answer.body;
        TestAnswer after = co_await stage.get("/api/v2/runs/" + id);
        if (expected == 409) {
          EXPECT_EQ(after.text("/data/attributes/status"), name(status)) << "a refusal changes nothing";
          EXPECT_TRUE(after.at("/data/attributes/canceled-at").is_null()) << action;
        }
        co_await stage.sql("DELETE FROM terrane.runs WHERE id = '" + id + "'");
      }
    }
  });
}

TEST(RunActions, AreHiddenFromStrangers) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    for (const std::string& action : actions) {
      for (const char* who : {"user-eve", "user-bob", "run-1"}) {
        EXPECT_EQ((co_await stage.post(action_path(id, action), {}, who)).status, 404) << action << who;
      }
      EXPECT_EQ((co_await stage.post(action_path(id, action), {}, "nobody")).status, 401);
      EXPECT_EQ((co_await stage.post(action_path("run-none", action))).status, 404);
      EXPECT_EQ((co_await stage.call(Method::post, action_path(id, action), "{")).status, 400) << action;
      EXPECT_EQ((co_await stage.call(Method::post, action_path(id, action), "[]")).status, 422) << action;
      EXPECT_EQ((co_await stage.call(Method::post, action_path(id, action), std::string(70'000, ' '))).status,
                413)
          << action;
    }
    EXPECT_EQ((co_await stage.post(action_path(id, "apply"), {{"comment", std::string("\0", 1)}})).status,
              422);
    EXPECT_EQ(co_await stage.status(id), "planned") << "nothing happened";
    EXPECT_EQ((co_await stage.post(action_path(id, "apply"), {}, "org-1")).status, 404)
        << "an organization's token applies nothing";
  });
}

TEST(RunActions, ApplyWithACommentConfirms) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    TestAnswer before = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_EQ(before.at("/data"), (co_await stage.get("/api/v2/runs/" + id)).at("/data"))
        << "a planned run is stable";
    EXPECT_EQ(
        before.at("/data/attributes/actions"),
        parse_json(
            R"({"is-cancelable": false, "is-confirmable": true, "is-discardable": true, "is-force-cancelable": false})"));
    EXPECT_TRUE(before.at("/data/relationships/confirmed-by/data").is_null());
    TestAnswer applied = co_await stage.post(action_path(id, "apply"), {{"comment", "go"}}, "user-root");
    EXPECT_EQ(applied.status, 202);
    EXPECT_EQ(applied.body, "");
    TestAnswer after = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_EQ(after.text("/data/relationships/confirmed-by/data/id"), "user-root");
    EXPECT_EQ(after.at("/data/relationships/comments/data").as_array().size(), 1U);
    EXPECT_TRUE(parse_time(after.text("/data/attributes/status-timestamps/confirmed-at")));
    EXPECT_EQ(co_await stage.value("SELECT body FROM terrane.comments"), "go");
    EXPECT_EQ((co_await stage.post(action_path(id, "apply"))).status, 409) << "once";
    co_await stage.until(id, "apply_queued");
  });
}

TEST(RunActions, ApplyTakesTheLockBackOrSaysWhoHasIt) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    EXPECT_EQ(co_await stage.lock_owner(), id);
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-root' WHERE id = 'ws-1'");
    TestAnswer refused = co_await stage.post(action_path(id, "apply"));
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.text("/errors/0/detail").find("is locked by User root"), std::string::npos)
        << refused.body;
    EXPECT_EQ(co_await stage.status(id), "planned");
    co_await stage.sql("UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL WHERE id = 'ws-1'");
    EXPECT_EQ((co_await stage.post(action_path(id, "apply"))).status, 202);
    EXPECT_EQ(co_await stage.lock_owner(), id);
  });
}

TEST(RunActions, DiscardFreesTheLock) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run();
    EXPECT_EQ((co_await stage.post(action_path(id, "discard"), {{"comment", "no"}})).status, 202);
    EXPECT_EQ(co_await stage.status(id), "discarded");
    EXPECT_EQ(co_await stage.lock_owner(), "");
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.applies WHERE run_id = '" + id + "'"),
              "unreachable");
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.plans WHERE run_id = '" + id + "'"),
              "finished")
        << "what has ended stays";
  });
}

TEST(RunActions, CancelBeforeExecutionIsFinalAtOnce) {
  run([](Stage& stage) -> Task<> {
    // Pending, behind another one.
    std::string first = co_await stage.make_run();
    co_await stage.until(first, "plan_queued");
    std::string second = co_await stage.make_run();
    EXPECT_EQ((co_await stage.post(action_path(second, "cancel"))).status, 202);
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + second);
    EXPECT_EQ(shown.text("/data/attributes/status"), "canceled");
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/canceled-at")));
    std::optional<Time> available = parse_time(shown.text("/data/attributes/force-cancel-available-at"));
    EXPECT_TRUE(available && *available > now() + std::chrono::seconds(30)) << "the cool-off is a minute";
    EXPECT_EQ(shown.at("/data/attributes/actions/is-force-cancelable"), json::value(false));
    EXPECT_EQ(co_await stage.lock_owner(), first) << "another run's lock stays";

    // Queued: the job goes with it.
    EXPECT_EQ((co_await stage.post(action_path(first, "cancel"))).status, 202);
    EXPECT_EQ(co_await stage.status(first), "canceled");
    EXPECT_EQ(co_await stage.lock_owner(), "");
    EXPECT_FALSE(co_await stage.claim()) << "a canceled run's job is never given out";
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.jobs WHERE run_id = '" + first + "'"),
              "canceled");

    // An apply that waits for a worker.
    std::string third = co_await stage.planned_run();
    co_await stage.post(action_path(third, "apply"));
    co_await stage.until(third, "apply_queued");
    EXPECT_EQ((co_await stage.post(action_path(third, "cancel"))).status, 202);
    EXPECT_EQ(co_await stage.status(third), "canceled");
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.applies WHERE run_id = '" + third + "'"),
              "canceled");
    EXPECT_EQ(co_await stage.lock_owner(), "");
    EXPECT_FALSE(co_await stage.claim());
  });
}

TEST(RunActions, CancelWhileItExecutesIsAWish) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ((co_await stage.beat(job, 1)).text("/wish"), "none");
    EXPECT_EQ((co_await stage.post(action_path(id, "cancel"))).status, 202);
    EXPECT_EQ((co_await stage.post(action_path(id, "cancel"))).status, 202) << "a repeat is no error";
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_EQ(shown.text("/data/attributes/status"), "planning") << "the status is what the engine did";
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/canceled-at")));
    EXPECT_EQ((co_await stage.beat(job, 2)).text("/wish"), "cancel");
    EXPECT_EQ((co_await stage.post(action_path(id, "force-cancel"))).status, 409) << "too early";

    co_await stage.sql("UPDATE terrane.runs SET force_cancel_available_at = now() WHERE id = '" + id + "'");
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id)).at("/data/attributes/actions/is-force-cancelable"),
              json::value(true));
    EXPECT_EQ((co_await stage.post(action_path(id, "force-cancel"), {{"comment", "now!"}})).status, 202);
    EXPECT_EQ((co_await stage.beat(job, 3)).text("/wish"), "force_cancel");
    co_await stage.post(action_path(id, "cancel"));
    EXPECT_EQ((co_await stage.beat(job, 4)).text("/wish"), "force_cancel") << "the stronger wish stays";
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE queue = 'terrane.node.n1'"),
              "2")
        << "each wish, and no repeat, makes the node look";
    EXPECT_EQ(co_await stage.lock_owner(), id) << "until the sandbox is gone";
    co_await stage.finish(job, Stage::ended(Ending::canceled));
    shown = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_EQ(shown.text("/data/attributes/status"), "canceled");
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/force-canceled-at")));
    EXPECT_EQ(co_await stage.lock_owner(), "");
  });
}

TEST(RunActions, LeaveEventsAndATrace) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    co_await stage.finish(job, Stage::planned());
    TestAnswer list = co_await stage.get("/api/v2/runs/" + id + "/run-events");
    EXPECT_EQ(list.status, 200);
    std::vector<std::string> seen;
    const json::value data = list.at("/data");
    for (const json::value& item : data.as_array()) {
      seen.emplace_back(item.at_pointer("/attributes/action").as_string());
      EXPECT_EQ(item.at("type"), json::value("run-events"));
    }
    EXPECT_EQ(seen, (std::vector<std::string>{"queued", "plan_queued", "planning", "planned", "confirmed",
                                              "apply_queued", "applying", "applied"}));
    EXPECT_EQ(list.at("/data/0/relationships/actor/data"),
              parse_json(R"({"id": "user-ann", "type": "users"})"));
    EXPECT_TRUE(list.at("/data/1/relationships/actor/data").is_null()) << "the platform is no user";
    TestAnswer one = co_await stage.get("/api/v2/run-events/" + list.text("/data/0/id"));
    EXPECT_EQ(one.at("/data"), list.at("/data/0"));
    EXPECT_EQ((co_await stage.get("/api/v2/run-events/" + list.text("/data/0/id"), "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/run-events/re-none")).status, 404);
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/run-events", "user-eve")).status, 404);

    std::string text = co_await trace_text(stage.database, id);
    for (const char* word :
         {"create", "queue plan", "claim plan", "node n1", "finish plan", "confirm", "user-ann",
          "queue apply", "claim apply", "finish apply", "from=applying", "to=applied", "job=job-"}) {
      EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
    }
    bool absent = false;
    try {
      co_await trace_text(stage.database, "run-none");
    } catch (const Error& error) {
      absent = error.code() == Code::not_found;
    }
    EXPECT_TRUE(absent);
  });
}

TEST(RunActions, CancelAndClaimLeaveOneOutcome) {
  run([](Stage& stage) -> Task<> {
    for (int round = 0; round < 12; ++round) {
      std::string id = co_await stage.make_run();
      co_await stage.until(id, "plan_queued");
      std::optional<Job> job;
      int canceled = 0, ended = 0;
      auto take = [](Stage& on, std::optional<Job>& into, int& count) -> Task<> {
        into = co_await on.claim();
        ++count;
      };
      auto cancel = [](Stage& on, std::string run, int& status, int& count) -> Task<> {
        status = (co_await on.post(action_path(run, "cancel"))).status;
        ++count;
      };
      if (round % 2) net::spawn(stage.executor, "claim", take(stage, job, ended));
      net::spawn(stage.executor, "cancel", cancel(stage, id, canceled, ended));
      if (round % 2 == 0) net::spawn(stage.executor, "claim", take(stage, job, ended));
      co_await testing::eventually("both", [&] { return ended == 2; });
      EXPECT_EQ(canceled, 202);
      std::string status = co_await stage.status(id);
      if (job) {
        EXPECT_EQ(status, "planning") << "the worker was first: the cancel is a wish";
        EXPECT_EQ((co_await stage.beat(*job, 1)).text("/wish"), "cancel");
        co_await stage.finish(*job, Stage::ended(Ending::canceled));
      } else {
        EXPECT_EQ(status, "canceled") << "the cancel was first: nothing is given out";
      }
      EXPECT_EQ(co_await stage.status(id), "canceled");
      EXPECT_EQ(co_await stage.lock_owner(), "");
      EXPECT_FALSE(co_await stage.claim());
    }
  });
}

}  // namespace
}  // namespace terrane::run
