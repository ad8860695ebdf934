#include "organization/admin.h"

#include "organization/admin_sql.h"

namespace terrane::organization {
namespace {

constexpr std::int64_t shortest_timeout = 60;
constexpr std::int64_t longest_timeout = 7 * 24 * 3600;

/// The seconds of a text such as `2h30m`: hours, minutes, seconds, each at most once and in this order.
std::optional<std::int64_t> seconds_of(std::string_view text) {
  std::int64_t total = 0;
  for (auto [unit, seconds] : {std::pair('h', 3600), std::pair('m', 60), std::pair('s', 1)}) {
    std::int64_t number = 0;
    std::size_t digits = 0;
    while (digits < text.size() && digits < 7 && text[digits] >= '0' && text[digits] <= '9')
      number = number * 10 + (text[digits++] - '0');
    if (digits == 0 || digits >= text.size() || text[digits] != unit) continue;
    total += number * seconds;
    text.remove_prefix(digits + 1);
  }
  if (!text.empty()) return std::nullopt;
  return total;
}

std::optional<std::string> timeout(const json::value& given) {
  if (given.is_null() || !given.is_string()) return std::nullopt;
  std::optional<std::int64_t> seconds = seconds_of(given.get_string());
  if (seconds && *seconds >= shortest_timeout && *seconds <= longest_timeout) return std::nullopt;
  return "Timeout must be from 1m to 168h, such as 2h30m";
}

std::optional<std::string> limit(const json::value& given) {
  if (given.is_null() || (given.is_int64() && given.get_int64() >= 0 && given.get_int64() <= 1'000'000))
    return std::nullopt;
  return "Workspace limit must be from 0 to 1000000";
}

using A = AdminOrganization;
const std::array attributes{
    jsonapi::attr<&A::name>("name", "name"),
    jsonapi::attr<&A::notification_email>("notification-email", "notification_email"),
    jsonapi::attr<&A::access_beta_tools>("access-beta-tools", "access_beta_tools", jsonapi::update),
    jsonapi::attr<&A::global_module_sharing>("global-module-sharing", "global_module_sharing",
                                             jsonapi::update),
    jsonapi::attr<&A::global_provider_sharing>("global-provider-sharing", "global_provider_sharing",
                                               jsonapi::update),
    jsonapi::attr<&A::is_disabled>("is-disabled", "is_disabled", jsonapi::update),
    jsonapi::attr<&A::terraform_worker_sudo_enabled>("terraform-worker-sudo-enabled",
                                                     "terraform_worker_sudo_enabled", jsonapi::update),
    jsonapi::attr<&A::workspace_limit>("workspace-limit", "workspace_limit", jsonapi::update, limit),
    // Older clients know the two times by longer names.
    jsonapi::attr<&A::plan_timeout>("terraform-build-worker-plan-timeout", "plan_timeout", jsonapi::update,
                                    timeout),
    jsonapi::attr<&A::apply_timeout>("terraform-build-worker-apply-timeout", "apply_timeout", jsonapi::update,
                                     timeout),
    jsonapi::attr<&A::plan_timeout>("plan-timeout", "plan_timeout", jsonapi::update, timeout),
    jsonapi::attr<&A::apply_timeout>("apply-timeout", "apply_timeout", jsonapi::update, timeout),
    jsonapi::attr<&A::owners>("owners", "owners", jsonapi::hidden),
};

AdminOrganization read(const postgres::Row& row) {
  AdminOrganization organization = jsonapi::from_row<AdminOrganization>(admin_resource(), row);
  organization.id = Id<Organization>(row.string("id"));
  return organization;
}

std::vector<AdminOrganization> read_all(const postgres::Result& rows) {
  std::vector<AdminOrganization> organizations;
  for (std::size_t i = 0; i < rows.size(); ++i) organizations.push_back(read(rows[i]));
  return organizations;
}

}  // namespace

const jsonapi::Resource& admin_resource() {
  static const jsonapi::Resource table{"organizations", attributes, {}};
  return table;
}

json::object encode(const AdminOrganization& organization) {
  json::object out = jsonapi::encode(admin_resource(), &organization, organization.name);
  json::object& shown = out["attributes"].as_object();
  shown["external-id"] = organization.id.text();
  shown["sso-enabled"] = false;
  out["relationships"] = json::object{{"owners", jsonapi::linkage("users", organization.owners)}};
  out["links"] = json::object{{"self", "/api/v2/admin/organizations/" + organization.name}};
  return out;
}

Task<std::optional<AdminOrganization>> find_admin(postgres::Tx& tx, std::string_view name) {
  postgres::Result result = co_await tx.run(sql::admin_organization_find, postgres::Params::of(name));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return read(*row);
}

Task<std::pair<std::vector<AdminOrganization>, std::int64_t>> list_admin(postgres::Tx& tx,
                                                                         std::string_view search,
                                                                         const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::admin_organization_count, postgres::Params::of(search));
  postgres::Result rows =
      co_await tx.run(sql::admin_organization_list, postgres::Params::of(search, page.size, page.offset()));
  co_return std::pair(read_all(rows), total[0].integer("total"));
}

Task<> update_admin(postgres::Tx& tx, const Id<Organization>& id, const json::object& columns) {
  co_await tx.run(sql::admin_organization_update, postgres::Params::of(id, columns));
}

Task<std::pair<std::vector<AdminOrganization>, std::int64_t>> module_consumers(postgres::Tx& tx,
                                                                               const Id<Organization>& id,
                                                                               const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::admin_module_consumers_count, postgres::Params::of(id));
  postgres::Result rows =
      co_await tx.run(sql::admin_module_consumers, postgres::Params::of(id, page.size, page.offset()));
  co_return std::pair(read_all(rows), total[0].integer("total"));
}

Task<> set_module_consumers(postgres::Tx& tx, const Id<Organization>& id,
                            const std::vector<std::string>& names) {
  co_await tx.run(sql::admin_module_consumers_clear, postgres::Params::of(id));
  for (const std::string& name : names) {
    postgres::Result added = co_await tx.run(sql::admin_module_consumer_add, postgres::Params::of(id, name));
    if (added.affected() == 0) throw Error(Code::not_found, "Organization " + name + " not found");
  }
}

Task<> require_room_for_workspace(postgres::Tx& tx, const std::string& organization_id) {
  postgres::Result row = co_await tx.run(sql::admin_workspace_limit, postgres::Params::of(organization_id));
  if (row.empty()) co_return;
  const std::int64_t most = row[0].integer("workspace_limit");
  postgres::Result count = co_await tx.run(sql::admin_workspace_count, postgres::Params::of(organization_id));
  if (count[0].integer("total") >= most) {
    throw Error(Code::unprocessable, "The organization may have at most " + std::to_string(most) +
                                         " workspaces. Site administrators set this limit.");
  }
}

}  // namespace terrane::organization
