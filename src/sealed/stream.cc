#include "sealed/stream.h"

#include "crypto/aead.h"
#include "crypto/random.h"
#include "sealed/bytes.h"

namespace terrane::sealed {
namespace {

std::string nonce(const std::string& prefix, std::uint64_t number, bool last) {
  std::string out = prefix;
  put_u32(out, static_cast<std::uint32_t>(number));
  out.push_back(last ? '\1' : '\0');
  return out;
}

std::uint64_t chunks(std::uint64_t plain_size) {
  return plain_size == 0 ? 1 : (plain_size - 1) / chunk_size + 1;
}

}  // namespace

Sealer::Sealer(DataKey key, Identity identity)
    : Sealer(std::move(key), std::move(identity), crypto::random_bytes(stream_prefix_size)) {}

Sealer::Sealer(DataKey key, Identity identity, std::string prefix)
    : key_(std::move(key.plaintext)),
      header_(make_header(std::move(identity), std::move(key.wrapped), std::move(prefix))) {
  if (header_.prefix.size() != stream_prefix_size)
    throw Error(Code::internal, "A nonce prefix of an object has 7 bytes.");
}

std::string Sealer::seal_chunk(std::string_view plaintext, bool last) {
  // Beyond 2^32 chunks (256 TiB) a nonce would come again.
  if (next_ > UINT32_MAX) throw Error(Code::too_large, "An object can hold at most 256 TiB.");
  return crypto::seal(key_, nonce(header_.prefix, next_++, last), plaintext, header_.bytes);
}

std::string Sealer::update(std::string_view plaintext) {
  if (finished_) throw Error(Code::internal, "This object is already sealed.");
  std::string out;
  while (!plaintext.empty()) {
    if (pending_.size() == chunk_size) {
      out += seal_chunk(pending_, false);
      pending_.clear();
    }
    if (pending_.empty() && plaintext.size() > chunk_size) {
      out += seal_chunk(plaintext.substr(0, chunk_size), false);
      plaintext.remove_prefix(chunk_size);
      continue;
    }
    std::string_view part = plaintext.substr(0, chunk_size - pending_.size());
    pending_ += part;
    plaintext.remove_prefix(part.size());
  }
  return out;
}

std::string Sealer::finish() {
  if (finished_) throw Error(Code::internal, "This object is already sealed.");
  finished_ = true;
  std::string out = seal_chunk(pending_, true);
  wipe(pending_);
  return out;
}

Opener::Opener(Secret key, Header header, std::string_view object, std::string_view kind,
               std::string_view workspace)
    : key_(std::move(key)), header_(std::move(header)) {
  expect(header_, object, kind, workspace);
  if (header_.prefix.size() != stream_prefix_size)
    throw Damaged(header_.identity, "its nonce prefix has not 7 bytes");
  // The key comes from vault by the header's own wrapped text, so a wrong size is a damaged header, not a
  // defect of ours.
  if (key_.reveal().size() != crypto::key_size)
    throw Damaged(header_.identity, "its data key has not 32 bytes");
}

void Opener::at_chunk(std::uint32_t number, bool to_the_end) {
  next_ = number;
  to_the_end_ = to_the_end;
}

std::string Opener::open_chunk(std::string_view ciphertext, bool last) {
  if (next_ > UINT32_MAX) throw Damaged(header_.identity, "it has too many chunks");
  auto plaintext = crypto::open(key_, nonce(header_.prefix, next_, last), ciphertext, header_.bytes);
  if (!plaintext) throw Damaged(header_.identity, "chunk " + std::to_string(next_) + " does not open");
  ++next_;
  return std::move(*plaintext);
}

std::string Opener::update(std::string_view ciphertext) {
  if (finished_) throw Error(Code::internal, "This object is already opened.");
  std::string out;
  while (!ciphertext.empty()) {
    if (pending_.size() == sealed_chunk_size) {
      out += open_chunk(pending_, false);
      pending_.clear();
    }
    if (pending_.empty() && ciphertext.size() > sealed_chunk_size) {
      out += open_chunk(ciphertext.substr(0, sealed_chunk_size), false);
      ciphertext.remove_prefix(sealed_chunk_size);
      continue;
    }
    std::string_view part = ciphertext.substr(0, sealed_chunk_size - pending_.size());
    pending_ += part;
    ciphertext.remove_prefix(part.size());
  }
  return out;
}

std::string Opener::finish() {
  if (finished_) throw Error(Code::internal, "This object is already opened.");
  finished_ = true;
  return open_chunk(pending_, to_the_end_);
}

std::uint64_t sealed_size(std::uint64_t plain_size, std::size_t header_size) {
  return header_size + plain_size + chunks(plain_size) * crypto::tag_size;
}

std::optional<std::uint64_t> plain_size(std::uint64_t sealed_total, std::size_t header_size) {
  if (sealed_total < header_size + crypto::tag_size) return std::nullopt;
  std::uint64_t body = sealed_total - header_size;
  std::uint64_t count = (body - 1) / sealed_chunk_size + 1;
  std::uint64_t last = body - (count - 1) * sealed_chunk_size;
  // Only an empty object ends with an empty chunk.
  if (last < crypto::tag_size || (last == crypto::tag_size && count > 1)) return std::nullopt;
  return body - count * crypto::tag_size;
}

Range locate(std::uint64_t plain_size, std::size_t header_size, std::uint64_t offset, std::uint64_t length) {
  if (offset > plain_size) throw Error(Code::invalid, "The range begins behind the end of the object.");
  Range range;
  range.length = std::min(length, plain_size - offset);
  std::uint64_t count = chunks(plain_size);
  std::uint64_t first = std::min(offset / chunk_size, count - 1);
  std::uint64_t last = range.length == 0 ? first : (offset + range.length - 1) / chunk_size;
  range.first_chunk = static_cast<std::uint32_t>(first);
  range.to_the_end = last == count - 1;
  range.sealed_begin = header_size + first * sealed_chunk_size;
  range.sealed_end =
      range.to_the_end ? sealed_size(plain_size, header_size) : header_size + (last + 1) * sealed_chunk_size;
  range.skip = static_cast<std::size_t>(offset - first * chunk_size);
  return range;
}

}  // namespace terrane::sealed
