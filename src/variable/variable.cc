#include "variable/variable.h"

#include "base/text.h"
#include "variable/variable_sql.h"

namespace terrane::variable {
namespace {

constexpr std::string_view transit_key = "terrane";

std::optional<std::string> short_key(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (trim(text).empty()) return "Key can't be blank";
  if (text.size() > most_key_bytes)
    return "Key is too long (maximum is " + std::to_string(most_key_bytes) + " bytes)";
  return std::nullopt;
}

std::optional<std::string> short_value(const json::value& given) {
  if (given.is_string() && given.get_string().size() > most_value_bytes) {
    return "Value is too long (maximum is " + std::to_string(most_value_bytes) + " bytes)";
  }
  return std::nullopt;
}

std::optional<std::string> short_description(const json::value& given) {
  if (given.is_string() && given.get_string().size() > most_description_bytes) {
    return "Description is too long (maximum is " + std::to_string(most_description_bytes) + " bytes)";
  }
  return std::nullopt;
}

std::optional<std::string> known_category(const json::value& given) {
  if (given.is_string() && (given.get_string() == "terraform" || given.get_string() == "env"))
    return std::nullopt;
  return "Category must be 'terraform' or 'env'";
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
using V = Variable;
const std::array attributes{
    jsonapi::attr<&V::key>("key", "key", writable, short_key),
    jsonapi::attr<&V::value>("value", "value", writable, short_value),
    jsonapi::attr<&V::description>("description", "description", writable, short_description),
    jsonapi::attr<&V::category>("category", "category", writable, known_category),
    jsonapi::attr<&V::hcl>("hcl", "hcl", writable),
    jsonapi::attr<&V::sensitive>("sensitive", "sensitive", writable),
    jsonapi::attr<&V::version_id>("version-id", "version_id"),
    jsonapi::attr<&V::sealed_value>("sealed-value", "sealed_value", jsonapi::hidden),
};

std::optional<std::string> workspace_of(const void* variable) {
  return static_cast<const Variable*>(variable)->workspace_id;
}
void read_workspace(const postgres::Row& row, std::string_view column, void* variable) {
  static_cast<Variable*>(variable)->workspace_id = row.string(column);
}
const std::array relations{
    jsonapi::Relation{"configurable", "workspaces", workspace_of, "workspace_id", read_workspace}};

Variable read(const postgres::Row& row) {
  Variable variable = jsonapi::from_row<Variable>(resource(), row);
  variable.id = Id<Variable>(row.string("id"));
  return variable;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "variables_workspace_id_category_key_key") return error;
  return Error(Code::unprocessable, "Key has already been taken", "/data/attributes/key");
}

Error full() {
  return Error(Code::unprocessable,
               "The workspace's variables are too many or too long: at most " +
                   std::to_string(most_variables) + " with " + std::to_string(most_sealed_bytes / 4 * 3) +
                   " bytes of values in all are allowed.",
               "/data/attributes/value");
}

}  // namespace

const jsonapi::Resource& resource() {
  static const jsonapi::Resource table{"vars", attributes, relations};
  return table;
}

json::object encode(const Variable& variable) {
  json::object out = jsonapi::encode(resource(), &variable, variable.id.text());
  json::object& shown = out["attributes"].as_object();
  if (variable.sensitive) shown["value"] = nullptr;
  out["links"] =
      json::object{{"self", "/api/v2/workspaces/" + variable.workspace_id + "/vars/" + variable.id.text()}};
  return out;
}

void check_key(std::string_view key, std::string_view category) {
  auto refuse = [](const char* detail) { throw Error(Code::unprocessable, detail, "/data/attributes/key"); };
  if (category == "env") {
    auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
    if (key.empty() || is_digit(key.front()) || !std::all_of(key.begin(), key.end(), allowed)) {
      refuse("Key may only contain letters, numbers and underscores, and must not begin with a number");
    }
    return;
  }
  auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; };
  if (key.empty() || !std::all_of(key.begin(), key.end(), allowed)) {
    refuse("Key may only contain letters, numbers, hyphens and underscores");
  }
}

void check_change(const Variable& before, const Variable& after) {
  check_key(after.key, after.category);
  if (before.sensitive && !after.sensitive) {
    throw Error(Code::unprocessable,
                "Sensitive cannot be changed from true to false; delete the variable and create it again",
                "/data/attributes/sensitive");
  }
}

Task<std::vector<Variable>> list(postgres::Tx& tx, const std::string& workspace_id) {
  postgres::Result rows = co_await tx.run(sql::variable_list, postgres::Params::of(workspace_id));
  std::vector<Variable> variables;
  for (std::size_t i = 0; i < rows.size(); ++i) variables.push_back(read(rows[i]));
  co_return variables;
}

Task<std::optional<Variable>> find(postgres::Tx& tx, const std::string& workspace_id, const std::string& id,
                                   Lock lock) {
  const Statement& statement = lock == Lock::row ? sql::variable_find_locked : sql::variable_find;
  postgres::Result result = co_await tx.run(statement, postgres::Params::of(workspace_id, id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<> insert(postgres::Tx& tx, vault_client::Vault& vault, const Variable& variable) {
  const Variable& v = variable;
  std::string sealed =
      co_await vault.encrypt(std::string(transit_key), Secret(v.value.value_or("")), v.id.text());
  std::size_t made = 0;
  try {
    postgres::Result result = co_await tx.run(
        sql::variable_insert,
        postgres::Params::of(v.id, v.workspace_id, v.key, sealed, v.category, v.hcl, v.sensitive,
                             v.description, v.version_id, most_variables, most_sealed_bytes));
    made = result.affected();
  } catch (const Error& error) {
    throw taken(error);
  }
  if (made == 0) throw full();
}

Task<> update(postgres::Tx& tx, vault_client::Vault& vault, const Variable& variable) {
  const Variable& v = variable;
  std::string sealed = v.sealed_value;
  if (v.value) sealed = co_await vault.encrypt(std::string(transit_key), Secret(*v.value), v.id.text());
  std::size_t changed = 0;
  try {
    postgres::Result result =
        co_await tx.run(sql::variable_update,
                        postgres::Params::of(v.id, v.workspace_id, v.key, sealed, v.category, v.hcl,
                                             v.sensitive, v.description, v.version_id, most_sealed_bytes));
    changed = result.affected();
  } catch (const Error& error) {
    throw taken(error);
  }
  if (changed == 0) throw full();
}

Task<bool> remove(postgres::Tx& tx, const std::string& workspace_id, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::variable_delete, postgres::Params::of(workspace_id, id));
  co_return result.affected() == 1;
}

Task<> open_readable(vault_client::Vault& vault, std::vector<Variable>& variables) {
  std::vector<vault_client::Cipher> ciphers;
  for (const Variable& variable : variables) {
    if (!variable.sensitive) ciphers.push_back({variable.sealed_value, variable.id.text()});
  }
  if (ciphers.empty()) co_return;
  std::vector<Secret> opened = co_await vault.decrypt_all(std::string(transit_key), std::move(ciphers));
  auto next = opened.begin();
  for (Variable& variable : variables) {
    if (!variable.sensitive) variable.value = (next++)->reveal();
  }
}

Task<std::vector<Value>> variables_of(postgres::Tx& tx, vault_client::Vault& vault,
                                      const std::string& workspace_id) {
  std::vector<Value> values;
  std::vector<Variable> variables = co_await list(tx, workspace_id);
  if (variables.empty()) co_return values;
  std::vector<vault_client::Cipher> ciphers;
  for (const Variable& variable : variables) ciphers.push_back({variable.sealed_value, variable.id.text()});
  std::vector<Secret> opened = co_await vault.decrypt_all(std::string(transit_key), std::move(ciphers));
  for (std::size_t i = 0; i < variables.size(); ++i) {
    Variable& v = variables[i];
    values.push_back({std::move(v.key), std::move(opened[i]), std::move(v.category), v.hcl, v.sensitive});
  }
  co_return values;
}

}  // namespace terrane::variable
