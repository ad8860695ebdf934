#pragma once
#include "http/router.h"
#include "postgres/database.h"
#include "team/grant.h"
#include "team/team.h"

namespace terrane::team {

/// What the two kinds of grants do differently.
struct GrantPlace {
  const GrantKind& kind;
  std::string_view id_prefix;
  std::string_view filter;  ///< the parameter of lists that names the place
  Statement find, list, count, insert, update, remove, place;
  std::string_view unique;  ///< the constraint of one grant for each team and place
  /// What a principal may do with the grants of a place: nothing, read them, or change them.
  enum class Rights { none, read, manage };
  Task<Rights> (*rights)(postgres::Tx& tx, const api::Principal& principal, const std::string& place);
};

/// The endpoints of `team-workspaces` or `team-projects`. It must outlive the router.
class GrantApi {
 public:
  GrantApi(postgres::Database& database, const GrantPlace& of) : database_(database), of_(of) {}
  void add_routes(http::Router& router);

 private:
  struct Seen {
    json::object row;
    std::string id;
    bool manage = false;
  };
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> update(http::Request& request);
  Task<http::Response> remove(http::Request& request);
  Task<Seen> require(postgres::Tx& tx, const http::Request& request, std::string id);

  postgres::Database& database_;
  const GrantPlace& of_;
};

const GrantPlace& workspace_grant_place();
const GrantPlace& project_grant_place();

}  // namespace terrane::team
