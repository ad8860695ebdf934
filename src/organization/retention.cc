#include "organization/retention.h"

#include "base/id.h"
#include "organization/retention_sql.h"

namespace terrane::organization {
namespace {

constexpr std::int64_t most_days = 36'500;
constexpr std::string_view deleting = "data-retention-policy-delete-olders";
constexpr std::string_view keeping = "data-retention-policy-dont-deletes";
/// What clients called the deleting kind before there was the other one.
constexpr std::string_view deleting_by_old_name = "data-retention-policies";

}  // namespace

json::object encode(const RetentionPolicy& policy) {
  json::object attributes;
  if (policy.delete_older_than_days) attributes["delete-older-than-n-days"] = *policy.delete_older_than_days;
  return {{"id", policy.id},
          {"type", policy.delete_older_than_days ? deleting : keeping},
          {"attributes", std::move(attributes)}};
}

RetentionPolicy read_retention_policy(const json::object& data) {
  RetentionPolicy policy;
  policy.id = std::string(RetentionPolicy::id_prefix) + "-" + random_id_suffix();
  const std::string type = find_string(data, "type").value_or("");
  if (type == keeping) return policy;
  if (type != deleting && type != deleting_by_old_name) {
    throw Error(Code::unprocessable,
                "The type must be '" + std::string(deleting) + "' or '" + std::string(keeping) + "'.",
                "/data/type");
  }
  const json::object* attributes = find_object(data, "attributes");
  std::optional<std::int64_t> days =
      attributes ? find_int(*attributes, "delete-older-than-n-days") : std::nullopt;
  if (!days || *days < 1 || *days > most_days) {
    throw Error(Code::unprocessable,
                "Delete older than n days must be from 1 to " + std::to_string(most_days),
                "/data/attributes/delete-older-than-n-days");
  }
  policy.delete_older_than_days = days;
  return policy;
}

Task<std::optional<RetentionPolicy>> find_retention_policy(postgres::Tx& tx,
                                                           const std::string& organization_id) {
  postgres::Result result = co_await tx.run(sql::retention_find, postgres::Params::of(organization_id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  RetentionPolicy policy;
  policy.id = row->string("id");
  policy.delete_older_than_days = row->opt_integer("delete_older_than_n_days");
  co_return policy;
}

Task<> set_retention_policy(postgres::Tx& tx, const std::string& organization_id,
                            const RetentionPolicy& policy) {
  co_await tx.run(sql::retention_set,
                  postgres::Params::of(policy.id, organization_id, policy.delete_older_than_days));
}

Task<bool> remove_retention_policy(postgres::Tx& tx, const std::string& organization_id) {
  postgres::Result result = co_await tx.run(sql::retention_delete, postgres::Params::of(organization_id));
  co_return result.affected() == 1;
}

}  // namespace terrane::organization
