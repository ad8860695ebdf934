#include "variable/variable.h"

#include "base/text.h"
#include "crypto/random.h"
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

std::optional<std::string> workspace_of(const void* given) {
  const Variable& variable = *static_cast<const Variable*>(given);
  return variable.in_set() ? std::nullopt : std::optional(variable.owner_id);
}
std::optional<std::string> set_of(const void* given) {
  const Variable& variable = *static_cast<const Variable*>(given);
  return variable.in_set() ? std::optional(variable.owner_id) : std::nullopt;
}
void read_owner(const postgres::Row& row, std::string_view column, void* variable) {
  static_cast<Variable*>(variable)->owner_id = row.string(column);
}
const std::array relations{
    jsonapi::Relation{"configurable", "workspaces", workspace_of, "owner_id", read_owner},
    jsonapi::Relation{"varset", "varsets", set_of, "owner_id", read_owner}};

Variable read(const postgres::Row& row) {
  Variable variable = jsonapi::from_row<Variable>(resource(), row);
  variable.id = Id<Variable>(row.string("id"));
  return variable;
}

std::vector<Variable> read_all(const postgres::Result& rows) {
  std::vector<Variable> variables;
  for (std::size_t i = 0; i < rows.size(); ++i) variables.push_back(read(rows[i]));
  return variables;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

Error taken(const Error& error) {
  const std::string_view violated = postgres::violated_constraint(error);
  if (violated != "variables_workspace_id_category_key_key" &&
      violated != "variables_variable_set_id_category_key_key") {
    return error;
  }
  return Error(Code::unprocessable, "Key has already been taken", "/data/attributes/key");
}

Error full() {
  return Error(Code::unprocessable,
               "The variables are too many or too long: at most " + std::to_string(most_variables) +
                   " with " + std::to_string(most_sealed_bytes / 4 * 3) +
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
  const std::string all = variable.in_set() ? "/api/v2/varsets/" + variable.owner_id + "/relationships/vars/"
                                            : "/api/v2/workspaces/" + variable.owner_id + "/vars/";
  out["links"] = json::object{{"self", all + variable.id.text()}};
  return out;
}

std::string new_version_id() { return hex(crypto::random_bytes(32)); }

void complete_new(Variable& variable) {
  std::vector<Problem> problems;
  if (variable.key.empty()) problems.push_back({"Key can't be blank", "/data/attributes/key"});
  if (variable.category.empty()) problems.push_back({"Category can't be blank", "/data/attributes/category"});
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  check_key(variable.key, variable.category);
  if (!variable.value) variable.value = "";
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

Task<std::vector<Variable>> list(postgres::Tx& tx, const std::string& owner_id) {
  co_return read_all(co_await tx.run(sql::variable_list, postgres::Params::of(owner_id)));
}

Task<std::optional<Variable>> find(postgres::Tx& tx, const std::string& owner_id, const std::string& id,
                                   Lock lock) {
  const Statement& statement = lock == Lock::row ? sql::variable_find_locked : sql::variable_find;
  postgres::Result result = co_await tx.run(statement, postgres::Params::of(owner_id, id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::vector<Variable>> find_all(postgres::Tx& tx, const std::vector<std::string>& ids) {
  co_return read_all(co_await tx.run(sql::variable_find_all, postgres::Params::of(ids)));
}

Task<> insert(postgres::Tx& tx, vault_client::Vault& vault, const Variable& variable) {
  const Variable& v = variable;
  std::string sealed =
      co_await vault.encrypt(std::string(transit_key), Secret(v.value.value_or("")), v.id.text());
  std::size_t made = 0;
  try {
    postgres::Result result = co_await tx.run(
        sql::variable_insert,
        postgres::Params::of(v.id, v.owner_id, v.in_set(), v.key, sealed, v.category, v.hcl, v.sensitive,
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
                        postgres::Params::of(v.id, v.owner_id, v.key, sealed, v.category, v.hcl, v.sensitive,
                                             v.description, v.version_id, most_sealed_bytes));
    changed = result.affected();
  } catch (const Error& error) {
    throw taken(error);
  }
  if (changed == 0) throw full();
}

Task<bool> remove(postgres::Tx& tx, const std::string& owner_id, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::variable_delete, postgres::Params::of(owner_id, id));
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

Task<std::vector<Variable>> list_effective(postgres::Tx& tx, const std::string& workspace_id) {
  co_return read_all(co_await tx.run(sql::variable_effective, postgres::Params::of(workspace_id)));
}

Task<> require_fit_for_run(postgres::Tx& tx, const std::string& workspace_id) {
  postgres::Result size = co_await tx.run(sql::variable_effective_size, postgres::Params::of(workspace_id));
  if (size[0].integer("bytes") <= static_cast<std::int64_t>(most_run_bytes)) co_return;
  throw Error(Code::unprocessable,
              "The values of the workspace's variables and variable sets are too long for a run: at most " +
                  std::to_string(most_run_bytes / 4 * 3) + " bytes in all are allowed.");
}

}  // namespace terrane::variable
