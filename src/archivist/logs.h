#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "archivist/keys.h"
#include "blob/store.h"
#include "net/io.h"
#include "object/object.h"
#include "vault_client/vault.h"

namespace terrane::archivist {

// A log lies in the blob store as segments `log/ab/cd/OBJECT.N`, each with sealed records under a key of its
// own, and `log/ab/cd/OBJECT.segments`, the numbers of the segments that were begun, 4 bytes each, ascending.
// That list decides which segment is the last, for all archivists at once; whoever begins a segment then
// closes all before it for ever. The log's plaintext is that of its segments one after the other.

constexpr int segment_limit = 1000;                                   ///< the largest number of a segment
constexpr std::uint64_t segment_size_limit = std::uint64_t{4} << 30;  ///< sealed bytes of a segment
constexpr std::size_t text_limit = 1024 * 1024;             ///< bytes of a text of the platform's own
constexpr auto hold_time = std::chrono::milliseconds(500);  ///< how long a reader waits for bytes

/// The blob names of a log's parts.
std::string segment_name(const std::string& object, int segment);
std::string segment_list_name(const std::string& object);

/// Throws Error{unprocessable} unless `bytes` begin with the whole header of a segment of this log.
void check_segment_header(std::string_view bytes, const Object& log);

struct LogState;
struct LogSegment;

/// Appends to logs and reads them. One executor, not thread-safe.
class Logs {
 public:
  struct Needs {
    net::Executor executor;
    blob::Store& store;
    vault_client::Vault& vault;
    KeyCache& keys;
    std::function<void(const std::string& object)>
        appended;  ///< called when bytes of a log have become durable
  };
  explicit Logs(Needs needs) : needs_(std::move(needs)) {}

  /// Appends sealed bytes at a position of a segment and returns the segment's durable size; bytes that are
  /// there already are skipped. Suspends. Throws Error{conflict} on a gap, on other bytes, and when a later
  /// segment has begun; Error{too_large}, Error{unavailable}.
  Task<std::uint64_t> append(std::string object, int segment, std::uint64_t position, std::string bytes);
  /// Seals a text as a segment of its own. The same text again changes nothing, another is Error{conflict}.
  Task<> append_text(Object log, int segment, std::string text);
  /// The durable sealed bytes of a segment.
  Task<std::uint64_t> size(std::string object, int segment);

  /// Plaintext from `offset`, 1 to `limit` bytes; when there is none yet it waits for some up to `hold_time`,
  /// and then returns nothing. Suspends. Throws sealed::Damaged, Error{unavailable}.
  Task<std::string> read(Object log, std::uint64_t offset, std::size_t limit);
  /// Somebody appended to the log: its readers look again.
  void wake(const std::string& object);
  void wake_all();

  /// Removes all bytes of a log.
  Task<> remove(std::string object);

 private:
  struct Cached {
    std::shared_ptr<LogState> state;
    std::list<std::string>::iterator place;
  };
  struct Part;
  std::shared_ptr<LogState> state_of(const std::string& object);
  void shrink();
  void forget(const std::string& object);
  void notify_appended(const std::string& object);

  Task<> begin_segment(std::shared_ptr<LogState> log, int segment);
  Task<> close_before(const LogState& log, int segment);
  Task<bool> has_same_text(const Object& log, int segment, const std::string& text);

  Task<> refresh(std::shared_ptr<LogState> log);
  Task<> look(std::shared_ptr<LogState> log);
  Task<> look_at_list(LogState& log);
  Task<> look_at_segment(LogSegment& segment, std::string name);
  std::vector<Part> plan(const LogState& log, std::uint64_t offset, std::size_t limit) const;
  Task<std::string> collect(LogState& log, const Object& row, std::uint64_t offset, std::size_t limit);
  Task<> read_part(const Part& part, const Object& row, std::string& into);
  Task<bool> is_complete(LogState& log, const Object& row, std::uint64_t offset);

  Needs needs_;
  std::list<std::string> recent_;  // the last used first
  std::unordered_map<std::string, Cached> states_;
};

}  // namespace terrane::archivist
