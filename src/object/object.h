#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/time.h"
#include "postgres/database.h"

namespace terrane {

/// A blob: a row here, bytes in the blob store. The row precedes the bytes; only archivist touches the bytes.
struct Object {
  static constexpr std::string_view id_prefix = "obj";
  Id<Object> id;
  std::string kind;                  ///< configuration, state, json-state, plan, plan-json, schemas, log
  std::string workspace;             ///< bound into the sealed bytes; stays when the workspace's row is gone
  std::string status;                ///< uploading, live, deleted
  std::optional<std::int64_t> size;  ///< bytes of the plaintext
  std::optional<std::string> md5;    ///< hex, of the plaintext
  std::map<std::string, std::string>
      facts{};  ///< what the header says besides: of a state lineage, serial, md5
};

namespace object {

/// Inserts a row in status `uploading`. `facts` will stand in the authenticated header of bytes that
/// archivist seals: what one wants to know who has nothing but the bytes.
Task<> insert(postgres::Tx& tx, const Id<Object>& id, std::string_view kind, const std::string& workspace_id,
              const std::map<std::string, std::string>& facts = {});
/// The same for an id that a shim was given beforehand; a repeat changes nothing. Throws Error{conflict} when
/// the id is another object's.
Task<> insert_if_absent(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                        const std::string& workspace_id);
/// The row; nothing when there is none.
Task<std::optional<Object>> find(postgres::Tx& tx, const Id<Object>& id);
/// Marks the bytes durable. Returns false when the row was not `uploading` (a repeated upload). Without `md5`
/// it stays unknown.
Task<bool> mark_live(postgres::Tx& tx, const Id<Object>& id, std::int64_t size,
                     const std::optional<std::string>& md5);
/// Makes a row for bytes that a look through the store found: live at once. An upload that the row says is
/// still under way has ended; whatever else the row says stays. Returns whether the object is live now, with
/// this kind and workspace.
Task<bool> adopt(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                 const std::string& workspace_id, std::int64_t size, const std::string& md5);
/// Marks the object deleted: no URL opens it from now on; a sweeper removes the bytes later.
Task<> mark_deleted(postgres::Tx& tx, const Id<Object>& id);

/// The facts of an object as its row keeps them, and back.
json::object facts_to_json(const std::map<std::string, std::string>& facts);
std::map<std::string, std::string> facts_from_json(const json::value& value);

/// The row for bytes that no workspace owns; `owner` is bound into them as a workspace's id otherwise is.
Task<> insert_unowned(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                      const std::string& owner);

/// What API v2 can do with the bytes behind a resource ("backing data"): take them out of reach, bring them
/// back, remove them for good.
enum class Backing { soft_delete, restore, permanently_delete };
/// Does it with all objects of a resource; the first one decides whether it is possible. Throws
/// Error{conflict} that says why it is not.
Task<> change_backing(postgres::Tx& tx, const std::vector<std::string>& objects, Backing action);

/// What a signed URL allows.
enum class Access { read, write, log };

/// A permission to ask for one object, as the secret in a URL's path carries it.
struct Grant {
  Access access;
  Id<Object> object;
  std::int64_t expires;  ///< seconds of the epoch, judged by PostgreSQL's clock

  bool operator==(const Grant&) const = default;
};

/// How long grants live (design: an upload an hour, a download ten minutes, a log 25 hours and at least as
/// long as an apply may take).
constexpr std::chrono::seconds upload_life{3600};
constexpr std::chrono::seconds download_life{600};
constexpr std::chrono::seconds log_life{26 * 3600};

/// Makes and checks the paths of signed URLs: `/_archivist/v1/object/TOKEN` and `/_archivist/v1/log/TOKEN`.
class UrlSigner {
 public:
  explicit UrlSigner(Secret key) : key_(std::move(key)) {}
  /// The path of a URL. Two calls within the same minute give the same text, so that repeated reads of a
  /// resource are equal.
  std::string path(Access access, const Id<Object>& object, std::chrono::seconds life) const;
  /// What a token allows; nothing when it was not signed with this key. Expiry is the caller's to check.
  std::optional<Grant> verify(std::string_view token) const;

 private:
  std::string sign(const Grant& grant) const;
  Secret key_;
};

}  // namespace object
}  // namespace terrane
