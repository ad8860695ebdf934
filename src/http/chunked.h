#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace terrane::http {

/// Decodes the chunked transfer coding (RFC 9112 section 7.1) piece by piece and strictly: lines end with CR
/// LF, extensions are skipped, trailers are dropped. Lines that carry no data are limited to 8 KiB a chunk.
class ChunkDecoder {
 public:
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };
  /// Takes as much of `in` as fits `out`. Throws Error{invalid} on what is not chunked.
  Step decode(std::string_view in, std::span<char> out);
  /// Whether the last chunk and its trailer have been read.
  bool done() const noexcept { return state_ == State::done; }

 private:
  enum class State {
    size_first,
    size,
    extension,
    size_line_feed,
    data,
    data_return,
    data_line_feed,
    trailer_first,
    trailer,
    trailer_line_feed,
    end_line_feed,
    done
  };
  void step(char c);
  void add_digit(char c);

  State state_ = State::size_first;
  std::uint64_t left_ = 0;    // bytes of this chunk
  std::size_t overhead_ = 0;  // bytes of lines since the last data
};

}  // namespace terrane::http
