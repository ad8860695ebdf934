#include "organization/organization_api.h"

#include "organization/organization.h"
#include "organization/project.h"
#include "postgres/known_commit.h"
#include "user/token_request.h"

namespace terrane::organization {
namespace {

using Kind = api::Principal::Kind;

/// Clients that give no page expect all organizations at once.
jsonapi::Page page_of(const http::Request& request) {
  if (request.query.find("page[number]") || request.query.find("page[size]")) return api::page(request);
  return {1, 1000};
}

Task<OrganizationAccess> require_own(postgres::Tx& tx, const http::Request& request) {
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  if (!access.own) throw Error(Code::not_found, "");
  co_return access;
}

Task<Organization> require_row(postgres::Tx& tx, const OrganizationAccess& access) {
  std::optional<Organization> organization = co_await find(tx, Id<Organization>(access.id));
  if (!organization) throw Error(Code::not_found, "");
  co_return *organization;
}

/// Which of the organization's tokens is meant: its own, or the one that reads audit trails.
std::string token_kind(const http::Request& request) {
  std::string_view given = request.query.find("token").value_or("");
  if (given.empty() || given == "organization") return "organization";
  if (given == "audit-trails") return "audit-trails";
  throw Error(Code::invalid, "The parameter token must be audit-trails or absent.");
}

/// Attributes that a new organization cannot do without.
void require_attributes(const json::object& data) {
  const json::object* given = find_object(data, "attributes");
  std::vector<Problem> problems;
  if (!given || !given->contains("name"))
    problems.push_back({"Name can't be blank", "/data/attributes/name"});
  if (!given || !given->contains("email"))
    problems.push_back({"Email can't be blank", "/data/attributes/email"});
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
}

Task<std::vector<json::object>> load_organizations(postgres::Tx& tx, const api::Principal& principal,
                                                   const std::vector<std::string>& names) {
  std::vector<json::object> out;
  for (const Organization& organization : co_await find_by_names(tx, names)) {
    // All that one document shows is of one organization, or nearly so.
    OrganizationAccess access = co_await access_to_organization(tx, principal, organization.name);
    if (access.read) out.push_back(encode(organization, access));
  }
  co_return out;
}

/// Promises that this installation cannot keep are refused, not ignored.
void refuse_enforced_hyok(const json::object& data) {
  const json::object* given = find_object(data, "attributes");
  if (given && find_bool(*given, "enforce-hyok").value_or(false)) {
    throw Error(Code::unprocessable,
                "Enforce HYOK cannot be enabled: this installation has no HYOK configurations",
                "/data/attributes/enforce-hyok");
  }
}

}  // namespace

void OrganizationApi::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  using Self = OrganizationApi;
  const std::string one = "/api/v2/organizations/:organization";
  router.add({Method::get, "/api/v2/organizations", api::bind<&Self::list>(this)},
             {.query = "q q[name] q[email] include"});
  router.add({Method::post, "/api/v2/organizations", api::bind<&Self::create>(this), 64 * 1024});
  router.add({Method::get, one, api::bind<&Self::show>(this)}, {.query = "include"});
  router.add({Method::patch, one, api::bind<&Self::update>(this), 64 * 1024});
  router.add({Method::del, one, api::bind<&Self::remove>(this)});
  router.add({Method::post, one + "/authentication-token", api::bind<&Self::create_token>(this), 64 * 1024},
             {Form::made, "authentication-tokens", "authentication-tokens.create", "token"});
  router.add({Method::get, one + "/authentication-token", api::bind<&Self::show_token>(this)},
             {Form::one, "authentication-tokens", "", "token"});
  router.add({Method::del, one + "/authentication-token", api::bind<&Self::delete_token>(this)},
             {.query = "token"});
  includes_.add_resource("organizations", load_organizations);
  includes_.add_relation("organizations", "default_project", {"projects"});
}

Task<http::Response> OrganizationApi::list(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  jsonapi::Page page = page_of(request);
  auto part = [&](const char* name) { return request.query.find(name).value_or(""); };
  const Search search{part("q"), part("q[name]"), part("q[email]")};
  postgres::Tx tx = co_await database_.begin();
  auto [organizations, total] = co_await organization::list(tx, principal, search, page);
  std::vector<std::string> names;
  for (const Organization& organization : organizations) names.push_back(organization.name);
  const auto accesses = co_await access_to_organizations(tx, principal, names);
  json::array data;
  for (const Organization& organization : organizations) {
    auto access = accesses.find(organization.id.text());
    if (access != accesses.end()) data.push_back(encode(organization, access->second));
  }
  co_return co_await includes_.answer_list(request, tx, "organizations", std::move(data), page, total);
}

Task<http::Response> OrganizationApi::create(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  if (principal.kind != Kind::user) throw Error(Code::not_found, "");
  json::object data = co_await api::read_data(request, resource().type, 64 * 1024);
  Organization organization;
  organization.id = Id<Organization>::make();
  organization.default_project_id = Id<Project>::make().text();
  jsonapi::decode(resource(), data, jsonapi::create, &organization);
  require_attributes(data);
  refuse_enforced_hyok(data);
  if (organization.default_execution_mode == "agent") {
    throw Error(Code::unprocessable, "A new organization has no agent pool that could be its default",
                "/data/attributes/default-execution-mode");
  }

  OrganizationAccess access;
  std::function<Task<Organization>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Organization> {
    co_await insert(tx, organization, principal.id);
    access = co_await access_to_organization(tx, principal, organization.name);
    co_return co_await require_row(tx, access);
  };
  std::function<Task<std::optional<Organization>>(postgres::Tx&)> lookup = [&](postgres::Tx& tx) {
    return find(tx, organization.id);
  };
  organization = co_await postgres::transact_create<Organization>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(organization, access)));
}

Task<http::Response> OrganizationApi::show(http::Request& request) {
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access =
      co_await require_organization(tx, api::principal(request), request.parameter("organization"));
  Organization organization = co_await require_row(tx, access);
  co_return co_await includes_.answer(request, tx, 200, encode(organization, access));
}

Task<http::Response> OrganizationApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, 64 * 1024);
  std::optional<OrganizationAccess> access;
  std::function<Task<Organization>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Organization> {
    // The access of the first attempt stands: after a change of the name the path's name is no more.
    if (!access) access = co_await require_own(tx, request);
    Organization changed = co_await require_row(tx, *access);
    json::object columns = jsonapi::decode(resource(), data, jsonapi::update, &changed);
    refuse_enforced_hyok(data);
    co_await settle_default_agent_pool(tx, data, changed, columns);
    co_await organization::update(tx, Id<Organization>(access->id), columns);
    co_return co_await require_row(tx, *access);
  };
  Organization organization = co_await postgres::transact_change<Organization>(database_, change);
  access->name = organization.name;
  co_return api::answer(200, jsonapi::document(encode(organization, *access)));
}

Task<http::Response> OrganizationApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    OrganizationAccess access = co_await require_own(tx, request);
    co_await organization::remove(tx, Id<Organization>(access.id));
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

Task<http::Response> OrganizationApi::create_token(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  const std::string kind = token_kind(request);
  user::TokenRequest wanted = co_await user::read_token_request(request);
  std::optional<std::string> creator;
  if (principal.kind == Kind::user) creator = principal.id;
  std::optional<user::NewToken> made;
  std::function<Task<user::NewToken>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<user::NewToken> {
    OrganizationAccess access = co_await require_own(tx, request);
    co_await tokens_.revoke_all(tx, kind, access.id);
    made = co_await tokens_.create(tx, kind, access.id, wanted.description, creator, wanted.expired_at);
    co_return *made;
  };
  std::function<Task<std::optional<user::NewToken>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<user::NewToken>> {
    if (!made || !co_await tokens_.find(tx, kind, made->row.owner_id, made->row.id.text()))
      co_return std::nullopt;
    co_return made;
  };
  user::NewToken token = co_await postgres::transact_create<user::NewToken>(database_, create, lookup);
  tokens_.forget("");
  co_return api::answer(201, jsonapi::document(user::encode(token.row, &token.token)));
}

Task<http::Response> OrganizationApi::show_token(http::Request& request) {
  const std::string kind = token_kind(request);
  postgres::Tx tx = co_await database_.begin();
  OrganizationAccess access = co_await require_own(tx, request);
  auto [tokens, total] = co_await tokens_.list(tx, kind, access.id, {1, 1});
  if (tokens.empty()) throw Error(Code::not_found, "");
  co_return api::answer(200, jsonapi::document(user::encode(tokens.front())));
}

Task<http::Response> OrganizationApi::delete_token(http::Request& request) {
  const std::string kind = token_kind(request);
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    OrganizationAccess access = co_await require_own(tx, request);
    if (co_await tokens_.revoke_all(tx, kind, access.id) == 0) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  tokens_.forget("");
  co_return api::no_content();
}

}  // namespace terrane::organization
