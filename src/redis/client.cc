#include "redis/client.h"

#include <deque>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "redis/stream.h"

namespace terrane::redis {

namespace asio = boost::asio;

namespace {

constexpr std::size_t most_waiting = 10'000;
constexpr std::chrono::milliseconds first_pause{20};
constexpr std::chrono::milliseconds longest_pause{500};

Error away(std::string_view context) {
  return Error(Code::unavailable, "Redis is not available.").add_context(context);
}

/// A command between its call and its answer; the caller may be gone before the answer comes.
struct Waiting {
  Waiting(const net::Executor& executor, std::chrono::milliseconds limit) : timer(executor, limit) {}
  void end() {
    done = true;
    timer.cancel();
  }
  asio::steady_timer timer;  // its expiry is the command's limit; cancelling it wakes the caller
  Reply reply;
  std::string failure;
  bool done = false;
};

}  // namespace

/// One attempt to connect and, when it succeeds, one connection until it breaks. `session` numbers them: what
/// belongs to an older one is void.
struct Client::Impl : std::enable_shared_from_this<Client::Impl> {
  Impl(net::Executor used, Options given) : executor(std::move(used)), options(std::move(given)) {}

  void submit(std::string bytes, const std::shared_ptr<Waiting>& waiting) {
    outgoing += bytes;
    expected.push_back(waiting);
    if (!active) {
      active = true;
      cancel = std::make_shared<asio::cancellation_signal>();
      asio::co_spawn(executor, serve(shared_from_this(), ++session),
                     asio::bind_cancellation_slot(cancel->slot(), [kept = cancel](std::exception_ptr) {}));
    } else if (stream && !writing) {
      net::spawn(executor, "redis writer", write(shared_from_this(), stream, session));
      writing = true;
    }
  }

  /// Connects, then reads answers until the connection breaks.
  static Task<> serve(std::shared_ptr<Impl> self, std::uint64_t number) {
    std::string failure;
    try {
      std::shared_ptr<Stream> opened = co_await Stream::open(self->options);
      if (self->session != number) co_return;
      self->stream = opened;
      self->pause = first_pause;
      self->writing = true;
      net::spawn(self->executor, "redis writer", write(self, opened, number));
      for (;;) {
        Reply reply = co_await opened->read();
        if (self->session != number) co_return;
        self->answer(std::move(reply));
      }
    } catch (const std::exception& error) {
      failure = error.what();
    }
    if (self->session == number) self->drop(failure);
  }

  static Task<> write(std::shared_ptr<Impl> self, std::shared_ptr<Stream> to, std::uint64_t number) {
    try {
      while (self->session == number && !self->outgoing.empty())
        co_await to->write(std::exchange(self->outgoing, {}));
    } catch (const std::exception& error) {
      if (self->session == number) self->drop(error.what());
    }
    if (self->session == number) self->writing = false;
  }

  void answer(Reply reply) {
    if (expected.empty()) return drop("an answer came without a command");
    std::shared_ptr<Waiting> waiting = std::move(expected.front());
    expected.pop_front();
    waiting->reply = std::move(reply);
    waiting->end();
  }

  /// Ends the connection or the attempt; everything that waits fails, and for a moment everything new does.
  void drop(const std::string& why) {
    ++session;
    if (stream) stream->close();
    stream.reset();
    if (auto kept = std::exchange(cancel, nullptr)) kept->emit(asio::cancellation_type::terminal);
    active = false;
    writing = false;
    outgoing.clear();
    last_failure = why;
    blocked_until = net::Clock::now() + pause;
    pause = std::min(pause * 2, longest_pause);
    for (const std::shared_ptr<Waiting>& waiting : std::exchange(expected, {})) {
      waiting->failure = why.empty() ? "connection lost" : why;
      waiting->end();
    }
  }

  net::Executor executor;
  Options options;
  std::shared_ptr<Stream> stream;                     // empty while connecting
  std::shared_ptr<asio::cancellation_signal> cancel;  // of the attempt or connection
  std::string outgoing;
  std::deque<std::shared_ptr<Waiting>> expected;
  std::uint64_t session = 0;
  bool active = false;
  bool writing = false;
  std::string last_failure;
  net::Clock::time_point blocked_until;
  std::chrono::milliseconds pause = first_pause;
};

Client::Client(net::Executor executor, Options options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}

Client::~Client() { impl_->drop("the client is closed"); }

Task<Reply> Client::command(std::vector<std::string> words) {
  std::shared_ptr<Impl> impl = impl_;
  if (!impl->active && net::Clock::now() < impl->blocked_until) throw away(impl->last_failure);
  if (impl->expected.size() >= most_waiting) throw away("too many commands wait");
  auto waiting = std::make_shared<Waiting>(impl->executor, impl->options.command_time);
  impl->submit(encode(words), waiting);
  std::uint64_t number = impl->session;
  boost::system::error_code woken;
  co_await waiting->timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  if (!waiting->done && woken)
    throw boost::system::system_error(woken);  // the caller is cancelled; the answer will be passed over
  if (!waiting->done) {
    // Whatever is behind this connection does not answer: the next command tries a new one.
    if (impl->session == number) impl->drop("no answer in time");
    throw away("no answer in time");
  }
  if (!waiting->failure.empty()) throw away(waiting->failure);
  if (waiting->reply.kind == Reply::Kind::error)
    throw refusal(waiting->reply.text).add_context(words.front());
  co_return std::move(waiting->reply);
}

Task<std::optional<std::string>> Client::get(std::string key) {
  Reply reply = co_await command({"GET", std::move(key)});
  if (reply.kind == Reply::Kind::nil) co_return std::nullopt;
  co_return std::move(reply.text);
}

Task<> Client::set(std::string key, std::string value, std::chrono::milliseconds life) {
  co_await command({"SET", std::move(key), std::move(value), "PX", std::to_string(life.count())});
}

Task<> Client::remove(std::string key) { co_await command({"DEL", std::move(key)}); }

Task<std::int64_t> Client::count(std::string key, std::chrono::milliseconds window) {
  // One script, so that no count can stay behind without an end.
  static const std::string script =
      "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end "
      "return n";
  Reply reply = co_await command({"EVAL", script, "1", std::move(key), std::to_string(window.count())});
  co_return reply.integer;
}

Task<std::int64_t> Client::publish(std::string channel, std::string payload) {
  Reply reply = co_await command({"PUBLISH", std::move(channel), std::move(payload)});
  co_return reply.integer;
}

}  // namespace terrane::redis
