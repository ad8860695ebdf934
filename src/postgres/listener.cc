#include "postgres/listener.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "base/log.h"
#include "postgres/connection.h"

namespace terrane::postgres {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{1'000};

std::string listen_sql(const std::string& channel) {
  std::string quoted;
  for (char c : channel) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return "LISTEN \"" + quoted + "\"";
}

}  // namespace

struct Listener::Impl {
  ConnectionSettings settings;
  std::vector<std::string> channels;
  Callback on_notify;
  asio::cancellation_signal cancel;
  bool closed = false;

  /// The owner's code: what it throws must not end the listening.
  void notify(const std::string& channel, const std::string& payload) {
    if (closed) return;
    try {
      on_notify(channel, payload);
    } catch (...) {
      log::error("a listener's callback failed", {{"channel", channel}, {"error", current_exception_text()}});
    }
  }

  Task<> listen_once(std::chrono::milliseconds& pause) {
    std::unique_ptr<Connection> connection = co_await Connection::open(settings);
    for (const std::string& channel : channels) {
      std::string sql = listen_sql(channel);
      std::vector<Call> calls{Call{{"listen", sql}, {}, false}};
      co_await connection->run(calls);
    }
    pause = first_pause;
    notify("", "");
    while (!closed) {
      for (const Notification& found : co_await connection->notifications())
        notify(found.channel, found.payload);
    }
  }

  static Task<> listen(std::shared_ptr<Impl> self) {
    std::chrono::milliseconds pause = first_pause;
    while (!self->closed) {
      try {
        co_await self->listen_once(pause);
      } catch (...) {
        if (!self->closed)
          log::debug("a listener lost its connection", {{"error", current_exception_text()}});
      }
      if (self->closed) break;
      co_await net::sleep_for(pause);
      pause = std::min(pause * 2, longest_pause);
    }
  }
};

Listener::Listener(net::Executor executor, std::string url, std::vector<std::string> channels,
                   Callback on_notify)
    : impl_(std::make_shared<Impl>()) {
  impl_->settings = ConnectionSettings{std::move(url), "terrane listener"};
  impl_->channels = std::move(channels);
  impl_->on_notify = std::move(on_notify);
  // The handler keeps the signal alive as long as its slot is bound.
  asio::co_spawn(std::move(executor), Impl::listen(impl_),
                 asio::bind_cancellation_slot(impl_->cancel.slot(), [kept = impl_](std::exception_ptr) {}));
}

Listener::~Listener() {
  impl_->closed = true;
  impl_->cancel.emit(asio::cancellation_type::terminal);
}

}  // namespace terrane::postgres
