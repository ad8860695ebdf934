#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "postgres/database.h"

namespace terrane::organization {

/// Where the runs of a project's or workspace's configurations execute: as it says itself, or as what is
/// above it says.
struct Execution {
  bool overwrites = false;  ///< it says so itself
  std::string mode = "remote";
  std::optional<std::string> agent_pool;  ///< with mode agent only
};

/// Which attributes of a request speak of it, and of whom the pool's permission is asked.
struct ExecutionNames {
  std::string_view mode, agent_pool;                        ///< attributes
  std::string_view overwrites_mode, overwrites_agent_pool;  ///< members of `setting-overwrites`
  std::string_view agent_pool_missing;                      ///< what to answer when mode agent has no pool
};

/// Whose setting it is.
struct ExecutionOwner {
  std::string organization_id, project_id;
  std::string workspace_id;  ///< empty for a project, and for a workspace that is about to be made
};

/// Takes what a request's `data` says into `execution`; says whether it said anything. Throws
/// Error{unprocessable} when mode, pool and what is overwritten contradict each other, or when the pool is
/// none that the owner may use.
Task<bool> settle_execution(postgres::Tx& tx, const json::object& data, const ExecutionNames& names,
                            const ExecutionOwner& owner, Execution& execution);

/// The rule of `auto-destroy-activity-duration`: up to four digits and a unit, as in 14d or 24h.
std::optional<std::string> valid_activity_duration(const json::value& given);

}  // namespace terrane::organization
