#pragma once
#include <map>
#include <set>
#include <string>

#include "api/api.h"
#include "api/includes.h"
#include "object/archivist_client.h"
#include "object/object.h"
#include "postgres/database.h"
#include "run/store.h"
#include "vault_client/vault.h"

namespace terrane::run {

/// A relationship to one resource, or to none.
json::object linkage(std::string_view type, const std::optional<std::string>& id);
/// The resource object of a run event's row.
json::object event_document(const postgres::Row& row);
/// The resource object of a comment's row.
json::object comment_document(const postgres::Row& row);

/// Endpoints of runs, their actions and events, plans and applies.
class Api {
 public:
  struct Needs {
    net::Executor executor;
    postgres::Database& database;
    vault_client::Vault& vault;
    const object::UrlSigner& urls;
    std::string origin;  ///< https://host[:port]
    api::Includes& includes;
  };
  explicit Api(Needs needs) : needs_(std::move(needs)) {}
  void add_routes(http::Router& router);

 private:
  /// A run that the caller may see, in a transaction; rows are locked in the order workspace, run when `lock`
  /// says so.
  struct Seen {
    Run run;
    Workspace workspace;
    organization::WorkspaceAccess access;
  };
  Task<Seen> require(postgres::Tx& tx, const http::Request& request, const std::string& id,
                     workspace::RowLock lock);

  Task<http::Response> create(http::Request& request);
  Task<http::Response> list(http::Request& request);
  Task<http::Response> list_of_organization(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> confirm(http::Request& request);
  Task<http::Response> discard(http::Request& request);
  Task<http::Response> cancel(http::Request& request);
  Task<http::Response> force_cancel(http::Request& request);
  Task<http::Response> force_execute(http::Request& request);
  Task<http::Response> comments(http::Request& request);
  Task<http::Response> comment(http::Request& request);
  Task<http::Response> create_comment(http::Request& request);
  Task<http::Response> events(http::Request& request);
  Task<http::Response> event(http::Request& request);
  Task<http::Response> queue(http::Request& request);
  Task<http::Response> capacity(http::Request& request);
  Task<http::Response> show_plan(http::Request& request);
  Task<http::Response> run_plan(http::Request& request);
  Task<http::Response> plan_json(http::Request& request);
  Task<http::Response> run_plan_json(http::Request& request);
  Task<http::Response> plan_schemas(http::Request& request);
  Task<http::Response> run_plan_schemas(http::Request& request);
  Task<http::Response> show_apply(http::Request& request);
  Task<http::Response> run_apply(http::Request& request);
  Task<http::Response> import_list(http::Request& request);
  Task<http::Response> errored_state(http::Request& request);

  /// The resource objects of runs; what they have many of is read by one statement for all.
  Task<std::vector<json::object>> documents(postgres::Tx& tx, const std::vector<Seen>& runs);
  Task<json::object> document(postgres::Tx& tx, const Seen& seen);
  /// The runs' own variables, for those whose caller may read variables; null for others.
  Task<std::vector<json::value>> opened_variables(const std::vector<Seen>& runs);
  Task<json::object> plan_document(postgres::Tx& tx, const std::string& id);
  Task<json::object> apply_document(postgres::Tx& tx, const std::string& id);
  json::object plan_document(const PhaseRecord& plan) const;
  Task<std::vector<json::object>> apply_documents(postgres::Tx& tx, const std::vector<PhaseRecord>& applies);

  using Ids = std::vector<std::string>;
  void add_includes();
  /// Those of the runs that the principal may see.
  Task<std::vector<Seen>> find_visible(postgres::Tx& tx, const api::Principal& principal, const Ids& ids);
  Task<std::set<std::string>> visible_ids(postgres::Tx& tx, const api::Principal& principal, const Ids& ids);
  Task<std::vector<json::object>> load(postgres::Tx& tx, const api::Principal& principal, const Ids& ids);
  Task<std::vector<json::object>> load_plans(postgres::Tx& tx, const api::Principal& principal,
                                             const Ids& ids);
  Task<std::vector<json::object>> load_applies(postgres::Tx& tx, const api::Principal& principal,
                                               const Ids& ids);
  Task<std::vector<json::object>> load_events(postgres::Tx& tx, const api::Principal& principal,
                                              const Ids& ids);
  /// Those of the rows of a statement whose runs the principal may see.
  Task<std::vector<json::object>> load_rows(postgres::Tx& tx, const api::Principal& principal, const Ids& ids,
                                            const Statement& statement,
                                            json::object (*document_of)(const postgres::Row&));
  Task<std::vector<json::object>> load_comments(postgres::Tx& tx, const api::Principal& principal,
                                                const Ids& ids);

  /// The rows' runs in their order; nothing for those that the caller may not see.
  Task<std::vector<std::optional<Seen>>> visible_rows(postgres::Tx& tx, const http::Request& request,
                                                      const postgres::Result& rows);
  Task<http::Response> answer_with(http::Request& request, Id<Run> id, int status);
  /// 307 to what `of` names of a plan, 204 while it is not there yet.
  Task<http::Response> redirect_to(postgres::Tx& tx, const std::string& plan, const Seen& seen,
                                   std::optional<std::string> PhaseRecord::* of);
  Task<> add_comment(postgres::Tx& tx, http::Request& request, const Seen& seen, const json::object& body);
  Task<std::string> insert_comment(postgres::Tx& tx, const http::Request& request, const std::string& run,
                                   const std::string& body);

  Needs needs_;
  std::set<std::string> answered_;  // runs whose answer has gone out while the database does not know it yet
};

}  // namespace terrane::run
