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

/// One upload of a configuration: a tar.gz that runs are made of.
struct ConfigurationVersion {
  static constexpr std::string_view id_prefix = "cv";
  Id<ConfigurationVersion> id;
  Id<Workspace> workspace;
  std::string status;  ///< pending, uploaded, errored, archived
  std::string source;
  bool speculative = false;
  bool provisional = false;
  bool auto_queue_runs = true;
  std::optional<std::string> error, error_message;
  std::vector<std::string> changed_files;
  std::string object;
  json::value status_timestamps;
};

namespace configversion {

const jsonapi::Resource& resource();

/// The largest tar.gz, in bytes, that an upload may have.
constexpr std::int64_t size_limit = 512LL * 1024 * 1024;

Task<std::optional<ConfigurationVersion>> find(postgres::Tx& tx, const std::string& id);
/// The newest uploaded one of a workspace that is not provisional and not speculative.
Task<std::optional<ConfigurationVersion>> latest(postgres::Tx& tx, const std::string& workspace_id);

/// The upload is durable: the version is `uploaded`, and the workspace's current one unless it is provisional
/// or speculative. Repeating it changes nothing. Returns the version when `object` belongs to one, and
/// whether it became uploaded just now.
struct Uploaded {
  ConfigurationVersion version;
  bool now = false;
};
Task<std::optional<Uploaded>> on_uploaded(postgres::Tx& tx, const Id<Object>& object);

/// Endpoints of configuration versions. Uploads and downloads themselves are signed URLs.
class Api {
 public:
  Api(postgres::Database& database, const object::UrlSigner& urls, std::string origin,
      api::Includes& includes)
      : database_(database), urls_(urls), origin_(std::move(origin)), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> download(http::Request& request);

  postgres::Database& database_;
  const object::UrlSigner& urls_;
  std::string origin_;  ///< https://host[:port], for absolute URLs
  api::Includes& includes_;
};

}  // namespace configversion
}  // namespace terrane
