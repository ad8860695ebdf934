#include "services/state_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "amqp/publisher.h"
#include "http/server.h"
#include "outbox/outbox.h"
#include "services/state_document.h"
#include "state/state.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "testing/test_rabbit.h"
#include "vault_client/fake_vault.h"

namespace terrane::services {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::run_task;

constexpr const char* good =
    R"({"version":4,"terraform_version":"1.12.6","outputs":{"a":{"value":{"k":[1,2]},"type":["object",{}]},
  "s":{"value":"secret","type":"string","sensitive":true}},
  "resources":[{"mode":"managed","type":"t","name":"n","provider":"p","instances":[{},{}]}]})";

/// A database with one workspace, and a server that answers for archivist.
struct World {
  explicit World(net::Executor executor)
      : database(executor, stores.options()),
        server(
            executor, [this](http::Request& request) { return answer(request); }, failed),
        archivist(executor, socket()) {
    stores.run(
        "INSERT INTO organizations (id, name, email) VALUES ('org-1', 'o', 'e@example.org');"
        "INSERT INTO projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'p');"
        "INSERT INTO workspaces (id, organization_id, project_id, name) VALUES ('ws-1', 'org-1', 'prj-1', "
        "'w')");
    server.listen_unix(socket());
  }

  std::filesystem::path socket() const { return directory.path() / "archivist.sock"; }
  StateParser::Needs needs(net::Executor executor) {
    return {executor, database, vault, archivist, std::nullopt, std::chrono::milliseconds(50)};
  }

  /// Adds a finalized state with this content.
  std::string add(std::string content) {
    std::string number = std::to_string(++added);
    contents["obj-" + number] = std::move(content);
    stores.run("INSERT INTO objects (id, kind, workspace_id, workspace, status) VALUES ('obj-" + number +
               "', 'state', 'ws-1', 'ws-1', 'live');" +
               "INSERT INTO state_versions (id, workspace_id, serial, md5, status, object_id) VALUES ('sv-" +
               number + "', 'ws-1', " + number + ", 'm', 'finalized', 'obj-" + number + "')");
    return "sv-" + number;
  }
  /// What the version's row says: processed, version, resources, error.
  Task<std::string> row(std::string id) {
    postgres::Result rows =
        co_await database.query({"test_state_row",
                                 "SELECT resources_processed, terraform_version, resources, parse_error FROM "
                                 "terrane.state_versions WHERE id = $1"},
                                postgres::Params::of(id));
    const postgres::Row found = rows[0];
    co_return std::string(found.boolean("resources_processed") ? "processed" : "waiting") + "|" +
        found.opt_string("terraform_version").value_or("-") + "|" + json::serialize(found.json("resources")) +
        "|" + found.opt_string("parse_error").value_or("-");
  }
  Task<> until_processed(std::string id, std::chrono::seconds limit = std::chrono::seconds(10)) {
    net::Clock::time_point end = net::Clock::now() + limit;
    while (!(co_await row(id)).starts_with("processed")) {
      if (net::Clock::now() > end) throw std::runtime_error(id + " is not processed");
      co_await net::sleep_for(std::chrono::milliseconds(5));
    }
  }
  Task<std::string> outputs(std::string id) {
    postgres::Result rows = co_await database.query(
        {"test_outputs",
         "SELECT * FROM terrane.state_version_outputs WHERE state_version_id = $1 ORDER BY name"},
        postgres::Params::of(id));
    std::string text;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Secret value = co_await vault.decrypt("terrane", rows[i].string("sealed_value"), rows[i].string("id"));
      text += rows[i].string("name") + " " + rows[i].string("type") +
              (rows[i].boolean("sensitive") ? " sensitive " : " ") + value.reveal() + "\n";
    }
    co_return text;
  }

  Task<http::Response> answer(http::Request& request) {
    ++asked;
    std::string id = request.path.substr(request.path.rfind('/') + 1);
    http::Response response;
    if (away) {
      response.status = 503;
    } else if (auto found = contents.find(id); found == contents.end()) {
      response.status = 404;
    } else {
      response.body = found->second;
    }
    co_return response;
  }
  static http::Response failed(const http::Request&, std::exception_ptr) {
    http::Response response;
    response.status = 500;
    return response;
  }

  testing::TestDatabase stores{testing::TestDatabase::Content::migrated};
  testing::TestDirectory directory{"services", ""};
  vault_client::FakeVault vault;
  postgres::Database database;
  std::map<std::string, std::string> contents;
  int added = 0;
  std::size_t asked = 0;
  bool away = false;
  http::Server server;
  object::ArchivistClient archivist;
};

/// A parser that runs until `stop`.
struct Running {
  Running(net::Executor executor, StateParser::Needs needs) : stop(executor), parser(std::move(needs)) {
    net::spawn(executor, parser.run(stop), [this](std::exception_ptr failure) {
      ended = true;
      EXPECT_FALSE(failure);
    });
  }
  Task<> end() {
    stop.request();
    co_await eventually("the parser has ended", [this] { return ended; });
  }
  net::Stop stop;
  StateParser parser;
  bool ended = false;
};

TEST(StateParser, StoresOutputsSealedAndResources) {
  run_task([](net::Executor executor) -> Task<> {
    World world(executor);
    Running running(executor, world.needs(executor));
    std::string id = world.add(good);
    co_await world.until_processed(id);
    EXPECT_EQ(
        co_await world.row(id),
        R"(processed|1.12.6|[{"name":"n","type":"t","count":2,"module":"root","address":"t.n","provider":"p"}]|-)");
    EXPECT_EQ(co_await world.outputs(id), "a object {\"k\":[1,2]}\ns string sensitive \"secret\"\n");
    co_await running.end();
    co_await world.server.stop(std::chrono::seconds(1));
  });
}

TEST(StateParser, TakesAThousandOutputsAndLargeOnesQuickly) {
  run_task([](net::Executor executor) -> Task<> {
    World world(executor);
    std::string content = R"({"version":4,"outputs":{"large":{"value":")" + std::string(4'500'000, 'x') +
                          R"("},"larger":{"value":")" + std::string(4'500'000, 'y') + "\"}";
    for (int i = 0; i < 1'000; ++i)
      content += ",\"o" + std::to_string(i) + R"(":{"value":)" + std::to_string(i) + "}";
    std::string id = world.add(content + "}}");
    net::Clock::time_point begin = net::Clock::now();
    Running running(executor, world.needs(executor));
    co_await world.until_processed(id);
    EXPECT_LT(net::Clock::now() - begin, std::chrono::seconds(6))
        << "2 s in a release build on a machine of its own";
    postgres::Result count = co_await world.database.query(
        {"test_count", "SELECT count(*) AS n FROM terrane.state_version_outputs"});
    EXPECT_EQ(count[0].integer("n"), 1'002);
    EXPECT_THAT(co_await world.row(id), ::testing::EndsWith("|-"));
    co_await running.end();
    co_await world.server.stop(std::chrono::seconds(1));
  });
}

TEST(StateParser, KeepsWhyAStateCannotBeParsed) {
  run_task([](net::Executor executor) -> Task<> {
    World world(executor);
    std::string garbage = world.add("garbage");
    std::string cut = world.add(std::string(good).substr(0, 100));
    std::string old = world.add(R"({"version":3})");
    std::string noted = world.add(R"({"version":4,"outputs":{"a":{"value":")" +
                                  std::string(value_limit, 'x') + R"(","type":"string"}}})");
    std::string fine = world.add(good);
    Running running(executor, world.needs(executor));
    for (const std::string& id : {garbage, cut, old, noted, fine}) co_await world.until_processed(id);
    EXPECT_THAT(co_await world.row(garbage), HasSubstr("The state is not JSON"));
    EXPECT_THAT(co_await world.row(cut), HasSubstr("before its JSON does"));
    EXPECT_THAT(co_await world.row(old), HasSubstr("format version 3"));
    EXPECT_THAT(co_await world.row(noted), HasSubstr("The value of output 'a' is too large"));
    EXPECT_EQ(co_await world.outputs(noted), "a string null\n") << "it is still listed";
    EXPECT_THAT(co_await world.outputs(fine), HasSubstr("secret"));
    co_await running.end();
    co_await world.server.stop(std::chrono::seconds(1));
  });
}

TEST(StateParser, TriesAgainWhatIsAway) {
  run_task([](net::Executor executor) -> Task<> {
    World world(executor);
    world.away = true;
    std::string id = world.add(good);
    Running running(executor, world.needs(executor));
    co_await eventually("archivist was asked twice", [&] { return world.asked >= 2; });
    EXPECT_THAT(co_await world.row(id), ::testing::StartsWith("waiting"));
    world.away = false;
    world.vault.set_sealed(true);
    std::size_t calls = world.vault.calls();
    co_await eventually("vault was asked", [&] { return world.vault.calls() > calls; });
    EXPECT_THAT(co_await world.row(id), ::testing::StartsWith("waiting"));
    world.vault.set_sealed(false);
    co_await world.until_processed(id);
    EXPECT_THAT(co_await world.outputs(id), HasSubstr("secret"));
    co_await running.end();
    co_await world.server.stop(std::chrono::seconds(1));
  });
}

TEST(StateParser, LooksAtOnceWhenWokenAndSeveralMayRun) {
  run_task([](net::Executor executor) -> Task<> {
    World world(executor);
    StateParser::Needs needs = world.needs(executor);
    needs.look_interval.reset();
    Running one(executor, needs), two(executor, needs);
    std::vector<std::string> ids;
    for (int i = 0; i < 30; ++i) ids.push_back(world.add(good));
    one.parser.wake();
    two.parser.wake();
    for (const std::string& id : ids) {
      co_await world.until_processed(id);
      EXPECT_EQ(co_await world.outputs(id), "a object {\"k\":[1,2]}\ns string sensitive \"secret\"\n");
    }
    co_await one.end();
    co_await two.end();
    co_await world.server.stop(std::chrono::seconds(1));
  });
}

TEST(StateParser, IsWokenByMessages) {
  testing::TestRabbit& rabbit = testing::TestRabbit::shared();
  run_task(
      [&](net::Executor executor) -> Task<> {
        World world(executor);
        amqp::Options options;
        options.port = rabbit.port();
        options.user = rabbit.user();
        options.password = Secret(rabbit.password());
        options.vhost = rabbit.vhost();
        StateParser::Needs needs = world.needs(executor);
        needs.look_interval.reset();
        needs.messages = options;
        Running running(executor, needs);
        amqp::Publisher publisher(executor, options);
        for (int i = 0; i < 40; ++i) {
          std::string id = world.add(good);
          co_await publisher.publish(std::string(outbox::services_queue), R"({"look":"states"})");
          co_await world.until_processed(id);
        }
        co_await running.end();
        co_await world.server.stop(std::chrono::seconds(1));
      },
      std::chrono::seconds(60));
}

}  // namespace
}  // namespace terrane::services
