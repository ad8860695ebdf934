// How states are read: lists, outputs, and what the parser and the runs add.
#include <gtest/gtest.h>

#include "state/state.h"
#include "state/testing_stage.h"

namespace terrane::state {
namespace {

using api::TestAnswer;
using http::Method;

const std::string all = "/api/v2/workspaces/ws-1/state-versions";
const std::string current_outputs = "/api/v2/workspaces/ws-1/current-state-version-outputs";

struct Stage : test::Stage {
  Api states;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at), states({database, archivist, vault, urls, test::origin, includes}) {
    states.add_routes(router);
  }
  /// Adds a state as a run's shim does; returns its id.
  Task<std::string> add(std::int64_t serial, bool intermediate = false, std::string object = {},
                        std::string run = "run-1") {
    if (object.empty()) object = "obj-state" + std::to_string(serial);
    co_await sql("INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('" +
                 object + "', 'state', 'ws-1', 'ws-1', 'live') ON CONFLICT DO NOTHING");
    co_await sql(
        "INSERT INTO terrane.jobs (id, run_id, workspace_id, phase, attempt, priority, position, status, "
        "epoch, log_segment)"
        " VALUES ('job-1', 'run-1', 'ws-1', 'apply', 1, 1, 1, 'finished', 1, 1) ON CONFLICT DO NOTHING");
    postgres::Tx tx = co_await database.begin();
    std::optional<Workspace> workspace = co_await workspace::find(tx, "ws-1", workspace::RowLock::yes);
    FromRun from{
        std::move(run), "job-1", std::move(object), {serial, "line", "md5-" + std::to_string(serial)}, 10,
        intermediate};
    Id<StateVersion> id = co_await add_from_run(tx, *workspace, from);
    co_await tx.commit();
    co_return id.text();
  }
  Task<> parse(std::string id, std::vector<ParsedOutput> outputs) {
    Parsed parsed;
    parsed.terraform_version = "1.9.0";
    parsed.outputs = std::move(outputs);
    parsed.resources = parse_json(R"([{"address": "null_resource.a", "count": 1}])").as_array();
    co_await store_parsed(database, vault, id, std::move(parsed));
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

std::vector<ParsedOutput> two_outputs() {
  return {{"address", "string", false, "10.0.0.1", "string"},
          {"password", "string", true, "hunter2", "string"},
          {"zones", "array", false, json::array{"a", "b"}, json::array{"list", "string"}}};
}

TEST(StateOutputs, ShowSensitiveValuesOneByOneOnly) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.add(1);
    co_await stage.parse(id, two_outputs());
    TestAnswer of_version = co_await stage.get("/api/v2/state-versions/" + id + "/outputs");
    EXPECT_EQ(of_version.text("/data/1/attributes/value"), "hunter2") << "who reads the state has it anyway";
    {
      TestAnswer list = co_await stage.get(current_outputs);
      EXPECT_EQ(list.status, 200);
      EXPECT_EQ(list.at("/data").as_array().size(), 3U);
      EXPECT_EQ(list.text("/data/0/type"), "state-version-outputs");
      EXPECT_EQ(
          list.at("/data/0/attributes"),
          parse_json(
              R"({"name": "address", "sensitive": false, "type": "string", "value": "10.0.0.1", "detailed-type": "string"})"));
      EXPECT_EQ(
          list.at("/data/1/attributes"),
          parse_json(
              R"({"name": "password", "sensitive": true, "type": "string", "value": null, "detailed-type": "string"})"));
      EXPECT_EQ(list.at("/data/2/attributes/value"), parse_json(R"(["a", "b"])"));
      EXPECT_EQ(list.body.find("hunter2"), std::string::npos);
      TestAnswer one = co_await stage.get("/api/v2/state-version-outputs/" + list.text("/data/1/id"));
      EXPECT_EQ(one.text("/data/attributes/value"), "hunter2");
    }
    TestAnswer included = co_await stage.get("/api/v2/state-versions/" + id + "?include=outputs");
    EXPECT_EQ(included.at("/included").as_array().size(), 3U);
    EXPECT_EQ(included.body.find("hunter2"), std::string::npos);
    EXPECT_EQ(included.at("/data/relationships/outputs/data").as_array().size(), 3U);
    EXPECT_EQ(included.at("/data/attributes/resources-processed"), json::value(true));
    EXPECT_EQ(included.text("/data/attributes/terraform-version"), "1.9.0");
    EXPECT_EQ(included.text("/data/attributes/resources/0/address"), "null_resource.a");
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + id + "?include=secrets")).status, 400);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/current-state-version?include=outputs"))
                  .at("/included")
                  .as_array()
                  .size(),
              3U);
    EXPECT_EQ(co_await stage.value(
                  "SELECT count(*) FROM terrane.state_version_outputs o WHERE o::text ~ 'hunter2|10.0.0.1'"),
              "0")
        << "values lie sealed";
    const std::size_t calls = stage.vault.calls();
    co_await stage.get(current_outputs);
    EXPECT_EQ(stage.vault.calls(), calls + 1) << "one batch for all";
  });
}

TEST(StateOutputs, ComeInPagesExceptTheCurrentOnes) {
  run([](Stage& stage) -> Task<> {
    std::vector<ParsedOutput> outputs;
    for (int i = 0; i < 45; ++i)
      outputs.push_back({"output_" + std::to_string(100 + i), "number", false, i, "number"});
    std::string id = co_await stage.add(1);
    co_await stage.parse(id, outputs);
    TestAnswer whole = co_await stage.get(current_outputs);
    EXPECT_EQ(whole.at("/data").as_array().size(), 45U) << "the CLI asks once, without a page";
    EXPECT_EQ(whole.at("/meta/pagination/total-pages"), json::value(1));
    for (const std::string& path :
         {current_outputs, std::string("/api/v2/state-versions/" + id + "/outputs")}) {
      TestAnswer last = co_await stage.get(path + "?page[number]=3&page[size]=20");
      EXPECT_EQ(last.at("/data").as_array().size(), 5U);
      EXPECT_EQ(last.text("/data/0/attributes/name"), "output_140");
      EXPECT_EQ(last.at("/meta/pagination/total-pages"), json::value(3));
    }
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + id + "/outputs")).at("/data").as_array().size(),
              20U);
  });
}

TEST(StateOutputs, WaitForTheParser) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ((co_await stage.get(current_outputs)).at("/data").as_array().size(), 0U)
        << "no state has no outputs";
    std::string id = co_await stage.add(1);
    TestAnswer answer;
    auto ask = [](Stage& on, TestAnswer& into) -> Task<> { into = co_await on.get(current_outputs); };
    net::spawn(stage.executor, "ask", ask(stage, answer));
    co_await stage.parse(id, two_outputs());
    co_await testing::eventually("the answer", [&] { return answer.status != 0; });
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.at("/data").as_array().size(), 3U);

    co_await stage.add(2);
    TestAnswer late = co_await stage.get(current_outputs);
    EXPECT_EQ(late.status, 503) << "never an empty list for a state that may have outputs";
    EXPECT_TRUE(late.headers.find("Retry-After"));
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + id + "/outputs")).status, 200)
        << "that of an older one";
  });
}

TEST(StateOutputs, AreStoredOnceAndAFailureIsKept) {
  run([](Stage& stage) -> Task<> {
    std::string first = co_await stage.add(1);
    std::string second = co_await stage.add(2);
    using Waiting = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(co_await unparsed(stage.database), (Waiting{{first, "obj-state1"}, {second, "obj-state2"}}))
        << "oldest first";
    co_await stage.parse(first, two_outputs());
    co_await stage.parse(first, two_outputs());
    co_await store_parse_failure(stage.database, first, "too late");
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_version_outputs"), "3");
    EXPECT_EQ(
        co_await stage.value("SELECT coalesce(parse_error, 'none') FROM terrane.state_versions WHERE id = '" +
                             first + "'"),
        "none")
        << "a late failure takes nothing back";
    co_await store_parse_failure(stage.database, second, "no JSON at byte 7");
    TestAnswer shown = co_await stage.get("/api/v2/state-versions/" + second);
    EXPECT_EQ(shown.text("/data/attributes/parse-error"), "no JSON at byte 7");
    EXPECT_EQ(shown.at("/data/attributes/resources-processed"), json::value(true));
    EXPECT_TRUE((co_await unparsed(stage.database)).empty());
    stage.vault.set_away(true);
    std::string third = co_await stage.add(3);
    bool refused = false;
    try {
      co_await stage.parse(third, two_outputs());
    } catch (const Error& error) {
      refused = error.code() == Code::unavailable;
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ((co_await unparsed(stage.database)).size(), 1U) << "it waits";
  });
}

TEST(StateFromRun, IsCurrentAtOnceWhateverTheLockSays) {
  run([](Stage& stage) -> Task<> {
    std::string first = co_await stage.add(5, true);
    TestAnswer shown = co_await stage.get("/api/v2/workspaces/ws-1/current-state-version");
    EXPECT_EQ(shown.text("/data/id"), first);
    EXPECT_EQ(shown.at("/data/attributes/intermediate"), json::value(true));
    EXPECT_EQ(shown.text("/data/relationships/run/data/id"), "run-1");
    EXPECT_EQ(co_await stage.add(5, true), first) << "a repeat changes nothing";
    EXPECT_EQ(co_await stage.add(5, false), first) << "but the last word settles it";
    shown = co_await stage.get("/api/v2/workspaces/ws-1/current-state-version");
    EXPECT_EQ(shown.at("/data/attributes/intermediate"), json::value(false));
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_versions"), "1");
    std::string second = co_await stage.add(6, true);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/current-state-version")).text("/data/id"), second);
  });
}

TEST(StateFromRun, RecoveredIsKeptAndNeverCurrent) {
  run([](Stage& stage) -> Task<> {
    std::string current = co_await stage.add(5);
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status) VALUES ('obj-r', 'state', "
        "'ws-1', 'ws-1', 'live')");
    std::string recovered;
    for (int i = 0; i < 2; ++i) {
      postgres::Tx tx = co_await stage.database.begin();
      std::optional<Workspace> workspace = co_await workspace::find(tx, "ws-1", workspace::RowLock::yes);
      FromRun from{"run-1", "job-1", "obj-r", {9, "line", "md5-9"}, 10, true};
      Id<StateVersion> id = co_await add_recovered(tx, *workspace, from);
      co_await tx.commit();
      EXPECT_TRUE(recovered.empty() || recovered == id.text()) << "a repeat changes nothing";
      recovered = id.text();
    }
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/current-state-version")).text("/data/id"),
              current);
    TestAnswer shown = co_await stage.get("/api/v2/state-versions/" + recovered);
    EXPECT_EQ(shown.at("/data/attributes/recovered"), json::value(true));
    EXPECT_TRUE(shown.at("/data/attributes").as_object().contains("hosted-state-download-url"));
  });
}

TEST(StateList, FindsByNamesAndStatus) {
  run([](Stage& stage) -> Task<> {
    std::string first = co_await stage.add(1);
    std::string second = co_await stage.add(2);
    co_await stage.sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace) VALUES ('obj-p', 'state', 'ws-1', "
        "'ws-1');"
        "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id) VALUES ('sv-p', "
        "'ws-1', 3, 'm', 'obj-p');"
        "INSERT INTO terrane.state_versions (id, workspace_id, serial, md5, object_id, status) VALUES "
        "('sv-d', 'ws-1', 3, 'm', 'obj-p', 'discarded')");
    const std::string by_names =
        "/api/v2/state-versions?filter[workspace][name]=one&filter[organization][name]=acme";
    for (const std::string& path : {all + "?", by_names + "&"}) {
      TestAnswer list = co_await stage.get(path + "page[size]=2");
      EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(3)) << "without discarded ones";
      EXPECT_EQ(list.text("/data/0/id"), "sv-p") << "newest first";
      EXPECT_FALSE(list.at("/data/0/attributes").as_object().contains("hosted-state-upload-url"));
      TestAnswer finalized = co_await stage.get(path + "filter[status]=finalized");
      EXPECT_EQ(finalized.at("/meta/pagination/total-count"), json::value(2));
      EXPECT_EQ(finalized.text("/data/0/id"), second);
      EXPECT_EQ(finalized.text("/data/1/id"), first);
      TestAnswer beyond = co_await stage.get(path + "page[number]=999");
      EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
      EXPECT_EQ(beyond.at("/meta/pagination/total-count"), json::value(3));
    }
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions")).status, 400);
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions?filter[workspace][name]=one")).status, 400);
    EXPECT_EQ((co_await stage.get(
                   "/api/v2/state-versions?filter[workspace][name]=x&filter[organization][name]=acme"))
                  .status,
              404);
    EXPECT_EQ((co_await stage.get(by_names, "user-eve")).status, 404);
  });
}

TEST(StateAccess, IsHiddenFromStrangers) {
  run([](Stage& stage) -> Task<> {
    std::string id = co_await stage.add(1);
    co_await stage.parse(id, two_outputs());
    std::string output = (co_await stage.get(current_outputs)).text("/data/1/id");
    const std::vector<std::string> paths{all,
                                         "/api/v2/workspaces/ws-1/current-state-version",
                                         current_outputs,
                                         "/api/v2/state-versions/" + id,
                                         "/api/v2/state-versions/" + id + "/outputs",
                                         "/api/v2/state-versions/" + id + "/download",
                                         "/api/v2/state-version-outputs/" + output};
    for (const std::string& path : paths) {
      for (const char* who : {"user-eve", "user-bob"})
        EXPECT_EQ((co_await stage.get(path, who)).status, 404) << path << who;
      EXPECT_EQ((co_await stage.get(path, "nobody")).status, 401) << path;
      for (const char* who : {"run-1", "org-1", "team-1", "user-root"}) {
        int status = (co_await stage.get(path, who)).status;
        EXPECT_TRUE(status == 200 || status == 302) << path << who << status;
      }
    }
    json::object body{{"data", json::object{}}};
    EXPECT_EQ((co_await stage.post(all, body, "user-eve")).status, 422)
        << "the body is judged first, and says nothing about the workspace";
    for (const char* absent :
         {"/api/v2/state-versions/nonexisting", "/api/v2/state-versions/nonexisting/outputs",
          "/api/v2/state-versions/nonexisting/download", "/api/v2/state-version-outputs/nonexisting",
          "/api/v2/workspaces/nonexisting/state-versions",
          "/api/v2/workspaces/nonexisting/current-state-version",
          "/api/v2/workspaces/nonexisting/current-state-version-outputs"}) {
      EXPECT_EQ((co_await stage.get(absent)).status, 404) << absent;
    }
  });
}

}  // namespace
}  // namespace terrane::state
