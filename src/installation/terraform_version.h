#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "installation/version.h"
#include "jsonapi/resource.h"
#include "postgres/database.h"

namespace terrane::installation {

/// A version of an engine that runs may use.
struct TerraformVersion {
  static constexpr std::string_view id_prefix = "tool";
  Id<TerraformVersion> id;
  std::string version;
  std::optional<std::string>
      url;  ///< of the archive for linux/amd64; nothing for an engine that came with Terrane
  std::optional<std::string> sha;     ///< SHA-256, hex, of the same
  json::value archs = json::array{};  ///< [{url, sha, os, arch}]
  bool official = false;
  bool enabled = true;
  bool beta = false;
  bool deprecated = false;
  std::optional<std::string> deprecated_reason;
  std::string engine;  ///< opentofu or terraform; which program the archive holds
  Time created_at;
  std::int64_t usage = 0;  ///< workspaces that name exactly this version
};

/// The fields of `terraform-versions` on the wire and in the table.
const jsonapi::Resource& terraform_version_resource();
json::object encode(const TerraformVersion& version);

/// Brings url, sha and archs of a version into agreement after `given` (a request's attributes) was decoded
/// into it, and checks the whole. Throws Error{unprocessable} with pointers.
void settle(TerraformVersion& version, const json::object& given);

Task<std::optional<TerraformVersion>> find_terraform_version(postgres::Tx& tx, const std::string& id);
/// Newest first by number, and how many match. `exact` and `part` filter by the version's text, empty for
/// all.
Task<std::pair<std::vector<TerraformVersion>, std::int64_t>> list_terraform_versions(
    postgres::Tx& tx, std::string_view exact, std::string_view part, const jsonapi::Page& page);
/// Inserts. Throws Error{unprocessable} with a pointer when the version is there already.
Task<> insert(postgres::Tx& tx, const TerraformVersion& version);
/// Writes the row. Errors as `insert`.
Task<> update(postgres::Tx& tx, const TerraformVersion& version);
/// Removes it. Throws Error{not_found}, or Error{unprocessable} while workspaces use it or when it came with
/// Terrane.
Task<> remove_terraform_version(postgres::Tx& tx, const std::string& id);

/// Registers an engine that came with Terrane, or corrects its row. `sha256` is that of the program.
Task<> register_engine(postgres::Database& database, std::string version, std::string sha256,
                       std::string engine);

/// All registered versions, to choose from with `resolve_version`.
Task<std::vector<Candidate>> candidates(postgres::Tx& tx);

}  // namespace terrane::installation
