// States that the database forgot, because it went back.
#include "state/recovery.h"

#include <gtest/gtest.h>

#include "state/state.h"
#include "state/testing_stage.h"

namespace terrane::state {
namespace {

using api::TestAnswer;
using StoredObject = object::ArchivistClient::StoredObject;

struct Stage : test::Stage {
  Api api;
  Recovery recovery;

  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at),
        api({database, archivist, vault, urls, test::origin, includes}),
        recovery(database, archivist) {
    api.add_routes(router);
  }

  /// A state in the store; what is not given is right.
  void keep(const std::string& object, StoredObject found = {}) {
    if (found.workspace.empty()) found.workspace = "ws-1";
    if (found.md5.empty()) found.md5 = "md5-of-" + object;
    if (found.size == 0) found.size = 100;
    found.facts.emplace("serial", "7");
    found.facts.emplace("lineage", "line");
    found.facts.emplace("md5", found.md5);
    found.facts.emplace("run", "run-1");
    found.facts.emplace("time", "2021-05-06T07:08:09.000Z");
    archivist_role.keep_stored("state", object, std::move(found));
  }
  Task<> raise_epoch() {
    co_await sql(
        "UPDATE terrane.installation SET epoch = epoch + 1;"
        "INSERT INTO terrane.epochs (number, reason) SELECT epoch, 'went back' FROM terrane.installation");
  }
  Task<> search() {
    while (co_await recovery.step()) {
    }
  }
  Task<std::string> versions() {
    co_return co_await value(
        "SELECT string_agg(object_id || ' ' || status || ' ' || recovered, ', ' ORDER BY object_id) FROM "
        "terrane.state_versions");
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(StateRecovery, AsksNobodyBeforeTheDatabaseWentBack) {
  run([](Stage& stage) -> Task<> {
    stage.keep("obj-1");
    stage.archivist_role.set_away(true);
    EXPECT_FALSE(co_await stage.recovery.step());
    EXPECT_EQ(co_await stage.versions(), "");
  });
}

TEST(StateRecovery, KeepsAndShowsWhatWasForgotten) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(R"sql(
      INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-now', 'state', 'ws-1', 'ws-1', 'live');
      INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id, status) VALUES ('sv-now', 'ws-1', 3, 'm', 'obj-now', 'finalized');
      UPDATE terrane.workspaces SET current_state_version_id = 'sv-now' WHERE id = 'ws-1')sql");
    stage.keep("obj-now");
    stage.keep("obj-new");
    stage.keep("obj-run", {.workspace = "ws-1", .facts = {{"run", "run-forgotten"}, {"lineage", ""}}});
    co_await stage.raise_epoch();
    co_await stage.search();
    EXPECT_EQ(co_await stage.versions(),
              "obj-new finalized true, obj-now finalized false, obj-run finalized true");
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE queue = 'terrane.services'"),
              "2")
        << "they are parsed like all";

    TestAnswer list = co_await stage.get("/api/v2/workspaces/ws-1/state-versions");
    EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(3));
    std::map<std::string, json::value> shown;
    const json::value data = list.at("/data");
    for (const json::value& item : data.as_array())
      shown[std::string(item.at_pointer("/attributes/md5").as_string())] = item;
    const json::value& found = shown["md5-of-obj-new"];
    EXPECT_EQ(found.at_pointer("/attributes/recovered"), json::value(true));
    EXPECT_EQ(found.at_pointer("/attributes/serial"), json::value(7));
    EXPECT_EQ(found.at_pointer("/attributes/lineage"), json::value("line"));
    EXPECT_EQ(found.at_pointer("/attributes/size"), json::value(100));
    EXPECT_EQ(found.at_pointer("/attributes/created-at"), json::value("2021-05-06T07:08:09.000Z"));
    EXPECT_EQ(shown["m"].at_pointer("/attributes/recovered"), json::value(false));
    TestAnswer current = co_await stage.get("/api/v2/workspaces/ws-1/current-state-version");
    EXPECT_EQ(current.text("/data/id"), "sv-now") << "never current by itself";
    EXPECT_EQ(co_await stage.value("SELECT run_id FROM terrane.state_versions WHERE object_id = 'obj-new'"),
              "run-1");
    EXPECT_EQ(co_await stage.value("SELECT run_id FROM terrane.state_versions WHERE object_id = 'obj-run'"),
              "")
        << "its run was forgotten, too";

    EXPECT_FALSE(co_await stage.recovery.step()) << "once for each time that the database went back";
    stage.keep("obj-later");
    co_await stage.search();
    co_await stage.raise_epoch();
    co_await stage.search();
    EXPECT_EQ(co_await stage.versions(),
              "obj-later finalized true, obj-new finalized true, obj-now finalized false, obj-run finalized "
              "true");
  });
}

TEST(StateRecovery, JudgesWhatTheDatabaseKnowsOfAnObject) {
  run([](Stage& stage) -> Task<> {
    auto insert = [&stage](std::string object, std::string status, std::string version = {},
                           std::string age = "1 hour") -> Task<> {
      co_await stage.sql(
          "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, created_at) VALUES ('" +
          object + "', 'state', 'ws-1', 'ws-1', '" + status + "', now() - interval '" + age + "')");
      if (version.empty()) co_return;
      co_await stage.sql(
          "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id, status) VALUES "
          "('sv-" +
          object + "', 'ws-1', 7, 'md5-of-" + object + "', '" + object + "', '" + version + "')");
    };
    co_await insert("obj-a", "uploading");             // a shim's, whose bytes came later
    co_await insert("obj-b", "uploading", "pending");  // a client's
    co_await insert("obj-c", "live");                  // whose version came later
    co_await insert("obj-d", "live", "pending");       // an upload that is just being finished
    co_await insert("obj-e", "live", "discarded");
    co_await insert("obj-f", "deleted");
    co_await insert("obj-g", "uploading", "pending");
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) stage.keep(std::string("obj-") + name);
    stage.keep("obj-g", {.md5 = "other bytes"});
    co_await stage.raise_epoch();
    co_await insert("obj-h", "uploading", "pending", "-1 minute");  // begun since
    stage.keep("obj-h");
    co_await stage.search();
    EXPECT_EQ(co_await stage.versions(),
              "obj-a finalized true, obj-b finalized true, obj-c finalized true, obj-d pending false, obj-e "
              "discarded false, obj-g discarded true, obj-h pending false");
    EXPECT_EQ(co_await stage.value(
                  "SELECT string_agg(status, ' ' ORDER BY id) FROM terrane.objects WHERE kind = 'state'"),
              "live live live live live deleted live uploading");
  });
}

TEST(StateRecovery, LeavesWhatItCannotTrust) {
  run([](Stage& stage) -> Task<> {
    stage.archivist_role.keep_stored("state", "obj-damaged", {});
    stage.keep("obj-lies", {.facts = {{"md5", "announced, never sent"}}});
    stage.keep("obj-mute", {.facts = {{"serial", "no number"}}});
    stage.keep("obj-lost", {.workspace = "ws-gone"});
    stage.keep("obj-z");
    co_await stage.raise_epoch();
    co_await stage.search();
    EXPECT_EQ(co_await stage.versions(), "obj-z finalized true") << "and what comes after them is kept";
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.objects WHERE id = 'obj-lost'"), "0");
  });
}

TEST(StateRecovery, GoesOnWhereItWasAndMayRunTwice) {
  run([](Stage& stage) -> Task<> {
    for (int i = 0; i < 9; ++i) stage.keep("obj-" + std::to_string(i));
    co_await stage.raise_epoch();
    EXPECT_TRUE(co_await stage.recovery.step());
    stage.archivist_role.set_away(true);
    bool waits = false;
    try {
      co_await stage.recovery.step();
    } catch (const Error& error) {
      waits = error.code() == Code::unavailable;
    }
    EXPECT_TRUE(waits);
    stage.archivist_role.set_away(false);
    EXPECT_EQ(co_await stage.value("SELECT states_after FROM terrane.epochs"), "obj-1");

    Recovery other(stage.database, stage.archivist);
    net::Stop stop(stage.executor);
    int ended = 0;
    for (Recovery* each : {&stage.recovery, &other}) {
      auto search = [](Recovery& of, int& count) -> Task<> {
        while (co_await of.step()) {
        }
        ++count;
      };
      net::spawn(stage.executor, "search", search(*each, ended));
    }
    co_await testing::eventually("both ended", [&] { return ended == 2; });
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_versions WHERE recovered"), "9");
  });
}

TEST(StateRecovery, AnAcceptedStateNamesItselfInItsObject) {
  run([](Stage& stage) -> Task<> {
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-ann' WHERE id = 'ws-1'");
    json::object attributes{
        {"serial", 9}, {"lineage", "line-9"}, {"md5", "D41D8CD98F00B204E9800998ECF8427E"}};
    TestAnswer made = co_await stage.post("/api/v2/workspaces/ws-1/state-versions",
                                          api::test_document("state-versions", attributes));
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(co_await stage.value("SELECT facts->>'serial' || ' ' || (facts->>'lineage') || ' ' || "
                                   "(facts->>'md5') FROM terrane.objects WHERE kind = 'state'"),
              "9 line-9 d41d8cd98f00b204e9800998ecf8427e");
    attributes["lineage"] = std::string(lineage_limit + 1, 'x');
    TestAnswer refused = co_await stage.post("/api/v2/workspaces/ws-1/state-versions",
                                             api::test_document("state-versions", attributes));
    EXPECT_EQ(refused.status, 422);
    EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/lineage");
  });
}

}  // namespace
}  // namespace terrane::state
