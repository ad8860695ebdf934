#include "workspace/tags.h"

#include "base/id.h"
#include "base/text.h"
#include "workspace/tags_sql.h"

namespace terrane::workspace {
namespace {

constexpr std::size_t most_tags = 100, longest_name = 255;

bool is_tag_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_:").find(c) != std::string_view::npos;
}

void require_name(const std::string& name, const std::string& pointer) {
  if (trim(name).empty()) throw Error(Code::unprocessable, "Name can't be blank", pointer);
  if (name.size() > longest_name) {
    throw Error(Code::unprocessable,
                "Name is too long (maximum is " + std::to_string(longest_name) + " characters)", pointer);
  }
  if (!std::ranges::all_of(name, is_tag_character)) {
    throw Error(Code::unprocessable,
                "Name may only contain letters, numbers, colons, hyphens, and underscores", pointer);
  }
}

}  // namespace

std::vector<TagName> read_tags(const json::value& list, const std::string& pointer) {
  const json::array* items = list.if_array();
  if (!items) throw Error(Code::unprocessable, "The member must be a list of tags.", pointer);
  if (items->size() > most_tags) {
    throw Error(Code::unprocessable,
                "There are " + std::to_string(items->size()) + " tags; at most " + std::to_string(most_tags) +
                    " are allowed at once.",
                pointer);
  }
  std::vector<TagName> tags;
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string at = pointer + "/" + std::to_string(i);
    const json::object* item = (*items)[i].if_object();
    if (!item) throw Error(Code::unprocessable, "Each tag must have an id or a name.", at);
    const json::object* attributes = find_object(*item, "attributes");
    TagName tag{find_string(*item, "id"),
                attributes ? find_string(*attributes, "name") : std::optional<std::string>()};
    if (tag.id && tag.id->empty()) tag.id.reset();
    if (tag.id && !is_clean_utf8(*tag.id))
      throw Error(Code::unprocessable, "The id must be UTF-8 text without NUL.", at + "/id");
    if (!tag.id && !tag.name) throw Error(Code::unprocessable, "Each tag must have an id or a name.", at);
    if (!tag.id) require_name(*tag.name, at + "/attributes/name");
    tags.push_back(std::move(tag));
  }
  return tags;
}

Task<> add_tags(postgres::Tx& tx, const std::string& organization_id,
                const std::vector<std::string>& workspaces, const std::vector<TagName>& tags) {
  std::vector<TagName> ordered = tags;
  // In one order everywhere, so that two that make the same tags do not wait for each other.
  std::ranges::sort(ordered, {}, [](const TagName& tag) { return tag.name.value_or(""); });
  for (const TagName& tag : ordered) {
    std::string id;
    if (tag.id) {
      id = *tag.id;
      postgres::Result known = co_await tx.run(sql::tag_exists, postgres::Params::of(id, organization_id));
      if (known.empty()) throw Error(Code::not_found, "There is no tag " + id + ".");
    } else {
      const std::string fresh = std::string(TagName::id_prefix) + "-" + random_id_suffix();
      postgres::Result made =
          co_await tx.run(sql::tag_make, postgres::Params::of(fresh, organization_id, *tag.name));
      id = made[0].string("id");
    }
    co_await tx.run(sql::tag_add, postgres::Params::of(workspaces, id, organization_id));
  }
}

Task<std::vector<organization::TagBinding>> find_effective_tags(postgres::Tx& tx,
                                                                const std::vector<std::string>& workspaces) {
  postgres::Result rows = co_await tx.run(sql::tags_effective, postgres::Params::of(workspaces));
  std::vector<organization::TagBinding> bindings;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    bindings.push_back({rows[i].string("id"), rows[i].string("key"), rows[i].string("value"),
                        rows[i].string("owner"), rows[i].opt_string("inherited_from")});
  }
  co_return bindings;
}

Task<std::vector<json::object>> link_effective_tags(postgres::Tx& tx, const api::Principal&,
                                                    std::span<json::object* const> workspaces) {
  std::vector<std::string> ids;
  for (const json::object* workspace : workspaces) ids.push_back(find_string(*workspace, "id").value_or(""));
  std::vector<organization::TagBinding> bindings = co_await find_effective_tags(tx, ids);
  co_return organization::link_effective(workspaces, bindings);
}

}  // namespace terrane::workspace
