#include "organization/subscription.h"

#include "organization/subscription_sql.h"

namespace terrane::organization {
namespace {

constexpr std::array<std::string_view, 17> all_entitlements{"agents",
                                                            "audit-logging",
                                                            "cost-estimation",
                                                            "global-run-tasks",
                                                            "no-code-modules",
                                                            "operations",
                                                            "policy-enforcement",
                                                            "private-module-registry",
                                                            "private-run-tasks",
                                                            "run-tasks",
                                                            "sentinel",
                                                            "sso",
                                                            "state-storage",
                                                            "teams",
                                                            "vcs-integrations",
                                                            "waypoint-actions",
                                                            "waypoint-templates-and-addons"};

std::optional<std::string> limit(const json::value& given) {
  if (given.is_null() || (given.is_int64() && given.get_int64() >= 0 && given.get_int64() <= 1'000'000'000))
    return std::nullopt;
  return "must be from 0 to 1000000000";
}

using F = FeatureSet;
const std::array feature_set_attributes{
    jsonapi::attr<&F::id>("own-id", "id", jsonapi::hidden),
    jsonapi::attr<&F::identifier>("identifier", "identifier"),
    jsonapi::attr<&F::name>("name", "name"),
    jsonapi::attr<&F::description>("description", "description"),
    jsonapi::attr<&F::is_free_tier>("is-free-tier", "is_free_tier"),
    jsonapi::attr<&F::entitlements>("entitlements", "entitlements", jsonapi::hidden),
    jsonapi::attr<&F::default_runs_ceiling>("default-runs-ceiling", "default_runs_ceiling"),
};

using S = Subscription;
const std::array subscription_attributes{
    jsonapi::attr<&S::id>("own-id", "id", jsonapi::hidden),
    jsonapi::attr<&S::is_active>("is-active", "is_active"),
    jsonapi::attr<&S::start_at>("start-at", "start_at"),
    jsonapi::attr<&S::end_at>("end-at", "end_at", jsonapi::create),
    jsonapi::attr<&S::runs_ceiling>("runs-ceiling", "runs_ceiling", jsonapi::create, limit),
    jsonapi::attr<&S::agents_ceiling>("agents-ceiling", "agents_ceiling", jsonapi::create, limit),
    jsonapi::attr<&S::contract_start_at>("contract-start-at", "contract_start_at", jsonapi::create),
    jsonapi::attr<&S::contract_user_limit>("contract-user-limit", "contract_user_limit", jsonapi::create,
                                           limit),
    jsonapi::attr<&S::contract_apply_limit>("contract-apply-limit", "contract_apply_limit", jsonapi::create,
                                            limit),
    jsonapi::attr<&S::contract_managed_resources_limit>(
        "contract-managed-resources-limit", "contract_managed_resources_limit", jsonapi::create, limit),
};

std::optional<std::string> organization_of(const void* subscription) {
  return static_cast<const Subscription*>(subscription)->organization;
}
void read_organization(const postgres::Row& row, std::string_view column, void* subscription) {
  static_cast<Subscription*>(subscription)->organization = row.string(column);
}
std::optional<std::string> feature_set_of(const void* subscription) {
  return static_cast<const Subscription*>(subscription)->feature_set_id;
}
void read_feature_set(const postgres::Row& row, std::string_view column, void* subscription) {
  static_cast<Subscription*>(subscription)->feature_set_id = row.string(column);
}
const std::array subscription_relations{
    jsonapi::Relation{"organization", "organizations", organization_of, "organization", read_organization},
    jsonapi::Relation{"feature-set", "feature-sets", feature_set_of, "feature_set_id", read_feature_set}};

void show_entitlements(const std::vector<std::string>& granted, json::object& attributes) {
  for (std::string_view name : all_entitlements)
    attributes[name] = std::ranges::find(granted, name) != granted.end();
}

std::vector<FeatureSet> read_sets(const postgres::Result& rows) {
  std::vector<FeatureSet> sets;
  for (std::size_t i = 0; i < rows.size(); ++i)
    sets.push_back(jsonapi::from_row<FeatureSet>(feature_set_resource(), rows[i]));
  return sets;
}

std::optional<Subscription> read_one(const postgres::Result& result) {
  std::optional<postgres::Row> row = result.one();
  if (!row) return std::nullopt;
  return jsonapi::from_row<Subscription>(subscription_resource(), *row);
}

}  // namespace

const jsonapi::Resource& feature_set_resource() {
  static const jsonapi::Resource table{"feature-sets", feature_set_attributes, {}};
  return table;
}

const jsonapi::Resource& subscription_resource() {
  static const jsonapi::Resource table{"subscriptions", subscription_attributes, subscription_relations};
  return table;
}

json::object encode(const FeatureSet& set) {
  json::object out = jsonapi::encode(feature_set_resource(), &set, set.id);
  show_entitlements(set.entitlements, out["attributes"].as_object());
  return out;
}

json::object encode(const Subscription& subscription) {
  return jsonapi::encode(subscription_resource(), &subscription, subscription.id);
}

std::span<const std::string_view> known_entitlements() { return all_entitlements; }

Task<json::object> entitlement_set(postgres::Tx& tx, const OrganizationAccess& access) {
  postgres::Result rows = co_await tx.run(sql::subscription_entitlements, postgres::Params::of(access.id));
  if (rows.empty()) throw Error(Code::not_found, "");
  json::object attributes;
  show_entitlements(rows[0].strings("entitlements"), attributes);
  std::optional<std::int64_t> users = rows[0].opt_integer("contract_user_limit");
  attributes["user-limit"] = users ? json::value(*users) : json::value();
  co_return json::object{
      {"id", access.id},
      {"type", "entitlement-sets"},
      {"attributes", std::move(attributes)},
      {"links", json::object{{"self", "/api/v2/organizations/" + access.name + "/entitlement-set"}}}};
}

Task<bool> is_entitled(postgres::Tx& tx, const std::string& organization_id, std::string_view entitlement) {
  postgres::Result result =
      co_await tx.run(sql::subscription_has_entitlement, postgres::Params::of(organization_id, entitlement));
  co_return !result.empty();
}

Task<std::pair<std::vector<FeatureSet>, std::int64_t>> list_feature_sets(postgres::Tx& tx, FeatureSets which,
                                                                         std::string_view search,
                                                                         const jsonapi::Page& page) {
  const bool all = which == FeatureSets::all;
  postgres::Result total = co_await tx.run(sql::feature_set_count, postgres::Params::of(all, search));
  postgres::Result rows =
      co_await tx.run(sql::feature_set_list, postgres::Params::of(all, search, page.size, page.offset()));
  co_return std::pair(read_sets(rows), total[0].integer("total"));
}

Task<std::vector<FeatureSet>> find_feature_sets(postgres::Tx& tx, const std::vector<std::string>& ids) {
  co_return read_sets(co_await tx.run(sql::feature_set_find, postgres::Params::of(ids)));
}

Task<std::optional<Subscription>> find_subscription(postgres::Tx& tx, const std::string& id) {
  co_return read_one(co_await tx.run(sql::subscription_find, postgres::Params::of(id)));
}

Task<std::optional<Subscription>> subscription_of(postgres::Tx& tx, const std::string& organization_id) {
  co_return read_one(co_await tx.run(sql::subscription_of, postgres::Params::of(organization_id)));
}

Task<> subscribe(postgres::Tx& tx, const std::string& organization_id, const Subscription& subscription) {
  const Subscription& s = subscription;
  postgres::Result made = co_await tx.run(
      sql::subscription_replace,
      postgres::Params::of(s.id, organization_id, s.feature_set_id, s.runs_ceiling, s.agents_ceiling,
                           s.contract_start_at, s.contract_user_limit, s.contract_apply_limit,
                           s.contract_managed_resources_limit, s.end_at));
  if (made.affected() == 0)
    throw Error(Code::unprocessable, "There is no such feature set", "/data/relationships/feature-set");
}

}  // namespace terrane::organization
