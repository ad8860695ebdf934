#include "installation/terraform_version.h"

#include "base/text.h"
#include "installation/terraform_version_sql.h"

namespace terrane::installation {
namespace {

constexpr std::size_t most_archs = 16;

std::optional<std::string> version_text(const json::value& given) {
  if (given.is_string() && !(given.get_string().size() <= 64 && parse_version(given.get_string()))) {
    return "Version must be a semantic version such as 1.12.6 or 1.13.0-beta1";
  }
  return std::nullopt;
}

bool is_sha256(std::string_view text) { return text.size() == 64 && from_hex(text).has_value(); }

bool is_url(std::string_view text) {
  const bool has_scheme = text.starts_with("https://") || text.starts_with("http://");
  return has_scheme && text.size() <= 2048 && text.find_first_of(" \t\r\n") == std::string_view::npos;
}

std::optional<std::string> sha_text(const json::value& given) {
  if (given.is_string() && !is_sha256(given.get_string()))
    return "Sha must be a SHA-256 digest of 64 hexadecimal digits";
  return std::nullopt;
}

std::optional<std::string> url_text(const json::value& given) {
  if (given.is_string() && !is_url(given.get_string()))
    return "Url must be an http or https URL of at most 2048 bytes";
  return std::nullopt;
}

std::optional<std::string> reason_text(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 1024)
    return "Deprecated reason is too long (maximum is 1024 bytes)";
  return std::nullopt;
}

std::optional<std::string> engine_name(const json::value& given) {
  if (given.is_string() && (given.get_string() == "opentofu" || given.get_string() == "terraform"))
    return std::nullopt;
  return "Engine must be 'opentofu' or 'terraform'";
}

std::optional<std::string> arch_list(const json::value& given) {
  if (given.is_null()) return std::nullopt;
  if (!given.is_array() || given.get_array().size() > most_archs)
    return "Archs must be a list of at most 16 objects";
  for (const json::value& item : given.get_array()) {
    if (!item.is_object()) return "Archs must be a list of objects with url, sha, os and arch";
    const json::object& arch = item.get_object();
    std::optional<std::string> os = find_string(arch, "os");
    std::optional<std::string> cpu = find_string(arch, "arch");
    if (!is_url(find_string(arch, "url").value_or("")) || !is_sha256(find_string(arch, "sha").value_or(""))) {
      return "Each of archs must have an http or https url and a SHA-256 sha";
    }
    if (os != "linux" || !(cpu == "amd64" || cpu == "arm64"))
      return "Each of archs must have the os linux and the arch amd64 or arm64";
  }
  return std::nullopt;
}

constexpr unsigned writable = jsonapi::create | jsonapi::update;
using T = TerraformVersion;
const std::array attributes{
    jsonapi::attr<&T::version>("version", "version", writable, version_text),
    jsonapi::attr<&T::url>("url", "url", writable, url_text),
    jsonapi::attr<&T::sha>("sha", "sha", writable, sha_text),
    jsonapi::attr<&T::archs>("archs", "archs", writable, arch_list),
    jsonapi::attr<&T::official>("official", "official", writable),
    jsonapi::attr<&T::enabled>("enabled", "enabled", writable),
    jsonapi::attr<&T::beta>("beta", "beta", writable),
    jsonapi::attr<&T::deprecated>("deprecated", "deprecated", writable),
    jsonapi::attr<&T::deprecated_reason>("deprecated-reason", "deprecated_reason", writable, reason_text),
    jsonapi::attr<&T::engine>("engine", "engine", writable, engine_name),
    jsonapi::attr<&T::created_at>("created-at", "created_at"),
    jsonapi::attr<&T::usage>("usage", "usage"),
};

TerraformVersion read(const postgres::Row& row) {
  TerraformVersion version = jsonapi::from_row<TerraformVersion>(terraform_version_resource(), row);
  version.id = Id<TerraformVersion>(row.string("id"));
  return version;
}

Error taken(const Error& error) {
  if (postgres::violated_constraint(error) != "terraform_versions_version_key") return error;
  return Error(Code::unprocessable, "Version has already been taken", "/data/attributes/version");
}

json::array only_amd64(const std::string& url, const std::string& sha) {
  return {json::object{{"url", url}, {"sha", sha}, {"os", "linux"}, {"arch", "amd64"}}};
}

/// Only the four known members are kept.
void take_archs(TerraformVersion& version) {
  version.url.reset();
  version.sha.reset();
  json::array kept;
  for (const json::value& item : version.archs.as_array()) {
    const json::object& given = item.as_object();
    const std::string cpu = find_string(given, "arch").value_or("");
    json::object arch{{"url", *find_string(given, "url")},
                      {"sha", *find_string(given, "sha")},
                      {"os", "linux"},
                      {"arch", cpu}};
    if (cpu == "amd64" && !version.url) {
      version.url = find_string(given, "url");
      version.sha = find_string(given, "sha");
    }
    kept.push_back(std::move(arch));
  }
  version.archs = std::move(kept);
}

}  // namespace

const jsonapi::Resource& terraform_version_resource() {
  static const jsonapi::Resource table{"terraform-versions", attributes, {}};
  return table;
}

json::object encode(const TerraformVersion& version) {
  return jsonapi::encode(terraform_version_resource(), &version, version.id.text());
}

void settle(TerraformVersion& version, const json::object& given) {
  std::vector<Problem> problems;
  if (version.version.empty()) problems.push_back({"Version can't be blank", "/data/attributes/version"});
  const bool has_archs =
      given.contains("archs") && version.archs.is_array() && !version.archs.get_array().empty();
  if (has_archs) {
    take_archs(version);
  } else if (given.contains("url") || given.contains("sha") || given.contains("archs")) {
    if (!version.url) problems.push_back({"Url can't be blank", "/data/attributes/url"});
    if (!version.sha) problems.push_back({"Sha can't be blank", "/data/attributes/sha"});
    if (version.url && version.sha) version.archs = only_amd64(*version.url, *version.sha);
  } else if (version.created_at == Time{}) {
    problems.push_back({"Url and sha, or archs, must be given", "/data/attributes/url"});
  }
  if (version.archs.is_null()) version.archs = json::array{};
  if (!version.deprecated) version.deprecated_reason.reset();
  if (version.engine.empty()) {
    version.engine = version.url && version.url->find("tofu") != std::string::npos ? "opentofu" : "terraform";
  }
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
}

Task<std::optional<TerraformVersion>> find_terraform_version(postgres::Tx& tx, const std::string& id) {
  postgres::Result result = co_await tx.run(sql::terraform_version_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::pair<std::vector<TerraformVersion>, std::int64_t>> list_terraform_versions(
    postgres::Tx& tx, std::string_view exact, std::string_view part, const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::terraform_version_count, postgres::Params::of(exact, part));
  postgres::Result rows = co_await tx.run(sql::terraform_version_list,
                                          postgres::Params::of(exact, part, page.size, page.offset()));
  std::vector<TerraformVersion> versions;
  for (std::size_t i = 0; i < rows.size(); ++i) versions.push_back(read(rows[i]));
  co_return std::pair(std::move(versions), total[0].integer("total"));
}

Task<> insert(postgres::Tx& tx, const TerraformVersion& version) {
  const TerraformVersion& v = version;
  try {
    co_await tx.run(sql::terraform_version_insert,
                    postgres::Params::of(v.id, v.version, v.url, v.sha, v.archs, v.official, v.enabled,
                                         v.beta, v.deprecated, v.deprecated_reason, v.engine));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> update(postgres::Tx& tx, const TerraformVersion& version) {
  const TerraformVersion& v = version;
  try {
    co_await tx.run(sql::terraform_version_update,
                    postgres::Params::of(v.id, v.version, v.url, v.sha, v.archs, v.official, v.enabled,
                                         v.beta, v.deprecated, v.deprecated_reason, v.engine));
  } catch (const Error& error) {
    throw taken(error);
  }
}

Task<> remove_terraform_version(postgres::Tx& tx, const std::string& id) {
  std::optional<TerraformVersion> version = co_await find_terraform_version(tx, id);
  if (!version) throw Error(Code::not_found, "");
  if (version->official)
    throw Error(Code::unprocessable, "An official version cannot be deleted; it can be disabled.");
  if (version->usage > 0) {
    throw Error(Code::unprocessable, "The version cannot be deleted while " + std::to_string(version->usage) +
                                         " workspaces use it.");
  }
  co_await tx.run(sql::terraform_version_delete, postgres::Params::of(id));
}

Task<> register_engine(postgres::Database& database, std::string version, std::string sha256,
                       std::string engine) {
  if (!parse_version(version) || !is_sha256(sha256))
    throw Error(Code::internal, "An engine has no version or no digest.");
  json::value archs =
      json::array{json::object{{"url", ""}, {"sha", sha256}, {"os", "linux"}, {"arch", "amd64"}}};
  Id<TerraformVersion> id = Id<TerraformVersion>::make();
  co_await database.query(sql::terraform_version_register,
                          postgres::Params::of(id, version, sha256, archs, engine));
}

Task<std::vector<Candidate>> candidates(postgres::Tx& tx) {
  postgres::Result rows = co_await tx.run(sql::terraform_version_candidates);
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    all.push_back({rows[i].string("version"), rows[i].boolean("enabled"), rows[i].boolean("beta")});
  }
  co_return all;
}

}  // namespace terrane::installation
