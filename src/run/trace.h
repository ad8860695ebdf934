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

}  // namespace terrane::run
