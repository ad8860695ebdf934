// Against a real broker. Its start takes long, so that one test goes through several steps, each on a queue
// of its own.
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp/consumer.h"
#include "amqp/publisher.h"
#include "base/error.h"
#include "testing/run.h"
#include "testing/test_rabbit.h"

namespace terrane::amqp {
namespace {

using testing::eventually;
using testing::run_task;
using testing::TestRabbit;

Options options_of(const TestRabbit& broker) {
  return {.port = broker.port(),
          .user = broker.user(),
          .password = Secret(broker.password()),
          .vhost = broker.vhost()};
}

/// An administrator's blocking connection.
class Administrator {
 public:
  explicit Administrator(const TestRabbit& broker) : state_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(state_);
    if (amqp_socket_open(socket, "127.0.0.1", broker.port()) != AMQP_STATUS_OK)
      throw std::runtime_error("no connection");
    amqp_login(state_, broker.vhost().c_str(), 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, broker.user().c_str(),
               broker.password().c_str());
    amqp_channel_open(state_, 1);
    if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL) throw std::runtime_error("no channel");
  }
  ~Administrator() { amqp_destroy_connection(state_); }

  /// How many messages it removed.
  int purge(const char* queue) {
    return static_cast<int>(amqp_queue_purge(state_, 1, amqp_cstring_bytes(queue))->message_count);
  }
  /// Whether there is such a queue. When there is none, the connection can be used for nothing more.
  bool is_there(const char* queue) {
    return amqp_queue_declare(state_, 1, amqp_cstring_bytes(queue), 1, 0, 0, 0, amqp_empty_table) != nullptr;
  }
  void remove(const char* queue) { amqp_queue_delete(state_, 1, amqp_cstring_bytes(queue), 0, 0); }
  /// Whether the queue is there as a quorum queue: declaring it so again is refused when it is anything else.
  bool is_quorum(const char* queue) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes("x-queue-type");
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("quorum");
    return amqp_queue_declare(state_, 1, amqp_cstring_bytes(queue), 1, 1, 0, 0, {1, &entry}) != nullptr &&
           amqp_queue_declare(state_, 1, amqp_cstring_bytes(queue), 0, 1, 0, 0, {1, &entry}) != nullptr;
  }

 private:
  amqp_connection_state_t state_;
};

/// What a consumer was given and has not been acknowledged.
struct Inbox {
  std::vector<Delivery> deliveries;
  int connected = 0;
  Consumer::Callback deliver() {
    return [this](Delivery delivery) { deliveries.push_back(std::move(delivery)); };
  }
  std::function<void()> connect() {
    return [this] { ++connected; };
  }
  std::vector<std::string> bodies() const {
    std::vector<std::string> found;
    for (const Delivery& each : deliveries) found.push_back(each.body);
    return found;
  }
};

Task<Code> failure_of(Publisher& publisher, std::string queue, std::string body) {
  try {
    co_await publisher.publish(std::move(queue), std::move(body));
  } catch (const Error& error) {
    co_return error.code();
  }
  throw std::runtime_error("the message was confirmed");
}

/// Publishes until the broker takes it; how long that takes is limited by the test.
Task<> until_published(Publisher& publisher, std::string queue, std::string body) {
  for (;;) {
    try {
      co_await publisher.publish(queue, body);
      co_return;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
    }
    co_await net::sleep_for(std::chrono::milliseconds(20));
  }
}

Task<> delivers_until_acknowledged(net::Executor executor, const Options& options, Publisher& publisher) {
  std::string odd("a\0\xff", 3);
  std::string large(300'000, 'x');
  co_await publisher.publish("flow", odd);
  co_await publisher.publish("flow", large);
  Inbox first;
  auto consumer = std::make_unique<Consumer>(executor, options, "flow", 10, first.deliver(), first.connect());
  co_await eventually("both came", [&] { return first.deliveries.size() == 2; });
  EXPECT_EQ(first.connected, 1);
  EXPECT_EQ(first.bodies()[0], odd);
  EXPECT_TRUE(first.bodies()[1] == large);
  first.deliveries[0].ack();
  auto before = net::Clock::now();
  consumer.reset();
  EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
  first.deliveries[1].ack();  // too late: it must do nothing
  Inbox second;
  Consumer again(executor, options, "flow", 10, second.deliver());
  co_await eventually("the unacknowledged came again", [&] { return !second.deliveries.empty(); });
  EXPECT_EQ(second.deliveries.size(), 1U);
  EXPECT_TRUE(second.bodies()[0] == large);
}

Task<> confirms_many_at_once(net::Executor executor, Publisher& publisher, Administrator& administrator) {
  int confirmed = 0;
  int failed = 0;
  auto publish = [&](int number) -> Task<> { co_await publisher.publish("many", std::to_string(number)); };
  for (int number = 0; number < 200; ++number) {
    net::spawn(executor, publish(number),
               [&](std::exception_ptr problem) { ++(problem ? failed : confirmed); });
  }
  co_await eventually("all were answered", [&] { return confirmed + failed == 200; });
  EXPECT_EQ(failed, 0);
  EXPECT_TRUE(administrator.is_quorum("many"));
  EXPECT_EQ(administrator.purge("many"), 200);
  administrator.remove("many");
  co_await publisher.publish("many", "declares it again");
  EXPECT_EQ(administrator.purge("many"), 1);
}

Task<> holds_to_its_prefetch(net::Executor executor, const Options& options, Publisher& publisher) {
  for (const char* body : {"1", "2", "3", "4", "5"}) co_await publisher.publish("limited", body);
  Inbox inbox;
  Consumer consumer(executor, options, "limited", 2, inbox.deliver(), inbox.connect());
  co_await eventually("two came", [&] { return inbox.deliveries.size() == 2; });
  co_await publisher.publish("limited", "6");  // time enough for a third to come, if it would
  EXPECT_EQ(inbox.deliveries.size(), 2U);
  inbox.deliveries[0].ack();
  co_await eventually("the third came", [&] { return inbox.deliveries.size() == 3; });
  consumer.set_prefetch(4);
  co_await eventually("all came", [&] { return inbox.deliveries.size() >= 5; });
  EXPECT_THAT(inbox.bodies(), ::testing::IsSupersetOf({"1", "2", "3", "4", "5"}));
  consumer.set_prefetch(0);
  for (std::size_t i = 1; i < inbox.deliveries.size(); ++i) inbox.deliveries[i].ack();
  std::size_t before = inbox.deliveries.size();
  co_await publisher.publish("limited", "7");
  EXPECT_LE(inbox.deliveries.size(), before + 1)
      << "a stopped consumer may get what was on its way, not more";
  consumer.set_prefetch(1);
  co_await eventually("it goes on", [&] {
    for (const Delivery& each : inbox.deliveries) {
      if (each.body == "7") return true;
    }
    inbox.deliveries.back().ack();
    return false;
  });
  EXPECT_EQ(inbox.connected, 1);
}

Task<> survives_purge_and_deletion(net::Executor executor, const Options& options, Publisher& publisher,
                                   Administrator& administrator) {
  Inbox inbox;
  co_await publisher.publish("purged", "lost");
  EXPECT_EQ(administrator.purge("purged"), 1);
  Consumer consumer(executor, options, "purged", 1, inbox.deliver(), inbox.connect());
  co_await eventually("it consumes", [&] { return inbox.connected == 1; });
  administrator.remove("purged");
  co_await eventually("it has declared it again", [&] { return inbox.connected == 2; });
  co_await publisher.publish("purged", "kept");
  co_await eventually("it came", [&] { return !inbox.deliveries.empty(); });
  EXPECT_THAT(inbox.bodies(), ::testing::ElementsAre("kept"));
}

Task<> forgets_what_passes(net::Executor executor, Options options, Administrator& administrator) {
  options.passing_prefix = "passing.";
  options.passing_life = std::chrono::seconds(1);
  Publisher publisher(executor, options);
  co_await publisher.publish("passing.one", "unread");
  co_await publisher.publish("staying", "unread");
  EXPECT_EQ(administrator.purge("passing.one"), 1) << "it was there";
  co_await eventually("it is gone", [&] {
    try {
      return !Administrator(TestRabbit::shared()).is_there("passing.one");
    } catch (const std::exception&) {
      return false;
    }
  });
  EXPECT_TRUE(administrator.is_there("staying"));
  Inbox inbox;
  co_await publisher.publish("passing.one", "again");
  Consumer consumer(executor, options, "passing.one", 1, inbox.deliver(), inbox.connect());
  co_await eventually("it came", [&] { return !inbox.deliveries.empty(); });
  EXPECT_THAT(inbox.bodies(), ::testing::ElementsAre("again"));
}

TEST(Amqp, MovesMessagesThroughARealBroker) {
  TestRabbit& broker = TestRabbit::shared();
  Options options = options_of(broker);
  run_task(
      [&](net::Executor executor) -> Task<> {
        Publisher publisher(executor, options);
        Administrator administrator(broker);
        co_await delivers_until_acknowledged(executor, options, publisher);
        co_await confirms_many_at_once(executor, publisher, administrator);
        co_await holds_to_its_prefetch(executor, options, publisher);
        co_await survives_purge_and_deletion(executor, options, publisher, administrator);
        co_await forgets_what_passes(executor, options, administrator);
        EXPECT_EQ(co_await failure_of(publisher, "flow", std::string((1 << 20) + 1, 'x')), Code::too_large);
      },
      std::chrono::seconds(60));
}

TEST(Amqp, OutlivesABrokerThatIsSilentOrKilled) {
  TestRabbit& broker = TestRabbit::shared();
  Options options = options_of(broker);
  run_task(
      [&](net::Executor executor) -> Task<> {
        Publisher publisher(executor, options);
        Inbox inbox;
        Consumer consumer(executor, options, "restart", 10, inbox.deliver(), inbox.connect());
        co_await publisher.publish("restart", "before");
        co_await eventually("it came", [&] { return inbox.deliveries.size() == 1; });
        co_await eventually("the queue's name is on disk", [&] { return broker.has_written("restart"); });
        broker.pause();
        auto asked = net::Clock::now();
        EXPECT_EQ(co_await failure_of(publisher, "restart", "unheard"), Code::unavailable);
        EXPECT_LT(net::Clock::now() - asked, std::chrono::seconds(6));
        broker.kill();
        asked = net::Clock::now();
        EXPECT_EQ(co_await failure_of(publisher, "restart", "away"), Code::unavailable);
        EXPECT_LT(net::Clock::now() - asked, std::chrono::seconds(2));
        inbox.deliveries[0].ack();  // its connection is gone
        broker.start();
        co_await until_published(publisher, "restart", "after");
        co_await eventually("the consumer is back", [&] { return inbox.connected >= 2; });
        co_await eventually("old and new came", [&] {
          std::vector<std::string> bodies = inbox.bodies();
          return std::count(bodies.begin(), bodies.end(), "before") == 2 &&
                 std::count(bodies.begin(), bodies.end(), "after") >= 1;
        });
      },
      std::chrono::seconds(110));
}

TEST(Amqp, MakesAQueueAnewThatTheBrokerHasHalfLost) {
  TestRabbit& broker = TestRabbit::shared();
  Options options = options_of(broker);
  run_task(
      [&](net::Executor executor) -> Task<> {
        Publisher publisher(executor, options);
        co_await publisher.publish("young", "before");
        broker.kill();  // at once: whether it knows the queue afterwards is chance, but messages must flow
                        // again
        broker.start();
        Inbox inbox;
        Consumer consumer(executor, options, "young", 10, inbox.deliver(), inbox.connect());
        co_await eventually("it consumes", [&] { return inbox.connected > 0; }, std::chrono::seconds(30));
        co_await until_published(publisher, "young", "after");
        co_await eventually("it came", [&] { return std::ranges::count(inbox.bodies(), "after") > 0; });
      },
      std::chrono::seconds(110));
}

TEST(Amqp, FailsAndStopsPromptlyWithoutABroker) {
  run_task([&](net::Executor executor) -> Task<> {
    Options options{
        .port = static_cast<std::uint16_t>(testing::free_port()), .user = "x", .password = Secret("y")};
    auto publisher = std::make_unique<Publisher>(executor, options);
    auto consumer = std::make_unique<Consumer>(executor, options, "q", 1, [](Delivery) {});
    auto before = net::Clock::now();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await failure_of(*publisher, "q", "body"), Code::unavailable);
    EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
    before = net::Clock::now();
    publisher.reset();
    consumer.reset();
    EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
  });
}

TEST(Amqp, StopsPromptlyWhileItLogsInToABrokerThatIsSilent) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int port = testing::free_port();
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<std::uint16_t>(port));
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
  ASSERT_EQ(listen(listener, 5), 0);
  run_task([&](net::Executor executor) -> Task<> {
    Options options{.port = static_cast<std::uint16_t>(port), .user = "x", .password = Secret("y")};
    auto consumer = std::make_unique<Consumer>(executor, options, "q", 1, [](Delivery) {});
    int taken = -1;
    co_await eventually("it connected", [&] {
      taken = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      return taken >= 0;
    });
    auto before = net::Clock::now();
    consumer.reset();
    EXPECT_LT(net::Clock::now() - before, std::chrono::seconds(1));
    close(taken);
  });
  close(listener);
}

}  // namespace
}  // namespace terrane::amqp
