#include "http/stream.h"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace terrane::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

[[noreturn]] void throw_errno(int number) {
  throw boost::system::system_error(error_code(number, boost::system::system_category()));
}

class PlainStream final : public Stream {
 public:
  PlainStream(net::Executor executor, int fd)
      : socket_(std::move(executor), asio::generic::stream_protocol(AF_UNSPEC, 0), fd) {
    socket_.native_non_blocking(true);
  }

  Task<> handshake() override { co_return; }

  Task<std::size_t> read_some(std::span<char> into) override {
    error_code failure;
    std::size_t got = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                                       asio::redirect_error(asio::use_awaitable, failure));
    if (failure == asio::error::eof) co_return 0;
    if (failure) throw boost::system::system_error(failure);
    co_return got;
  }

  std::size_t try_write(std::span<const std::string_view> pieces) override {
    return send_now(socket_.native_handle(), pieces);
  }

  Task<std::size_t> write_some(std::span<const std::string_view> pieces) override {
    std::array<asio::const_buffer, 4> buffers;
    for (std::size_t i = 0; i < pieces.size(); ++i)
      buffers[i] = asio::buffer(pieces[i].data(), pieces[i].size());
    co_return co_await socket_.async_write_some(buffers, asio::use_awaitable);
  }

  bool pending() const noexcept override { return false; }
  void finish() noexcept override { ::shutdown(socket_.native_handle(), SHUT_WR); }
  bool quiet() noexcept override { return nothing_to_read(socket_.native_handle()); }
  void cancel() noexcept override {
    error_code ignored;
    socket_.cancel(ignored);
  }
  void close() noexcept override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  asio::generic::stream_protocol::socket socket_;
};

/// One attempt; false when a unix socket's queue of connections is full.
Task<bool> try_connect(asio::posix::stream_descriptor& socket, const sockaddr* address, socklen_t length) {
  if (::connect(socket.native_handle(), address, length) == 0) co_return true;
  if (errno == EAGAIN) co_return false;
  if (errno != EINPROGRESS) throw_errno(errno);
  co_await socket.async_wait(asio::posix::stream_descriptor::wait_write, asio::use_awaitable);
  int failure = 0;
  socklen_t size = sizeof failure;
  ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_ERROR, &failure, &size);
  if (failure != 0) throw_errno(failure);
  co_return true;
}

}  // namespace

std::unique_ptr<Stream> make_plain_stream(net::Executor executor, int fd) {
  return std::make_unique<PlainStream>(std::move(executor), fd);
}

std::size_t send_now(int fd, std::span<const std::string_view> pieces) {
  std::array<iovec, 4> parts{};
  for (std::size_t i = 0; i < pieces.size(); ++i)
    parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message = {};
  message.msg_iov = parts.data();
  message.msg_iovlen = pieces.size();
  ssize_t sent;
  do {
    sent = ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
  throw_errno(errno);
}

bool nothing_to_read(int fd) noexcept {
  char byte;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

Task<int> connect_socket(std::shared_ptr<Deadlines> deadlines, const sockaddr* address, socklen_t length,
                         net::Clock::time_point until) {
  int fd = ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw_errno(errno);
  asio::posix::stream_descriptor socket(co_await asio::this_coro::executor, fd);
  if (address->sa_family != AF_UNIX) {
    int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Deadlines::Entry deadline(deadlines, [&socket] {
    error_code ignored;
    socket.cancel(ignored);
  });
  deadline.set(until - net::Clock::now());
  try {
    while (!co_await try_connect(socket, address, length)) {
      co_await net::sleep_for(std::chrono::milliseconds(5));
      if (net::Clock::now() >= until) throw_errno(ETIMEDOUT);
    }
  } catch (const boost::system::system_error&) {
    if (deadline.expired()) throw_errno(ETIMEDOUT);
    throw;
  }
  co_return socket.release();
}

}  // namespace terrane::http
