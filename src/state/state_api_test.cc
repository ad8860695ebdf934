// How clients write states: who may, what is refused, and what becomes current.
#include <gtest/gtest.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "state/state.h"
#include "state/testing_stage.h"

namespace terrane::state {
namespace {

using api::test_document;
using api::TestAnswer;
using http::Method;

const std::string all = "/api/v2/workspaces/ws-1/state-versions";
const std::string current = "/api/v2/workspaces/ws-1/current-state-version";

std::string md5_of(const std::string& bytes) { return hex(crypto::hash(crypto::HashKind::md5, bytes)); }

struct Stage : test::Stage {
  Api states;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : test::Stage(on, at), states({database, archivist, vault, urls, test::origin, includes}) {
    states.add_routes(router);
  }
  Task<> lock_for(std::string kind, std::string owner) {
    co_await sql("UPDATE terrane.workspaces SET lock_kind = '" + kind + "', lock_owner = '" + owner +
                 "' WHERE id = 'ws-1'");
  }
  Task<TestAnswer> create(json::object attributes, std::string as = "user-ann") {
    json::object body = test_document("state-versions", std::move(attributes));
    co_return co_await post(all, std::move(body), std::move(as));
  }
  /// With the bytes in the document.
  Task<TestAnswer> write(std::int64_t serial, std::string bytes, json::object more = {}) {
    json::object attributes{
        {"serial", serial}, {"md5", md5_of(bytes)}, {"lineage", "line"}, {"state", base64(bytes)}};
    for (auto& [key, value] : more) attributes[key] = value;
    co_return co_await create(std::move(attributes));
  }
  Task<Upload> upload(Id<Object> object, std::string md5, std::int64_t size) {
    postgres::Tx tx = co_await database.begin();
    Upload upload = co_await on_uploaded(tx, object, md5, size);
    co_await tx.commit();
    co_return upload;
  }
  Task<std::string> current_id() {
    TestAnswer answer = co_await get(current);
    co_return answer.status == 200 ? answer.text("/data/id") : std::to_string(answer.status);
  }
};

void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

TEST(StateApi, InlineStateIsCurrentAtOnce) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    EXPECT_EQ(co_await stage.current_id(), "404");
    TestAnswer made = co_await stage.write(3, "{\"serial\": 3}", {{"json-state", base64("{}")}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("sv-"));
    json::object expected{{"serial", 3},
                          {"lineage", "line"},
                          {"md5", md5_of("{\"serial\": 3}")},
                          {"size", 13},
                          {"status", "finalized"},
                          {"intermediate", false},
                          {"recovered", false},
                          {"resources-processed", false},
                          {"terraform-version", nullptr},
                          {"resources", json::array{}},
                          {"parse-error", nullptr}};
    for (const auto& [key, value] : expected)
      EXPECT_EQ(made.at("/data/attributes/" + std::string(key)), value) << key;
    EXPECT_FALSE(made.at("/data/attributes").as_object().contains("hosted-state-upload-url"));
    EXPECT_EQ(made.text("/data/relationships/created-by/data/id"), "user-ann");
    EXPECT_TRUE(made.at("/data/relationships/run/data").is_null());
    object::Grant grant = stage.grant_of(made.text("/data/attributes/hosted-state-download-url"));
    EXPECT_EQ(grant.access, object::Access::read);
    EXPECT_EQ(stage.archivist_role.bytes(grant.object.text()), "{\"serial\": 3}")
        << "exactly the bytes that were sent";
    EXPECT_EQ(co_await stage.current_id(), made.text("/data/id"));
    TestAnswer shown = co_await stage.get("/api/v2/state-versions/" + made.text("/data/id"));
    EXPECT_EQ(shown.at("/data"), made.at("/data"));
    TestAnswer download = co_await stage.get("/api/v2/state-versions/" + made.text("/data/id") + "/download");
    EXPECT_EQ(download.status, 302);
    EXPECT_EQ(stage.grant_of(std::string(*download.headers.find("Location"))).object, grant.object);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.outbox WHERE queue = 'terrane.services'"),
              "1")
        << "the parser is told";
  });
}

TEST(StateApi, HostedStateIsCurrentWithItsRawBytes) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    const std::string bytes = "raw";
    TestAnswer made = co_await stage.create({{"serial", 1}, {"md5", md5_of(bytes)}, {"lineage", "line"}});
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/attributes/status"), "pending");
    EXPECT_FALSE(made.at("/data/attributes").as_object().contains("hosted-state-download-url"));
    object::Grant raw = stage.grant_of(made.text("/data/attributes/hosted-state-upload-url"));
    object::Grant as_json = stage.grant_of(made.text("/data/attributes/hosted-json-state-upload-url"));
    EXPECT_EQ(raw.access, object::Access::write);
    EXPECT_EQ(as_json.access, object::Access::write);
    EXPECT_NE(raw.object, as_json.object);
    EXPECT_EQ(co_await stage.current_id(), "404") << "nothing before the bytes";
    const std::string one = "/api/v2/state-versions/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one + "/download")).status, 404);

    EXPECT_EQ(co_await stage.upload(as_json.object, "whatever", 2), Upload::done);
    EXPECT_EQ(co_await stage.current_id(), "404") << "the JSON form alone makes no state";
    EXPECT_EQ(co_await stage.upload(raw.object, md5_of(bytes), 3), Upload::done);
    EXPECT_EQ(co_await stage.current_id(), made.text("/data/id"));
    EXPECT_EQ(co_await stage.upload(raw.object, md5_of(bytes), 3), Upload::done)
        << "a repeat changes nothing";
    TestAnswer shown = co_await stage.get(one);
    EXPECT_EQ(shown.text("/data/attributes/status"), "finalized");
    EXPECT_EQ(shown.at("/data/attributes/size"), json::value(3));
    EXPECT_FALSE(shown.at("/data/attributes").as_object().contains("hosted-state-upload-url"))
        << "the URL is gone";
    EXPECT_EQ(co_await stage.upload(Id<Object>("obj-cv1"), "m", 10), Upload::not_a_state);
  });
}

TEST(StateApi, OtherBytesThanAnnouncedAreNoState) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    TestAnswer inlined = co_await stage.write(1, "abc", {{"md5", md5_of("other")}});
    EXPECT_EQ(inlined.status, 422);
    EXPECT_EQ(inlined.text("/errors/0/source/pointer"), "/data/attributes/md5");
    TestAnswer made = co_await stage.create({{"serial", 1}, {"md5", md5_of("abc")}});
    object::Grant raw = stage.grant_of(made.text("/data/attributes/hosted-state-upload-url"));
    EXPECT_EQ(co_await stage.upload(raw.object, md5_of("other"), 5), Upload::wrong_md5);
    EXPECT_EQ(co_await stage.upload(raw.object, md5_of("abc"), 3), Upload::discarded) << "discarded for good";
    EXPECT_EQ(co_await stage.current_id(), "404");
    EXPECT_EQ((co_await stage.get("/api/v2/state-versions/" + made.text("/data/id")))
                  .text("/data/attributes/status"),
              "discarded");
  });
}

TEST(StateApi, AnUploadAfterANewerStateIsToldSo) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    TestAnswer pending = co_await stage.create({{"serial", 1}, {"md5", md5_of("old")}});
    object::Grant raw = stage.grant_of(pending.text("/data/attributes/hosted-state-upload-url"));
    TestAnswer newer = co_await stage.write(2, "new");
    EXPECT_EQ(newer.status, 201);
    EXPECT_EQ(co_await stage.upload(raw.object, md5_of("old"), 3), Upload::discarded) << "it was superseded";
    EXPECT_EQ(co_await stage.current_id(), newer.text("/data/id"));
  });
}

TEST(StateApi, SerialAndLineageDecide) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    // An unuploaded one is no obstacle.
    EXPECT_EQ((co_await stage.create({{"serial", 1}, {"md5", md5_of("one")}, {"lineage", "line"}})).status,
              201);
    TestAnswer first = co_await stage.write(1, "one");
    EXPECT_EQ(first.status, 201);
    TestAnswer again = co_await stage.write(1, "one");
    EXPECT_EQ(again.status, 201) << "the same again is a new version";
    EXPECT_NE(again.text("/data/id"), first.text("/data/id"));
    EXPECT_NE(stage.grant_of(again.text("/data/attributes/hosted-state-download-url")).object,
              stage.grant_of(first.text("/data/attributes/hosted-state-download-url")).object)
        << "with bytes of its own";
    EXPECT_EQ((co_await stage.write(1, "uno")).status, 409) << "equal serial, other bytes";
    TestAnswer smaller = co_await stage.write(0, "zero");
    EXPECT_EQ(smaller.status, 409);
    EXPECT_NE(smaller.text("/errors/0/detail").find("serial"), std::string::npos);
    TestAnswer foreign = co_await stage.write(2, "two", {{"lineage", "other"}});
    EXPECT_EQ(foreign.status, 409);
    EXPECT_NE(foreign.text("/errors/0/detail").find("lineage"), std::string::npos);
    EXPECT_EQ(co_await stage.current_id(), again.text("/data/id"));
    TestAnswer forced = co_await stage.write(0, "zero", {{"lineage", "other"}, {"force", true}});
    EXPECT_EQ(forced.status, 201);
    EXPECT_EQ(co_await stage.current_id(), forced.text("/data/id"));
    EXPECT_EQ((co_await stage.write(1, "next", {{"lineage", "other"}})).status, 201);
  });
}

TEST(StateApi, OnlyTheLocksOwnerWrites) {
  run([](Stage& stage) -> Task<> {
    TestAnswer unlocked = co_await stage.write(1, "x");
    EXPECT_EQ(unlocked.status, 409);
    EXPECT_NE(unlocked.text("/errors/0/detail").find("not locked"), std::string::npos);
    co_await stage.lock_for("users", "user-root");
    TestAnswer by_other = co_await stage.write(1, "x");
    EXPECT_EQ(by_other.status, 409);
    EXPECT_NE(by_other.text("/errors/0/detail").find("is locked by User root"), std::string::npos)
        << by_other.body;
    co_await stage.lock_for("runs", "run-1");
    EXPECT_NE((co_await stage.write(1, "x")).text("/errors/0/detail").find("is locked by Run run-1"),
              std::string::npos);
    json::object attributes{{"serial", 1}, {"md5", md5_of("x")}, {"state", base64("x")}};
    EXPECT_EQ((co_await stage.create(attributes, "run-1")).status, 404) << "a run's token writes nothing";
    EXPECT_EQ((co_await stage.create(attributes, "org-1")).status, 404);
    co_await stage.lock_for("teams", "team-1");
    EXPECT_EQ((co_await stage.create(attributes, "user-ann")).status, 409)
        << "the team's lock is not its member's";
    EXPECT_EQ((co_await stage.create(attributes, "team-1")).status, 201);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_versions"), "1");
  });
}

TEST(StateApi, AnOutageLeavesNothingHalf) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    stage.archivist_role.set_away(true);
    EXPECT_EQ((co_await stage.write(1, "x")).status, 503);
    EXPECT_EQ(co_await stage.value("SELECT string_agg(status, ',') FROM terrane.state_versions"), "discarded")
        << "a pending one would keep the workspace locked";
    EXPECT_EQ((co_await stage.create({{"serial", 1}, {"md5", md5_of("x")}})).status, 201)
        << "making one needs no archivist";
    stage.archivist_role.set_away(false);
    EXPECT_EQ((co_await stage.write(1, "x")).status, 201);
  });
}

TEST(StateApi, NamesARunOfItsWorkspaceOnly) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    auto with_run = [&](std::string id) -> Task<TestAnswer> {
      json::object body =
          test_document("state-versions", {{"serial", 1}, {"md5", md5_of("x")}, {"state", base64("x")}});
      body["data"].as_object()["relationships"] =
          parse_json(R"({"run": {"data": {"type": "runs", "id": ")" + id + "\"}}}");
      co_return co_await stage.post(all, std::move(body));
    };
    TestAnswer made = co_await with_run("run-1");
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.text("/data/relationships/run/data/id"), "run-1");
    co_await stage.sql(
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, "
        "epoch)"
        " VALUES ('run-9', 'ws-9', 'cv-9', 'm', '1.0.0', 1)");
    for (const char* bad : {"run-9", "run-none"}) {
      TestAnswer refused = co_await with_run(bad);
      EXPECT_EQ(refused.status, 422) << bad;
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/relationships/run/data/id");
    }
  });
}

TEST(StateApi, RefusesBadInput) {
  run([](Stage& stage) -> Task<> {
    co_await stage.lock_for("users", "user-ann");
    const std::string md5 = md5_of("x");
    std::vector<std::pair<json::object, std::string>> bad{
        {{{"md5", md5}}, "serial"},
        {{{"serial", "1"}, {"md5", md5}}, "serial"},
        {{{"serial", -1}, {"md5", md5}}, "serial"},
        {{{"serial", 1.5}, {"md5", md5}}, "serial"},
        {{{"serial", 1}}, "md5"},
        {{{"serial", 1}, {"md5", "short"}}, "md5"},
        {{{"serial", 1}, {"md5", std::string(32, 'z')}}, "md5"},
        {{{"serial", 1}, {"md5", md5}, {"state", "no base64!"}}, "state"},
        {{{"serial", 1}, {"md5", md5}, {"state", 5}}, "state"},
        {{{"serial", 1}, {"md5", md5}, {"json-state", "%"}}, "json-state"},
        {{{"serial", 1}, {"md5", md5}, {"json-state", true}}, "json-state"},
        {{{"serial", 1}, {"md5", md5}, {"lineage", 5}}, "lineage"},
        {{{"serial", 1}, {"md5", md5}, {"force", "yes"}}, "force"}};
    for (const auto& [attributes, member] : bad) {
      TestAnswer refused = co_await stage.create(attributes);
      EXPECT_EQ(refused.status, 422) << json::serialize(attributes) << refused.body;
      EXPECT_EQ(refused.text("/errors/0/source/pointer"), "/data/attributes/" + member) << refused.body;
    }
    TestAnswer nothing = co_await stage.create({});
    EXPECT_NE(nothing.body.find("param is missing or the value is empty: serial"), std::string::npos);
    EXPECT_EQ(
        (co_await stage.create({{"serial", 1}, {"md5", md5}, {"lineage", std::string("\0", 1)}})).status,
        422);
    for (const char* body : {"", "{", "[]", R"({"data": []})", R"({"data": {"type": "runs"}})"}) {
      int status = (co_await stage.call(Method::post, all, body)).status;
      EXPECT_TRUE(status == 400 || status == 422) << body;
    }
    EXPECT_EQ((co_await stage.call(Method::post, all, std::string(49 << 20, ' '))).status, 413);
    std::string large(17 << 20, 'x');
    TestAnswer too_large = co_await stage.write(1, large);
    EXPECT_EQ(too_large.status, 413);
    EXPECT_NE(too_large.text("/errors/0/detail").find("16 MiB"), std::string::npos);
    EXPECT_EQ(co_await stage.value("SELECT count(*) FROM terrane.state_versions"), "0");
  });
}

}  // namespace
}  // namespace terrane::state
