#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "archivist/upload.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "net/io.h"

namespace terrane::archivist {

constexpr std::size_t piece_size = 64 * 1024;  ///< bytes of a stream that are in memory at a time

[[noreturn]] inline void throw_too_large(const Object& row) {
  throw Error(Code::too_large, "An object of kind " + row.kind + " may have at most " +
                                   std::to_string(size_limit(row.kind)) + " bytes.");
}

/// Counts and hashes a stream of bytes of limited length.
class Meter {
 public:
  Meter(crypto::HashKind kind, std::uint64_t limit) : hasher_(kind), limit_(limit) {}
  void add(std::string_view bytes, const Object& row) {
    size_ += bytes.size();
    if (size_ > limit_) throw_too_large(row);
    hasher_.update(bytes);
  }
  std::uint64_t size() const noexcept { return size_; }
  std::string finish() { return hex(hasher_.finish()); }

 private:
  crypto::Hasher hasher_;
  std::uint64_t limit_;
  std::uint64_t size_ = 0;
};

/// Reads a body, or what is stored, to its end through a meter.
template <class Source>
Task<> drain(Source& source, Meter& meter, const Object& row) {
  constexpr std::uint64_t pause_distance = 4 * 1024 * 1024;
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  std::uint64_t pause_at = pause_distance;
  while (std::size_t count = co_await source.read(std::span<char>(piece.get(), piece_size))) {
    meter.add({piece.get(), count}, row);
    if (meter.size() < pause_at) continue;
    // What lies in the page cache is read without waiting: others must have their turn.
    pause_at += pause_distance;
    co_await net::sleep_for(net::Clock::duration::zero());
  }
}

}  // namespace terrane::archivist
