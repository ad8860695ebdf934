#include "amqp/consumer.h"

#include <mutex>

#include <boost/asio/post.hpp>

#include "amqp/session.h"
#include "base/error.h"
#include "base/log.h"

namespace terrane::amqp {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds first_pause{200};
constexpr std::chrono::milliseconds longest_pause{2'000};
constexpr std::chrono::milliseconds look_interval{1'000};  // keeps the heartbeat going

void call(const std::function<void()>& callback) {
  try {
    callback();
  } catch (...) {
    log::error("a consumer's callback failed", {{"error", current_exception_text()}});
  }
}

/// An acknowledgement on its way to the thread; it belongs to one connection.
struct Ack {
  std::uint64_t connection;
  std::uint64_t tag;
};

/// A broker that was killed soon after it had made a quorum queue may know its name and nothing else:
/// consuming then hangs for ever. After so many times the queue is made anew; its messages are hints only,
/// whose senders repeat them.
constexpr int stuck_limit = 2;

}  // namespace

struct Consumer::Impl : std::enable_shared_from_this<Consumer::Impl> {
  Impl(net::Executor used, Options given, std::string name, std::uint16_t limit, Callback deliver,
       std::function<void()> connect)
      : executor(std::move(used)),
        options(std::move(given)),
        queue(std::move(name)),
        on_delivery(std::move(deliver)),
        on_connected(std::move(connect)),
        prefetch(limit) {}

  const net::Executor executor;
  const Options options;
  const std::string queue;
  const Callback on_delivery;                // called on the executor
  const std::function<void()> on_connected;  // the same
  bool closed = false;                       // the executor's
  std::mutex mutex;
  std::vector<Ack> acks;                                  // under the mutex
  std::uint16_t prefetch;                                 // the same
  std::uint64_t connection = 0;                           // the thread's, as all below
  std::uint64_t consumption = 0;                          // numbers the subscriptions of a connection
  int limit_in_force = 0;                                 // of the current subscription, 0 for none
  std::map<std::uint64_t, std::uint64_t> unacknowledged;  // tag → subscription
  int stuck = 0;                                          // consecutive times that consuming hung
  std::chrono::milliseconds pause = first_pause;
  int failures = 0;
  Worker worker;  // last: its thread ends before the rest goes

  void acknowledge(Ack ack) {
    if (closed) return;
    {
      std::lock_guard lock(mutex);
      acks.push_back(ack);
    }
    worker.wake();
  }

  void deliver(const Incoming& incoming) {
    std::weak_ptr<Impl> weak = weak_from_this();
    Ack ack{connection, incoming.tag};
    asio::post(executor, [weak, ack, body = incoming.body]() mutable {
      std::shared_ptr<Impl> self = weak.lock();
      if (!self || self->closed) return;
      auto acknowledge = [weak, ack] {
        if (std::shared_ptr<Impl> again = weak.lock()) again->acknowledge(ack);
      };
      call([&] { self->on_delivery({std::move(body), acknowledge}); });
    });
  }

  void announce() {
    asio::post(executor, [weak = weak_from_this()] {
      std::shared_ptr<Impl> self = weak.lock();
      if (self && !self->closed && self->on_connected) call(self->on_connected);
    });
  }

  /// The broker applies a limit to subscriptions that begin after it and counts for each apart: what is open
  /// of earlier ones is deducted.
  void apply_prefetch(Session& session) {
    int wanted;
    {
      std::lock_guard lock(mutex);
      wanted = prefetch;
    }
    for (const auto& [tag, subscription] : unacknowledged) wanted -= subscription != consumption ? 1 : 0;
    wanted = std::max(wanted, 0);
    if (wanted == limit_in_force) return;
    if (limit_in_force > 0) session.cancel_consume(consumption);
    limit_in_force = wanted;
    if (wanted > 0) consume(session, static_cast<std::uint16_t>(wanted));
  }

  void consume(Session& session, std::uint16_t limit) {
    try {
      session.consume(queue, limit, ++consumption);
      stuck = 0;
    } catch (const CallTimedOut&) {
      ++stuck;
      throw;
    }
  }

  void send_acks(Session& session) {
    std::vector<Ack> taken;
    {
      std::lock_guard lock(mutex);
      taken.swap(acks);
    }
    for (const Ack& ack : taken) {
      if (ack.connection == connection && unacknowledged.erase(ack.tag) > 0) session.acknowledge(ack.tag);
    }
  }

  void serve() {
    Session session(options, worker);
    ++connection;
    limit_in_force = 0;
    unacknowledged.clear();
    if (stuck >= stuck_limit) {
      log::warn("a queue does not answer and is made anew", {{"queue", queue}});
      stuck = 0;
      session.remove(queue);
    }
    session.declare(queue);
    apply_prefetch(session);
    pause = first_pause;
    if (std::exchange(failures, 0) > 0) log::info("RabbitMQ is back", {{"queue", queue}});
    announce();
    while (!worker.stopping()) {
      send_acks(session);
      apply_prefetch(session);
      Incoming incoming;
      while (session.receive(incoming)) {
        if (incoming.kind != Incoming::Kind::delivered) continue;
        unacknowledged.emplace(incoming.tag, incoming.consumption);
        deliver(incoming);
      }
      session.wait(look_interval);
    }
    send_acks(session);
  }

  void run() {
    while (!worker.stopping()) {
      try {
        serve();
      } catch (const std::exception& error) {
        if (failures++ == 0 && !worker.stopping())
          log::warn("no connection to RabbitMQ", {{"queue", queue}, {"error", error.what()}});
      }
      net::Clock::time_point end_of_pause = net::Clock::now() + pause;
      while (!worker.stopping() && net::Clock::now() < end_of_pause) {
        worker.wait(-1, std::chrono::ceil<std::chrono::milliseconds>(end_of_pause - net::Clock::now()));
      }
      pause = std::min(pause * 2, longest_pause);
    }
  }
};

Consumer::Consumer(net::Executor executor, Options options, std::string queue, std::uint16_t prefetch,
                   Callback on_delivery, std::function<void()> on_connected)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(queue), prefetch,
                                   std::move(on_delivery), std::move(on_connected))) {
  impl_->worker.start([impl = impl_.get()] { impl->run(); });
}

Consumer::~Consumer() {
  impl_->worker.stop();
  impl_->closed = true;
}

void Consumer::set_prefetch(std::uint16_t prefetch) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->prefetch = prefetch;
  }
  impl_->worker.wake();
}

}  // namespace terrane::amqp
