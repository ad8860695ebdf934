#include "workspace/workspace_api.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

std::vector<std::string> consumer_ids(const json::object& body) {
  const json::array* list = find_array(body, "data");
  if (!list) throw Error(Code::unprocessable, "The member must be a list of workspaces.", "/data");
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const json::object* item = (*list)[i].if_object();
    std::optional<std::string> id = item ? find_string(*item, "id") : std::nullopt;
    if (!id)
      throw Error(Code::unprocessable, "Each item must name a workspace by its id.",
                  "/data/" + std::to_string(i) + "/id");
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace

Task<http::Response> Api::list_consumers(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, principal, seen.workspace.organization_id);
  postgres::Params params =
      postgres::Params::of(seen.workspace.id, scope.all_workspaces, scope.projects, scope.workspaces);
  postgres::Result count = co_await tx.run(sql::workspace_consumers_count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::workspace_consumers, std::move(params));
  json::array data = co_await visible_documents(tx, principal, rows);
  co_return co_await includes_.answer_list(request, tx, "workspaces", std::move(data), page,
                                           count[0].integer("total"));
}

Task<http::Response> Api::add_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  for (const std::string& id : ids) {
    postgres::Result found = co_await tx.run(sql::workspace_consumer_exists,
                                             postgres::Params::of(id, seen.workspace.organization_id));
    if (found.empty()) throw Error(Code::not_found, "There is no workspace " + id + " in this organization.");
    co_await tx.run(sql::workspace_consumer_add,
                    postgres::Params::of(seen.workspace.id, id, seen.workspace.organization_id));
  }
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::remove_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  for (const std::string& id : ids)
    co_await tx.run(sql::workspace_consumer_remove, postgres::Params::of(seen.workspace.id, id));
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::replace_consumers(http::Request& request) {
  std::vector<std::string> ids = consumer_ids(co_await api::read_object(request));
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"), RowLock::yes);
  if (!seen.access.update) throw Error(Code::not_found, "");
  co_await tx.run(sql::workspace_consumers_clear, postgres::Params::of(seen.workspace.id));
  for (const std::string& id : ids) {
    postgres::Result found = co_await tx.run(sql::workspace_consumer_exists,
                                             postgres::Params::of(id, seen.workspace.organization_id));
    if (found.empty()) throw Error(Code::not_found, "There is no workspace " + id + " in this organization.");
    co_await tx.run(sql::workspace_consumer_add,
                    postgres::Params::of(seen.workspace.id, id, seen.workspace.organization_id));
  }
  co_await tx.commit();
  co_return api::no_content();
}

}  // namespace terrane::workspace
