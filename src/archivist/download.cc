#include "archivist/download.h"

#include "base/log.h"
#include "base/text.h"

namespace terrane::archivist {
namespace {

/// Opens chunks as they are read: one sealed chunk and its plaintext are in memory.
class Plaintext : public http::ByteSource {
 public:
  Plaintext(std::unique_ptr<blob::Reader> reader, sealed::Opener opener, const sealed::Range& range,
            std::string object)
      : reader_(std::move(reader)),
        opener_(std::move(opener)),
        object_(std::move(object)),
        buffer_(std::make_unique_for_overwrite<char[]>(sealed::sealed_chunk_size)),
        sealed_left_(range.sealed_end - range.sealed_begin),
        skip_(range.skip),
        left_(range.length) {}

  /// Opens the first chunk, so that damage is known before an answer begins.
  Task<> begin() { return open_next(); }

  Task<std::size_t> read(std::span<char> into) override {
    if (at_ == opened_.size()) co_await open_next();
    std::size_t count = std::min(into.size(), opened_.size() - at_);
    std::copy_n(opened_.data() + at_, count, into.data());
    at_ += count;
    co_return count;
  }

 private:
  /// Gets the next plaintext; there is none at the end.
  Task<> open_next() {
    opened_.clear();
    at_ = 0;
    try {
      while (opened_.empty() && !finished_) co_await open_some();
    } catch (const sealed::Damaged& error) {
      log::error("a stored object is damaged", {{"object", object_}, {"error", error.what()}});
      throw;
    }
  }

  Task<> open_some() {
    if (sealed_left_ == 0) {
      finished_ = true;
      take(opener_.finish());
      co_return;
    }
    std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(sealed_left_, sealed::sealed_chunk_size));
    std::size_t count = co_await reader_->read({buffer_.get(), wanted});
    // Shorter than when it was opened: what is missing shows when the last chunk does not open.
    sealed_left_ = count == 0 ? 0 : sealed_left_ - count;
    take(opener_.update({buffer_.get(), count}));
  }

  /// Keeps what belongs to the range.
  void take(std::string plain) {
    std::size_t drop = std::min(skip_, plain.size());
    skip_ -= drop;
    plain.erase(0, drop);
    if (plain.size() > left_) plain.resize(static_cast<std::size_t>(left_));
    left_ -= plain.size();
    opened_ = std::move(plain);
  }

  std::unique_ptr<blob::Reader> reader_;
  sealed::Opener opener_;
  std::string object_;
  std::unique_ptr<char[]> buffer_;
  std::uint64_t sealed_left_;
  std::size_t skip_;
  std::uint64_t left_;
  std::string opened_;
  std::size_t at_ = 0;
  bool finished_ = false;
};

}  // namespace

Task<sealed::Header> read_header(blob::Reader& reader, const Object& row) {
  std::string first(sealed::header_limit, '\0');
  std::size_t size = 0;
  while (true) {
    std::optional<sealed::Header> header = sealed::parse_header(std::string_view(first).substr(0, size));
    if (header) co_return std::move(*header);
    std::size_t count = co_await reader.read({first.data() + size, first.size() - size});
    if (count == 0)
      throw sealed::Damaged({row.id.text(), row.kind, row.workspace, {}}, "it ends within its header");
    size += count;
  }
}

std::optional<ByteRange> parse_range(std::string_view field, std::uint64_t size) {
  constexpr std::string_view unit = "bytes=";
  if (lower(field.substr(0, unit.size())) != unit) return std::nullopt;
  field = trim(field.substr(unit.size()));
  std::size_t dash = field.find('-');
  if (dash == std::string_view::npos || field.find(',') != std::string_view::npos) return std::nullopt;
  std::string_view before = trim(field.substr(0, dash));
  std::string_view after = trim(field.substr(dash + 1));
  std::optional<std::int64_t> first = parse_int(before);
  std::optional<std::int64_t> last = parse_int(after);
  bool bad = (!before.empty() && (!first || *first < 0)) || (!after.empty() && (!last || *last < 0));
  if (bad || (before.empty() && after.empty())) return std::nullopt;
  if (before.empty()) {
    std::uint64_t length = std::min(static_cast<std::uint64_t>(*last), size);
    if (length == 0) throw RangeNotSatisfiable();
    return ByteRange{size - length, length};
  }
  if (last && *last < *first) return std::nullopt;
  std::uint64_t begin = static_cast<std::uint64_t>(*first);
  if (begin >= size) throw RangeNotSatisfiable();
  std::uint64_t end = last ? std::min(static_cast<std::uint64_t>(*last) + 1, size) : size;
  return ByteRange{begin, end - begin};
}

Task<SealedObject> SealedObject::open(blob::Store& store, Object row) {
  SealedObject out(store, std::move(row));
  const Object& object = out.row_;
  out.name_ = blob::object_name(object.kind, object.id.text());
  std::unique_ptr<blob::Reader> reader = co_await store.open(out.name_);
  try {
    out.header_ = co_await read_header(*reader, object);
    sealed::expect(out.header_, object.id.text(), object.kind, object.workspace);
    std::optional<std::uint64_t> size = sealed::plain_size(reader->size(), out.header_.size());
    if (!size || (object.size && static_cast<std::uint64_t>(*object.size) != *size)) {
      throw sealed::Damaged(out.header_.identity, "it has another size than when it was stored");
    }
    out.size_ = *size;
  } catch (const sealed::Damaged& error) {
    log::error("a stored object is damaged", {{"object", object.id.text()}, {"error", error.what()}});
    throw;
  }
  co_return out;
}

Task<std::shared_ptr<http::ByteSource>> SealedObject::read(KeyCache& keys, ByteRange range) {
  Secret key;
  try {
    key = co_await keys.unwrap(header_.wrapped);
  } catch (Error& error) {
    error.add_context("the data key of object " + row_.id.text());
    throw;
  }
  sealed::Opener opener(std::move(key), header_, row_.id.text(), row_.kind, row_.workspace);
  sealed::Range place = sealed::locate(size_, header_.size(), range.first, range.length);
  opener.at_chunk(place.first_chunk, place.to_the_end);
  std::unique_ptr<blob::Reader> reader = co_await store_->open(name_, place.sealed_begin);
  auto source = std::make_shared<Plaintext>(std::move(reader), std::move(opener), place, row_.id.text());
  co_await source->begin();
  co_return source;
}

}  // namespace terrane::archivist
