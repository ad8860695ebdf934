#include "amqp/publisher.h"

#include <deque>
#include <mutex>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "amqp/session.h"
#include "base/error.h"
#include "base/log.h"

namespace terrane::amqp {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds confirm_limit{5};
constexpr std::size_t largest_body = 1 << 20;
constexpr std::size_t most_waiting = 10'000;
constexpr std::chrono::milliseconds first_pause{200};
constexpr std::chrono::milliseconds longest_pause{2'000};
constexpr std::chrono::milliseconds look_interval{1'000};  // keeps the heartbeat going
/// A quorum queue that is just being made refuses messages for a moment.
constexpr std::chrono::milliseconds refused_pause{50};

Error away(std::string_view context) {
  return Error(Code::unavailable, "RabbitMQ is not available.").add_context(context);
}

/// The caller's side of a publication; touched on the executor only.
struct Waiting {
  explicit Waiting(const net::Executor& executor) : timer(executor, confirm_limit) {}
  asio::steady_timer timer;
  bool done = false;
  std::string failure;
};

/// The thread's side.
struct Publication {
  std::string queue;
  std::string body;
  std::shared_ptr<Waiting> waiting;
  net::Clock::time_point deadline;
  bool returned = false;  // no queue took it, once
};

}  // namespace

struct Publisher::Impl {
  Impl(net::Executor used, Options given) : executor(std::move(used)), options(std::move(given)) {}

  net::Executor executor;
  Options options;
  std::mutex mutex;
  std::deque<Publication> waiting;                   // under the mutex
  std::map<std::uint64_t, Publication> unconfirmed;  // the thread's, as all below
  std::vector<Publication> refused;                  // to be sent again at refused_until
  net::Clock::time_point refused_until;
  std::uint64_t last_tag = 0;
  std::chrono::milliseconds pause = first_pause;
  int failures = 0;
  Worker worker;  // last: its thread ends before the rest goes

  bool submit(Publication publication) {
    std::lock_guard lock(mutex);
    if (waiting.size() >= most_waiting) return false;
    waiting.push_back(std::move(publication));
    return true;
  }

  std::deque<Publication> take() {
    std::lock_guard lock(mutex);
    return std::exchange(waiting, {});
  }

  void end(Publication publication, std::string failure) {
    asio::post(executor, [waiter = std::move(publication.waiting), failure = std::move(failure)] {
      waiter->done = true;
      waiter->failure = failure;
      waiter->timer.cancel();
    });
  }

  void fail_all(const std::string& why) {
    for (Publication& each : take()) end(std::move(each), why);
    for (auto& [tag, each] : std::exchange(unconfirmed, {})) end(std::move(each), why);
    for (Publication& each : std::exchange(refused, {})) end(std::move(each), why);
  }

  void send(Session& session, Publication publication) {
    if (net::Clock::now() > publication.deadline) return;  // its caller is gone
    std::uint64_t tag = ++last_tag;
    Publication& kept = unconfirmed.emplace(tag, std::move(publication)).first->second;
    session.declare(kept.queue);
    session.publish(kept.queue, kept.body, tag);
  }

  /// The broker has answered for `tag`, or with `multiple` for all up to it.
  void confirm(Session& session, const Incoming& incoming, bool taken) {
    auto first = incoming.multiple ? unconfirmed.begin() : unconfirmed.find(incoming.tag);
    auto last = unconfirmed.upper_bound(incoming.tag);
    if (first == unconfirmed.end()) return;
    std::vector<Publication> confirmed;
    for (auto each = first; each != last; ++each) confirmed.push_back(std::move(each->second));
    unconfirmed.erase(first, last);
    for (Publication& each : confirmed) settle(session, std::move(each), taken);
  }

  void settle(Session& session, Publication publication, bool taken) {
    if (!taken) {
      if (refused.empty()) refused_until = net::Clock::now() + refused_pause;
      refused.push_back(std::move(publication));
      return;
    }
    if (!publication.returned) return end(std::move(publication), "");
    // The queue was deleted under us: declare it again and send once more.
    session.forget_declared(publication.queue);
    publication.returned = false;
    send(session, std::move(publication));
  }

  void handle(Session& session, const Incoming& incoming) {
    if (incoming.kind == Incoming::Kind::confirmed || incoming.kind == Incoming::Kind::refused) {
      confirm(session, incoming, incoming.kind == Incoming::Kind::confirmed);
    } else if (incoming.kind == Incoming::Kind::returned) {
      auto found = unconfirmed.find(std::strtoull(incoming.message_id.c_str(), nullptr, 10));
      if (found != unconfirmed.end()) found->second.returned = true;
    }
  }

  void serve() {
    Session session(options, worker);
    session.request_confirms();
    last_tag = 0;
    pause = first_pause;
    if (std::exchange(failures, 0) > 0) log::info("RabbitMQ is back");
    while (!worker.stopping()) {
      if (net::Clock::now() >= refused_until) {
        for (Publication& each : std::exchange(refused, {})) send(session, std::move(each));
      }
      for (Publication& each : take()) send(session, std::move(each));
      Incoming incoming;
      while (session.receive(incoming)) handle(session, incoming);
      // Tags are given in order of time, but for what was sent again, which is nearly as old.
      bool is_late = !unconfirmed.empty() && net::Clock::now() > unconfirmed.begin()->second.deadline;
      if (is_late) throw SessionLost("no confirmation in time");
      session.wait(refused.empty() ? look_interval : refused_pause);
    }
  }

  /// Between two attempts: who publishes meanwhile is told at once.
  void rest(const std::string& why) {
    net::Clock::time_point end_of_pause = net::Clock::now() + pause;
    while (!worker.stopping()) {
      fail_all(why);
      auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_of_pause - net::Clock::now());
      if (left.count() <= 0) break;
      worker.wait(-1, left);
    }
    pause = std::min(pause * 2, longest_pause);
  }

  void run() {
    while (!worker.stopping()) {
      std::string why = "the publisher is closed";
      try {
        serve();
      } catch (const std::exception& error) {
        why = error.what();
        if (failures++ == 0 && !worker.stopping()) log::warn("no connection to RabbitMQ", {{"error", why}});
      }
      rest(why);
    }
    fail_all("the publisher is closed");
  }
};

Publisher::Publisher(net::Executor executor, Options options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {
  impl_->worker.start([impl = impl_.get()] { impl->run(); });
}

Publisher::~Publisher() { impl_->worker.stop(); }

Task<> Publisher::publish(std::string queue, std::string body) {
  if (body.size() > largest_body) throw Error(Code::too_large, "A message is larger than 1 MiB.");
  std::shared_ptr<Impl> impl = impl_;
  auto waiting = std::make_shared<Waiting>(impl->executor);
  if (impl->worker.stopping()) throw away("the publisher is closed");
  Publication publication{std::move(queue), std::move(body), waiting, net::Clock::now() + confirm_limit};
  if (!impl->submit(std::move(publication))) throw away("too many messages wait");
  impl->worker.wake();
  boost::system::error_code woken;
  co_await waiting->timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  if (!waiting->done && woken) throw boost::system::system_error(woken);  // the caller is cancelled
  if (!waiting->done) throw away("not confirmed in time");
  if (!waiting->failure.empty()) throw away(waiting->failure);
}

}  // namespace terrane::amqp
