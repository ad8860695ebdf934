#include "variable/variable_api.h"

#include "base/text.h"
#include "crypto/random.h"
#include "organization/access.h"
#include "postgres/known_commit.h"
#include "variable/variable.h"

namespace terrane::variable {
namespace {

/// JSON may write each byte of a value as six.
constexpr std::size_t body_limit = 6 * most_value_bytes + 64 * 1024;

enum class Want { read, write };

Task<> require_access(postgres::Tx& tx, const http::Request& request, Want want) {
  organization::WorkspaceAccess access = co_await organization::access_to_workspace(
      tx, api::principal(request), request.parameter("workspace_id"));
  if (!access.read || !(want == Want::write ? access.write_variables : access.read_variables))
    throw Error(Code::not_found, "");
}

std::string new_version_id() { return hex(crypto::random_bytes(32)); }

/// Attributes that a new variable cannot do without.
void require_attributes(const Variable& given) {
  std::vector<Problem> problems;
  if (given.key.empty()) problems.push_back({"Key can't be blank", "/data/attributes/key"});
  if (given.category.empty()) problems.push_back({"Category can't be blank", "/data/attributes/category"});
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
}

Task<Variable> open_one(vault_client::Vault& vault, Variable variable) {
  std::vector<Variable> one{std::move(variable)};
  co_await open_readable(vault, one);
  co_return std::move(one.front());
}

}  // namespace

void VariableApi::add_routes(http::Router& router) {
  using http::Method;
  using Self = VariableApi;
  const std::string all = "/api/v2/workspaces/:workspace_id/vars";
  router.add({Method::get, all, api::bind<&Self::list>(this)}, {http::Shape::Form::all, "vars"});
  router.add({Method::post, all, api::bind<&Self::create>(this), body_limit});
  router.add({Method::get, all + "/:id", api::bind<&Self::show>(this)});
  router.add({Method::patch, all + "/:id", api::bind<&Self::update>(this), body_limit});
  router.add({Method::del, all + "/:id", api::bind<&Self::remove>(this)});
}

/// Clients expect all variables at once, so there are no pages; the limits of a workspace bound the answer.
Task<http::Response> VariableApi::list(http::Request& request) {
  std::vector<Variable> variables;
  {
    postgres::Tx tx = co_await database_.begin();
    co_await require_access(tx, request, Want::read);
    variables = co_await variable::list(tx, request.parameter("workspace_id"));
  }
  co_await open_readable(vault_, variables);
  json::array data;
  for (const Variable& variable : variables) data.push_back(encode(variable));
  co_return api::answer(200, json::object{{"data", std::move(data)}});
}

Task<http::Response> VariableApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  Variable variable;
  variable.id = Id<Variable>::make();
  variable.workspace_id = request.parameter("workspace_id");
  variable.version_id = new_version_id();
  std::function<Task<Variable>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Variable> {
    co_await require_access(tx, request, Want::write);
    jsonapi::decode(resource(), data, jsonapi::create, &variable);
    require_attributes(variable);
    check_key(variable.key, variable.category);
    if (!variable.value) variable.value = "";
    co_await insert(tx, vault_, variable);
    co_return variable;
  };
  std::function<Task<std::optional<Variable>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<Variable>> {
    if (!co_await find(tx, variable.workspace_id, variable.id.text(), Lock::none)) co_return std::nullopt;
    co_return variable;
  };
  Variable made = co_await postgres::transact_create<Variable>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

Task<http::Response> VariableApi::show(http::Request& request) {
  std::optional<Variable> variable;
  {
    postgres::Tx tx = co_await database_.begin();
    co_await require_access(tx, request, Want::read);
    variable = co_await find(tx, request.parameter("workspace_id"), request.parameter("id"), Lock::none);
  }
  if (!variable) throw Error(Code::not_found, "");
  Variable opened = co_await open_one(vault_, std::move(*variable));
  co_return api::answer(200, jsonapi::document(encode(opened)));
}

Task<http::Response> VariableApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  const std::string version_id = new_version_id();
  std::function<Task<Variable>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Variable> {
    co_await require_access(tx, request, Want::write);
    std::optional<Variable> before =
        co_await find(tx, request.parameter("workspace_id"), request.parameter("id"), Lock::row);
    if (!before) throw Error(Code::not_found, "");
    Variable after = *before;
    json::object columns = jsonapi::decode(resource(), data, jsonapi::update, &after);
    if (columns.contains("value") && !after.value) after.value = "";
    check_change(*before, after);
    after.version_id = version_id;
    co_await variable::update(tx, vault_, after);
    // Opened before the commit: once it is done, nothing that may fail stands before the answer.
    if (!after.value) after = co_await open_one(vault_, std::move(after));
    co_return after;
  };
  Variable variable = co_await postgres::transact_change<Variable>(database_, change);
  co_return api::answer(200, jsonapi::document(encode(variable)));
}

Task<http::Response> VariableApi::remove(http::Request& request) {
  std::function<Task<>(postgres::Tx&)> remove = [&](postgres::Tx& tx) -> Task<> {
    co_await require_access(tx, request, Want::write);
    const bool gone =
        co_await variable::remove(tx, request.parameter("workspace_id"), request.parameter("id"));
    if (!gone) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::variable
