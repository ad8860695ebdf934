#include "http/chunked.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace terrane::http {
namespace {

constexpr std::size_t overhead_limit = 8 * 1024;

[[noreturn]] void refuse() { throw Error(Code::invalid, "The body is not properly chunked."); }

void expect(bool fulfilled) {
  if (!fulfilled) refuse();
}

}  // namespace

void ChunkDecoder::add_digit(char c) {
  unsigned digit = 0;
  if (c >= '0' && c <= '9') {
    digit = static_cast<unsigned>(c - '0');
  } else if (c >= 'a' && c <= 'f') {
    digit = static_cast<unsigned>(c - 'a') + 10;
  } else if (c >= 'A' && c <= 'F') {
    digit = static_cast<unsigned>(c - 'A') + 10;
  } else {
    refuse();
  }
  expect(left_ >> 59 == 0);  // a length that would not even fit a file offset
  left_ = left_ * 16 + digit;
}

void ChunkDecoder::step(char c) {
  expect(++overhead_ <= overhead_limit);
  switch (state_) {
    case State::size_first:
      left_ = 0;
      add_digit(c);
      state_ = State::size;
      break;
    case State::size:
      if (c == '\r') {
        state_ = State::size_line_feed;
      } else if (c == ';' || c == ' ' || c == '\t') {
        state_ = State::extension;
      } else {
        add_digit(c);
      }
      break;
    case State::extension:
      if (c == '\r') state_ = State::size_line_feed;
      expect(c == '\r' || c == '\t' || static_cast<unsigned char>(c) >= ' ');
      break;
    case State::size_line_feed:
      expect(c == '\n');
      state_ = left_ == 0 ? State::trailer_first : State::data;
      break;
    case State::data_return:
      expect(c == '\r');
      state_ = State::data_line_feed;
      break;
    case State::data_line_feed:
      expect(c == '\n');
      state_ = State::size_first;
      break;
    case State::trailer_first:
      state_ = c == '\r' ? State::end_line_feed : State::trailer;
      expect(c == '\r' || static_cast<unsigned char>(c) > ' ');
      break;
    case State::trailer:
      if (c == '\r') state_ = State::trailer_line_feed;
      expect(c == '\r' || c == '\t' || static_cast<unsigned char>(c) >= ' ');
      break;
    case State::trailer_line_feed:
      expect(c == '\n');
      state_ = State::trailer_first;
      break;
    case State::end_line_feed:
      expect(c == '\n');
      state_ = State::done;
      break;
    case State::data:
    case State::done: break;
  }
}

ChunkDecoder::Step ChunkDecoder::decode(std::string_view in, std::span<char> out) {
  Step result;
  while (result.consumed < in.size() && state_ != State::done) {
    if (state_ != State::data) {
      step(in[result.consumed++]);
      continue;
    }
    std::size_t room = std::min(in.size() - result.consumed, out.size() - result.produced);
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, room));
    if (count == 0) break;  // `out` is full
    std::memcpy(out.data() + result.produced, in.data() + result.consumed, count);
    result.consumed += count;
    result.produced += count;
    left_ -= count;
    overhead_ = 0;
    if (left_ == 0) state_ = State::data_return;
  }
  return result;
}

}  // namespace terrane::http
