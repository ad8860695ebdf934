#pragma once
// Helpers of this folder's tests: a server on a thread of its own, and a raw socket that can send anything.
#include <arpa/inet.h>
#include <future>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/error.h"
#include "crypto/x509.h"
#include "http/client.h"
#include "http/server.h"

namespace terrane::http::test {

/// Runs coroutines on one thread of its own and lets the test wait for their results.
class Loop {
 public:
  Loop() : work_(context_.get_executor()), thread_([this] { context_.run(); }) {}
  ~Loop() {
    context_.stop();
    thread_.join();
  }
  net::Executor executor() { return context_.get_executor(); }

  /// Calls `function` on the thread and waits for it.
  void call(std::function<void()> function) {
    std::promise<void> done;
    boost::asio::post(context_, [&] {
      try {
        function();
        done.set_value();
      } catch (...) {
        done.set_exception(std::current_exception());
      }
    });
    done.get_future().get();
  }

  /// Runs the coroutine that `make` returns and waits for it; rethrows what it threw.
  void run(std::function<Task<>()> make) {
    std::promise<void> done;
    net::spawn(executor(), make(), [&](std::exception_ptr failure) {
      if (failure) {
        done.set_exception(failure);
      } else {
        done.set_value();
      }
    });
    done.get_future().get();
  }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

/// The answer for an Error in these tests.
inline Response error_answer(const Request&, std::exception_ptr failure) {
  Response response;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    response.status = error.code() == Code::invalid ? 400 : error.code() == Code::too_large ? 413 : 500;
    response.body = error.detail();
  } catch (...) {
    response.status = 500;
  }
  return response;
}

/// A server on a free port that is stopped with the object.
class TestServer {
 public:
  explicit TestServer(Handler handler, ServerOptions options = {}, std::optional<TlsServerOptions> tls = {}) {
    loop.call([&] {
      server = std::make_unique<Server>(loop.executor(), std::move(handler), error_answer, options);
      port = server->listen_tcp("127.0.0.1", 0, tls);
    });
  }
  ~TestServer() {
    if (server) stop(std::chrono::milliseconds(200));
    loop.call([&] { server.reset(); });
  }
  void stop(std::chrono::milliseconds limit) {
    loop.run([this, limit] { return server->stop(limit); });
  }

  Loop loop;
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;
};

/// A blocking TCP connection to a port of this machine; nothing waits longer than 10 s.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit = {10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Raw() { ::close(fd_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  /// Sends all of it; false when the peer does not take it.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Tells the peer that nothing follows.
  void finish() { ::shutdown(fd_, SHUT_WR); }
  int fd() const { return fd_; }
  /// Ends the connection with a reset.
  void reset() {
    linger at_once = {1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  /// Reads until `end` has come; returns all read up to its end, or what came before the connection ended.
  std::string read_to(std::string_view end) {
    while (true) {
      if (std::size_t at = buffer_.find(end); at != std::string::npos) {
        std::string result = buffer_.substr(0, at + end.size());
        buffer_.erase(0, result.size());
        return result;
      }
      if (!more()) return std::exchange(buffer_, {});
    }
  }
  /// Reads everything until the peer closes.
  std::string read_all() {
    while (more()) {
    }
    return std::exchange(buffer_, {});
  }
  /// Sends a request that is all there is, and reads to the end.
  std::string ask(std::string_view bytes) {
    send(bytes);
    return read_all();
  }
  /// Whether the peer has closed; what it sent before is kept.
  bool closed() { return !more() && errno != EAGAIN; }

 private:
  bool more() {
    std::array<char, 4096> piece;
    errno = 0;
    ssize_t got = ::recv(fd_, piece.data(), piece.size(), 0);
    if (got <= 0) return false;
    buffer_.append(piece.data(), static_cast<std::size_t>(got));
    return true;
  }

  int fd_;
  std::string buffer_;
};

}  // namespace terrane::http::test
