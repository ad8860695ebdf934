#include "http/connection.h"

#include <charconv>
#include <cstring>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "base/error.h"

namespace terrane::http {
namespace {

constexpr std::size_t piece_size = 64 * 1024;

/// Takes `count` bytes off the front of the pieces.
void advance(std::array<std::string_view, 4>& pieces, std::size_t count) {
  for (std::string_view& piece : pieces) {
    std::size_t here = std::min(count, piece.size());
    piece.remove_prefix(here);
    count -= here;
  }
}

bool empty(const std::array<std::string_view, 4>& pieces) {
  return std::ranges::all_of(pieces, [](std::string_view piece) { return piece.empty(); });
}

}  // namespace

Connection::Connection(std::shared_ptr<Deadlines> deadlines, std::unique_ptr<Stream> stream,
                       std::size_t buffer_size)
    : stream_(std::move(stream)),
      deadline_(std::move(deadlines), [this] { stream_->cancel(); }),
      buffer_(std::make_unique_for_overwrite<char[]>(buffer_size)),
      size_(buffer_size) {}

void Connection::consume(std::size_t count) noexcept {
  begin_ += count;
  if (begin_ == end_) begin_ = end_ = 0;
}

Task<std::size_t> Connection::fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  std::size_t got = co_await stream_->read_some({buffer_.get() + end_, size_ - end_});
  end_ += got;
  co_return got;
}

Task<> Connection::write(std::array<std::string_view, 4> pieces, net::Clock::duration idle) {
  advance(pieces, stream_->try_write(pieces));
  while (!empty(pieces) || stream_->pending()) {
    deadline_.set(idle);
    advance(pieces, co_await stream_->write_some(pieces));
  }
}

Task<> Connection::write_from(std::string_view head, ByteSource& source, Framing framing,
                              std::uint64_t length, net::Clock::duration idle) {
  if (framing != Framing::length) co_await write({head}, idle);
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  std::uint64_t left = length;
  while (true) {
    deadline_.clear();  // the source has limits of its own
    std::size_t got = co_await source.read({piece.get(), piece_size});
    std::string_view bytes(piece.get(), got);
    if (framing == Framing::length) {
      if (got > left || (got == 0 && left > 0))
        throw Error(Code::internal, "A streamed body has another length than it said.");
      left -= got;
      co_await write({std::exchange(head, {}), bytes}, idle);
      if (left == 0) co_return;
    } else if (framing == Framing::chunked) {
      std::array<char, 20> size;
      char* end = std::to_chars(size.data(), size.data() + 16, got, 16).ptr;
      *end++ = '\r';
      *end++ = '\n';
      // The empty chunk and the end of the trailer, which has no lines, look the same as data would.
      co_await write({std::string_view(size.data(), end), bytes, "\r\n"}, idle);
    } else if (got > 0) {
      co_await write({bytes}, idle);
    }
    if (got == 0) co_return;
  }
}

bool BodyReader::done() const noexcept {
  switch (framing_) {
    case Framing::none: return true;
    case Framing::length: return left_ == 0;
    case Framing::chunked: return chunks_.done();
    case Framing::to_end: return ended_;
  }
  return true;
}

Task<std::size_t> BodyReader::read_some(Connection& connection, std::span<char> into) {
  if (framing_ == Framing::length)
    into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, into.size())));
  while (true) {
    std::string_view have = connection.buffered();
    if (framing_ == Framing::chunked) {
      ChunkDecoder::Step step = chunks_.decode(have, into);
      connection.consume(step.consumed);
      if (step.produced > 0 || chunks_.done()) co_return step.produced;
    } else if (!have.empty()) {
      std::size_t count = std::min(have.size(), into.size());
      std::memcpy(into.data(), have.data(), count);
      connection.consume(count);
      if (framing_ == Framing::length) left_ -= count;
      co_return count;
    } else {
      std::size_t got = co_await connection.read_direct(into);
      if (framing_ == Framing::length) left_ -= got;
      if (got > 0) co_return got;
      if (framing_ == Framing::length) throw Error(Code::invalid, "The peer broke off within a body.");
      ended_ = true;
      co_return 0;
    }
    if (co_await connection.fill() == 0) throw Error(Code::invalid, "The peer broke off within a body.");
  }
}

Task<std::size_t> BodyReader::read(Connection& connection, std::span<char> into,
                                   std::optional<net::Clock::duration> idle) {
  if (done() || into.empty()) co_return 0;
  if (failed_) throw Error(Code::invalid, "The peer broke off within a body.");
  if (idle) connection.deadline().set(*idle);
  failed_ = true;
  try {
    std::size_t got = co_await read_some(connection, into);
    failed_ = false;
    if (idle) connection.deadline().clear();
    co_return got;
  } catch (const boost::system::system_error& error) {
    if (connection.deadline().expired())
      throw Error(Code::invalid, "The peer sent nothing of a body for too long.");
    if (error.code() == boost::asio::error::operation_aborted) throw;
    throw Error(Code::invalid, "The peer broke off within a body.").add_context(error.what());
  }
}

}  // namespace terrane::http
