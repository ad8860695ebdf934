#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "http/client.h"
#include "object/object.h"

namespace terrane::object {

/// What web, background and services ask of the role archivist, over its unix socket. Every failure to reach
/// it is Error{unavailable}.
class ArchivistClient {
 public:
  ArchivistClient(net::Executor executor, std::filesystem::path socket);

  /// Appends text of the platform's own to a log as a segment of its own. Repeating it with the same segment
  /// and text is harmless.
  Task<> append_text(const Id<Object>& log, const std::string& workspace, int segment, std::string_view text);
  /// Passes a shim's sealed log bytes on; `position` is the byte offset in the sealed segment. `taken` is
  /// false when bytes before `position` are missing or a later segment has begun: then nothing was written.
  struct Appended {
    bool taken = false;
    std::int64_t size = 0;  ///< the segment's durable size
  };
  Task<Appended> append_sealed(const Id<Object>& log, int segment, std::int64_t position, std::string bytes);
  /// Passes a sealed object on, durable when it returns. A repeat with the same bytes is harmless, other
  /// bytes are Error{conflict}.
  Task<> put_sealed(const Id<Object>& object, http::ByteSource& bytes, std::uint64_t length);
  /// Uploads plaintext as a signed URL's PUT would: sealed, durable and `live` when it returns its size and
  /// md5.
  struct Stored {
    std::int64_t size = 0;
    std::string md5;
  };
  Task<Stored> put_plain(const Id<Object>& object, http::ByteSource& bytes);
  /// The object's plaintext as a stream. Throws Error{not_found} when its bytes are not there.
  Task<http::ClientResponse> get(const Id<Object>& object);
  /// Some objects of a kind that lie in the blob store, whatever the rows say, after the place `after`
  /// (empty: from the first on). Only for the look through it after the database went back.
  struct StoredPage {
    std::vector<std::string> objects;
    std::string next;  ///< where the next page begins; empty: there is none
  };
  Task<StoredPage> stored(std::string_view kind, std::string after);
  /// What such an object is, opened to its end. Throws Error{not_found} when it is gone, Error{internal} when
  /// it does not open.
  struct StoredObject {
    std::string workspace, md5;
    std::int64_t size = 0;
    std::map<std::string, std::string> facts;
  };
  Task<StoredObject> look_at_stored(std::string_view kind, const Id<Object>& object);
  /// Whether archivist answers at all.
  Task<> ping();
  /// Streams a request under /_archivist/ to archivist and its answer back.
  Task<http::Response> forward(http::Request& request);

 private:
  http::Client client_;
};

}  // namespace terrane::object
