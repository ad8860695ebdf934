// The watch over silent nodes, and what becomes of the phases they executed.
#include "run/silence.h"

#include <gmock/gmock.h>

#include "run/testing_stage.h"
#include "run/trace.h"

namespace terrane::run {
namespace {

using test::run;
using test::Stage;
using test::TestAnswer;
using ::testing::HasSubstr;
using worker_protocol::Job;

/// Looks once a second of a clock of its own; meanwhile the node n2 reports.
class Watching {
 public:
  explicit Watching(Stage& of) : stage(of), sweeper(of.database, of.archivist, [this] { return probe(); }) {}

  Task<> seconds(int count) {
    for (int i = 0; i < count; ++i) {
      TestAnswer answer = co_await stage.register_node("n2");
      EXPECT_EQ(answer.status, 200);
      co_await sweeper.look(BeatWatch::Moment(std::chrono::seconds(++now)));
    }
  }
  Task<bool> probe() { co_return answers; }
  /// Looks in the background until the stage stops.
  void begin() { net::spawn(stage.executor, "watch", watch(*this)); }
  Task<> done() {
    co_await testing::eventually("the watch ends", [this] { return ended; });
  }

  Stage& stage;
  SilenceSweeper sweeper;
  int now = 0;
  bool answers = true;

 private:
  static Task<> watch(Watching& self) {
    while (!co_await self.stage.stop.wait_for(std::chrono::milliseconds(20))) co_await self.seconds(1);
    self.ended = true;
  }
  bool ended = false;
};

Task<> set_grace(Stage& stage, int seconds) {
  co_await stage.sql("UPDATE terrane.jobs SET grace_seconds = " + std::to_string(seconds));
}

/// An apply on n1 that has begun.
Task<std::pair<std::string, Job>> begun_apply(Stage& stage, int grace) {
  auto [id, job] = co_await stage.applying_run();
  TestAnswer answer = co_await stage.beat(job, 1);
  EXPECT_EQ(answer.status, 200);
  co_await set_grace(stage, grace);
  co_return std::pair(id, std::move(job));
}

Task<std::string> shown_wait(Stage& stage, std::string id) {
  TestAnswer answer = co_await stage.get("/api/v2/runs/" + id);
  const json::value wait = answer.at("/data/attributes/waiting-for");
  co_return wait.is_string() ? std::string(wait.get_string()) : "";
}

TEST(Silence, OfAnApplyIsShownAndKeepsTheWorkspace) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 600);
    std::string next = co_await stage.make_run();
    Watching watching(stage);
    co_await watching.seconds(30);
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_EQ(co_await stage.lock_owner(), id);
    EXPECT_THAT(co_await shown_wait(stage, id), HasSubstr("Waits for the node n1"));
    EXPECT_THAT(co_await shown_wait(stage, next), HasSubstr("The run " + id + " waits for the node n1"));
    std::string traced = co_await trace_text(stage.database, id);
    EXPECT_THAT(traced, HasSubstr("owner silent"));
    EXPECT_THAT(traced, HasSubstr("\nWaits for the node n1"));

    EXPECT_EQ((co_await stage.beat(job, 2)).status, 200);
    EXPECT_EQ(co_await shown_wait(stage, id), "") << "at once";
    co_await watching.seconds(2);
    EXPECT_THAT(co_await trace_text(stage.database, id), HasSubstr("owner heard again"));
    EXPECT_EQ((co_await stage.finish(job, Stage::ended(worker_protocol::Ending::finished))).status, 204);
    EXPECT_EQ(co_await stage.status(id), "applied") << "what it did counts";
  });
}

TEST(Silence, OfAnApplyEndsItAfterGraceAndAMinute) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 60);
    std::string next = co_await stage.make_run();
    Watching watching(stage);
    co_await watching.seconds(120);
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_EQ(co_await stage.status(next), "pending");
    co_await watching.seconds(3);
    EXPECT_EQ(co_await stage.status(id), "errored");
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + id);
    EXPECT_THAT(shown.text("/data/attributes/error-message"), HasSubstr("The node n1 has been silent"));
    std::string log = stage.archivist_role.log(job.log_object);
    EXPECT_THAT(log, HasSubstr("Check before the next one"));
    EXPECT_EQ(log.back(), '\x03');
    co_await stage.until(next, "plan_queued");

    // The node comes back. Its lease is closed, and what it has is kept, never current by itself.
    EXPECT_EQ((co_await stage.beat(job, 3)).status, 409);
    EXPECT_EQ((co_await stage.finish(job, Stage::ended(worker_protocol::Ending::finished))).status, 409);
    std::string object = co_await stage.put(job, 0, "state");
    worker_protocol::State state{object, "line", "md5", 5, 6, false};
    EXPECT_EQ((co_await stage.about(job, "recovered", worker_protocol::to_json(state))).status, 200);
    EXPECT_EQ(co_await stage.value("SELECT recovered FROM terrane.state_versions"), "true");
    EXPECT_EQ(
        co_await stage.value("SELECT current_state_version_id FROM terrane.workspaces WHERE id = 'ws-1'"),
        "");
    EXPECT_EQ(co_await stage.status(id), "errored");
  });
}

TEST(Silence, OfAPlanHasItRunAgainAtOnce) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.make_run();
    co_await stage.until(id, "plan_queued");
    Job lost = co_await stage.must_claim("n1");
    co_await stage.beat(lost, 1);
    co_await set_grace(stage, 600);
    Watching watching(stage);
    co_await watching.seconds(12);
    EXPECT_EQ(co_await stage.status(id), "plan_queued");
    Job again = co_await stage.must_claim("n2");
    EXPECT_EQ(again.run, id);
    EXPECT_EQ(again.attempt, 2);
    EXPECT_EQ((co_await stage.beat(lost, 2)).status, 409);
    EXPECT_EQ((co_await stage.ask("n2", http::Method::post, "/job/v1/jobs/" + again.id + "/beats",
                                  R"({"counter": 1})", again.lease))
                  .status,
              200);
  });
}

TEST(Silence, OfAnApplyThatNeverBeganHasItQueuedAgain) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await stage.applying_run();
    co_await set_grace(stage, 600);
    Watching watching(stage);
    co_await watching.seconds(20);
    EXPECT_EQ(co_await stage.status(id), "applying") << "a worker may take so long to start a shim";
    co_await watching.seconds(15);
    EXPECT_EQ(co_await stage.status(id), "apply_queued");
    EXPECT_EQ((co_await stage.beat(job, 1)).status, 409) << "its shim may start nothing any more";
  });
}

// The node's worker says what is gone, and a new incarnation of it does.
TEST(Silence, WhereThereIsOneNodeEndsNothing) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 0);
    Watching watching(stage);
    co_await watching.seconds(200);
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_THAT(co_await shown_wait(stage, id), HasSubstr("Waits for the node n1")) << "but it says so";
    co_await stage.sql("UPDATE terrane.jobs SET claimed_at = now() - interval '1 minute'");
    co_await stage.register_node("n1");
    EXPECT_EQ(co_await stage.status(id), "errored") << "it does not know the job any more";
  });
}

TEST(Silence, IsNotJudgedWhileTheJobApiIsAway) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 60);
    Watching watching(stage);
    watching.answers = false;
    co_await watching.seconds(300);
    EXPECT_EQ(co_await shown_wait(stage, id), "");
    EXPECT_EQ(co_await stage.status(id), "applying");
  });
}

TEST(Silence, TwoWatchersEndItOnce) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 60);
    Watching one(stage), other(stage);
    for (int i = 0; i < 130; ++i) {
      co_await one.seconds(1);
      co_await other.seconds(1);
    }
    EXPECT_EQ(co_await stage.status(id), "errored");
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.run_trace WHERE run_id = '" + id +
                                   "' AND what IN ('owner silent', 'fail')"),
              "2");
    EXPECT_EQ(stage.archivist_role.log(job.log_object).find('\x03'),
              stage.archivist_role.log(job.log_object).size() - 1);
  });
}

TEST(Silence, WhoBeatsInTheLastMomentIsHeard) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 60);
    Losses losses(stage.database, stage.archivist);
    Loss late{"too late", "", true, 0};
    co_await losses.lose(job.id, job.lease, late, "background");
    EXPECT_EQ(co_await stage.status(id), "applying");
    EXPECT_EQ(stage.archivist_role.log(job.log_object), "") << "nor does the log end";
    Loss in_time{"silent", "", true, 1};
    co_await losses.lose(job.id, job.lease, in_time, "background");
    EXPECT_EQ(co_await stage.status(id), "errored");
  });
}

Task<std::optional<Code>> failure_of_forget(Stage& stage, std::string node) {
  try {
    co_await forget_node(stage.database, std::move(node));
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return std::nullopt;
}

TEST(Silence, AForgottenNodesPhasesEndAtOnce) {
  run([](Stage& stage) -> Task<> {
    auto [id, job] = co_await begun_apply(stage, 0);
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace) VALUES ('obj-x', 'configuration', 'ws-2');"
        "INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id) VALUES ('cv-2', "
        "'ws-2', 'uploaded', 'obj-x')");
    std::string planning = co_await stage.make_run({}, "ws-2");
    co_await stage.until(planning, "plan_queued");
    Job plan = co_await stage.must_claim("n1");
    co_await stage.beat(plan, 1);
    EXPECT_EQ(co_await failure_of_forget(stage, "n9"), Code::not_found);
    EXPECT_EQ(co_await failure_of_forget(stage, "n1"), Code::conflict) << "it was just heard";
    EXPECT_EQ(co_await stage.status(id), "applying");

    co_await stage.sql("UPDATE terrane.nodes SET seen_at = now() - interval '31 seconds' WHERE id = 'n1'");
    EXPECT_THAT(co_await nodes_text(stage.database), HasSubstr("silent"));
    Watching watching(stage);
    watching.begin();
    EXPECT_EQ(co_await failure_of_forget(stage, "n1"), std::nullopt);
    EXPECT_EQ(co_await stage.status(id), "errored");
    EXPECT_EQ(co_await stage.status(planning), "plan_queued");
    EXPECT_THAT((co_await stage.get("/api/v2/runs/" + id)).text("/data/attributes/error-message"),
                HasSubstr("The node n1 was declared dead."));
    EXPECT_THAT(co_await nodes_text(stage.database), ::testing::Not(HasSubstr("n1")));
    co_await stage.register_node("n1");
    EXPECT_THAT(co_await nodes_text(stage.database), HasSubstr("n1")) << "it may come back";
    EXPECT_TRUE(co_await stage.claim("n1"));
    stage.stop.request();
    co_await watching.done();
  });
}

}  // namespace
}  // namespace terrane::run
