#include "run/uploads.h"

#include <gtest/gtest.h>

#include "run/testing_stage.h"

namespace terrane::run {
namespace {

using test::run;
using test::Stage;
using test::TestAnswer;

/// A pending configuration version whose bytes are there; returns its object.
Task<Id<Object>> uploaded_configuration(Stage& stage, std::string id, std::string columns,
                                        std::string values) {
  const std::string object = "obj-" + id;
  co_await stage.sql(
      "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, size, md5, live_at) VALUES "
      "('" +
      object +
      "', 'configuration', 'ws-1', 'ws-1', 'live', 5, 'm', now());"
      "INSERT INTO terrane.configuration_versions (id, workspace_id, object_id" +
      columns + ") VALUES ('" + id + "', 'ws-1', '" + object + "'" + values + ")");
  co_return Id<Object>(object);
}

Task<std::string> run_of(Stage& stage, std::string configuration) {
  co_return co_await stage.value("SELECT id FROM terrane.runs WHERE configuration_version_id = '" +
                                 configuration + "'");
}

/// A pending state with the announced MD5; returns its object.
Task<Id<Object>> pending_state(Stage& stage, std::string id, std::string md5) {
  const std::string object = "obj-" + id;
  co_await stage.sql(
      "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, size, md5, live_at) VALUES "
      "('" +
      object +
      "', 'state', 'ws-1', 'ws-1', 'live', 5, 'right', now());"
      "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id) VALUES ('" +
      id + "', 'ws-1', 1, '" + md5 + "', '" + object + "')");
  co_return Id<Object>(object);
}

Task<std::optional<Code>> failure_of(Task<> task) {
  std::optional<Code> code;
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    code = error.code();
  }
  co_return code;
}

TEST(Uploads, AConfigurationQueuesARunIfItWants) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql("UPDATE terrane.workspaces SET auto_apply = true");
    struct Case {
      std::string id, columns, values;
      bool queues;
    };
    for (const Case& one :
         {Case{"cv-a", "", "", true}, Case{"cv-b", ", auto_queue_runs", ", false", false},
          Case{"cv-c", ", provisional", ", true", false}, Case{"cv-d", ", speculative", ", true", true}}) {
      Id<Object> object = co_await uploaded_configuration(stage, one.id, one.columns, one.values);
      co_await on_uploaded(stage.database, object, "m", 5);
      co_await on_uploaded(stage.database, object, "m", 5);
      EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.configuration_versions WHERE id = '" +
                                     one.id + "'"),
                "uploaded");
      EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.runs WHERE configuration_version_id = '" +
                                     one.id + "'"),
                one.queues ? "1" : "0")
          << one.id << ": a repeat queues nothing";
    }
    std::string plain = co_await run_of(stage, "cv-a");
    TestAnswer shown = co_await stage.get("/api/v2/runs/" + plain);
    EXPECT_EQ(shown.at("/data/attributes/auto-apply"), json::value(true));
    EXPECT_EQ(shown.text("/data/attributes/source"), "tfe-configuration-version");
    EXPECT_TRUE(shown.at("/data/relationships/created-by/data").is_null());
    std::string speculative = co_await run_of(stage, "cv-d");
    shown = co_await stage.get("/api/v2/runs/" + speculative);
    EXPECT_EQ(shown.at("/data/attributes/plan-only"), json::value(true));
    EXPECT_EQ(shown.at("/data/attributes/auto-apply"), json::value(false));
    co_await stage.until(plain, "plan_queued");
  });
}

TEST(Uploads, AConfigurationOfALocalWorkspaceQueuesNothing) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql("UPDATE terrane.workspaces SET execution_mode = 'local'");
    Id<Object> object = co_await uploaded_configuration(stage, "cv-a", "", "");
    co_await on_uploaded(stage.database, object, "m", 5);
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.configuration_versions WHERE id = 'cv-a'"),
              "uploaded");
    EXPECT_EQ(co_await run_of(stage, "cv-a"), "");
  });
}

TEST(Uploads, AStateIsCurrentOrRefused) {
  run([](Stage& stage) -> Task<> {
    auto current = [&] {
      return stage.value("SELECT current_state_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
    };
    Id<Object> wrong = co_await pending_state(stage, "sv-w", "announced");
    EXPECT_EQ(co_await failure_of(on_uploaded(stage.database, wrong, "right", 5)), Code::unprocessable);
    EXPECT_EQ(co_await stage.value("SELECT status FROM terrane.state_versions WHERE id = 'sv-w'"),
              "discarded")
        << "for good";
    EXPECT_EQ(co_await failure_of(on_uploaded(stage.database, wrong, "announced", 5)), Code::conflict);
    EXPECT_EQ(co_await current(), "");
    Id<Object> right = co_await pending_state(stage, "sv-r", "right");
    EXPECT_EQ(co_await failure_of(on_uploaded(stage.database, right, "right", 5)), std::nullopt);
    EXPECT_EQ(co_await failure_of(on_uploaded(stage.database, right, "right", 5)), std::nullopt)
        << "a repeat changes nothing";
    EXPECT_EQ(co_await current(), "sv-r");
    EXPECT_EQ(co_await failure_of(on_uploaded(stage.database, Id<Object>("obj-none"), "m", 1)), std::nullopt)
        << "of nobody's object nothing follows";
  });
}

TEST(Uploads, AreFinishedWhenTheirWebDied) {
  run([](Stage& stage) -> Task<> {
    co_await uploaded_configuration(stage, "cv-a", "", "");
    co_await pending_state(stage, "sv-r", "right");
    co_await pending_state(stage, "sv-w", "announced");
    UploadSweeper sweeper(stage.database);
    net::spawn(stage.executor, "sweeper", sweeper.run(stage.stop));
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(20);
    auto left = [&] {
      return stage.value(
          "SELECT (SELECT count(*) FROM terrane.state_versions WHERE status = 'pending') + "
          "(SELECT count(*) FROM terrane.configuration_versions WHERE status = 'pending')");
    };
    while (co_await left() != "0") {
      if (net::Clock::now() > end) throw std::runtime_error("uploads stay unfinished");
      co_await net::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(
        co_await stage.value("SELECT current_state_version_id FROM terrane.workspaces WHERE id = 'ws-1'"),
        "sv-r");
    EXPECT_NE(co_await run_of(stage, "cv-a"), "");
  });
}

}  // namespace
}  // namespace terrane::run
