#include "http/server.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "http/session.h"
#include "http/tls.h"

namespace terrane::http {
namespace {

namespace asio = boost::asio;
using Acceptor = asio::posix::stream_descriptor;

constexpr int accept_batch = 32;

[[noreturn]] void cannot_listen(const std::string& where, int number) {
  throw Error(Code::unavailable, "Cannot listen on " + where + ": " + std::strerror(number) + ".");
}

/// The peer's address of a connected socket as text.
std::string peer_text(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text.data(), text.size());
  } else if (address.ss_family == AF_INET6) {
    const in6_addr& bytes = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    // An IPv4 peer of a socket for both families is shown as what it is.
    if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
      ::inet_ntop(AF_INET, bytes.s6_addr + 12, text.data(), text.size());
    } else {
      ::inet_ntop(AF_INET6, &bytes, text.data(), text.size());
    }
  } else {
    return "unix";
  }
  return text.data();
}

void start_session(std::shared_ptr<ServerCore> core, int fd, const sockaddr_storage& address,
                   std::shared_ptr<TlsContext> tls) {
  if (address.ss_family != AF_UNIX) {
    int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  auto stream =
      tls ? make_tls_stream(core->executor, fd, std::move(tls)) : make_plain_stream(core->executor, fd);
  auto session = std::make_shared<Session>(core, std::move(stream), peer_text(address));
  asio::co_spawn(
      core->executor, Session::run(session),
      asio::bind_cancellation_slot(session->cancellation().slot(), [session](std::exception_ptr) {}));
}

/// Accepts what waits. Returns errno of what went wrong, 0 when there is nothing more.
int accept_waiting(const std::shared_ptr<ServerCore>& core, Acceptor& acceptor,
                   const std::shared_ptr<TlsContext>& tls) {
  for (int i = 0; i < accept_batch; ++i) {
    sockaddr_storage address = {};
    socklen_t length = sizeof address;
    int fd = ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &length,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED || errno == EINTR ? 0 : errno;
    if (core->sessions.size() >= core->options.connections) {
      ::close(fd);
    } else {
      start_session(core, fd, address, tls);
    }
  }
  return 0;
}

Task<> accept_all(std::shared_ptr<ServerCore> core, std::shared_ptr<Acceptor> acceptor,
                  std::shared_ptr<TlsContext> tls) {
  while (!core->stopping) {
    boost::system::error_code failure;
    co_await acceptor->async_wait(Acceptor::wait_read, asio::redirect_error(asio::use_awaitable, failure));
    if (failure || core->stopping) co_return;
    if (int number = accept_waiting(core, *acceptor, tls)) {
      // Out of descriptors or memory: they come back when connections end.
      log::warn("cannot accept a connection", {{"error", std::strerror(number)}});
      co_await net::sleep_for(std::chrono::milliseconds(100));
    }
  }
}

}  // namespace

struct Server::Impl {
  std::shared_ptr<ServerCore> core;
  std::vector<std::shared_ptr<Acceptor>> acceptors;

  void stop_accepting() {
    core->stopping = true;
    for (auto& acceptor : acceptors) {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    }
    acceptors.clear();
  }
  /// Calls `what` for each session; it may end sessions.
  void for_each(void (Session::*what)()) {
    std::vector<Session*> all(core->sessions.begin(), core->sessions.end());
    for (Session* session : all) {
      if (core->sessions.contains(session)) (session->*what)();
    }
  }
};

Server::Server(net::Executor executor, Handler handler, ErrorHandler on_error, ServerOptions options)
    : impl_(std::make_shared<Impl>()) {
  impl_->core =
      std::make_shared<ServerCore>(std::move(executor), std::move(handler), std::move(on_error), options);
}

Server::~Server() {
  impl_->stop_accepting();
  impl_->for_each(&Session::cut);
}

void Server::listen(int fd, std::optional<TlsServerOptions> tls) {
  auto acceptor = std::make_shared<Acceptor>(impl_->core->executor, fd);
  acceptor->native_non_blocking(true);
  std::shared_ptr<TlsContext> context = tls ? make_tls_server(*tls) : nullptr;
  impl_->acceptors.push_back(acceptor);
  net::spawn(impl_->core->executor, "http accept", accept_all(impl_->core, acceptor, context));
}

std::uint16_t Server::listen_tcp(const std::string& address, std::uint16_t port,
                                 std::optional<TlsServerOptions> tls) {
  int fd = bind_tcp(address, port);
  std::uint16_t bound = local_port(fd);
  listen(fd, std::move(tls));
  return bound;
}

void Server::listen_unix(const std::filesystem::path& path, unsigned mode) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) cannot_listen(path.string(), ENAMETOOLONG);
  std::strcpy(address.sun_path, path.c_str());
  struct stat existing = {};
  if (::lstat(path.c_str(), &existing) == 0 && S_ISSOCK(existing.st_mode)) ::unlink(path.c_str());
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) cannot_listen(path.string(), errno);
  // The mode of the socket goes to its file, so nobody else can connect before chmod.
  if (::fchmod(fd, mode) != 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), mode) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    int number = errno;
    ::close(fd);
    cannot_listen(path.string(), number);
  }
  listen(fd);
}

Task<> Server::stop(std::chrono::milliseconds limit) {
  std::shared_ptr<Impl> impl = impl_;
  impl->stop_accepting();
  impl->for_each(&Session::close_if_idle);
  auto until = net::Clock::now() + limit;
  while (!impl->core->sessions.empty() && net::Clock::now() < until)
    co_await impl->core->session_ended.wait_for(until - net::Clock::now());
  impl->for_each(&Session::cut);
  // A handler that was cancelled ends at its next suspension; what cannot be cancelled is not waited for.
  until = net::Clock::now() + std::chrono::seconds(1);
  while (!impl->core->sessions.empty() && net::Clock::now() < until)
    co_await impl->core->session_ended.wait_for(until - net::Clock::now());
}

int bind_tcp(const std::string& address, std::uint16_t port) {
  std::string where = address + " port " + std::to_string(port);
  addrinfo wanted = {};
  wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int failure = ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &wanted, &found)) {
    throw Error(Code::unavailable, "Cannot listen on " + where + ": " + ::gai_strerror(failure) + ".");
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) cannot_listen(where, errno);
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    int number = errno;
    ::close(fd);
    cannot_listen(where, number);
  }
  return fd;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port) : 0;
}

}  // namespace terrane::http
