// Whose turn it is: order in a workspace, what goes past it, engines, and two schedulers at once.
#include "run/scheduler.h"

#include <gtest/gtest.h>

#include "run/testing_stage.h"

namespace terrane::run {
namespace {

using test::run;
using test::Stage;
using test::TestAnswer;
using worker_protocol::Ending;
using worker_protocol::Job;

std::string action_path(const std::string& id, const std::string& action) {
  return "/api/v2/runs/" + id + "/actions/" + action;
}

TEST(Scheduler, OneAfterTheOtherInAWorkspace) {
  run([](Stage& stage) -> Task<> {
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i) {
      std::string id = co_await stage.make_run();
      ids.push_back(id);
    }
    co_await stage.until(ids[0], "plan_queued");
    co_await stage.settle();
    for (int i = 1; i < 4; ++i)
      EXPECT_EQ(co_await stage.status(ids[static_cast<std::size_t>(i)]), "pending") << i;
    EXPECT_EQ(co_await stage.lock_owner(), ids[0]);
    EXPECT_EQ(co_await stage.value("SELECT current_run_id FROM terrane.workspaces WHERE id = 'ws-1'"),
              ids[0]);

    Job job = co_await stage.must_claim();
    co_await stage.finish(job, Stage::planned());
    co_await stage.settle();
    EXPECT_EQ(co_await stage.status(ids[0]), "planned") << "nobody confirmed it";
    EXPECT_EQ(co_await stage.status(ids[1]), "pending");
    co_await stage.post(action_path(ids[2], "cancel"));
    co_await stage.post(action_path(ids[0], "discard"));
    co_await stage.until(ids[1], "plan_queued");
    co_await stage.settle();
    EXPECT_EQ(co_await stage.status(ids[3]), "pending");
    co_await stage.post(action_path(ids[1], "cancel"));
    co_await stage.until(ids[3], "plan_queued");
    EXPECT_EQ(co_await stage.lock_owner(), ids[3]);
  });
}

TEST(Scheduler, PlanOnlyAndSavedPlansGoPast) {
  run([](Stage& stage) -> Task<> {
    std::string first = co_await stage.make_run();
    co_await stage.until(first, "plan_queued");
    std::string speculative = co_await stage.make_run({{"plan-only", true}});
    std::string saved = co_await stage.make_run({{"save-plan", true}});
    std::string waiting = co_await stage.make_run();
    co_await stage.until(speculative, "plan_queued");
    co_await stage.until(saved, "plan_queued");
    EXPECT_EQ(co_await stage.lock_owner(), first) << "they take no lock";
    EXPECT_EQ(co_await stage.value("SELECT current_run_id FROM terrane.workspaces WHERE id = 'ws-1'"), first);
    co_await stage.post(action_path(first, "cancel"));
    co_await stage.until(waiting, "plan_queued");  // those that take no place hold nobody up

    std::set<std::string> finished;
    for (int i = 0; i < 3; ++i) {
      Job job = co_await stage.must_claim();
      co_await stage.finish(job, Stage::planned());
      finished.insert(job.run);
    }
    EXPECT_EQ(finished, (std::set<std::string>{speculative, saved, waiting}));
    EXPECT_EQ(co_await stage.status(speculative), "planned_and_finished");
    EXPECT_EQ(co_await stage.status(saved), "planned_and_saved");
    EXPECT_EQ(co_await stage.status(waiting), "planned");

    // A saved plan is applied when the lock is free.
    TestAnswer refused = co_await stage.post(action_path(saved, "apply"));
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find(waiting), std::string::npos) << "it names who holds the lock";
    co_await stage.post(action_path(waiting, "discard"));
    EXPECT_EQ((co_await stage.post(action_path(saved, "apply"))).status, 202);
    co_await stage.until(saved, "apply_queued");
    EXPECT_EQ(co_await stage.lock_owner(), saved);
  });
}

TEST(Scheduler, WaitsForALockedWorkspace) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-root' WHERE id = 'ws-1'");
    std::string waiting = co_await stage.make_run();
    std::string speculative = co_await stage.make_run({{"plan-only", true}});
    co_await stage.until(speculative, "plan_queued");
    co_await stage.settle();
    EXPECT_EQ(co_await stage.status(waiting), "pending");
    EXPECT_EQ(co_await stage.lock_owner(), "user-root");
    postgres::Tx tx = co_await stage.database.begin();
    co_await workspace::find(tx, "ws-1", workspace::RowLock::yes);
    EXPECT_TRUE(co_await workspace::clear_lock(tx, "ws-1", "users", "user-root"));
    co_await tx.commit();
    co_await stage.until(waiting, "plan_queued");
    EXPECT_EQ(co_await stage.lock_owner(), waiting);
  });
}

TEST(Scheduler, AppliesByItselfWhereItMay) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.planned_run({{"auto-apply", true}});
    co_await stage.until(id, "apply_queued");
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/planned-at")));
    EXPECT_TRUE(parse_time(shown.text("/data/attributes/status-timestamps/confirmed-at")));
    EXPECT_TRUE(shown.at("/data/relationships/confirmed-by/data").is_null()) << "nobody did";
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.phase, worker_protocol::Phase::apply);
    co_await stage.finish(job, Stage::planned());
    EXPECT_EQ(co_await stage.status(id), "applied");
    EXPECT_EQ(co_await stage.lock_owner(), "");
  });
}

TEST(Scheduler, DoesNotApplyWithoutTheLock) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run({{"auto-apply", true}});
    co_await stage.until(id, "plan_queued");
    Job job = co_await stage.must_claim();
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-root' WHERE id = 'ws-1'");
    co_await stage.finish(job, Stage::planned());
    co_await stage.settle();
    EXPECT_EQ(co_await stage.status(id), "planned") << "somebody forced the lock: a person decides";
    EXPECT_EQ(co_await stage.lock_owner(), "user-root") << "and keeps it";
  });
}

TEST(Scheduler, SkipsAnEmptyApply) {
  run([](Stage& stage) -> Task<> {
    for (bool allowed : {false, true}) {
      std::string id = co_await stage.make_run({{"allow-empty-apply", allowed}, {"auto-apply", true}});
      co_await stage.until(id, "plan_queued");
      Job job = co_await stage.must_claim();
      EXPECT_EQ(job.allow_empty_apply, allowed);
      co_await stage.finish(job, Stage::planned(false));
      co_await stage.until(id, allowed ? "apply_queued" : "planned_and_finished");
      EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.applies WHERE run_id = '" + id + "'"),
                allowed ? "queued" : "unreachable");
      EXPECT_EQ(co_await stage.lock_owner(), allowed ? id : "");
    }
  });
}

TEST(Scheduler, ChoosesTheEngine) {
  run([](Stage& stage) -> Task<> {
    for (auto [wanted, engine, version] :
         {std::tuple("latest", "opentofu", "1.12.6"), std::tuple("1.9.0", "terraform", "1.9.0"),
          std::tuple("~> 1.9.0", "terraform", "1.9.0"), std::tuple(">= 1.10", "opentofu", "1.12.6")}) {
      std::string id = co_await stage.make_run({{"plan-only", true}, {"terraform-version", wanted}});
      co_await stage.until(id, "plan_queued");
      Job job = co_await stage.must_claim();
      EXPECT_EQ(job.engine, engine) << wanted;
      EXPECT_EQ(job.engine_version, version) << wanted;
      EXPECT_EQ(job.engine_note, "") << wanted;
      co_await stage.finish(job, Stage::planned());
    }
    std::string id = co_await stage.make_run({{"plan-only", true}, {"terraform-version", "0.11.0"}});
    co_await stage.until(id, "errored");
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id);
    std::string text = shown.text("/data/attributes/error-message");
    for (const char* word : {"0.11.0", "1.12.6", "1.9.0"})
      EXPECT_NE(text.find(word), std::string::npos) << text;
    EXPECT_EQ((co_await stage.get("/api/v2/runs/" + id + "/plan")).text("/data/attributes/status"),
              "errored");
    co_await stage.sql("DELETE FROM terrane.terraform_versions");
    std::string none = co_await stage.make_run();
    co_await stage.until(none, "errored");
    EXPECT_NE(
        (co_await stage.get("/api/v2/runs/" + none)).text("/data/attributes/error-message").find("none"),
        std::string::npos);
    EXPECT_EQ(co_await stage.lock_owner(), "");
  });
}

TEST(Scheduler, FallsBackWithANoteWhenItMay) {
  run([](Stage& stage) -> Task<> {
    // The stage's own scheduler would end the run; only the one that may fall back is awake.
    stage.stop.request();
    net::Stop stop(stage.executor);
    std::string id = co_await stage.make_run({{"plan-only", true}, {"terraform-version", "0.11.0"}});
    Scheduler demo(stage.executor, stage.database, true);
    net::spawn(stage.executor, "demo", demo.run(stop));
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(10);
    while (co_await stage.status(id) == "pending" && net::Clock::now() < end)
      co_await net::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(co_await stage.status(id), "plan_queued");
    Job job = co_await stage.must_claim();
    EXPECT_EQ(job.engine_version, "1.12.6");
    EXPECT_NE(job.engine_note.find("0.11.0"), std::string::npos) << job.engine_note;
    EXPECT_NE(job.engine_note.find("1.12.6"), std::string::npos) << job.engine_note;
    stop.request();
  });
}

TEST(Scheduler, TwoAtOnceDoNothingTwice) {
  run([](Stage& stage) -> Task<> {
    Scheduler second(stage.executor, stage.database, false);
    net::spawn(stage.executor, "second", second.run(stage.stop));
    std::vector<std::string> speculative, placed;
    for (int i = 0; i < 10; ++i) {
      std::string a = co_await stage.make_run({{"plan-only", true}});
      std::string b = co_await stage.make_run();
      speculative.push_back(a);
      placed.push_back(b);
      stage.scheduler.wake();
      second.wake();
    }
    for (const std::string& id : speculative) co_await stage.until(id, "plan_queued");
    co_await stage.until(placed[0], "plan_queued");
    co_await stage.settle();
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.jobs"), "11");
    EXPECT_EQ(co_await stage.value("SELECT count(DISTINCT run_id) FROM terrane.jobs"), "11");
    EXPECT_EQ(co_await stage.value("SELECT max(n) FROM (SELECT count(*) AS n FROM terrane.run_events WHERE "
                                   "action = 'plan_queued' GROUP BY run_id) x"),
              "1");
    EXPECT_EQ(co_await stage.value(
                  "SELECT count(*) FROM terrane.runs WHERE status = 'plan_queued' AND NOT plan_only"),
              "1");
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE body->>'job' IS NOT NULL"),
              "11")
        << "a message for each";
  });
}

TEST(Scheduler, AnnouncesAWaitingJobAgain) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    co_await stage.sql("UPDATE terrane.outbox SET sent_at = now()");
    co_await stage.settle();
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE sent_at IS NULL"), "0");
    co_await stage.sql("UPDATE terrane.jobs SET queued_at = now() - interval '6 seconds'");
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(10);
    while (co_await stage.value(
               "SELECT count(*) > 0 FROM terrane.outbox WHERE sent_at IS NULL AND queue = 'terrane.jobs'") ==
           "false") {
      if (net::Clock::now() > end) throw std::runtime_error("a lost message stays lost");
      stage.scheduler.wake();
      co_await net::sleep_for(std::chrono::milliseconds(5));
    }
  });
}

TEST(Scheduler, FinalRunsHoldNoLockAndNoToken) {
  run([](Stage& stage) -> Task<> {
    std::vector<std::pair<std::string, std::function<Task<>(Stage&, const Job&)>>> endings{
        {"applied", [](Stage& on, const Job& job) -> Task<> { co_await on.finish(job, Stage::planned()); }},
        {"errored",
         [](Stage& on, const Job& job) -> Task<> {
           co_await on.finish(job, Stage::ended(Ending::errored, "boom"));
         }},
        {"canceled", [](Stage& on, const Job& job) -> Task<> {
           co_await on.finish(job, Stage::ended(Ending::canceled));
         }}};
    for (const auto& [status, end] : endings) {
      auto [id, job] = co_await stage.applying_run();
      std::optional<api::Principal> live = co_await stage.tokens.authenticate(job.run_token.reveal());
      EXPECT_TRUE(live && live->kind == api::Principal::Kind::run && live->id == id);
      co_await end(stage, job);
      EXPECT_EQ(co_await stage.status(id), status);
      EXPECT_EQ(co_await stage.lock_owner(), "") << status;
      stage.tokens.forget("");
      EXPECT_FALSE(co_await stage.tokens.authenticate(job.run_token.reveal())) << status;
      EXPECT_EQ(co_await stage.value(
                    "SELECT count(*) FROM terrane.tokens WHERE kind = 'run' AND owner_id = '" + id + "'"),
                "0");
    }
    EXPECT_EQ((co_await stage.get("/api/v2/runs/run-1")).text("/data/attributes/status"), "applied");
  });
}

}  // namespace
}  // namespace terrane::run
