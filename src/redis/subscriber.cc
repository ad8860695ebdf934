#include "redis/subscriber.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/error.h"
#include "base/log.h"
#include "redis/stream.h"

namespace terrane::redis {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{1'000};
/// Redis is asked for a sign of life this often, and given up when the next time comes without one.
constexpr std::chrono::seconds ping_interval{5};

std::string text_of(std::exception_ptr failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (...) {
    return current_exception_text();
  }
  return {};
}

}  // namespace

struct Subscriber::Impl {
  Impl(net::Executor executor, Options given, Subscription wanted, Callback callback)
      : options(std::move(given)),
        subscription(std::move(wanted)),
        on_message(std::move(callback)),
        watchdog(std::move(executor)) {}

  Options options;
  Subscription subscription;
  Callback on_message;
  asio::cancellation_signal cancel;
  asio::steady_timer watchdog;
  std::shared_ptr<Stream> stream;
  bool heard = false;  // since the watchdog looked
  bool closed = false;

  /// The owner's code: what it throws must not end the listening.
  void notify(const std::string& channel, const std::string& payload) {
    if (closed) return;
    try {
      on_message(channel, payload);
    } catch (...) {
      log::error("a subscriber's callback failed",
                 {{"channel", channel}, {"error", current_exception_text()}});
    }
  }

  std::size_t subscriptions() const { return subscription.channels.size() + subscription.patterns.size(); }

  std::string subscribe_commands() const {
    std::string commands;
    for (const auto& [verb, names] :
         {std::pair("SUBSCRIBE", &subscription.channels), std::pair("PSUBSCRIBE", &subscription.patterns)}) {
      if (names->empty()) continue;
      std::vector<std::string> words{verb};
      words.insert(words.end(), names->begin(), names->end());
      commands += encode(words);
    }
    return commands;
  }

  /// Looks at each interval whether anything was heard, and asks for a sign of life. An attempt to connect
  /// must end within one interval too.
  static void watch(const std::shared_ptr<Impl>& self, net::Executor executor) {
    self->watchdog.expires_after(ping_interval);
    self->watchdog.async_wait([self, executor](boost::system::error_code cancelled) {
      if (cancelled || self->closed) return;
      if (!std::exchange(self->heard, false)) {
        self->cancel.emit(asio::cancellation_type::terminal);
        return;
      }
      if (self->stream) net::spawn(executor, "redis ping", ping(self->stream));
      watch(self, executor);
    });
  }

  static Task<> ping(std::shared_ptr<Stream> to) {
    try {
      co_await to->write(encode({"PING"}));
    } catch (const std::exception&) {
      to->close();  // the reader says why
    }
  }

  Task<> listen_once(std::chrono::milliseconds& pause) {
    stream = co_await Stream::open(options);
    co_await stream->write(subscribe_commands());
    std::size_t confirmed = 0;
    while (!closed) {
      Reply reply = co_await stream->read();
      heard = true;
      if (reply.kind == Reply::Kind::error) throw refusal(reply.text);
      if (reply.items.size() < 2) continue;
      const std::string& kind = reply.items[0].text;
      if ((kind == "subscribe" || kind == "psubscribe") && ++confirmed == subscriptions()) {
        pause = first_pause;
        notify("", "");
      } else if (kind == "message" && reply.items.size() == 3) {
        notify(reply.items[1].text, reply.items[2].text);
      } else if (kind == "pmessage" && reply.items.size() == 4) {
        notify(reply.items[2].text, reply.items[3].text);
      }
    }
  }

  /// One connection after another until the subscriber is closed. Each runs as a coroutine of its own, so
  /// that the watchdog can cancel it.
  static void listen(const std::shared_ptr<Impl>& self, net::Executor executor,
                     std::chrono::milliseconds pause) {
    auto next_pause = std::make_shared<std::chrono::milliseconds>(std::min(pause * 2, longest_pause));
    auto again = [self, executor, next_pause](std::exception_ptr failure) {
      self->stream.reset();
      self->watchdog.cancel();
      if (self->closed) return;
      log::debug("a subscriber lost its connection", {{"error", text_of(failure)}});
      self->watchdog.expires_after(*next_pause);
      self->watchdog.async_wait([self, executor, next_pause](boost::system::error_code cancelled) {
        if (!cancelled && !self->closed) listen(self, executor, *next_pause);
      });
    };
    self->heard = true;  // a whole interval for connecting
    watch(self, executor);
    asio::co_spawn(executor, self->listen_once(*next_pause),
                   asio::bind_cancellation_slot(self->cancel.slot(), std::move(again)));
  }
};

Subscriber::Subscriber(net::Executor executor, Options options, Subscription subscription,
                       Callback on_message)
    : impl_(std::make_shared<Impl>(executor, std::move(options), std::move(subscription),
                                   std::move(on_message))) {
  if (impl_->subscriptions() == 0) throw Error(Code::internal, "A subscriber without channels.");
  Impl::listen(impl_, executor, first_pause);
}

Subscriber::~Subscriber() {
  impl_->closed = true;
  impl_->watchdog.cancel();
  impl_->cancel.emit(asio::cancellation_type::terminal);
}

}  // namespace terrane::redis
