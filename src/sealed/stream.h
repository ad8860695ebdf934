#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "sealed/header.h"

namespace terrane::sealed {

// An object is its header and then chunks of AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar,
// Rogaway, Vizár 2015): nonce = 7 random bytes from the header || number of the chunk (u32) || 1 for the last
// chunk, else 0; associated data = the header. Every chunk but the last holds `chunk_size` bytes of
// plaintext; an empty object has one empty chunk.

constexpr std::size_t chunk_size = 64 * 1024;               ///< plaintext bytes of a chunk
constexpr std::size_t sealed_chunk_size = chunk_size + 16;  ///< with its tag
constexpr std::size_t stream_prefix_size = 7;

/// Seals one object piece by piece with constant memory. The key must be of this object alone.
class Sealer {
 public:
  /// Throws Error{invalid} when the identity does not fit a header.
  Sealer(DataKey key, Identity identity);
  /// The same with a given nonce prefix, for tests that pin bytes: two objects under one key and prefix would
  /// lose their secrecy.
  Sealer(DataKey key, Identity identity, std::string prefix);

  /// The header's bytes, first in the object.
  const std::string& begin() const noexcept { return header_.bytes; }
  /// Takes plaintext, returns the ciphertext that is complete.
  std::string update(std::string_view plaintext);
  /// The last chunk; the object is used up.
  std::string finish();

 private:
  std::string seal_chunk(std::string_view plaintext, bool last);
  Secret key_;
  Header header_;
  std::string pending_;  // at most one chunk: whether it is the last is known when more comes, or finish()
  std::uint64_t next_ = 0;
  bool finished_ = false;
};

/// Opens one object piece by piece with constant memory. Feed it what follows the header. What it returns is
/// authentic; that it is whole is known when `finish` has returned.
class Opener {
 public:
  /// Throws Damaged when the header is not that of this object, kind and workspace.
  Opener(Secret key, Header header, std::string_view object, std::string_view kind,
         std::string_view workspace);

  /// Makes it expect the bytes from chunk `number` on (see `locate`). With `to_the_end` false the bytes end
  /// with another chunk than the last. Call it before the first update.
  void at_chunk(std::uint32_t number, bool to_the_end);
  /// Takes ciphertext, returns the plaintext that is certain. Throws Damaged.
  std::string update(std::string_view ciphertext);
  /// The rest of the plaintext, at most one chunk. Throws Damaged when the last chunk was not there.
  std::string finish();

 private:
  std::string open_chunk(std::string_view ciphertext, bool last);
  Secret key_;
  Header header_;
  std::string pending_;
  std::uint64_t next_ = 0;
  bool to_the_end_ = true;
  bool finished_ = false;
};

/// The bytes of a whole object with so much plaintext.
std::uint64_t sealed_size(std::uint64_t plain_size, std::size_t header_size);
/// The plaintext's bytes in an object of `sealed_total` bytes; nothing when no object has that size.
std::optional<std::uint64_t> plain_size(std::uint64_t sealed_total, std::size_t header_size);

/// Where a range of plaintext stands in an object.
struct Range {
  std::uint32_t first_chunk = 0;   ///< for Opener::at_chunk
  bool to_the_end = false;         ///< for Opener::at_chunk
  std::uint64_t sealed_begin = 0;  ///< bytes [begin, end) of the object hold the range
  std::uint64_t sealed_end = 0;
  std::size_t skip = 0;      ///< plaintext bytes to drop in front of the range
  std::uint64_t length = 0;  ///< of the range, cut at the end of the plaintext
};
/// Throws Error{invalid} when `offset` lies behind the end of the plaintext.
Range locate(std::uint64_t plain_size, std::size_t header_size, std::uint64_t offset, std::uint64_t length);

}  // namespace terrane::sealed
