#pragma once
#include <optional>
#include <string>

#include "base/json.h"
#include "postgres/database.h"

namespace terrane::organization {

/// How long states and configurations that are no longer current are kept.
struct RetentionPolicy {
  static constexpr std::string_view id_prefix = "drp";
  std::string id;
  std::optional<std::int64_t> delete_older_than_days;  ///< nothing: they are never deleted
};

/// The resource object, of the type that names the policy's kind.
json::object encode(const RetentionPolicy& policy);

/// The policy that a request's `data` describes: its type names the kind. Throws Error{unprocessable} with a
/// pointer on an unknown type or a number of days outside 1 to 36500.
RetentionPolicy read_retention_policy(const json::object& data);

/// An organization's own policy; nothing when it has none.
Task<std::optional<RetentionPolicy>> find_retention_policy(postgres::Tx& tx,
                                                           const std::string& organization_id);
/// Sets the policy. One of the same kind keeps its id.
Task<> set_retention_policy(postgres::Tx& tx, const std::string& organization_id,
                            const RetentionPolicy& policy);
/// False when there was none.
Task<bool> remove_retention_policy(postgres::Tx& tx, const std::string& organization_id);

}  // namespace terrane::organization
