#include "ssh_key/ssh_key_api.h"

#include <gtest/gtest.h>

#include "ssh_key/ssh_key.h"
#include "vault_client/fake_vault.h"
#include "workspace/testing_stage.h"
#include "workspace/workspace_api.h"

namespace terrane::ssh_key {
namespace {

using api::test_document;

struct Stage : workspace::test::Stage {
  vault_client::FakeVault vault;
  Api keys;
  workspace::Api workspaces;
  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at), keys(database, vault), workspaces(database, includes) {
    keys.add_routes(router);
    workspaces.add_routes(router);
  }
};

void run(std::function<Task<>(Stage&)> body) {
  workspace::test::run_on<Stage>([body = std::move(body)](Stage& stage) -> Task<> {
    co_await stage.vault.ensure_key("terrane");
    co_await body(stage);
  });
}

const std::string all = "/api/v2/organizations/acme/ssh-keys";
const std::string assigned = "/api/v2/workspaces/ws-1/relationships/ssh-key";

json::object with_id(json::value id) { return test_document("workspaces", {{"id", std::move(id)}}); }

TEST(SshKeyApi, NeverShowsTheKeyItself) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made =
        co_await stage.post(all, test_document("ssh-keys", {{"name", "mine"}, {"value", "PRIVATE"}}));
    EXPECT_EQ(made.status, 201) << made.body;
    EXPECT_TRUE(made.text("/data/id").starts_with("sshkey-"));
    EXPECT_EQ(made.at("/data/attributes"), parse_json(R"({"name": "mine"})"));
    const std::string one = "/api/v2/ssh-keys/" + made.text("/data/id");
    EXPECT_EQ((co_await stage.get(one)).at("/data"), made.at("/data"));
    api::TestAnswer list = co_await stage.get(all);
    EXPECT_EQ(list.at("/data/0"), made.at("/data"));
    EXPECT_EQ(list.text("/meta/pagination/total-count"), "1");
    const std::string stored = co_await stage.value("SELECT k::text FROM terrane.ssh_keys k");
    EXPECT_EQ(stored.find("PRIVATE"), std::string::npos) << "it is sealed";
    api::TestAnswer renamed =
        co_await stage.patch(one, test_document("ssh-keys", {{"name", "ours"}, {"value", "OTHER"}}));
    EXPECT_EQ(renamed.text("/data/attributes/name"), "ours");
    EXPECT_EQ(renamed.body.find("OTHER"), std::string::npos);
    co_await stage.patch(assigned, with_id(made.at("/data/id")));
    postgres::Tx tx = co_await stage.database.begin();
    std::optional<Secret> key = co_await of_workspace(tx, stage.vault, "ws-1");
    EXPECT_EQ(key.value().reveal(), "PRIVATE") << "a key is renamed, not replaced";
    EXPECT_FALSE(co_await of_workspace(tx, stage.vault, "ws-2"));
  });
}

TEST(SshKeyApi, IsAssignedToWorkspaces) {
  run([](Stage& stage) -> Task<> {
    api::TestAnswer made =
        co_await stage.post(all, test_document("ssh-keys", {{"name", "mine"}, {"value", "PRIVATE"}}));
    const std::string id = made.text("/data/id");
    const std::string related = "/data/relationships/ssh-key/data";
    api::TestAnswer shown = co_await stage.patch(assigned, with_id(json::value(id)));
    EXPECT_EQ(shown.status, 200) << shown.body;
    EXPECT_EQ(shown.text(related + "/id"), id);
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1")).text(related + "/id"), id);
    EXPECT_TRUE((co_await stage.patch(assigned, with_id(nullptr))).at(related).is_null());
    json::object identifier{{"data", json::object{{"type", "ssh-keys"}, {"id", id}}}};
    EXPECT_EQ((co_await stage.patch(assigned, identifier)).text(related + "/id"), id);
    EXPECT_EQ((co_await stage.patch(assigned, with_id("sshkey-nothing"))).status, 404);
    EXPECT_EQ((co_await stage.patch(assigned, test_document("workspaces", {}))).status, 422);
    EXPECT_EQ((co_await stage.patch(assigned, with_id(5))).status, 422);
    for (const char* as : {"user-bob", "user-eve", "run-1"})
      EXPECT_EQ((co_await stage.patch(assigned, with_id(nullptr), as)).status, 404) << as;
    EXPECT_EQ((co_await stage.patch("/api/v2/workspaces/ws-9/relationships/ssh-key", with_id(json::value(id)),
                                    "user-root"))
                  .status,
              404)
        << "a key of another organization";
    EXPECT_EQ((co_await stage.get("/api/v2/workspaces/ws-1")).text(related + "/id"), id);
    EXPECT_EQ((co_await stage.del("/api/v2/ssh-keys/" + id)).status, 204);
    EXPECT_EQ((co_await stage.del("/api/v2/ssh-keys/" + id)).status, 404);
    EXPECT_TRUE((co_await stage.get("/api/v2/workspaces/ws-1")).at(related).is_null());
  });
}

TEST(SshKeyApi, RefusesStrangersAndBadInput) {
  run([](Stage& stage) -> Task<> {
    const json::object good = test_document("ssh-keys", {{"name", "mine"}, {"value", "PRIVATE"}});
    api::TestAnswer made = co_await stage.post(all, good);
    const std::string one = "/api/v2/ssh-keys/" + made.text("/data/id");
    for (const char* as : {"user-bob", "user-eve", "run-1"}) {
      EXPECT_EQ((co_await stage.get(all, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.post(all, good, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.get(one, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.patch(one, good, as)).status, 404) << as;
      EXPECT_EQ((co_await stage.del(one, as)).status, 404) << as;
    }
    const std::vector<std::pair<json::object, const char*>> bad{
        {{{"value", "v"}}, "/data/attributes/name"},
        {{{"name", " "}, {"value", "v"}}, "/data/attributes/name"},
        {{{"name", std::string(256, 'x')}, {"value", "v"}}, "/data/attributes/name"},
        {{{"name", "n"}}, "/data/attributes/value"},
        {{{"name", "n"}, {"value", ""}}, "/data/attributes/value"},
        {{{"name", "n"}, {"value", std::string(most_value_bytes + 1, 'x')}}, "/data/attributes/value"},
        {{{"name", 5}, {"value", "v"}}, "/data/attributes/name"}};
    for (const auto& [attributes, pointer] : bad) {
      api::TestAnswer answer = co_await stage.post(all, test_document("ssh-keys", attributes));
      EXPECT_EQ(answer.status, 422);
      EXPECT_EQ(answer.text("/errors/0/source/pointer"), pointer);
    }
    EXPECT_EQ((co_await stage.get(all)).text("/meta/pagination/total-count"), "1");
  });
}

}  // namespace
}  // namespace terrane::ssh_key
