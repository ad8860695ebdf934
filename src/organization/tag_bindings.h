#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "postgres/database.h"

namespace terrane::organization {

/// A key with a value on a project or a workspace.
struct TagBinding {
  static constexpr std::string_view id_prefix = "tb";
  std::string id, key, value;
  std::string owner;                          ///< the id of the project or workspace that has it
  std::optional<std::string> inherited_from;  ///< the project's id, when a workspace has it from there
};

constexpr std::size_t most_tag_bindings = 10;  ///< of one project or workspace

/// The resource objects `tag-bindings` and `effective-tag-bindings`.
json::object encode(const TagBinding& binding);
json::object encode_effective(const TagBinding& binding);

/// The bindings of a list of resource objects `[{"type", "attributes": {"key", "value"}}]` that stands at
/// `pointer`; of two with one key the last. Throws Error{unprocessable} on another shape, on more than
/// `most_tag_bindings`, on a key or value that is too long or holds what it must not.
std::vector<TagBinding> read_tag_bindings(const json::value& list, const std::string& pointer);
/// The same of the relationship `tag-bindings` in a request's `data`; nothing when it is absent.
std::optional<std::vector<TagBinding>> related_tag_bindings(const json::object& data);

/// The own bindings of projects and workspaces, in the order in which they were given.
Task<std::vector<TagBinding>> find_tag_bindings(postgres::Tx& tx, const std::vector<std::string>& owners);

/// Sets bindings of a project (`prj-…`) or workspace; one whose key is there gets the new value. Throws
/// Error{unprocessable} when it would then have more than `most_tag_bindings`.
Task<> add_tag_bindings(postgres::Tx& tx, const std::string& owner, const std::vector<TagBinding>& bindings);
/// Removes all bindings of the owner and sets these.
Task<> replace_tag_bindings(postgres::Tx& tx, const std::string& owner,
                            const std::vector<TagBinding>& bindings);

/// Puts the bindings into the relationship `effective-tag-bindings` of their owners' resource objects, and
/// returns their resource objects: what an include of them needs.
std::vector<json::object> link_effective(std::span<json::object* const> owners,
                                         const std::vector<TagBinding>& bindings);

}  // namespace terrane::organization
