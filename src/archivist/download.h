#pragma once
#include <memory>
#include <optional>
#include <string>

#include "archivist/keys.h"
#include "blob/store.h"
#include "http/message.h"
#include "object/object.h"
#include "sealed/stream.h"

namespace terrane::archivist {

/// A range of plaintext bytes, [first, first + length).
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

/// Reads a `Range` field for a body of `size` bytes: the range; nothing when the field is to be ignored,
/// because it asks for several ranges or for something else than bytes. Throws RangeNotSatisfiable.
std::optional<ByteRange> parse_range(std::string_view field, std::uint64_t size);

/// The `Range` field asks for nothing that is there (416).
class RangeNotSatisfiable : public Error {
 public:
  RangeNotSatisfiable() : Error(Code::invalid, "The range lies outside of the object.") {}
};

/// Reads an object from its front until the header is whole; `row` is for the error. What it says is certain
/// when the object has been opened. Throws sealed::Damaged when it is none.
Task<sealed::Header> read_header(blob::Reader& reader, const Object& row);

/// A sealed object whose header has been read and found to be the one that was asked for.
class SealedObject {
 public:
  /// Suspends. Throws Error{not_found} when there are no bytes, sealed::Damaged when they are not this
  /// object.
  static Task<SealedObject> open(blob::Store& store, Object row);

  /// Bytes of the plaintext.
  std::uint64_t size() const noexcept { return size_; }
  /// The plaintext of the range. Its first bytes are certain when this returns; a later read throws
  /// sealed::Damaged before it would return what is not. Suspends. Throws Error{unavailable}.
  Task<std::shared_ptr<http::ByteSource>> read(KeyCache& keys, ByteRange range);
  Task<std::shared_ptr<http::ByteSource>> read_all(KeyCache& keys) { return read(keys, {0, size_}); }

 private:
  SealedObject(blob::Store& store, Object row) : store_(&store), row_(std::move(row)) {}
  blob::Store* store_;
  Object row_;
  std::string name_;
  sealed::Header header_;
  std::uint64_t size_ = 0;
};

}  // namespace terrane::archivist
