#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/includes.h"
#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "object/object.h"
#include "workspace/workspace.h"

namespace terrane {

/// One upload of a configuration: a tar.gz that runs are made of. It belongs to a workspace, or to a module
/// of the registry whose tests it is for.
struct ConfigurationVersion {
  static constexpr std::string_view id_prefix = "cv";
  Id<ConfigurationVersion> id;
  std::optional<std::string> workspace, registry_module;  ///< one of them
  std::string status;                                     ///< pending, uploaded, errored, archived
  std::optional<std::string> backing;                     ///< what became of the bytes of an uploaded one
  std::string source;
  bool speculative = false;
  bool provisional = false;
  bool auto_queue_runs = true;
  std::optional<std::string> error, error_message;
  std::vector<std::string> changed_files;
  std::string object;
  std::optional<std::string> created_by;
  json::value status_timestamps;

  /// Whether its bytes can be had.
  bool usable() const { return status == "uploaded" && !backing; }
  /// The status as API v2 shows it.
  const std::string& shown_status() const { return status == "uploaded" && backing ? *backing : status; }
};

namespace configversion {

const jsonapi::Resource& resource();
/// The resource object. The upload URL is no part of it: it is shown once, by what makes the version.
json::object document(const ConfigurationVersion& version);

/// The largest tar.gz, in bytes, that an upload may have.
constexpr std::int64_t size_limit = 512LL * 1024 * 1024;

Task<std::optional<ConfigurationVersion>> find(postgres::Tx& tx, const std::string& id);
/// Those of the ids that there are.
Task<std::vector<ConfigurationVersion>> find_all(postgres::Tx& tx, std::vector<std::string> ids);
/// The newest uploaded one of a workspace that is not speculative, nor provisional unless it was applied.
Task<std::optional<ConfigurationVersion>> latest(postgres::Tx& tx, const std::string& workspace_id);

/// Inserts a pending version with its object; of `given` it takes owner, creator and what clients choose. A
/// workspace's plain version becomes its current one. Returns it as it then is.
Task<ConfigurationVersion> insert(postgres::Tx& tx, const ConfigurationVersion& given);

/// The upload is durable: the version is `uploaded`, and the workspace's current one unless it is provisional
/// or speculative or a newer one is. Repeating it changes nothing. Returns the version when `object` belongs
/// to one, and whether it became uploaded just now.
struct Uploaded {
  ConfigurationVersion version;
  bool now = false;
};
Task<std::optional<Uploaded>> on_uploaded(postgres::Tx& tx, const Id<Object>& object);

/// Where an upload by a URL for `object` goes that lives until `expires` (seconds of the epoch): to another
/// object when there was an upload before and no run has been made of it yet, since objects never change.
/// When that one is durable, on_uploaded puts it in the first one's place, or throws Error{conflict} when a
/// run was made meanwhile.
Task<Id<Object>> upload_target(postgres::Database& database, const Id<Object>& object, std::int64_t expires);

/// Says whose a version is that belongs to no workspace: throws Error{not_found} when `principal` may not see
/// it, and returns whether it may change it. The registry gives it.
using ModuleAccess =
    std::function<Task<bool>(postgres::Tx& tx, const api::Principal& principal, std::string module)>;

/// Endpoints of configuration versions. Uploads and downloads themselves are signed URLs.
class Api {
 public:
  struct Needs {
    postgres::Database& database;
    const object::UrlSigner& urls;
    std::string origin;  ///< https://host[:port], for absolute URLs
    api::Includes& includes;
    ModuleAccess module_access;
  };
  explicit Api(Needs needs) : needs_(std::move(needs)) {}
  void add_routes(http::Router& router);

 private:
  /// A version that the caller may see, and what else it may do with it.
  struct Seen {
    ConfigurationVersion version;
    bool may_download = false, may_manage = false;
  };
  Task<Seen> require(postgres::Tx& tx, const http::Request& request, const std::string& id,
                     workspace::RowLock lock = workspace::RowLock::no);
  Task<Seen> require_of_run(postgres::Tx& tx, const http::Request& request);

  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> show_of_run(http::Request& request);
  Task<http::Response> download(http::Request& request);
  Task<http::Response> download_of_run(http::Request& request);
  Task<http::Response> archive(http::Request& request);
  Task<http::Response> soft_delete(http::Request& request);
  Task<http::Response> restore(http::Request& request);
  Task<http::Response> permanently_delete(http::Request& request);

  http::Response redirect_to_bytes(const Seen& seen) const;
  Task<http::Response> change_backing(http::Request& request, object::Backing action);

  Needs needs_;
};

/// The URL for the one upload of a version.
std::string upload_url(const std::string& origin, const object::UrlSigner& urls,
                       const ConfigurationVersion& version);

}  // namespace configversion
}  // namespace terrane
