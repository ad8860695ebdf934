#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/task.h"
#include "http/message.h"
#include "net/io.h"

namespace terrane::http {

/// The TLS side of a listener: certificate chain and key in PEM. With `client_ca` each client must show a
/// certificate of that CA.
struct TlsServerOptions {
  std::string certificate_pem;
  std::string key_pem;
  std::string client_ca_pem;
};

struct ServerOptions {
  std::chrono::seconds idle{75};         ///< a kept connection without a request is closed after this
  std::chrono::seconds header_time{20};  ///< from a request's first byte to the end of its header
  std::chrono::seconds body_idle{60};    ///< longest pause inside a body, in either direction
  std::size_t header_bytes = 16 * 1024;  ///< 431 above
  std::size_t connections = 4096;        ///< further ones are accepted and closed
};

/// An HTTP/1.1 server: keep-alive, pipelined requests answered in order one at a time, bodies streamed both
/// ways, TLS 1.2 and 1.3. One executor. A handler's exception becomes an answer by `on_error`. What is left
/// of a request's body is read and dropped up to 1 MiB after the answer, else the connection closes. HEAD is
/// answered like GET without a body. `Expect: 100-continue` is honoured at the first read of the body.
/// Lifecycle: construct, listen…, and `stop` before destruction.
class Server {
 public:
  using ErrorHandler = std::function<Response(const Request&, std::exception_ptr)>;
  Server(net::Executor executor, Handler handler, ErrorHandler on_error, ServerOptions options = {});
  ~Server();

  /// Serves an already bound and listening socket (TCP or unix), which it owns from now on. Without `tls` it
  /// speaks plain HTTP.
  void listen(int fd, std::optional<TlsServerOptions> tls = {});
  /// Binds and listens on `address:port` (port 0: a free one). Returns the port. Throws Error{unavailable}
  /// that names address and cause.
  std::uint16_t listen_tcp(const std::string& address, std::uint16_t port,
                           std::optional<TlsServerOptions> tls = {});
  /// Binds and listens on a unix socket with permissions `mode`; a stale socket file is replaced.
  void listen_unix(const std::filesystem::path& path, unsigned mode = 0660);

  /// Stops accepting, answers requests in flight with `Connection: close`, closes idle connections; suspends
  /// until all are closed, at most `limit`, then cuts the rest.
  Task<> stop(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Binds a listening TCP socket (SO_REUSEADDR, close-on-exec) and returns its descriptor. The supervisor
/// binds before it starts a role.
int bind_tcp(const std::string& address, std::uint16_t port);
/// The port a listening TCP socket is bound to.
std::uint16_t local_port(int fd);

}  // namespace terrane::http
