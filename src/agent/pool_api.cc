#include "agent/pool_api.h"

#include "agent/pool.h"
#include "api/parameters.h"
#include "base/text.h"
#include "postgres/known_commit.h"
#include "user/token_request.h"

namespace terrane::agent {
namespace {

constexpr std::size_t body_limit = 256 * 1024;
constexpr std::size_t most_listed = 1000;  ///< workspaces or projects in one list of a pool

/// Takes the lists that a request gives; the others stay.
void read_lists(const json::object& data, Pool& pool) {
  auto take = [&](const char* name, std::vector<std::string>& ids) {
    std::optional<std::vector<std::string>> given = jsonapi::related_ids(data, name, most_listed);
    if (given) ids = *std::move(given);
  };
  take("allowed-workspaces", pool.allowed_workspaces);
  take("allowed-projects", pool.allowed_projects);
  take("excluded-workspaces", pool.excluded_workspaces);
}

Task<std::vector<json::object>> load_pools(postgres::Tx& tx, const api::Principal& principal,
                                           const std::vector<std::string>& ids) {
  std::vector<json::object> out;
  for (const Pool& pool : co_await find_manageable(tx, principal, ids)) out.push_back(encode(pool));
  co_return out;
}

}  // namespace

void PoolApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = PoolApi;
  const std::string all = "/api/v2/organizations/:organization/agent-pools";
  const std::string one = "/api/v2/agent-pools/:id";
  router.add({Method::get, all, api::bind<&Self::list>(this)},
             {.query = "q filter[allowed_workspaces][name] filter[allowed_projects][name] sort include"});
  router.add({Method::post, all, api::bind<&Self::create>(this), body_limit});
  router.add({Method::get, one, api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::patch, one, api::bind<&Self::update>(this), body_limit});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::get, one + "/agents", api::bind<&Self::list_agents>(this)});
  router.add({Method::get, one + "/authentication-tokens", api::bind<&Self::list_tokens>(this)});
  router.add({Method::post, one + "/authentication-tokens", api::bind<&Self::create_token>(this), 64 * 1024});
  includes_.add_resource("agent-pools", load_pools);
  includes_.add_relation("organizations", "default_agent_pool", {"agent-pools"});
  includes_.add_relation("agent-pools", "organization", {"organizations"});
  for (const char* list : {"workspaces", "allowed_workspaces", "excluded_workspaces"})
    includes_.add_relation("agent-pools", list, {"workspaces"});
  includes_.add_relation("agent-pools", "allowed_projects", {"projects"});
}

Task<http::Response> PoolApi::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  const std::string text = api::text_parameter(request, "q").value_or("");
  const std::string workspace = api::text_parameter(request, "filter[allowed_workspaces][name]").value_or("");
  const std::string project = api::text_parameter(request, "filter[allowed_projects][name]").value_or("");
  const api::Sort sort = api::sort(request, {"name", "created-at"}, {"name"});
  const std::string order = (sort.descending ? "-" : "") + sort.key;
  postgres::Tx tx = co_await database_.begin();
  organization::OrganizationAccess access = co_await require_organization(tx, request);
  auto [pools, total] = co_await agent::list(tx, access.id, {text, workspace, project, order}, page);
  json::array data;
  for (const Pool& pool : pools) data.push_back(encode(pool));
  co_return co_await includes_.answer_list(request, tx, resource().type, std::move(data), page, total);
}

Task<http::Response> PoolApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  Pool given;
  given.id = Id<Pool>::make();
  jsonapi::decode(resource(), data, jsonapi::create, &given);
  read_lists(data, given);
  if (given.name.empty()) throw Error(Code::unprocessable, "Name can't be blank", "/data/attributes/name");
  std::function<Task<Pool>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Pool> {
    organization::OrganizationAccess access = co_await require_organization(tx, request);
    co_await insert(tx, given, access.id);
    std::optional<Pool> made = co_await find(tx, given.id.text());
    co_return made.value();
  };
  std::function<Task<std::optional<Pool>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find(tx, given.id.text());
  };
  Pool made = co_await postgres::transact_create<Pool>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

Task<http::Response> PoolApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  Pool pool = co_await require(tx, api::principal(request), request.parameter("id"));
  co_return co_await includes_.answer(request, tx, 200, encode(pool));
}

Task<http::Response> PoolApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  std::function<Task<Pool>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Pool> {
    Pool pool = co_await require(tx, api::principal(request), request.parameter("id"));
    jsonapi::decode(resource(), data, jsonapi::update, &pool);
    read_lists(data, pool);
    co_await agent::update(tx, pool);
    std::optional<Pool> changed = co_await find(tx, pool.id.text());
    co_return changed.value();
  };
  Pool pool = co_await postgres::transact_change<Pool>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(pool)));
}

Task<http::Response> PoolApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    Pool pool = co_await require(tx, api::principal(request), request.parameter("id"));
    co_await agent::remove(tx, pool.id.text());
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

Task<http::Response> PoolApi::list_agents(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  co_await require(tx, api::principal(request), request.parameter("id"));
  co_return api::answer(200, jsonapi::list_document({}, page, 0, request.path));
}

Task<http::Response> PoolApi::list_tokens(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  Pool pool = co_await require(tx, api::principal(request), request.parameter("id"));
  auto [tokens, total] = co_await tokens_.list(tx, "agent", pool.id.text(), page);
  json::array data;
  for (const user::Token& token : tokens) data.push_back(user::encode(token));
  co_return api::answer(200, jsonapi::list_document(std::move(data), page, total, request.path));
}

Task<http::Response> PoolApi::create_token(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  // Some clients name the type in another way here.
  user::TokenRequest wanted = co_await user::read_token_request(request, "");
  if (!wanted.description || trim(*wanted.description).empty())
    throw Error(Code::unprocessable, "Description can't be blank", "/data/attributes/description");
  std::optional<std::string> creator;
  if (principal.kind == api::Principal::Kind::user) creator = principal.id;
  std::optional<user::NewToken> made;
  std::function<Task<user::NewToken>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<user::NewToken> {
    Pool pool = co_await require(tx, principal, request.parameter("id"));
    made =
        co_await tokens_.create(tx, "agent", pool.id.text(), wanted.description, creator, wanted.expired_at);
    co_return *made;
  };
  std::function<Task<std::optional<user::NewToken>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<user::NewToken>> {
    if (!made || !co_await tokens_.find(tx, "agent", made->row.owner_id, made->row.id.text()))
      co_return std::nullopt;
    co_return made;
  };
  user::NewToken token = co_await postgres::transact_create<user::NewToken>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(user::encode(token.row, &token.token)));
}

}  // namespace terrane::agent
