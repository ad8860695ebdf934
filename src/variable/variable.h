#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/secret.h"
#include "jsonapi/resource.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane::variable {

constexpr std::size_t most_key_bytes = 256;
constexpr std::size_t most_value_bytes = 256 * 1024;
constexpr std::size_t most_description_bytes = 512;
constexpr std::size_t most_variables = 1000;  ///< of one workspace or set
constexpr std::size_t most_sealed_bytes =
    8 * 1024 * 1024;  ///< of their values in sealed form, which is a third longer

constexpr std::size_t most_run_bytes = 16 * 1024 * 1024;  ///< of all that one run gets, in sealed form

/// A variable of a workspace or of a variable set. Its value is stored sealed by transit, bound to the
/// variable's id.
struct Variable {
  static constexpr std::string_view id_prefix = "var";
  Id<Variable> id;
  std::string owner_id;  ///< the workspace's or set's
  std::string key;
  std::optional<std::string> value;  ///< in clear; nothing when it is not asked for or must not be shown
  std::optional<std::string> description;
  std::string category;  ///< terraform or env
  bool hcl = false;
  bool sensitive = false;
  std::string version_id;    ///< another one after each change
  std::string sealed_value;  ///< `vault:vN:…`

  bool in_set() const { return owner_id.starts_with("varset-"); }
};

/// The fields of `vars` on the wire and in the table.
const jsonapi::Resource& resource();

/// The resource object; the value of a sensitive variable is null.
json::object encode(const Variable& variable);

/// A text that no other version of a variable has.
std::string new_version_id();
/// Fills in what a new variable may leave out, and checks the rest. Throws Error{unprocessable} with
/// pointers.
void complete_new(Variable& variable);
/// What is wrong with the key in its category. Throws Error{unprocessable} with a pointer.
void check_key(std::string_view key, std::string_view category);

/// Checks a change of a variable as a whole: the key in its category, and that nothing sensitive becomes
/// readable. Throws Error{unprocessable} with a pointer.
void check_change(const Variable& before, const Variable& after);

/// The variables of a workspace or set in the order they were made, without values in clear.
Task<std::vector<Variable>> list(postgres::Tx& tx, const std::string& owner_id);
/// One variable of a workspace or set, without its value in clear; with `lock` its row is locked. Nothing
/// when there is none.
enum class Lock { none, row };
Task<std::optional<Variable>> find(postgres::Tx& tx, const std::string& owner_id, const std::string& id,
                                   Lock lock);
/// Those of the variables that are there, whose ever they are, without their values in clear.
Task<std::vector<Variable>> find_all(postgres::Tx& tx, const std::vector<std::string>& ids);
/// Seals the value and inserts the row. Throws Error{unprocessable} with a pointer when the key is taken or
/// the workspace or set is full.
Task<> insert(postgres::Tx& tx, vault_client::Vault& vault, const Variable& variable);
/// Writes the row; seals the value when there is one in clear, else keeps it. Errors as `insert`.
Task<> update(postgres::Tx& tx, vault_client::Vault& vault, const Variable& variable);
/// Removes the variable; false when there is none.
Task<bool> remove(postgres::Tx& tx, const std::string& owner_id, const std::string& id);

/// Opens the values of all that are not sensitive, in one batch.
Task<> open_readable(vault_client::Vault& vault, std::vector<Variable>& variables);

/// What a run of the workspace gets, without values in clear: of its own variables and those of sets that
/// apply to it, the one that wins of each category and key. Sets with priority win over the workspace, which
/// wins over other sets. Among sets with priority global ones come first, then those of its project, then its
/// own; among the others it is the other way round; among equals the set whose name comes first.
Task<std::vector<Variable>> list_effective(postgres::Tx& tx, const std::string& workspace_id);
/// Throws Error{unprocessable} when that is more than a run can take (`most_run_bytes`).
Task<> require_fit_for_run(postgres::Tx& tx, const std::string& workspace_id);

}  // namespace terrane::variable
