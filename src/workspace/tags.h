#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/api.h"
#include "api/includes.h"
#include "http/router.h"
#include "organization/tag_bindings.h"
#include "postgres/database.h"

namespace terrane::workspace {

/// A tag as a request names it: by its id, or by its name, which makes it when it is not there.
struct TagName {
  static constexpr std::string_view id_prefix = "tag";
  std::optional<std::string> id, name;
};

/// The tags of a list of resource objects `[{"type", "id"}]` or `[{"type", "attributes": {"name"}}]` that
/// stands at `pointer`, at most 100. Throws Error{unprocessable} on another shape, or on a name that is none.
std::vector<TagName> read_tags(const json::value& list, const std::string& pointer);

/// Gives workspaces of the organization these tags. Throws Error{not_found} when an id is no tag of the
/// organization.
Task<> add_tags(postgres::Tx& tx, const std::string& organization_id,
                const std::vector<std::string>& workspaces, const std::vector<TagName>& tags);

/// The tag bindings that hold for workspaces: their own and those of their projects.
Task<std::vector<organization::TagBinding>> find_effective_tags(postgres::Tx& tx,
                                                                const std::vector<std::string>& workspaces);
/// What an include of `effective_tag_bindings` of workspaces needs.
Task<std::vector<json::object>> link_effective_tags(postgres::Tx& tx, const api::Principal& principal,
                                                    std::span<json::object* const> workspaces);

/// The endpoints of workspaces' tags and tag bindings, and of an organization's tags. It must outlive the
/// router.
class TagsApi {
 public:
  explicit TagsApi(postgres::Database& database) : database_(database) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> add(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<http::Response> list_bindings(http::Request& request);
  Task<http::Response> add_bindings(http::Request& request);
  Task<http::Response> list_effective(http::Request& request);
  Task<http::Response> list_of_organization(http::Request& request);
  Task<http::Response> remove_from_organization(http::Request& request);
  Task<http::Response> add_workspaces(http::Request& request);

  postgres::Database& database_;
};

}  // namespace terrane::workspace
