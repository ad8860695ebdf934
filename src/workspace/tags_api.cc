#include "postgres/known_commit.h"
#include "workspace/tags.h"
#include "workspace/tags_sql.h"
#include "workspace/workspace.h"

namespace terrane::workspace {
namespace {

using organization::TagBinding;
constexpr std::size_t most_identifiers = 100;

json::object tag_document(const postgres::Row& row) {
  json::object organization{{"id", row.string("organization")}, {"type", "organizations"}};
  return {{"id", row.string("id")},
          {"type", "tags"},
          {"attributes", json::object{{"name", row.string("name")},
                                      {"created-at", iso8601(row.time("created_at"))},
                                      {"instance-count", row.integer("instances")}}},
          {"relationships", json::object{{"organization", json::object{{"data", std::move(organization)}}}}}};
}

http::Response tag_list(const http::Request& request, const postgres::Result& rows, const jsonapi::Page& page,
                        std::int64_t total) {
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(tag_document(rows[i]));
  return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

http::Response binding_list(const std::vector<TagBinding>& bindings,
                            json::object (*encode_one)(const TagBinding&)) {
  json::array data;
  for (const TagBinding& binding : bindings) data.push_back(encode_one(binding));
  json::object document{{"data", std::move(data)}};
  return api::answer(200, document);
}

Task<json::value> list_in_body(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const json::value* list = body.if_contains("data");
  co_return list ? *list : json::value();
}

}  // namespace

void TagsApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = TagsApi;
  const std::string tags = "/api/v2/workspaces/:id/relationships/tags";
  router.add({Method::get, tags, api::bind<&Self::list>(this)});
  router.add({Method::post, tags, api::bind<&Self::add>(this), 64 * 1024}, {Form::nothing, "", "tags.list"});
  router.add({Method::del, tags, api::bind<&Self::remove>(this), 64 * 1024},
             {Form::nothing, "", "tags.list"});
  const std::string bindings = "/api/v2/workspaces/:id/tag-bindings";
  router.add({Method::get, bindings, api::bind<&Self::list_bindings>(this)}, {Form::all, "tag-bindings"});
  router.add({Method::patch, bindings, api::bind<&Self::add_bindings>(this), 64 * 1024},
             {Form::all, "tag-bindings", "tag-bindings.list"});
  router.add(
      {Method::get, "/api/v2/workspaces/:id/effective-tag-bindings", api::bind<&Self::list_effective>(this)},
      {Form::all, "effective-tag-bindings"});
  const std::string all = "/api/v2/organizations/:organization/tags";
  router.add({Method::get, all, api::bind<&Self::list_of_organization>(this)},
             {.query = "q filter[exclude][taggable][id]"});
  router.add({Method::del, all, api::bind<&Self::remove_from_organization>(this), 64 * 1024},
             {Form::nothing, "", "identifiers"});
  router.add({Method::post, "/api/v2/tags/:id/relationships/workspaces",
              api::bind<&Self::add_workspaces>(this), 64 * 1024},
             {Form::nothing, "", "identifiers"});
}

Task<http::Response> TagsApi::list(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  postgres::Result rows = co_await tx.run(sql::tags_of_workspace,
                                          postgres::Params::of(seen.workspace.id, page.size, page.offset()));
  postgres::Result count =
      co_await tx.run(sql::tags_of_workspace_count, postgres::Params::of(seen.workspace.id));
  co_return tag_list(request, rows, page, count[0].integer("total"));
}

Task<http::Response> TagsApi::add(http::Request& request) {
  const json::value list = co_await list_in_body(request);
  const std::vector<TagName> tags = read_tags(list, "/data");
  std::function<Task<bool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<bool> {
    Visible seen = co_await require_changeable(tx, api::principal(request), request.parameter("id"));
    co_await add_tags(tx, seen.workspace.organization_id, {seen.workspace.id.text()}, tags);
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, change);
  co_return api::no_content();
}

Task<http::Response> TagsApi::remove(http::Request& request) {
  const json::value list = co_await list_in_body(request);
  const std::vector<TagName> tags = read_tags(list, "/data");
  std::function<Task<bool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<bool> {
    Visible seen = co_await require_changeable(tx, api::principal(request), request.parameter("id"));
    for (const TagName& tag : tags)
      co_await tx.run(sql::tag_take, postgres::Params::of(seen.workspace.id, tag.id, tag.name));
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, change);
  co_return api::no_content();
}

Task<http::Response> TagsApi::list_bindings(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  std::vector<TagBinding> bindings = co_await organization::find_tag_bindings(tx, {seen.workspace.id.text()});
  co_return binding_list(bindings, organization::encode);
}

Task<http::Response> TagsApi::add_bindings(http::Request& request) {
  const json::value list = co_await list_in_body(request);
  const std::vector<TagBinding> bindings = organization::read_tag_bindings(list, "/data");
  std::function<Task<std::vector<TagBinding>>(postgres::Tx&)> change =
      [&](postgres::Tx& tx) -> Task<std::vector<TagBinding>> {
    // The row is held, so that two at once are counted one after the other.
    Visible seen =
        co_await require_changeable(tx, api::principal(request), request.parameter("id"), RowLock::yes);
    const std::string id = seen.workspace.id.text();
    co_await organization::add_tag_bindings(tx, id, bindings);
    co_return co_await organization::find_tag_bindings(tx, {id});
  };
  std::vector<TagBinding> all =
      co_await postgres::transact_change<std::vector<TagBinding>>(database_, change);
  co_return binding_list(all, organization::encode);
}

Task<http::Response> TagsApi::list_effective(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  std::vector<TagBinding> bindings = co_await find_effective_tags(tx, {seen.workspace.id.text()});
  co_return binding_list(bindings, organization::encode_effective);
}

Task<http::Response> TagsApi::list_of_organization(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const api::Principal& principal = api::principal(request);
  if (principal.kind == api::Principal::Kind::run) throw Error(Code::not_found, "");
  const std::optional<std::string> search = api::text_parameter(request, "q");
  const std::optional<std::string> excluded = api::text_parameter(request, "filter[exclude][taggable][id]");
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  postgres::Params params = postgres::Params::of(organization.id, search, excluded);
  postgres::Result count = co_await tx.run(sql::tags_of_organization_count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::tags_of_organization, std::move(params));
  co_return tag_list(request, rows, page, count[0].integer("total"));
}

Task<http::Response> TagsApi::remove_from_organization(http::Request& request) {
  const json::value list = co_await list_in_body(request);
  const std::vector<std::string> ids = jsonapi::identifiers(list, "/data", most_identifiers);
  std::function<Task<bool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<bool> {
    auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                    request.parameter("organization"));
    if (!organization.manage_workspaces) throw Error(Code::not_found, "");
    co_await tx.run(sql::tags_delete, postgres::Params::of(organization.id, ids));
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, change);
  co_return api::no_content();
}

Task<http::Response> TagsApi::add_workspaces(http::Request& request) {
  const json::value list = co_await list_in_body(request);
  const std::vector<std::string> ids = jsonapi::identifiers(list, "/data", most_identifiers);
  const std::string tag = request.parameter("id");
  std::function<Task<bool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<bool> {
    postgres::Result known = co_await tx.run(sql::tag_organization, postgres::Params::of(tag));
    if (known.empty()) throw Error(Code::not_found, "");
    const std::string organization = known[0].string("organization_id");
    auto visible = co_await find_visible(tx, api::principal(request), ids);
    for (const std::string& id : ids) {
      auto seen = visible.find(id);
      if (seen == visible.end() || !seen->second.access.update ||
          seen->second.workspace.organization_id != organization) {
        throw Error(Code::not_found, "There is no workspace " + id + ".");
      }
    }
    TagName name{tag, std::nullopt};
    co_await add_tags(tx, organization, ids, {name});
    co_return true;
  };
  co_await postgres::transact_change<bool>(database_, change);
  co_return api::no_content();
}

}  // namespace terrane::workspace
