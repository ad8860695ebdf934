#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sealed/header.h"

namespace terrane::sealed {

// A log is a sequence of segments, one per attempt, each under its own data key: a header (kind "log"; extra:
// attempt, and base, the plaintext offset at which the attempt begins), then records: length of the
// ciphertext (u32), plaintext offset from base (u64), ciphertext. Nonce = 4 random bytes from the header ||
// number of the record (u64); associated data = header || number || offset. A record is made once, by the
// shim, and from then on only copied, so no nonce comes twice. Where the log ends is not in the format.

constexpr std::size_t record_limit = 64 * 1024;  ///< plaintext bytes of a record
constexpr std::size_t record_head_size = 12;
constexpr std::size_t log_prefix_size = 4;
constexpr std::string_view log_kind = "log";

/// The plaintext offset at which a segment begins. Throws Damaged when the header is not a log segment's.
std::uint64_t base_of(const Header& header);

/// Makes the records of one segment.
class LogSealer {
 public:
  /// The identity's kind and its extra member `base` are set here; the caller gives `attempt`. Throws
  /// Error{invalid} as make_header.
  LogSealer(DataKey key, Identity identity, std::uint64_t base);
  /// The same with a given nonce prefix, for tests that pin bytes.
  LogSealer(DataKey key, Identity identity, std::uint64_t base, std::string prefix);

  /// The header's bytes, first in the segment.
  const std::string& begin() const noexcept { return header_.bytes; }
  /// One record of 1 to `record_limit` bytes. Throws Error{internal} on another size.
  std::string record(std::string_view plaintext);
  /// The plaintext offset in the whole log behind the last record.
  std::uint64_t end() const noexcept { return base_ + offset_; }

 private:
  Secret key_;
  Header header_;
  std::uint64_t base_;
  std::uint64_t number_ = 0;
  std::uint64_t offset_ = 0;
};

/// A piece of a log's plaintext and its offset in the whole log.
struct Piece {
  std::uint64_t offset = 0;
  std::string text;
};

/// Where a record stands; reading may begin there.
struct Place {
  std::size_t segment = 0;     ///< its place in LogIndex::segments
  std::uint64_t record = 0;    ///< its number in the segment
  std::uint64_t offset = 0;    ///< plaintext offset in the whole log
  std::uint64_t position = 0;  ///< of its first byte in the sealed bytes
};

/// Opens the records of one segment piece by piece. Feed it what follows the segment's header.
class LogReader {
 public:
  /// Throws Damaged when the header is not that of this log.
  LogReader(Secret key, Header header, std::string_view object, std::string_view workspace);

  /// Makes it expect the bytes from `place` on (of this segment). Call it before the first feed.
  void start_at(const Place& place);
  /// Makes it return only plaintext of [from, to) of the whole log; records outside are skipped without
  /// opening them.
  void want(std::uint64_t from, std::uint64_t to);
  /// Takes sealed bytes, returns the plaintext of the records that they complete, in order. Throws Damaged.
  std::vector<Piece> feed(std::string_view bytes);
  /// Whether everything that `want` asked for has been returned.
  bool done() const noexcept { return base_ + offset_ >= to_; }

 private:
  void take(std::string_view record, std::vector<Piece>& pieces);
  Secret key_;
  Header header_;
  std::uint64_t base_;
  std::uint64_t number_ = 0;
  std::uint64_t offset_ = 0;  // from base: where the next record must begin
  std::uint64_t from_ = 0;
  std::uint64_t to_ = UINT64_MAX;
  std::string pending_;  // less than one record
};

/// Finds places in a log without opening it: it reads headers and record heads only, and remembers one place
/// per 64 KiB of sealed bytes.
class LogIndex {
 public:
  struct Segment {
    Header header;
    std::uint64_t base = 0;      ///< plaintext offset at which it begins
    std::uint64_t position = 0;  ///< of its header in the sealed bytes
    std::uint64_t end = 0;       ///< behind its last complete record in the sealed bytes
  };

  /// Takes the sealed bytes in order, from the first. Throws Damaged when they are not a log's; the index is
  /// then used up.
  void feed(std::string_view bytes);
  /// The sealed bytes that were fed.
  std::uint64_t fed() const noexcept { return position_; }
  const std::vector<Segment>& segments() const noexcept { return segments_; }
  /// The plaintext offset in the whole log behind the last complete record.
  std::uint64_t plain_end() const noexcept { return offset_; }
  /// The position behind the last complete record or header in the sealed bytes; what follows is the
  /// beginning of another.
  std::uint64_t sealed_end() const noexcept { return segments_.empty() ? 0 : segments_.back().end; }
  /// Where to begin reading in order to see the plaintext at `offset`; nothing when there is no segment yet
  /// or `offset` lies before the first.
  std::optional<Place> find(std::uint64_t offset) const;

 private:
  std::size_t head_size() const;
  void take_head();
  void take_header(Header header);
  void take_record();
  std::vector<Segment> segments_;
  std::vector<Place> places_;
  std::string head_;            // the unread bytes of a header or record head
  std::uint64_t position_ = 0;  // bytes fed
  std::uint64_t begin_ = 0;     // where head_ began
  std::uint64_t skip_ = 0;      // bytes of the present record's ciphertext still to come
  std::uint64_t offset_ = 0;    // plaintext behind the last complete record
  std::uint64_t plain_ = 0;     // plaintext bytes of the present record
  std::uint64_t record_ = 0;    // number of the next record in the segment
};

}  // namespace terrane::sealed
