#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>

#include "base/task.h"
#include "http/deadline.h"
#include "net/io.h"

namespace terrane::http {

/// A connected stream of bytes, plain or TLS. One coroutine uses it at a time. A failure of the connection,
/// and an operation that was cancelled, throws boost::system::system_error.
class Stream {
 public:
  virtual ~Stream() = default;
  /// TLS: agrees on keys and checks certificates. Throws Error{unavailable} with the reason when either side
  /// refuses the other.
  virtual Task<> handshake() = 0;
  /// Suspends until some bytes are there; returns how many, 0 at the end.
  virtual Task<std::size_t> read_some(std::span<char> into) = 0;
  /// Writes what goes at once without waiting, from the front of at most 4 pieces; returns how many bytes
  /// were taken.
  virtual std::size_t try_write(std::span<const std::string_view> pieces) = 0;
  /// Suspends until some bytes of the pieces (at most 4, or none when bytes are pending) are written; returns
  /// how many were taken.
  virtual Task<std::size_t> write_some(std::span<const std::string_view> pieces) = 0;
  /// Whether bytes that were taken still wait for the next write.
  virtual bool pending() const noexcept = 0;
  /// Tells the peer that nothing follows; what it sends can still be read. Never waits.
  virtual void finish() noexcept = 0;
  /// Whether the peer has neither closed nor sent anything since the last read. Never waits.
  virtual bool quiet() noexcept = 0;
  /// Ends the operation that is waiting.
  virtual void cancel() noexcept = 0;
  virtual void close() noexcept = 0;
  /// The common name of the peer's verified certificate; empty without one.
  virtual std::string peer_name() const { return {}; }
};

/// A stream over a connected socket, which it owns and makes non-blocking.
std::unique_ptr<Stream> make_plain_stream(net::Executor executor, int fd);

/// Connects a fresh close-on-exec socket (TCP or unix) before `until`. Returns its descriptor; throws
/// boost::system::system_error.
Task<int> connect_socket(std::shared_ptr<Deadlines> deadlines, const sockaddr* address, socklen_t length,
                         net::Clock::time_point until);

/// Sends without delay and without SIGPIPE what goes at once. Returns the number of bytes, 0 when the peer
/// must read first; throws boost::system::system_error.
std::size_t send_now(int fd, std::span<const std::string_view> pieces);

/// What `quiet` is for the socket below: nothing to read, not even the end.
bool nothing_to_read(int fd) noexcept;

}  // namespace terrane::http
