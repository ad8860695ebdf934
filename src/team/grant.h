#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "jsonapi/resource.h"

namespace terrane::team {

/// One right that a team is granted in a workspace or a project.
struct GrantField {
  std::string_view group;  ///< the attribute object in which it stands; empty: among the attributes
  std::string_view name;   ///< on the wire
  std::string_view column;
  std::string_view title;                    ///< for messages
  std::span<const std::string_view> values;  ///< from least to most; empty for a truth value
};

/// A fixed level and what it gives, in the order of the fields.
struct GrantLevel {
  std::string_view name;
  std::vector<json::value> gives;
};

/// A kind of grant: `team-workspaces` or `team-projects`. `custom` is no level; it gives what was asked for.
struct GrantKind {
  std::string_view type;
  std::string_view place;  ///< the relation to where it holds
  std::string_view place_type;
  std::span<const GrantField> fields;
  std::span<const GrantLevel> levels;
  std::vector<json::value> least;  ///< what `custom` gives when nothing else is said
};
const GrantKind& workspace_grants();
const GrantKind& project_grants();

/// The resource object of a row: `row` has all columns, with team_id and `place_id`.
json::object encode(const GrantKind& kind, const json::object& row);

/// The columns that `access` and the single rights in a request's attributes lead to. `before` is the row as
/// it is, null for a new one. What is not said stays, and a fixed level decides all. Throws
/// Error{unprocessable} with pointers.
json::object decide(const GrantKind& kind, const json::object& data, const json::object* before);

}  // namespace terrane::team
