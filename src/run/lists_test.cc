// Lists of runs with all that they can be asked, comments, and force-execute.
#include <gtest/gtest.h>

#include "configversion/configversion.h"
#include "run/testing_stage.h"
#include "user/user_api.h"
#include "workspace/workspace_api.h"

namespace terrane::run {
namespace {

using http::Method;
using test::run;
using test::Stage;
using test::TestAnswer;
using worker_protocol::Job;

using Ids = std::vector<std::string>;

/// What runs refer to and other domains read.
struct Others {
  workspace::Api workspaces;
  user::UserApi users;
  configversion::Api configurations;
  explicit Others(Stage& stage)
      : workspaces(stage.database, stage.includes),
        users(stage.database, stage.tokens, stage.includes),
        configurations({stage.database, stage.urls, state::test::origin, stage.includes, {}}) {
    workspaces.add_routes(stage.router);
    users.add_routes(stage.router);
    configurations.add_routes(stage.router);
  }
};

Ids ids_of(const TestAnswer& answer) {
  Ids out;
  const json::value data = answer.at("/data");
  for (const json::value& item : data.as_array()) out.emplace_back(item.at("id").as_string());
  return out;
}

TEST(RunLists, AreFiltered) {
  run([](Stage& stage) -> Task<> {
    stage.stop.request();  // nothing moves
    std::string plain = co_await stage.make_run({{"message", "Say Hello"}});
    std::string only = co_await stage.make_run({{"plan-only", true}});
    std::string saved = co_await stage.make_run({{"save-plan", true}});
    std::string refresh = co_await stage.make_run({{"refresh-only", true}});
    std::string destroy = co_await stage.make_run({{"is-destroy", true}});
    std::string empty = co_await stage.make_run({{"allow-empty-apply", true}});
    co_await stage.sql("DELETE FROM terrane.runs WHERE id = 'run-1'");
    co_await stage.sql(
        "UPDATE terrane.runs SET source = 'tfe-configuration-version', status = 'planned' WHERE id = '" +
        saved + "'");
    co_await stage.sql("UPDATE terrane.runs SET status = 'errored', created_at = '2020-05-05' WHERE id = '" +
                       empty + "'");
    co_await stage.sql("UPDATE terrane.runs SET created_by = 'user-root' WHERE id = '" + destroy + "'");
    const std::string everything =
        "filter[operation]=plan_only,plan_and_apply,save_plan,refresh_only,destroy,empty_apply";
    std::vector<std::pair<std::string, Ids>> cases{
        {"", {empty, destroy, refresh, saved, plain}},  // plan-only ones have to be asked for
        {everything, {empty, destroy, refresh, saved, only, plain}},
        {"filter[operation]=plan_only", {only}},
        {"filter[operation]=save_plan", {saved}},
        {"filter[operation]=plan_and_apply,destroy", {destroy, plain}},
        {"filter[operation]=refresh_only", {refresh}},
        {"filter[operation]=empty_apply", {empty}},
        {"filter[operation]=nonsense", {}},
        {"filter[status]=pending", {destroy, refresh, plain}},
        {"filter[status]=planned,errored", {empty, saved}},
        {"filter[status_group]=final", {empty}},
        {"filter[status_group]=non_final", {destroy, refresh, saved, plain}},
        {"filter[status_group]=discardable&filter[status]=planned,errored", {saved}},
        {"filter[source]=tfe-configuration-version", {saved}},
        {"filter[timeframe]=2020", {empty}},
        {"filter[timeframe]=year", {destroy, refresh, saved, plain}},
        {"search[user]=ROOT", {destroy}},
        {"search[user]=nobody", {}},
        {"search[commit]=abcdef", {}},
        {"search[basic]=hello", {plain}},
        {"search[basic]=" + refresh, {refresh}},
        {"search[basic]=root", {destroy}},
        {"search[basic]=hello&search[user]=root", {destroy}}};
    for (const auto& [query, expected] : cases) {
      TestAnswer list = co_await stage.get("/api/v2/workspaces/ws-1/runs?" + query);
      EXPECT_EQ(ids_of(list), expected) << query << list.body;
      EXPECT_EQ(list.at("/meta/pagination/total-count"), json::value(expected.size())) << query;
    }
    for (const char* bad : {"filter[status_group]=x", "filter[timeframe]=x", "filter[timeframe]=1"})
      EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1/runs?" + std::string(bad))).status, 400) << bad;
    // An organization's list goes back a year by itself, and has plan-only runs.
    const std::string of_all = "/api/v2/organizations/acme/runs";
    EXPECT_EQ(ids_of(co_await stage.get(of_all)), (Ids{destroy, refresh, saved, only, plain}));
    EXPECT_EQ(ids_of(co_await stage.get(of_all + "?filter[timeframe]=2020")), Ids{empty});
    EXPECT_EQ(ids_of(co_await stage.get(of_all + "?filter[workspace_names]=two")), Ids{});
    EXPECT_EQ(ids_of(co_await stage.get(of_all + "?filter[workspace_names]=one,two&filter[status]=planned")),
              Ids{saved});
  });
}

TEST(RunLists, OfAnOrganizationDoNotCount) {
  run([](Stage& stage) -> Task<> {
    stage.stop.request();
    Others others(stage);
    co_await stage.sql("DELETE FROM terrane.runs WHERE id = 'run-1'");
    Ids made;
    for (int i = 0; i < 3; ++i) made.insert(made.begin(), co_await stage.make_run({{"plan-only", true}}));
    const std::string path = "/api/v2/organizations/acme/runs";
    TestAnswer first =
        co_await stage.get(path + "?page[size]=2&include=workspace,created_by,plan,configuration_version");
    EXPECT_EQ(ids_of(first), (Ids{made[0], made[1]}));
    json::value pagination =
        parse_json(R"({"current-page": 1, "page-size": 2, "prev-page": null, "next-page": 2})");
    EXPECT_EQ(first.at("/meta/pagination"), pagination);
    std::map<std::string, int> types;
    const json::value included = first.at("/included");
    for (const json::value& item : included.as_array()) ++types[std::string(item.at("type").as_string())];
    EXPECT_EQ(types, (std::map<std::string, int>{
                         {"workspaces", 1}, {"users", 1}, {"plans", 2}, {"configuration-versions", 1}}));
    TestAnswer second = co_await stage.get(path + "?page[size]=2&page[number]=2");
    EXPECT_EQ(ids_of(second), Ids{made[2]});
    EXPECT_TRUE(second.at("/meta/pagination/next-page").is_null());
    EXPECT_EQ(second.at("/meta/pagination/prev-page"), json::value(1));
    TestAnswer beyond = co_await stage.get(path + "?page[number]=999");
    EXPECT_EQ(beyond.status, 200);
    EXPECT_EQ(ids_of(beyond), Ids{});
    EXPECT_EQ(beyond.at("/meta/pagination/current-page"), json::value(999));
    EXPECT_EQ(ids_of(co_await stage.get(path, "user-bob")), Ids{})
        << "runs of workspaces that one may not see";
    EXPECT_EQ((co_await stage.get(path, "user-eve")).status, 404);
    EXPECT_EQ((co_await stage.get(path + "?include=secrets")).status, 400);
    EXPECT_EQ(
        (co_await stage.get("/api/v2/workspaces/ws-1/runs?include=workspace&filter[operation]=plan_only"))
            .at("/included")
            .as_array()
            .size(),
        1U);
  });
}

TEST(RunComments, AreWrittenReadAndEvents) {
  run([](Stage& stage) -> Task<> {
    Others others(stage);
    const std::string all = "/api/v2/runs/run-1/comments";
    EXPECT_EQ(ids_of(co_await stage.get(all)), Ids{});
    json::object body = api::test_document("comments", {{"body", "first"}});
    TestAnswer first = co_await stage.post(all, body);
    EXPECT_EQ(first.status, 201) << first.body;
    EXPECT_TRUE(first.text("/data/id").starts_with("wsc-"));
    EXPECT_EQ(first.text("/data/attributes/body"), "first");
    body = api::test_document("comments", {{"body", "second"}});
    TestAnswer second = co_await stage.post(all, body, "user-root");
    EXPECT_EQ(ids_of(co_await stage.get(all)), (Ids{first.text("/data/id"), second.text("/data/id")}));
    EXPECT_EQ((co_await stage.get("/api/v2/comments/" + first.text("/data/id"))).at("/data"),
              first.at("/data"));
    EXPECT_EQ(
        (co_await stage.get("/api/v2/runs/run-1")).at("/data/relationships/comments/data").as_array().size(),
        2U);

    const std::string events = "/api/v2/runs/run-1/run-events";
    TestAnswer list = co_await stage.get(events + "?include=actor,comment");
    EXPECT_EQ(list.text("/data/0/attributes/action"), "commented");
    EXPECT_EQ(list.text("/data/0/relationships/comment/data/id"), first.text("/data/id"));
    EXPECT_EQ(list.text("/data/0/id"), first.text("/data/relationships/run-event/data/id"));
    std::set<std::string> included;
    const json::value more = list.at("/included");
    for (const json::value& item : more.as_array()) included.emplace(item.at("id").as_string());
    EXPECT_EQ(included, (std::set<std::string>{"user-ann", first.text("/data/id"), second.text("/data/id")}));
    TestAnswer one = co_await stage.get("/api/v2/run-events/" + list.text("/data/0/id") + "?include=comment");
    EXPECT_EQ(one.text("/included/0/attributes/body"), "first");
    EXPECT_TRUE((co_await stage.get(events)).at("/included").is_null());
    EXPECT_EQ((co_await stage.get(events + "?include=target")).status, 400);

    for (const char* who : {"user-eve", "user-bob"}) {
      EXPECT_EQ((co_await stage.get(all, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.post(all, body, who)).status, 404) << who;
      EXPECT_EQ((co_await stage.get("/api/v2/comments/" + first.text("/data/id"), who)).status, 404) << who;
    }
    EXPECT_EQ((co_await stage.post(all, body, "run-1")).status, 404) << "a run's token writes nothing";
    EXPECT_EQ((co_await stage.get("/api/v2/comments/wsc-none")).status, 404);
    for (std::string text : {std::string(), std::string("  "), std::string(70'000, 'x')}) {
      json::object bad = api::test_document("comments", {{"body", text}});
      EXPECT_EQ((co_await stage.post(all, bad)).status, 422) << text.size();
    }
  });
}

TEST(RunForceExecute, DiscardsWhatStandsBefore) {
  run([](Stage& stage) -> Task<> {
    auto force = [&](std::string id, std::string as = "user-ann") {
      return stage.post("/api/v2/runs/" + id + "/actions/force-execute", {}, as);
    };
    std::string first = co_await stage.planned_run();
    std::string second = co_await stage.make_run();
    std::string third = co_await stage.make_run();
    EXPECT_EQ((co_await force(first)).status, 403) << "it is not pending";
    for (const char* who : {"user-eve", "user-bob", "run-1", "org-1"})
      EXPECT_EQ((co_await force(third, who)).status, 404) << who;
    EXPECT_EQ((co_await force("run-none")).status, 404);
    TestAnswer forced = co_await force(third);
    EXPECT_EQ(forced.status, 202) << forced.body;
    EXPECT_EQ(forced.body, "");
    for (const std::string& id : {first, second}) EXPECT_EQ(co_await stage.status(id), "discarded");
    co_await stage.until(third, "plan_queued");
    EXPECT_EQ(co_await stage.lock_owner(), third);

    // What executes does not make way, nor does a person.
    std::string fourth = co_await stage.make_run();
    co_await stage.must_claim();
    TestAnswer refused = co_await force(fourth);
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find(third), std::string::npos) << refused.body;
    EXPECT_EQ(co_await stage.status(third), "planning");
    co_await stage.sql(
        "UPDATE terrane.workspaces SET lock_kind = 'users', lock_owner = 'user-root' WHERE id = 'ws-1'");
    refused = co_await force(fourth);
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("is locked by User root"), std::string::npos) << refused.body;
    std::string only = co_await stage.make_run({{"plan-only", true}});
    stage.stop.request();
    EXPECT_EQ((co_await force(only)).status, 403) << "it waits for nobody";
  });
}

}  // namespace
}  // namespace terrane::run
