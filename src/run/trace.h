#pragma once
#include <string>

#include "postgres/database.h"

namespace terrane::run {

/// A run's way as a table for people: time, seconds since the step before, who, what, details. Throws
/// Error{not_found}.
Task<std::string> trace_text(postgres::Database& database, std::string run);

/// The worker nodes, one a line: id, what it executes, capacity, whether it drains, when it was last seen.
Task<std::string> nodes_text(postgres::Database& database);

/// Lets a node take no new phases, or take them again. What it executes goes on. Throws Error{not_found}.
Task<> set_draining(postgres::Database& database, std::string node, bool draining);

/// Declares a node dead, so that what it executed is ended at once: its plans are run again, its applies end
/// errored and their workspaces are free. Suspends until background has done that, at most half a minute.
/// Throws Error{not_found}, Error{conflict} when the node was heard within the last half minute, and
/// Error{unavailable} when background has not come to it yet. A node that reports again is one like before.
Task<> forget_node(postgres::Database& database, std::string node);

}  // namespace terrane::run
