#include "variable/variable_api.h"

#include "organization/access.h"
#include "postgres/known_commit.h"
#include "variable/variable.h"
#include "variable/variable_set.h"

namespace terrane::variable {
namespace {

/// JSON may write each byte of a value as six.
constexpr std::size_t body_limit = 6 * most_value_bytes + 64 * 1024;

/// Whether the principal may read or write the variables of a workspace or set.
Task<bool> may_touch(postgres::Tx& tx, const api::Principal& principal, const std::string& owner, Want want) {
  if (owner.starts_with("varset-")) {
    std::optional<VariableSet> set = co_await find_set(tx, owner);
    co_return set&& co_await may(tx, principal, *set, want);
  }
  organization::WorkspaceAccess access = co_await organization::access_to_workspace(tx, principal, owner);
  co_return access.read && (want == Want::write ? access.write_variables : access.read_variables);
}

/// The workspace or the set of the path, whose variables the principal may read or write.
Task<std::string> require_owner(postgres::Tx& tx, const http::Request& request, Want want) {
  const std::string& owner = request.parameter("owner");
  const bool wants_set = request.path.starts_with("/api/v2/varsets/");
  if (wants_set != owner.starts_with("varset-") ||
      !co_await may_touch(tx, api::principal(request), owner, want)) {
    throw Error(Code::not_found, "");
  }
  co_return owner;
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
  router.add({Method::get, "/api/v2/workspaces/:owner/all-vars", api::bind<&Self::list_effective>(this)},
             {http::Shape::Form::all, "vars"});
  for (std::string all : {"/api/v2/workspaces/:owner/vars", "/api/v2/varsets/:owner/relationships/vars"}) {
    router.add({Method::get, all, api::bind<&Self::list>(this)}, {http::Shape::Form::all, "vars"});
    router.add({Method::post, all, api::bind<&Self::create>(this), body_limit});
    router.add({Method::get, all + "/:id", api::bind<&Self::show>(this)});
    router.add({Method::patch, all + "/:id", api::bind<&Self::update>(this), body_limit});
    router.add({Method::del, all + "/:id", api::bind<&Self::remove>(this)});
  }
  includes_.add_resource(resource().type,
                         [this](postgres::Tx& tx, const api::Principal& principal,
                                const std::vector<std::string>& ids) { return load(tx, principal, ids); });
}

Task<std::vector<json::object>> VariableApi::load(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids) {
  std::vector<Variable> found = co_await find_all(tx, ids);
  std::map<std::string, bool> may_read;  // by owner: what one document shows has few
  for (const Variable& variable : found) {
    if (!may_read.contains(variable.owner_id))
      may_read[variable.owner_id] = co_await may_touch(tx, principal, variable.owner_id, Want::read);
  }
  std::erase_if(found, [&](const Variable& variable) { return !may_read[variable.owner_id]; });
  co_await open_readable(vault_, found);
  std::vector<json::object> out;
  for (const Variable& variable : found) out.push_back(encode(variable));
  co_return out;
}

/// Clients expect all variables at once, so there are no pages; the limits of their owner bound the answer.
Task<http::Response> VariableApi::list(http::Request& request) {
  std::vector<Variable> variables;
  {
    postgres::Tx tx = co_await database_.begin();
    variables = co_await variable::list(tx, co_await require_owner(tx, request, Want::read));
  }
  co_return co_await answer_with_all(std::move(variables));
}

Task<http::Response> VariableApi::list_effective(http::Request& request) {
  std::vector<Variable> variables;
  {
    postgres::Tx tx = co_await database_.begin();
    const std::string workspace = co_await require_owner(tx, request, Want::read);
    // What cannot run is not shown either: it would be as long.
    co_await require_fit_for_run(tx, workspace);
    variables = co_await variable::list_effective(tx, workspace);
  }
  co_return co_await answer_with_all(std::move(variables));
}

Task<http::Response> VariableApi::answer_with_all(std::vector<Variable> variables) {
  co_await open_readable(vault_, variables);
  json::array data;
  for (const Variable& variable : variables) data.push_back(encode(variable));
  co_return api::answer(200, json::object{{"data", std::move(data)}});
}

Task<http::Response> VariableApi::create(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  Variable variable;
  variable.id = Id<Variable>::make();
  variable.version_id = new_version_id();
  std::function<Task<Variable>(postgres::Tx&)> create = [&](postgres::Tx& tx) -> Task<Variable> {
    variable.owner_id = co_await require_owner(tx, request, Want::write);
    jsonapi::decode(resource(), data, jsonapi::create, &variable);
    complete_new(variable);
    co_await insert(tx, vault_, variable);
    co_return variable;
  };
  std::function<Task<std::optional<Variable>>(postgres::Tx&)> lookup =
      [&](postgres::Tx& tx) -> Task<std::optional<Variable>> {
    if (!co_await find(tx, variable.owner_id, variable.id.text(), Lock::none)) co_return std::nullopt;
    co_return variable;
  };
  Variable made = co_await postgres::transact_create<Variable>(database_, create, lookup);
  co_return api::answer(201, jsonapi::document(encode(made)));
}

Task<http::Response> VariableApi::show(http::Request& request) {
  std::optional<Variable> variable;
  {
    postgres::Tx tx = co_await database_.begin();
    const std::string owner = co_await require_owner(tx, request, Want::read);
    variable = co_await find(tx, owner, request.parameter("id"), Lock::none);
  }
  if (!variable) throw Error(Code::not_found, "");
  Variable opened = co_await open_one(vault_, std::move(*variable));
  co_return api::answer(200, jsonapi::document(encode(opened)));
}

Task<http::Response> VariableApi::update(http::Request& request) {
  json::object data = co_await api::read_data(request, resource().type, body_limit);
  const std::string version_id = new_version_id();
  std::function<Task<Variable>(postgres::Tx&)> change = [&](postgres::Tx& tx) -> Task<Variable> {
    const std::string owner = co_await require_owner(tx, request, Want::write);
    std::optional<Variable> before = co_await find(tx, owner, request.parameter("id"), Lock::row);
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
    const std::string owner = co_await require_owner(tx, request, Want::write);
    const bool gone = co_await variable::remove(tx, owner, request.parameter("id"));
    if (!gone) throw Error(Code::not_found, "");
  };
  co_await postgres::transact_remove(database_, remove);
  co_return api::no_content();
}

}  // namespace terrane::variable
