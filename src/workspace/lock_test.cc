// Who may lock and unlock a workspace, and what clients read out of the refusals.
#include <gtest/gtest.h>

#include "workspace/testing_stage.h"
#include "workspace/workspace.h"

namespace terrane::workspace {
namespace {

using api::TestAnswer;
using http::Method;

const std::string lock = "/api/v2/workspaces/ws-1/actions/lock";
const std::string unlock = "/api/v2/workspaces/ws-1/actions/unlock";
const std::string force_unlock = "/api/v2/workspaces/ws-1/actions/force-unlock";

struct Stage : test::Stage {
  Api workspaces;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at), workspaces(database, includes) {
    workspaces.add_routes(router);
  }
  /// The refusal's text, after its status was checked.
  Task<std::string> refusal(std::string path, std::string as = "user-ann") {
    TestAnswer answer = co_await post(std::move(path), {}, std::move(as));
    EXPECT_EQ(answer.status, 409) << answer.body;
    co_return answer.text("/errors/0/detail");
  }
  /// Puts the lock into the hands of run-1, with a job of the given phase and status.
  Task<> lock_by_run(std::string phase, std::string status) {
    co_await sql(
        "INSERT INTO terrane.nodes (id, name, incarnation, capacity) VALUES ('n', 'n', 'i', 1) ON CONFLICT "
        "DO NOTHING");
    co_await sql("DELETE FROM terrane.jobs");
    co_await sql("UPDATE terrane.workspaces SET lock_kind = 'runs', lock_owner = 'run-1' WHERE id = 'ws-1'");
    co_await sql(
        "INSERT INTO terrane.jobs (id, run_id, workspace_id, phase, attempt, priority, position, status, "
        "epoch, node_id, log_segment)"
        " VALUES ('job-1', 'run-1', 'ws-1', '" +
        phase + "', 1, 1, 1, '" + status + "', 1, 'n', 1)");
  }
  /// A state whose upload has not come, created so long ago.
  Task<> pending_upload(std::string age) {
    co_await sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace) VALUES ('obj-s', 'state', 'ws-1', "
        "'ws-1')");
    co_await sql(
        "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id, created_at)"
        " VALUES ('sv-1', 'ws-1', 1, 'm', 'obj-s', now() - interval '" +
        age + "')");
  }
};

void run(std::function<Task<>(Stage&)> body) { test::run_on<Stage>(std::move(body)); }

TEST(WorkspaceLock, IsTakenAndFreed) {
  run([](Stage& stage) -> Task<> {
    TestAnswer locked = co_await stage.post(lock, {{"reason", "plain form"}});
    EXPECT_EQ(locked.status, 200) << locked.body;
    EXPECT_EQ(locked.at("/data/attributes/locked"), json::value(true));
    EXPECT_EQ(locked.text("/data/attributes/locked-reason"), "plain form");
    EXPECT_EQ(locked.at("/data/relationships/locked-by/data"),
              parse_json(R"({"id": "user-ann", "type": "users"})"));
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1")).at("/data"), locked.at("/data"));

    std::string text = co_await stage.refusal(lock);
    EXPECT_NE(text.find("is locked by User ann (plain form)"), std::string::npos) << text;
    TestAnswer freed = co_await stage.post(unlock);
    EXPECT_EQ(freed.status, 200);
    EXPECT_EQ(freed.at("/data/attributes/locked"), json::value(false));
    EXPECT_TRUE(freed.at("/data/attributes/locked-reason").is_null());
    EXPECT_TRUE(freed.at("/data/relationships/locked-by").is_null());

    TestAnswer again = co_await stage.post(
        lock,
        parse_json(R"({"data": {"type": "", "attributes": {"reason": "as go-tfe sends it"}}})").as_object());
    EXPECT_EQ(again.text("/data/attributes/locked-reason"), "as go-tfe sends it");
    co_await stage.post(unlock);
    EXPECT_EQ((co_await stage.call(Method::post, lock, "")).status, 200) << "no body, no reason";
  });
}

TEST(WorkspaceLock, IsFreedByItsOwnerOnly) {
  run([](Stage& stage) -> Task<> {
    std::string text = co_await stage.refusal(unlock);
    EXPECT_EQ(text.find("is locked by"), std::string::npos) << "clients read: it is not locked";
    EXPECT_NE(text.find("not locked"), std::string::npos);
    co_await stage.refusal(force_unlock);

    co_await stage.post(lock);
    text = co_await stage.refusal(unlock, "user-root");
    EXPECT_NE(text.find("is locked by User ann"), std::string::npos) << text;
    text = co_await stage.refusal(unlock, "team-1");
    EXPECT_NE(text.find("is locked by User"), std::string::npos) << text;
    EXPECT_EQ((co_await stage.post(unlock, {}, "org-1")).status, 404)
        << "an organization's token holds no lock";
    EXPECT_EQ((co_await stage.post(force_unlock, {}, "user-root")).status, 200);

    TestAnswer by_team = co_await stage.post(lock, {}, "team-1");
    EXPECT_EQ(by_team.at("/data/relationships/locked-by/data/type"), json::value("teams"));
    text = co_await stage.refusal(unlock);
    EXPECT_NE(text.find("is locked by Team"), std::string::npos) << text;
    EXPECT_EQ((co_await stage.post(unlock, {}, "team-1")).status, 200);

    co_await stage.lock_by_run("plan", "finished");
    text = co_await stage.refusal(unlock);
    EXPECT_NE(text.find("is locked by Run run-1"), std::string::npos) << text;
    text = co_await stage.refusal(lock);
    EXPECT_NE(text.find("is locked by Run run-1"), std::string::npos) << text;
    EXPECT_EQ((co_await stage.post(unlock, {}, "run-1")).status, 404) << "a run's token writes nothing";
    EXPECT_EQ((co_await stage.post(lock, {}, "run-1")).status, 404);
  });
}

TEST(WorkspaceLock, OfARunIsForcedUnlessItExecutes) {
  run([](Stage& stage) -> Task<> {
    for (auto [phase, status] :
         {std::pair("plan", "claimed"), std::pair("apply", "claimed"), std::pair("apply", "queued")}) {
      co_await stage.lock_by_run(phase, status);
      std::string text = co_await stage.refusal(force_unlock);
      EXPECT_NE(text.find("run-1"), std::string::npos) << text;
      EXPECT_NE(text.find("Cancel"), std::string::npos) << text;
      EXPECT_EQ(co_await stage.value("SELECT lock_owner FROM terrane.workspaces WHERE id = 'ws-1'"), "run-1");
    }
    for (auto [phase, status] :
         {std::pair("plan", "finished"), std::pair("apply", "lost"), std::pair("plan", "queued")}) {
      co_await stage.lock_by_run(phase, status);
      EXPECT_EQ((co_await stage.post(force_unlock)).status, 200) << phase << status;
      EXPECT_EQ(co_await stage.value("SELECT lock_owner FROM terrane.workspaces WHERE id = 'ws-1'"), "");
    }
    // A speculative plan of another run executes without the lock and is no reason to keep it.
    co_await stage.lock_by_run("plan", "claimed");
    co_await stage.sql("UPDATE terrane.workspaces SET lock_owner = 'run-planned' WHERE id = 'ws-1'");
    EXPECT_EQ((co_await stage.post(force_unlock)).status, 200);
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-bob' WHERE id = 'ws-1'");
    EXPECT_EQ((co_await stage.post(force_unlock)).status, 200);
  });
}

TEST(WorkspaceLock, WaitsForAnUploadUnlessForced) {
  run([](Stage& stage) -> Task<> {
    auto state = [&] { return stage.value("SELECT status FROM terrane.state_versions WHERE id = 'sv-1'"); };
    co_await stage.post(lock);
    co_await stage.pending_upload("59 minutes");
    std::string text = co_await stage.refusal(unlock);
    EXPECT_EQ(text.find("is locked by"), std::string::npos) << text;
    EXPECT_NE(text.find("pending"), std::string::npos) << text;
    EXPECT_EQ(co_await state(), "pending");
    EXPECT_EQ((co_await stage.post(force_unlock)).status, 200);
    EXPECT_EQ(co_await state(), "discarded");

    // One older than its URL counts as discarded, and must not become current later.
    co_await stage.post(lock);
    co_await stage.sql(
        "UPDATE terrane.state_versions SET status = 'pending', created_at = now() - interval '61 minutes'");
    EXPECT_EQ((co_await stage.post(unlock)).status, 200);
    EXPECT_EQ(co_await state(), "discarded");
  });
}

TEST(WorkspaceLock, BadInput) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.call(Method::post, lock, "{")).status, 400);
    EXPECT_EQ((co_await stage.call(Method::post, lock, "[]")).status, 422);
    EXPECT_EQ((co_await stage.call(Method::post, lock, std::string(70'000, ' '))).status, 413);
    EXPECT_EQ((co_await stage.call(Method::post, lock, "{\"reason\": \"a\\u0000\"}")).status, 422);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1")).at("/data/attributes/locked"),
              json::value(false));
  });
}

TEST(WorkspaceLock, GoesToOneOfMany) {
  run([](Stage& stage) -> Task<> {
    std::map<int, int> answers;
    int done = 0;
    for (const char* who : {"user-ann", "user-root", "team-1", "user-ann"}) {
      auto ask = [](Stage& on, std::string as, std::map<int, int>& statuses, int& ended) -> Task<> {
        TestAnswer answer = co_await on.post(lock, {}, std::move(as));
        ++statuses[answer.status];
        ++ended;
      };
      net::spawn(stage.executor, "lock", ask(stage, who, answers, done));
    }
    co_await testing::eventually("four answers", [&] { return done == 4; });
    EXPECT_EQ(answers, (std::map<int, int>{{200, 1}, {409, 3}}));
  });
}

TEST(WorkspaceLock, KnowsItsOwner) {
  run([](Stage& stage) -> Task<> {
    postgres::Tx tx = co_await stage.database.begin();
    EXPECT_FALSE(co_await clear_lock(tx, "ws-1", "runs", "run-1")) << "not its lock";
    std::optional<Workspace> workspace = co_await find(tx, "ws-1", RowLock::yes);
    co_await set_lock(tx, workspace->id, "runs", "run-1", std::nullopt);
    EXPECT_FALSE(co_await clear_lock(tx, "ws-1", "users", "run-1"));
    EXPECT_FALSE(co_await clear_lock(tx, "ws-1", "runs", "run-2"));
    EXPECT_TRUE(co_await clear_lock(tx, "ws-1", "runs", "run-1"));
    EXPECT_FALSE((co_await find(tx, "ws-1"))->locked());
    EXPECT_FALSE(co_await find(tx, "ws-none", RowLock::yes));
    EXPECT_FALSE(co_await find_by_name(tx, "org-2", "one"));
    EXPECT_EQ((co_await find_by_name(tx, "org-1", "one"))->id.text(), "ws-1");
  });
}

}  // namespace
}  // namespace terrane::workspace
