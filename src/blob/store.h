#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/task.h"

namespace terrane::blob {

/// Where the bytes of an object lie: `kind/ab/cd/ID`, with two levels of folders so that none grows large.
/// Throws Error{invalid} as `check_name`.
std::string object_name(std::string_view kind, std::string_view id);

/// Throws Error{invalid} unless the name has 1 to 255 bytes of A-Z a-z 0-9 . _ / - and its parts are neither
/// empty nor begin with a dot.
void check_name(std::string_view name);

/// An append that does not fit what is there: a gap in front of it, or other bytes at its place.
/// Code::conflict; the context has the size.
class PositionConflict : public Error {
 public:
  PositionConflict(std::string_view name, std::uint64_t present, std::string_view reason);
  /// The log's present size in bytes.
  std::uint64_t size() const noexcept { return size_; }

 private:
  std::uint64_t size_;
};

/// A new object while it is written. Destroyed without `commit` it leaves nothing.
class Writer {
 public:
  virtual ~Writer() = default;
  /// Takes the next bytes, which must live until it returns. Suspends. Throws Error{unavailable} when the
  /// store fails or is full.
  virtual Task<> write(std::string_view bytes) = 0;
  /// Makes the object visible, whole and durable; the last call. Suspends. Throws Error{conflict} when the
  /// name is taken.
  virtual Task<> commit() = 0;
};

/// The bytes of an object, or of a log as it was when it was opened.
class Reader {
 public:
  virtual ~Reader() = default;
  /// Of the whole object, whatever the offset was.
  virtual std::uint64_t size() const noexcept = 0;
  /// Fills the front of `buffer`, returns how many bytes; 0 at the end. Suspends. Throws Error{unavailable}.
  virtual Task<std::size_t> read(std::span<char> buffer) = 0;
};

/// A place for bytes by name: a directory, or an S3 bucket. An object is written once and then never changed;
/// a log only grows and is sealed in the end, then it is an object like any other. All methods throw
/// Error{invalid} on a bad name, Error{unavailable} when the store fails or is full, and may be called
/// concurrently. The store must outlive its readers and writers.
class Store {
 public:
  virtual ~Store() = default;

  virtual Task<std::unique_ptr<Writer>> create(std::string name) = 0;
  /// Opens an object or log at `offset`. Throws Error{not_found}, and Error{invalid} when it is shorter than
  /// `offset`.
  virtual Task<std::unique_ptr<Reader>> open(std::string name, std::uint64_t offset = 0) = 0;
  /// Nothing when there is no such object or log.
  virtual Task<std::optional<std::uint64_t>> size(std::string name) = 0;
  /// Removes an object or log durably; nothing happens when it is not there.
  virtual Task<> remove(std::string name) = 0;
  /// At most `limit` names that begin with `prefix` (which ends with a slash) and come after `after` in the
  /// order of their bytes: a page of them all. What is written or removed meanwhile may be missed.
  virtual Task<std::vector<std::string>> list(std::string prefix, std::string after, std::size_t limit) = 0;

  /// Appends bytes that stand at `position` of the log, which begins to exist with its first append. Bytes
  /// that are there already are compared and skipped. Returns the log's size when the bytes are durable.
  /// Throws PositionConflict on a gap or on different bytes, Error{conflict} when the log is sealed and would
  /// have to grow, Error{too_large} above `append_limit`.
  virtual Task<std::uint64_t> append(std::string name, std::uint64_t position, std::string bytes) = 0;
  /// The durable bytes of a log, 0 when it does not exist yet.
  virtual Task<std::uint64_t> log_size(std::string name) = 0;
  /// Lets the log never grow again. Throws Error{not_found}; a log that is sealed already is left as it is.
  virtual Task<> seal_log(std::string name) = 0;
};

constexpr std::size_t append_limit = 8 * 1024 * 1024;  ///< bytes of one append

}  // namespace terrane::blob
