#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "organization/access.h"
#include "postgres/database.h"

namespace terrane::organization {

/// What an organization may use; a row that came with a migration.
struct FeatureSet {
  static constexpr std::string_view id_prefix = "fs";
  std::string id;
  std::string identifier;
  std::string name;
  std::string description;
  bool is_free_tier = false;
  std::vector<std::string> entitlements;
  std::optional<std::int64_t> default_runs_ceiling;
};

/// Binds a feature set to an organization, which has at most one.
struct Subscription {
  static constexpr std::string_view id_prefix = "sub";
  std::string id;
  std::string organization;  ///< its name, which API v2 shows as its id
  std::string feature_set_id;
  bool is_active = true;  ///< it has not ended
  std::optional<std::int64_t> runs_ceiling, agents_ceiling;
  std::optional<std::int64_t> contract_user_limit, contract_apply_limit, contract_managed_resources_limit;
  std::optional<Time> contract_start_at, end_at;
  Time start_at;
};

/// The fields of `feature-sets` and `subscriptions` on the wire and in their tables.
const jsonapi::Resource& feature_set_resource();
const jsonapi::Resource& subscription_resource();
json::object encode(const FeatureSet& set);
json::object encode(const Subscription& subscription);

/// Every entitlement that API v2 has a name for, granted or not.
std::span<const std::string_view> known_entitlements();

/// What the organization may use, as a resource object `entitlement-sets`.
Task<json::object> entitlement_set(postgres::Tx& tx, const OrganizationAccess& access);

/// Whether the organization may use what this entitlement names.
Task<bool> is_entitled(postgres::Tx& tx, const std::string& organization_id, std::string_view entitlement);

/// Which feature sets a list shows: those that are offered, or with the default one.
enum class FeatureSets { offered, all };
/// Feature sets in their order whose name contains `search`, without case, and how many there are in all.
Task<std::pair<std::vector<FeatureSet>, std::int64_t>> list_feature_sets(postgres::Tx& tx, FeatureSets which,
                                                                         std::string_view search,
                                                                         const jsonapi::Page& page);

Task<std::vector<FeatureSet>> find_feature_sets(postgres::Tx& tx, const std::vector<std::string>& ids);
Task<std::optional<Subscription>> find_subscription(postgres::Tx& tx, const std::string& id);
/// An organization's subscription, also one that has ended; nothing when it has none.
Task<std::optional<Subscription>> subscription_of(postgres::Tx& tx, const std::string& organization_id);
/// Replaces the organization's subscription. Throws Error{unprocessable} with a pointer when there is no such
/// feature set.
Task<> subscribe(postgres::Tx& tx, const std::string& organization_id, const Subscription& subscription);

}  // namespace terrane::organization
