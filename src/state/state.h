#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/includes.h"
#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "object/archivist_client.h"
#include "object/object.h"
#include "vault_client/vault.h"
#include "workspace/workspace.h"

namespace terrane {

/// One version of a workspace's state. Its bytes are an object; the newest finalized version is the
/// workspace's current one.
struct StateVersion {
  static constexpr std::string_view id_prefix = "sv";
  Id<StateVersion> id;
  std::string workspace;
  std::optional<std::string> run;
  std::int64_t serial = 0;
  std::optional<std::string> lineage;
  std::string md5;
  std::optional<std::int64_t> size;
  std::string status = "pending";  ///< pending, finalized, discarded
  bool intermediate = false;
  bool recovered = false;  ///< kept from a closed lease: never current by itself
  std::string object;
  std::optional<std::string> json_object;
  bool resources_processed = false;
  std::optional<std::string> terraform_version;
  json::value resources;
  std::optional<std::string> parse_error;  ///< why outputs or resources are missing
  std::optional<std::string> created_by;
  std::optional<std::string> rollback_of;  ///< the version whose bytes these are
  std::optional<std::string> backing;      ///< what became of the bytes of a finalized one
  bool has_json = false;                   ///< whether its JSON form can be had
  Time created_at;

  /// Whether its bytes can be had.
  bool usable() const { return status == "finalized" && !backing; }
};

namespace state {

/// Inline states are decoded in memory: at most 16 MiB, at most two at once.
constexpr std::int64_t inline_limit = 16LL * 1024 * 1024;
/// The largest state, in bytes, that an upload may have.
constexpr std::int64_t upload_limit = 2LL * 1024 * 1024 * 1024;
constexpr std::size_t lineage_limit = 1024;

const jsonapi::Resource& resource();
/// The version of a row of the statements that find versions.
StateVersion from_row(const postgres::Row& row);
Task<std::optional<StateVersion>> find(postgres::Tx& tx, const std::string& id);
/// The version whose bytes, raw or as JSON, an object is.
Task<std::optional<StateVersion>> find_by_object(postgres::Tx& tx, const std::string& object);

/// What a serial, lineage and md5 mean beside the current version; pure.
enum class Verdict {
  accept,
  serial_conflict,   ///< equal serial with other bytes, or a smaller serial
  lineage_conflict,  ///< another lineage
};
struct Identity {
  std::int64_t serial;
  std::optional<std::string> lineage;
  std::string md5;
};
Verdict judge(const std::optional<Identity>& current, const Identity& given, bool force);

/// What the header of a state's bytes says of them, so that recovery finds them without their row.
std::map<std::string, std::string> facts_of(const Identity& identity, const std::optional<std::string>& run);

/// A state that the engine wrote under a live lease: it is accepted whatever the lock says, becomes current
/// at once and is intermediate until its phase has ended. Its object has been uploaded. Repeating it changes
/// nothing.
struct FromRun {
  std::string run, job, object;
  Identity identity;
  std::int64_t size;
  bool intermediate;
};
Task<Id<StateVersion>> add_from_run(postgres::Tx& tx, const Workspace& workspace, const FromRun& given);
/// A state out of the spool of a closed lease: kept, never current by itself.
Task<Id<StateVersion>> add_recovered(postgres::Tx& tx, const Workspace& workspace, const FromRun& given);

/// Throws Error{conflict} that says who has the lock when it is not `principal`.
void require_lock_of(const api::Principal& principal, const Workspace& workspace);

/// What came of an upload.
enum class Upload {
  not_a_state,  ///< the object belongs to no state version
  done,         ///< its version is finalized, and current when it was the raw state
  wrong_md5,    ///< not the announced bytes: the version is discarded when the caller commits
  discarded,    ///< a newer version, or a forced unlock, came first: the bytes are no state of the workspace
};
/// An object's bytes are durable. Repeating it changes nothing.
Task<Upload> on_uploaded(postgres::Tx& tx, const Id<Object>& object, const std::string& md5,
                         std::int64_t size);

/// What the state parser found.
struct ParsedOutput {
  std::string name, type;
  bool sensitive = false;
  json::value value, detailed_type;
};
struct Parsed {
  std::string terraform_version;
  std::vector<ParsedOutput> outputs;
  json::array resources;  ///< {address, name, type, provider, module, count}
  std::string note;       ///< what was left out and why, shown as parse-error; usually empty
};
/// Stores what was parsed; values are sealed. Repeating it changes nothing.
Task<> store_parsed(postgres::Database& database, vault_client::Vault& vault,
                    const std::string& state_version, Parsed parsed);
/// The state could not be parsed: outputs stay empty, the reason is kept and shown.
Task<> store_parse_failure(postgres::Database& database, const std::string& state_version,
                           const std::string& reason);
/// Finalized versions that wait for the parser, oldest first: (id, object).
Task<std::vector<std::pair<std::string, std::string>>> unparsed(postgres::Database& database);

/// Endpoints of state versions and their outputs.
class Api {
 public:
  struct Needs {
    postgres::Database& database;
    object::ArchivistClient& archivist;
    vault_client::Vault& vault;
    const object::UrlSigner& urls;
    std::string origin;
    api::Includes& includes;
  };
  explicit Api(Needs needs) : needs_(std::move(needs)) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> rollback(http::Request& request);
  Task<http::Response> soft_delete(http::Request& request);
  Task<http::Response> restore(http::Request& request);
  Task<http::Response> permanently_delete(http::Request& request);
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> current(http::Request& request);
  Task<http::Response> outputs(http::Request& request);
  Task<http::Response> current_outputs(http::Request& request);
  Task<http::Response> output(http::Request& request);
  Task<http::Response> download(http::Request& request);

  /// Copies a version's bytes into the objects of another one, which becomes finalized and current.
  Task<> copy_bytes(const StateVersion& from, const Id<Object>& to, const Id<Object>& json_to);
  Task<http::Response> change_backing(http::Request& request, object::Backing action);
  json::object document(const StateVersion& version, json::array outputs, bool may_upload) const;
  Task<json::object> full_document(postgres::Tx& tx, const StateVersion& version, bool may_upload);
  Task<json::array> output_documents(postgres::Tx& tx, const std::string& state_version, bool reveal);
  Task<json::array> output_documents(const postgres::Result& rows, bool reveal);
  /// Resource objects of versions for which `may_upload` says whether the upload URL is shown.
  Task<std::vector<json::object>> documents(postgres::Tx& tx, const std::vector<StateVersion>& versions,
                                            bool may_upload);
  Task<std::vector<json::object>> load(postgres::Tx& tx, const api::Principal& principal,
                                       const std::vector<std::string>& ids);
  Task<std::vector<json::object>> link_workspace_outputs(postgres::Tx& tx, const api::Principal& principal,
                                                         std::span<json::object* const> workspaces);
  Task<std::vector<json::object>> load_outputs(postgres::Tx& tx, const api::Principal& principal,
                                               const std::vector<std::string>& ids);

  Needs needs_;
  int decoding_ = 0;
};

}  // namespace state
}  // namespace terrane
