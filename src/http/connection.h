#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "http/chunked.h"
#include "http/deadline.h"
#include "http/head.h"
#include "http/message.h"
#include "http/stream.h"

namespace terrane::http {

/// A stream with a buffer for what was read ahead and one time limit for whatever waits. What server and
/// client have in common.
class Connection {
 public:
  /// The buffer holds `buffer_size` bytes, so that is the longest header.
  Connection(std::shared_ptr<Deadlines> deadlines, std::unique_ptr<Stream> stream, std::size_t buffer_size);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const net::Clock::time_point made = net::Clock::now();

  Stream& stream() noexcept { return *stream_; }
  Deadlines::Entry& deadline() noexcept { return deadline_; }

  /// What has been read and not been consumed.
  std::string_view buffered() const noexcept { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t count) noexcept;
  bool full() const noexcept { return end_ - begin_ == size_; }
  /// Suspends until more bytes are in the buffer, which must not be full; returns how many, 0 at the end.
  Task<std::size_t> fill();
  /// Reads past the (empty) buffer.
  Task<std::size_t> read_direct(std::span<char> into) { return stream_->read_some(into); }

  /// Writes all of the pieces; a pause longer than `idle` ends it. What fits at once goes in one system call.
  Task<> write(std::array<std::string_view, 4> pieces, net::Clock::duration idle);
  /// Writes `head`, which ends with an empty line, and then all of `source`: `length` bytes, or chunked, or
  /// (`to_end`) as it is until the end of the connection. With a length the head goes out with the first
  /// bytes. Throws Error{internal} when the source has another length.
  Task<> write_from(std::string_view head, ByteSource& source, Framing framing, std::uint64_t length,
                    net::Clock::duration idle);

 private:
  std::unique_ptr<Stream> stream_;
  Deadlines::Entry deadline_;
  std::unique_ptr<char[]> buffer_;
  std::size_t size_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Reads one body from a connection.
class BodyReader {
 public:
  BodyReader() = default;
  BodyReader(Framing framing, std::uint64_t length)
      : framing_(framing), left_(framing == Framing::length ? length : 0) {}

  /// Suspends until some bytes are there; 0 at the end. Throws Error{invalid} when the peer broke off, sent
  /// nothing for `idle`, or what is not chunked. Without `idle` the connection's time limit stays as it is.
  Task<std::size_t> read(Connection& connection, std::span<char> into,
                         std::optional<net::Clock::duration> idle);
  bool done() const noexcept;
  bool failed() const noexcept { return failed_; }
  /// What is known to follow.
  std::uint64_t left() const noexcept { return left_; }

 private:
  Task<std::size_t> read_some(Connection& connection, std::span<char> into);

  Framing framing_ = Framing::none;
  std::uint64_t left_ = 0;
  ChunkDecoder chunks_;
  bool ended_ = false;  // of the connection
  bool failed_ = false;
};

}  // namespace terrane::http
