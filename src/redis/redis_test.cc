#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "redis/client.h"
#include "redis/stream.h"
#include "redis/subscriber.h"
#include "testing/run.h"
#include "testing/test_redis.h"

namespace terrane::redis {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestRedis;

Options options_of(const TestRedis& server) { return {.unix_path = server.socket()}; }

/// Repeats until Redis answers; how long that takes is limited by the test.
Task<> until_it_answers(Client& client) {
  for (;;) {
    try {
      co_await client.command({"PING"});
      co_return;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
    }
    co_await net::sleep_for(std::chrono::milliseconds(5));
  }
}

Task<Code> failure_of(Client& client, std::vector<std::string> words) {
  try {
    co_await client.command(std::move(words));
  } catch (const Error& error) {
    co_return error.code();
  }
  throw std::runtime_error("the command succeeded");
}

TEST(Encode, CountsBytes) { EXPECT_EQ(encode({"SET", "ü", ""}), "*3\r\n$3\r\nSET\r\n$2\r\nü\r\n$0\r\n\r\n"); }

TEST(Client, SetsGetsRemovesAndForgets) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    std::string value("a\0\r\n$5\r\nü", 11);
    EXPECT_EQ(co_await client.get("key"), std::nullopt);
    co_await client.set("key", value, std::chrono::minutes(1));
    EXPECT_EQ(co_await client.get("key"), value);
    co_await client.remove("key");
    EXPECT_EQ(co_await client.get("key"), std::nullopt);
    co_await client.set("short", "x", std::chrono::milliseconds(20));
    while (co_await client.get("short")) co_await net::sleep_for(std::chrono::milliseconds(5));
  });
}

TEST(Client, CountsInWindowsThatEnd) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    for (std::int64_t expected : {1, 2, 3})
      EXPECT_EQ(co_await client.count("rate", std::chrono::minutes(1)), expected);
    Reply life = co_await client.command({"PTTL", "rate"});
    EXPECT_GT(life.integer, 0);
    EXPECT_LE(life.integer, 60'000);
    co_await client.count("brief", std::chrono::milliseconds(20));
    while (co_await client.get("brief")) co_await net::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(co_await client.count("brief", std::chrono::minutes(1)), 1);
  });
}

TEST(Client, GivesEachOfManyItsOwnAnswer) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    int right = 0;
    auto ask = [&](int number) -> Task<> {
      std::string text = std::to_string(number) + std::string(static_cast<std::size_t>(number), 'x');
      Reply reply = co_await client.command({"ECHO", text});
      if (reply.text == text) ++right;
    };
    for (int number = 0; number < 1000; ++number) net::spawn(executor, "asker", ask(number));
    co_await eventually("all were answered rightly", [&] { return right == 1000; });
    Reply clients = co_await client.command({"CLIENT", "LIST"});
    EXPECT_EQ(std::count(clients.text.begin(), clients.text.end(), '\n'), 1) << "one connection is enough";
  });
}

TEST(Client, ReadsLargeAndNestedAnswers) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    std::string large(5 << 20, 'x');
    co_await client.set("large", large, std::chrono::minutes(1));
    EXPECT_TRUE(*co_await client.get("large") == large);
    Reply nested = co_await client.command({"EVAL", "return {1, {'a', false}}", "0"});
    EXPECT_EQ(nested.kind, Reply::Kind::array);
    EXPECT_EQ(nested.items[1].items[0].text, "a");
    EXPECT_EQ(nested.items[1].items[1].kind, Reply::Kind::nil);
  });
}

TEST(Client, TellsARefusalFromAnAbsence) {
  TestRedis server("secret");
  run_task([&](net::Executor executor) -> Task<> {
    Options options = options_of(server);
    Client stranger(executor, options);
    EXPECT_EQ(co_await failure_of(stranger, {"GET", "x"}), Code::internal);
    options.password = Secret("wrong");
    Client wrong(executor, options);
    EXPECT_EQ(co_await failure_of(wrong, {"GET", "x"}), Code::unavailable);
    options.password = Secret("secret");
    Client client(executor, options);
    EXPECT_EQ(co_await failure_of(client, {"NOSUCH"}), Code::internal);
    EXPECT_EQ(co_await client.get("x"), std::nullopt);
  });
}

TEST(Client, FailsAtOnceWhileRedisIsAwayAndComesBack) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    co_await client.set("key", "x", std::chrono::minutes(1));
    server.kill();
    auto before = net::Clock::now();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await failure_of(client, {"GET", "key"}), Code::unavailable);
    EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
    server.start();
    co_await until_it_answers(client);
    EXPECT_EQ(co_await client.get("key"), std::nullopt);
  });
}

TEST(Client, DoesNotHangOnARedisThatIsSilent) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Options options = options_of(server);
    options.command_time = std::chrono::milliseconds(100);
    Client client(executor, options);
    co_await client.command({"PING"});
    server.pause();
    auto before = net::Clock::now();
    EXPECT_EQ(co_await failure_of(client, {"GET", "x"}), Code::unavailable);
    EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
    server.resume();
    co_await until_it_answers(client);
    // An answer that came too late must not be taken for that of a later command.
    Reply reply = co_await client.command({"ECHO", "mine"});
    EXPECT_EQ(reply.text, "mine");
  });
}

TEST(Client, GivesUpOnAnAddressThatDoesNotAnswer) {
  // A listener with a full backlog takes no connection: further attempts hang as with a host that is gone.
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = testing::free_port();
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<std::uint16_t>(port));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  run_task([&](net::Executor executor) -> Task<> {
    Options options{.port = static_cast<std::uint16_t>(port), .command_time = std::chrono::milliseconds(100)};
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) {
      clients.push_back(std::make_unique<Client>(executor, options));
      EXPECT_EQ(co_await failure_of(*clients.back(), {"PING"}), Code::unavailable);
    }
  });
  close(listener);
}

using Heard = std::vector<std::pair<std::string, std::string>>;

TEST(Subscriber, HearsItsChannelsAndEveryReconnect) {
  TestRedis server("secret");
  run_task([&](net::Executor executor) -> Task<> {
    Options options = options_of(server);
    options.password = Secret("secret");
    Client client(executor, options);
    Heard heard;
    auto hear = [&](const std::string& channel, const std::string& payload) {
      heard.emplace_back(channel, payload);
      if (payload == "throw") throw std::runtime_error("the callback's own problem");
    };
    Subscriber subscriber(executor, options, {{"events", "other"}, {"log:*"}}, hear);
    co_await eventually("it listens", [&] { return heard.size() == 1; });
    EXPECT_EQ(co_await client.publish("events", "throw"), 1);
    EXPECT_EQ(co_await client.publish("log:7", std::string("a\0b", 3)), 1);
    EXPECT_EQ(co_await client.publish("nobody", "x"), 0);
    co_await eventually("both came", [&] { return heard.size() == 3; });
    server.kill();
    server.start();
    co_await eventually("it is back", [&] { return heard.size() == 4; });
    co_await until_it_answers(client);
    EXPECT_EQ(co_await client.publish("other", "y"), 1);
    co_await eventually("it hears again", [&] { return heard.size() == 5; });
    EXPECT_EQ(
        heard,
        (Heard{{"", ""}, {"events", "throw"}, {"log:7", std::string("a\0b", 3)}, {"", ""}, {"other", "y"}}));
  });
}

TEST(Subscriber, IsSilentOnceItIsDestroyed) {
  TestRedis server;
  run_task([&](net::Executor executor) -> Task<> {
    Client client(executor, options_of(server));
    int heard = 0;
    auto subscriber = std::make_unique<Subscriber>(executor, options_of(server), Subscription{{"events"}, {}},
                                                   [&](const std::string&, const std::string&) { ++heard; });
    co_await eventually("it listens", [&] { return heard == 1; });
    subscriber.reset();
    while (co_await client.publish("events", "late") > 0)
      co_await net::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(heard, 1);
  });
}

TEST(Subscriber, StartsBeforeRedisDoes) {
  TestRedis server;
  server.kill();
  run_task([&](net::Executor executor) -> Task<> {
    int heard = 0;
    Subscriber subscriber(executor, options_of(server), {{"events"}, {}},
                          [&](const std::string&, const std::string&) { ++heard; });
    co_await net::sleep_for(std::chrono::milliseconds(0));  // lets it try
    server.start();
    co_await eventually("it listens", [&] { return heard == 1; });
  });
}

}  // namespace
}  // namespace terrane::redis
