// What is done to versions that are there: rollback and backing data; and what else is shown with them.
#include <gtest/gtest.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "state/state.h"
#include "state/testing_stage.h"

namespace terrane::state {
namespace {

using api::test_document;
using api::TestAnswer;

const std::string all = "/api/v2/workspaces/ws-1/state-versions";

struct Stage : test::Stage {
  Api states;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at), states({database, archivist, vault, urls, test::origin, includes}) {
    states.add_routes(router);
    // What states refer to is read elsewhere.
    for (const char* type : {"runs", "users"}) {
      includes.add_resource(type,
                            [type](postgres::Tx&, const api::Principal&,
                                   const std::vector<std::string>& ids) -> Task<std::vector<json::object>> {
                              std::vector<json::object> out;
                              for (const std::string& id : ids) out.push_back({{"id", id}, {"type", type}});
                              co_return out;
                            });
    }
    for (const char* relation : {"created_by", "configuration_version"})
      includes.add_relation("runs", relation, {});
  }
  Task<> lock(std::string owner = "user-ann") {
    co_await sql("UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = '" + owner +
                 "' WHERE id = 'ws-1'");
  }
  /// Writes a state inline; returns its version's id.
  Task<std::string> write(std::int64_t serial, std::string bytes, std::string as_json = "{}") {
    std::string md5 = hex(crypto::hash(crypto::HashKind::md5, bytes));
    json::object body = test_document("state-versions", {{"serial", serial},
                                                         {"md5", md5},
                                                         {"lineage", "line"},
                                                         {"state", base64(bytes)},
                                                         {"json-state", base64(as_json)}});
    TestAnswer made = co_await post(all, std::move(body));
    if (made.status != 201) throw std::runtime_error(made.body);
    co_return made.text("/data/id");
  }
  Task<TestAnswer> go_back(std::string to, std::string as = "user-ann") {
    json::object body = test_document("state-versions", {});
    body["data"].as_object()["relationships"] = json::object{
        {"rollback-state-version",
         json::object{{"data", json::object{{"type", "state-versions"}, {"id", std::move(to)}}}}}};
    co_return co_await patch(all, std::move(body), std::move(as));
  }
  Task<std::string> current() {
    return value("SELECT current_state_version_id FROM terrane.workspaces WHERE id = 'ws-1'");
  }
  Task<TestAnswer> act(std::string id, std::string action, std::string as = "user-ann") {
    co_return co_await post("/api/v2/state-versions/" + id + "/actions/" + action + "_backing_data", {},
                            std::move(as));
  }
  Task<TestAnswer> show(std::string id) { co_return co_await get("/api/v2/state-versions/" + id); }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(StateRollback, MakesANewVersionOfTheSameBytes) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock();
    std::string first = co_await stage.write(1, "{\"serial\": 1}", "{\"one\": 1}");
    std::string second = co_await stage.write(2, "{\"serial\": 2}");
    TestAnswer back = co_await stage.go_back(first);
    EXPECT_EQ(back.status, 201) << back.body;
    const std::string made = back.text("/data/id");
    EXPECT_NE(made, first);
    EXPECT_EQ(co_await stage.current(), made);
    EXPECT_EQ(back.text("/data/attributes/status"), "finalized");
    EXPECT_EQ(back.at("/data/attributes/serial"), json::value(1)) << "that of the bytes";
    EXPECT_EQ(back.text("/data/relationships/rollback-state-version/data/id"), first);
    EXPECT_EQ(back.text("/data/relationships/created-by/data/id"), "user-ann");
    for (auto [member, bytes] : {std::pair("hosted-state-download-url", "{\"serial\": 1}"),
                                 std::pair("hosted-json-state-download-url", "{\"one\": 1}")}) {
      object::Grant grant = stage.grant_of(back.text("/data/attributes/" + std::string(member)));
      EXPECT_EQ(stage.archivist_role.bytes(grant.object.text()), bytes);
    }
    EXPECT_NE(back.at("/data/attributes/hosted-state-download-url"),
              (co_await stage.show(first)).at("/data/attributes/hosted-state-download-url"))
        << "bytes of its own";
    const std::string facts =
        "SELECT facts->>'serial' || ' ' || (facts->>'lineage') FROM terrane.objects WHERE id = ";
    EXPECT_EQ(co_await stage.value(facts + "(SELECT object_id FROM terrane.state_versions WHERE id = '" +
                                   made + "')"),
              "1 line")
        << "recovery knows them by their header";
    std::string next = co_await stage.write(2, "{\"serial\": 2, \"next\": true}");
    EXPECT_EQ(co_await stage.current(), next) << "the serial counts on from the bytes'";
  });
}

TEST(StateRollback, NeedsTheLockAndTheBytes) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock();
    std::string first = co_await stage.write(1, "one");
    std::string second = co_await stage.write(2, "two");
    for (const char* who : {"user-eve", "user-bob", "run-1", "org-1"})
      EXPECT_EQ((co_await stage.go_back(first, who)).status, 404) << who;
    co_await stage.lock("user-root");
    TestAnswer refused = co_await stage.go_back(first);
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("is locked by User root"), std::string::npos) << refused.body;
    co_await stage.sql("UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL WHERE id = 'ws-1'");
    EXPECT_EQ((co_await stage.go_back(first)).status, 409);
    co_await stage.lock();
    EXPECT_EQ((co_await stage.go_back("sv-none")).status, 404);
    json::object nothing = test_document("state-versions", {});
    EXPECT_EQ((co_await stage.patch(all, nothing)).status, 422);
    co_await stage.sql("UPDATE terrane.state_versions SET workspace_id = 'ws-2' WHERE id = '" + first + "'");
    EXPECT_EQ((co_await stage.go_back(first)).status, 404) << "of another workspace";
    co_await stage.sql("UPDATE terrane.state_versions SET workspace_id = 'ws-1' WHERE id = '" + first + "'");
    EXPECT_EQ((co_await stage.act(first, "soft_delete")).status, 204);
    EXPECT_EQ((co_await stage.go_back(first)).status, 409) << "its bytes are hidden";
    co_await stage.act(first, "restore");
    stage.archivist_role.set_away(true);
    EXPECT_EQ((co_await stage.go_back(first)).status, 503);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_versions WHERE status = 'pending'"),
              "0")
        << "nothing keeps the workspace from being unlocked";
    stage.archivist_role.set_away(false);
    EXPECT_EQ(co_await stage.current(), second);
    co_await stage.sql("UPDATE terrane.state_versions SET recovered = true WHERE id = '" + first + "'");
    EXPECT_EQ((co_await stage.go_back(first)).status, 201) << "what was recovered is promoted so";
    EXPECT_EQ(co_await stage.value("SELECT recovered FROM terrane.state_versions WHERE id = '" +
                                   co_await stage.current() + "'"),
              "false");
  });
}

TEST(StateBacking, GoesAndComesBack) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock();
    std::string old = co_await stage.write(1, "same");
    std::string current = co_await stage.write(1, "same");
    EXPECT_EQ((co_await stage.act(current, "soft_delete")).status, 409) << "the current one stays";
    EXPECT_EQ((co_await stage.act(old, "restore")).status, 409);
    EXPECT_EQ((co_await stage.act(old, "permanently_delete")).status, 409);
    for (const char* who : {"user-eve", "user-bob", "run-1"})
      EXPECT_EQ((co_await stage.act(old, "soft_delete", who)).status, 404) << who;
    EXPECT_EQ((co_await stage.act("sv-none", "soft_delete")).status, 404);

    EXPECT_EQ((co_await stage.act(old, "soft_delete")).status, 204);
    TestAnswer hidden = co_await stage.show(old);
    EXPECT_EQ(hidden.text("/data/attributes/status"), "backing_data_soft_deleted");
    EXPECT_FALSE(hidden.at("/data/attributes").as_object().contains("hosted-state-download-url"));
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + old + "/download")).status, 404);
    EXPECT_EQ((co_await stage.show(current)).text("/data/attributes/status"), "finalized")
        << "equal bytes, another blob";
    EXPECT_EQ((co_await stage.act(old, "restore")).status, 204);
    EXPECT_EQ((co_await stage.show(old)).text("/data/attributes/status"), "finalized");
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + old + "/download")).status, 302);

    Parsed parsed;
    parsed.outputs = {{"secret", "string", true, "hunter2", "string"}};
    co_await store_parsed(stage.database, stage.vault, old, std::move(parsed));
    co_await stage.act(old, "soft_delete");
    EXPECT_EQ((co_await stage.act(old, "permanently_delete")).status, 204);
    EXPECT_EQ((co_await stage.show(old)).text("/data/attributes/status"), "backing_data_permanently_deleted");
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_version_outputs"), "0")
        << "what was read out of the bytes goes with them";
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.objects WHERE status = 'deleted'"), "2")
        << "raw and JSON";
    TestAnswer gone = co_await stage.act(old, "restore");
    EXPECT_EQ(gone.status, 409);
    EXPECT_NE(gone.body.find("transition not allowed"), std::string::npos) << gone.body;
  });
}

TEST(StateShown, WithWhatIsIncludedAndCounted) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock();
    std::string id = co_await stage.write(1, "one");
    EXPECT_TRUE((co_await stage.show(id)).at("/data/attributes/state-version").is_null()) << "not parsed yet";
    Parsed parsed;
    parsed.terraform_version = "1.9.0";
    parsed.outputs = {{"zone", "string", false, "eu", "string"}};
    parsed.resources =
        parse_json(
            R"([{"name": "a", "type": "null_resource", "provider": "provider[\"x/null\"]", "module": "root", "count": 2},
                       {"name": "b", "type": "aws_vpc", "provider": "provider[\"x/aws\"]", "module": "root", "count": 1},
                       {"name": "c", "type": "aws_vpc", "provider": "provider[\"x/aws\"]", "module": "module.m", "count": 4}])")
            .as_array();
    co_await store_parsed(stage.database, stage.vault, id, std::move(parsed));
    TestAnswer shown = co_await stage.show(id);
    EXPECT_EQ(shown.at("/data/attributes/state-version"), json::value(4));
    EXPECT_EQ(shown.at("/data/attributes/modules"),
              parse_json(R"({"root": {"null-resource": 2, "aws-vpc": 1}, "module.m": {"aws-vpc": 4}})"));
    EXPECT_EQ(
        shown.at("/data/attributes/providers"),
        parse_json(
            R"({"provider[\"x/null\"]": {"null-resource": 2}, "provider[\"x/aws\"]": {"aws-vpc": 5}})"));
    EXPECT_EQ(shown.at("/data/attributes/billable-rum-count"), json::value(5));

    co_await stage.sql("UPDATE terrane.state_versions SET run_id = 'run-1'");
    const std::string current = "/api/v2/workspaces/ws-1/current-state-version";
    for (const std::string& path : {"/api/v2/state-versions/" + id, current, all}) {
      TestAnswer full = co_await stage.get(
          path + "?include=outputs,created_by,run,run.created_by,run.configuration_version");
      std::map<std::string, std::string> types;
      const json::value included = full.at("/included");
      for (const json::value& item : included.as_array())
        types[std::string(item.at("type").as_string())] = item.at("id").as_string();
      EXPECT_EQ(types.size(), 3U) << full.body;
      EXPECT_TRUE(types["state-version-outputs"].starts_with("wsout-"));
      EXPECT_EQ(types["users"], "user-ann");
      EXPECT_EQ(types["runs"], "run-1");
      EXPECT_EQ((co_await stage.get(path + "?include=secrets")).status, 400) << path;
      EXPECT_TRUE((co_await stage.get(path)).at("/included").is_null()) << path;
    }
    TestAnswer list = co_await stage.get(all);
    EXPECT_EQ(list.at("/data/0/relationships/outputs/data").as_array().size(), 1U);
    co_await stage.sql("UPDATE terrane.state_versions SET status = 'discarded'");
    EXPECT_EQ((co_await stage.get(all)).at("/meta/pagination/total-count"), json::value(0));
    EXPECT_EQ((co_await stage.get(all + "?filter[status]=discarded")).at("/meta/pagination/total-count"),
              json::value(1));
  });
}

}  // namespace
}  // namespace terrane::state
