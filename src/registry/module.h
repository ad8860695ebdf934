#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "configversion/configversion.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"

namespace terrane::registry {

/// A module that an organization has registered. A private one is its own and stands in its namespace; a
/// public one belongs to somebody else and is only listed.
struct Module {
  static constexpr std::string_view id_prefix = "mod";
  Id<Module> id;
  std::string organization;  ///< its name
  std::string registry_name = "private";
  std::string namespace_name;  ///< of a private module its organization's name
  std::string name;
  std::string provider;
  std::string status = "pending";
  Time created_at, updated_at;
};

/// The fields of `registry-modules` on the wire and in the table.
const jsonapi::Resource& resource();
/// The resource object as a principal with this access to its organization sees it.
json::object encode(const Module& module, const organization::OrganizationAccess& access);

Task<std::optional<Module>> find(postgres::Tx& tx, const std::string& id);

/// Where a module stands in its organization; without `provider` it stands for those of all providers.
struct Place {
  std::string organization_id, registry_name, namespace_name, name, provider;
};
/// The modules at a place by provider.
Task<std::vector<Module>> at(postgres::Tx& tx, const Place& place);

/// What a list asks for; empty texts ask for nothing.
struct Filter {
  std::string search;  ///< a part of name, namespace or provider, without case
  std::string provider, registry_name;
};
/// An organization's modules by name, and how many match.
Task<std::pair<std::vector<Module>, std::int64_t>> list(postgres::Tx& tx, const std::string& organization_id,
                                                        const Filter& filter, const jsonapi::Page& page);

/// Inserts the module. Throws Error{unprocessable} with a pointer when the organization has it.
Task<> insert(postgres::Tx& tx, const Module& module, const std::string& organization_id);
/// Removes a module with its configuration versions; their bytes are marked deleted.
Task<> remove(postgres::Tx& tx, const Id<Module>& id);

/// For configversion::Api: who may see a module's organization may see its configuration versions, who
/// manages its modules may change them.
Task<bool> module_access(postgres::Tx& tx, const api::Principal& principal, std::string module);

/// Endpoints of modules that have no repository: registering, reading, deleting, and the configuration
/// versions of their tests.
class Api {
 public:
  Api(postgres::Database& database, const object::UrlSigner& urls, std::string origin)
      : database_(database), urls_(urls), origin_(std::move(origin)) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> show_by_id(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> create_configuration(http::Request& request);

  postgres::Database& database_;
  const object::UrlSigner& urls_;
  std::string origin_;
};

}  // namespace terrane::registry
