#include "outbox/outbox.h"

#include <gtest/gtest.h>

#include "amqp/consumer.h"
#include "amqp/publisher.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "testing/test_rabbit.h"

namespace terrane::outbox {
namespace {

using testing::TestDatabase;

/// A broker of a test: what it took, and whether it is there.
struct Broker {
  bool away = false;
  std::vector<std::string> taken;
  std::size_t asked = 0;
  std::optional<std::string> refused;  ///< a queue whose messages it does not take

  Publish publish() {
    return [this](std::string queue, std::string body) -> Task<> {
      ++asked;
      if (away || refused == queue) throw Error(Code::unavailable, "the broker is away");
      taken.push_back(queue + " " + body);
      co_return;
    };
  }
};

struct Stage {
  net::Executor executor;
  postgres::Database database;
  Broker broker;
  net::Stop stop;

  Stage(net::Executor on, const TestDatabase& at) : executor(on), database(on, at.options()), stop(on) {}

  Task<> write_numbered(int first, int last, std::string_view queue = jobs_queue) {
    postgres::Tx tx = co_await database.begin();
    for (int i = first; i <= last; ++i) {
      json::object body{{"n", i}};
      co_await write(tx, queue, body);
    }
    co_await tx.commit();
  }
  Task<std::int64_t> unsent() {
    constexpr Statement count{"test_unsent",
                              "SELECT count(*) AS n FROM terrane.outbox WHERE sent_at IS NULL"};
    postgres::Result result = co_await database.query(count);
    co_return result[0].integer("n");
  }
  Task<> until_all_sent() {
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(10);
    while (co_await unsent() > 0) {
      if (net::Clock::now() > end) throw std::runtime_error("messages stay unsent");
      co_await net::sleep_for(std::chrono::milliseconds(10));
    }
  }
};

void run(std::function<Task<>(Stage&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    co_await body(stage);
    stage.stop.request();
  });
}

std::string message(int number, std::string_view queue = jobs_queue) {
  return std::string(queue) + " {\"n\": " + std::to_string(number) + "}";
}

TEST(Outbox, SendsInOrderWhatCommitted) {
  run([](Stage& stage) -> Task<> {
    co_await stage.write_numbered(1, 3);
    {
      postgres::Tx tx = co_await stage.database.begin();
      json::object body{{"n", 99}};
      co_await write(tx, jobs_queue, body);
    }
    co_await stage.write_numbered(4, 4, services_queue);
    Relay relay(stage.executor, stage.database, stage.broker.publish());
    net::spawn(stage.executor, "relay", relay.run(stage.stop));
    co_await stage.until_all_sent();
    EXPECT_EQ(stage.broker.taken,
              (std::vector<std::string>{message(1), message(2), message(3), message(4, services_queue)}));
  });
}

TEST(Outbox, LooksWhenItIsWoken) {
  run([](Stage& stage) -> Task<> {
    Relay relay(stage.executor, stage.database, stage.broker.publish());
    net::spawn(stage.executor, "relay", relay.run(stage.stop));
    co_await stage.write_numbered(1, 1);
    relay.wake();
    co_await testing::eventually("the message", [&] { return stage.broker.taken.size() == 1; });
    co_await stage.write_numbered(2, 2);
    const net::Clock::time_point before = net::Clock::now();
    relay.wake();
    co_await testing::eventually("the second message", [&] { return stage.broker.taken.size() == 2; });
    EXPECT_LT(net::Clock::now() - before, std::chrono::milliseconds(1500)) << "and not only by the clock";
  });
}

TEST(Outbox, LooksByItselfAsOftenAsItIsTold) {
  run([](Stage& stage) -> Task<> {
    Broker other;
    Relay quick(stage.executor, stage.database, stage.broker.publish(), std::chrono::milliseconds(20));
    net::spawn(stage.executor, "quick", quick.run(stage.stop));
    Relay woken(stage.executor, stage.database, other.publish(), std::chrono::milliseconds(0));
    net::spawn(stage.executor, "woken", woken.run(stage.stop));
    for (int i = 1; i <= 30; ++i) {  // nobody wakes anybody
      co_await stage.write_numbered(i, i);
      co_await testing::eventually(
          "the message", [&] { return stage.broker.taken.size() + other.taken.size() == std::size_t(i); });
    }
    EXPECT_GE(stage.broker.taken.size(), 29U) << "the other one looks when it starts, and never again";
    stage.broker.away = true;
    co_await stage.write_numbered(31, 31);
    co_await testing::eventually("the other's message", [&] {
      woken.wake();
      return !other.taken.empty() && other.taken.back() == message(31);
    });
  });
}

TEST(Outbox, KeepsWhatTheBrokerDidNotTake) {
  run([](Stage& stage) -> Task<> {
    stage.broker.away = true;
    co_await stage.write_numbered(1, 250);
    Relay relay(stage.executor, stage.database, stage.broker.publish());
    net::spawn(stage.executor, "relay", relay.run(stage.stop));
    co_await testing::eventually("two tries", [&] { return stage.broker.asked >= 2; });
    EXPECT_EQ(co_await stage.unsent(), 250);
    stage.broker.away = false;
    co_await stage.until_all_sent();
    EXPECT_EQ(stage.broker.taken.size(), 250U);
    EXPECT_EQ(stage.broker.taken.back(), message(250));
  });
}

TEST(Outbox, MarksNothingOfABatchThatBroke) {
  run([](Stage& stage) -> Task<> {
    stage.broker.refused = std::string(services_queue);
    co_await stage.write_numbered(1, 2);
    co_await stage.write_numbered(3, 3, services_queue);
    Relay relay(stage.executor, stage.database, stage.broker.publish());
    net::spawn(stage.executor, "relay", relay.run(stage.stop));
    co_await testing::eventually("a first try", [&] { return stage.broker.taken.size() >= 2; });
    EXPECT_EQ(co_await stage.unsent(), 3);
    stage.broker.refused.reset();
    co_await stage.until_all_sent();
    std::set<std::string> all(stage.broker.taken.begin(), stage.broker.taken.end());
    EXPECT_EQ(all, (std::set<std::string>{message(1), message(2), message(3, services_queue)}))
        << "twice perhaps, never not at all";
  });
}

/// Publishes when the other relay has taken something too.
Task<> publish_after(Broker& own, Broker& other, std::string queue, std::string body) {
  co_await testing::eventually("the other relay takes some", [&other] { return !other.taken.empty(); });
  co_await own.publish()(std::move(queue), std::move(body));
}

TEST(Outbox, TwoRelaysTakeEachMessageOnce) {
  run([](Stage& stage) -> Task<> {
    co_await stage.write_numbered(1, 450);
    Broker other;
    Relay first(stage.executor, stage.database, [&](std::string queue, std::string body) {
      return publish_after(stage.broker, other, std::move(queue), std::move(body));
    });
    Relay second(stage.executor, stage.database, other.publish());
    net::spawn(stage.executor, "first", first.run(stage.stop));
    net::spawn(stage.executor, "second", second.run(stage.stop));
    co_await stage.until_all_sent();
    std::set<std::string> all(stage.broker.taken.begin(), stage.broker.taken.end());
    all.insert(other.taken.begin(), other.taken.end());
    EXPECT_EQ(all.size(), 450U);
    EXPECT_EQ(stage.broker.taken.size() + other.taken.size(), 450U);
    EXPECT_FALSE(other.taken.empty()) << "the second took what the first had not locked";
  });
}

TEST(Outbox, ReachesARealBroker) {
  testing::TestRabbit& rabbit = testing::TestRabbit::shared();
  run([&](Stage& stage) -> Task<> {
    amqp::Options options{"127.0.0.1", rabbit.port(), rabbit.user(), Secret(rabbit.password()),
                          rabbit.vhost()};
    amqp::Publisher publisher(stage.executor, options);
    std::vector<std::string> received;
    amqp::Consumer consumer(stage.executor, options, std::string(jobs_queue), 10,
                            [&](amqp::Delivery delivery) {
                              received.push_back(std::string(jobs_queue) + " " + delivery.body);
                              delivery.ack();
                            });
    Relay relay(stage.executor, stage.database, [&](std::string queue, std::string body) {
      return publisher.publish(std::move(queue), std::move(body));
    });
    co_await stage.write_numbered(1, 5);
    net::spawn(stage.executor, "relay", relay.run(stage.stop));
    co_await stage.until_all_sent();
    co_await testing::eventually("five messages", [&] { return received.size() == 5; });
    EXPECT_EQ(received,
              (std::vector<std::string>{message(1), message(2), message(3), message(4), message(5)}));
  });
}

}  // namespace
}  // namespace terrane::outbox
