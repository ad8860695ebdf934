#pragma once
#include <vector>

#include "jsonapi/schema.h"

namespace terrane::organization {

/// The types of the policy that an organization or a workspace may have.
inline constexpr std::string_view retention_policy_types =
    "data-retention-policy-delete-olders data-retention-policy-dont-deletes";

/// The project's or workspace's bindings that a request brings along, as an item of `takes_whole`.
json::value tag_binding_item();

/// The documents of this domain's resources.
std::vector<jsonapi::Schema> schemas();

}  // namespace terrane::organization
