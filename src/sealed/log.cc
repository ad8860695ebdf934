#include "sealed/log.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "sealed/bytes.h"

namespace terrane::sealed {
namespace {

constexpr std::uint64_t place_distance = 64 * 1024;
constexpr std::size_t segment_limit =
    1000;  // attempts of one phase; keeps a forged log from filling memory with headers
constexpr std::uint64_t plain_limit = std::uint64_t{1} << 48;  // of a log; far below any overflow

Identity with_base(Identity identity, std::uint64_t base) {
  identity.kind = log_kind;
  identity.extra["base"] = std::to_string(base);
  return identity;
}

std::string nonce(const std::string& prefix, std::uint64_t number) {
  std::string out = prefix;
  put_u64(out, number);
  return out;
}

std::string associated(const Header& header, std::uint64_t number, std::uint64_t offset) {
  std::string out = header.bytes;
  put_u64(out, number);
  put_u64(out, offset);
  return out;
}

// The ciphertext's length from a record's head. Throws Damaged when no record has it.
std::size_t ciphertext_size(std::string_view head, const Identity& identity) {
  std::uint32_t size = get_u32(head);
  if (size <= crypto::tag_size || size > record_limit + crypto::tag_size)
    throw Damaged(identity, "a record's length is impossible");
  return size;
}

}  // namespace

std::uint64_t base_of(const Header& header) {
  auto found = header.identity.extra.find("base");
  auto base = found == header.identity.extra.end() ? std::nullopt : parse_int(found->second);
  bool good = header.identity.kind == log_kind && base && *base >= 0 &&
              static_cast<std::uint64_t>(*base) <= plain_limit;
  if (!good || header.prefix.size() != log_prefix_size)
    throw Damaged(header.identity, "its header is not that of a log segment");
  return static_cast<std::uint64_t>(*base);
}

LogSealer::LogSealer(DataKey key, Identity identity, std::uint64_t base)
    : LogSealer(std::move(key), std::move(identity), base, crypto::random_bytes(log_prefix_size)) {}

LogSealer::LogSealer(DataKey key, Identity identity, std::uint64_t base, std::string prefix)
    : key_(std::move(key.plaintext)),
      header_(make_header(with_base(std::move(identity), base), std::move(key.wrapped), std::move(prefix))),
      base_(base) {
  if (header_.prefix.size() != log_prefix_size)
    throw Error(Code::internal, "A nonce prefix of a log segment has 4 bytes.");
  if (base > plain_limit) throw Error(Code::too_large, "A log can hold at most 256 TiB.");
}

std::string LogSealer::record(std::string_view plaintext) {
  if (plaintext.empty() || plaintext.size() > record_limit)
    throw Error(Code::internal, "A log record holds 1 to 65536 bytes.");
  std::string sealed =
      crypto::seal(key_, nonce(header_.prefix, number_), plaintext, associated(header_, number_, offset_));
  std::string out;
  out.reserve(record_head_size + sealed.size());
  put_u32(out, static_cast<std::uint32_t>(sealed.size()));
  put_u64(out, offset_);
  out += sealed;
  ++number_;
  offset_ += plaintext.size();
  return out;
}

LogReader::LogReader(Secret key, Header header, std::string_view object, std::string_view workspace)
    : key_(std::move(key)), header_(std::move(header)), base_(base_of(header_)) {
  expect(header_, object, log_kind, workspace);
  if (key_.reveal().size() != crypto::key_size)
    throw Damaged(header_.identity, "its data key has not 32 bytes");
}

void LogReader::start_at(const Place& place) {
  if (place.offset < base_) throw Error(Code::internal, "This place is not in this log segment.");
  number_ = place.record;
  offset_ = place.offset - base_;
}

void LogReader::want(std::uint64_t from, std::uint64_t to) {
  from_ = from;
  to_ = to;
}

void LogReader::take(std::string_view record, std::vector<Piece>& pieces) {
  std::string_view ciphertext = record.substr(record_head_size);
  std::uint64_t offset = get_u64(record.substr(4));
  if (offset != offset_)
    throw Damaged(header_.identity, "record " + std::to_string(number_) + " is out of order");
  std::uint64_t begin = base_ + offset;
  std::uint64_t end = begin + ciphertext.size() - crypto::tag_size;
  if (end > from_ && begin < to_) {
    auto text =
        crypto::open(key_, nonce(header_.prefix, number_), ciphertext, associated(header_, number_, offset));
    if (!text) throw Damaged(header_.identity, "record " + std::to_string(number_) + " does not open");
    if (end > to_) text->resize(static_cast<std::size_t>(to_ - begin));
    std::uint64_t first = std::max(begin, from_);
    text->erase(0, static_cast<std::size_t>(first - begin));
    pieces.push_back({first, std::move(*text)});
  }
  ++number_;
  offset_ += end - begin;
}

std::vector<Piece> LogReader::feed(std::string_view bytes) {
  std::vector<Piece> pieces;
  while (!bytes.empty() && !done()) {
    std::size_t need = record_head_size;
    if (pending_.size() >= need) need += ciphertext_size(pending_, header_.identity);
    std::string_view part = bytes.substr(0, need - pending_.size());
    pending_ += part;
    bytes.remove_prefix(part.size());
    if (pending_.size() < need || need == record_head_size) continue;
    take(pending_, pieces);
    pending_.clear();
  }
  return pieces;
}

void LogIndex::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      std::uint64_t part = std::min<std::uint64_t>(skip_, bytes.size());
      position_ += part;
      skip_ -= part;
      bytes.remove_prefix(static_cast<std::size_t>(part));
      if (skip_ == 0) take_record();
      continue;
    }
    if (head_.empty()) begin_ = position_;
    std::string_view part = bytes.substr(0, head_size() - head_.size());
    head_ += part;
    position_ += part.size();
    bytes.remove_prefix(part.size());
    if (head_.size() == head_size()) take_head();
  }
}

// How many bytes the present header or record head has, as far as it is known. No header is shorter than a
// record head.
std::size_t LogIndex::head_size() const {
  if (head_.size() < record_head_size || !head_.starts_with(header_magic)) return record_head_size;
  std::uint64_t size =
      header_fixed_size + std::uint64_t{get_u32(std::string_view(head_).substr(header_fixed_size - 4))};
  // A length that no header has is refused at once, by parse_header.
  return size < record_head_size || size > header_limit ? record_head_size : static_cast<std::size_t>(size);
}

void LogIndex::take_head() {
  bool first = segments_.empty();
  if (first || head_.starts_with(header_magic)) {
    auto header = parse_header(head_);
    if (!header) throw Damaged({}, "a log segment's header is too short");
    take_header(std::move(*header));
  } else {
    const Identity& identity = segments_.back().header.identity;
    skip_ = ciphertext_size(head_, identity);
    if (get_u64(std::string_view(head_).substr(4)) != offset_ - segments_.back().base) {
      throw Damaged(identity, "the record at byte " + std::to_string(begin_) + " is out of order");
    }
    plain_ = skip_ - crypto::tag_size;
  }
  head_.clear();
}

void LogIndex::take_header(Header header) {
  std::uint64_t base = base_of(header);
  if (!segments_.empty() && base != offset_)
    throw Damaged(header.identity, "a segment does not begin where the one before it ends");
  if (segments_.size() == segment_limit) throw Damaged(header.identity, "it has more than 1000 segments");
  places_.push_back({segments_.size(), 0, base, position_});
  segments_.push_back({std::move(header), base, begin_, position_});
  offset_ = base;
  record_ = 0;
}

void LogIndex::take_record() {
  offset_ += plain_;
  ++record_;
  segments_.back().end = position_;
  if (position_ - places_.back().position >= place_distance)
    places_.push_back({segments_.size() - 1, record_, offset_, position_});
}

std::optional<Place> LogIndex::find(std::uint64_t offset) const {
  auto after =
      std::upper_bound(places_.begin(), places_.end(), offset,
                       [](std::uint64_t wanted, const Place& place) { return wanted < place.offset; });
  if (after == places_.begin()) return std::nullopt;
  return *std::prev(after);
}

}  // namespace terrane::sealed
