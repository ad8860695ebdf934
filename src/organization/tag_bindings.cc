#include "organization/tag_bindings.h"

#include <map>

#include "base/id.h"
#include "base/text.h"
#include "organization/tag_bindings_sql.h"

namespace terrane::organization {
namespace {

constexpr std::size_t longest_key = 128, longest_value = 256;

Error too_many() {
  return {Code::unprocessable,
          "Tag bindings cannot exceed " + std::to_string(most_tag_bindings) + " bindings per resource"};
}

bool is_tag_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(" _.=+-@:/").find(c) != std::string_view::npos ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// A text of a binding within its rules.
std::string checked(const json::object& attributes, std::string_view name, std::size_t longest,
                    const std::string& pointer) {
  const json::value* given = attributes.if_contains(name);
  if (!given || given->is_null()) return "";
  const std::string at = pointer + "/attributes/" + std::string(name);
  const std::string what = name == "key" ? "Key" : "Value";
  if (!given->is_string()) throw Error(Code::unprocessable, what + " must be a string", at);
  const std::string text(given->get_string());
  if (text.size() > longest) {
    throw Error(Code::unprocessable, what + " is too long (maximum is " + std::to_string(longest) + " bytes)",
                at);
  }
  if (!is_clean_utf8(text) || !std::ranges::all_of(text, is_tag_character)) {
    throw Error(Code::unprocessable,
                what + " may only contain letters, numbers, spaces, and the characters _.=+-@:/", at);
  }
  return text;
}

}  // namespace

json::object encode(const TagBinding& binding) {
  return {{"id", binding.id},
          {"type", "tag-bindings"},
          {"attributes", json::object{{"key", binding.key}, {"value", binding.value}}}};
}

json::object encode_effective(const TagBinding& binding) {
  json::object out = encode(binding);
  out["type"] = "effective-tag-bindings";
  if (binding.inherited_from) {
    // Another resource than the project's own one, which comes from nowhere else.
    out["id"] = "e" + binding.id;
    out["links"] = json::object{{"inherited-from", "/api/v2/projects/" + *binding.inherited_from}};
  }
  return out;
}

std::vector<TagBinding> read_tag_bindings(const json::value& list, const std::string& pointer) {
  const json::array* items = list.if_array();
  if (!items) throw Error(Code::unprocessable, "The member must be a list of tag bindings.", pointer);
  if (items->size() > 100) throw too_many();
  std::vector<TagBinding> bindings;
  for (std::size_t i = 0; i < items->size(); ++i) {
    const std::string at = pointer + "/" + std::to_string(i);
    const json::object* item = (*items)[i].if_object();
    const json::object* attributes = item ? find_object(*item, "attributes") : nullptr;
    if (!attributes) throw Error(Code::unprocessable, "Each tag binding must have a key.", at);
    TagBinding binding;
    binding.id = std::string(TagBinding::id_prefix) + "-" + random_id_suffix();
    binding.key = checked(*attributes, "key", longest_key, at);
    binding.value = checked(*attributes, "value", longest_value, at);
    if (trim(binding.key).empty())
      throw Error(Code::unprocessable, "Key can't be blank", at + "/attributes/key");
    auto same = std::ranges::find(bindings, binding.key, &TagBinding::key);
    if (same != bindings.end())
      same->value = binding.value;
    else
      bindings.push_back(std::move(binding));
  }
  if (bindings.size() > most_tag_bindings) throw too_many();
  return bindings;
}

std::optional<std::vector<TagBinding>> related_tag_bindings(const json::object& data) {
  const json::object* relationships = find_object(data, "relationships");
  const json::object* relation = relationships ? find_object(*relationships, "tag-bindings") : nullptr;
  const json::value* list = relation ? relation->if_contains("data") : nullptr;
  if (!list) return std::nullopt;
  return read_tag_bindings(*list, "/data/relationships/tag-bindings/data");
}

Task<std::vector<TagBinding>> find_tag_bindings(postgres::Tx& tx, const std::vector<std::string>& owners) {
  postgres::Result rows = co_await tx.run(sql::tag_bindings_of, postgres::Params::of(owners));
  std::vector<TagBinding> bindings;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    bindings.push_back({rows[i].string("id"), rows[i].string("key"), rows[i].string("value"),
                        rows[i].string("owner"), std::nullopt});
  }
  co_return bindings;
}

Task<> add_tag_bindings(postgres::Tx& tx, const std::string& owner, const std::vector<TagBinding>& bindings) {
  const Statement& set =
      owner.starts_with("prj-") ? sql::tag_binding_set_project : sql::tag_binding_set_workspace;
  for (const TagBinding& binding : bindings)
    co_await tx.run(set, postgres::Params::of(binding.id, owner, binding.key, binding.value));
  std::vector<TagBinding> all = co_await find_tag_bindings(tx, {owner});
  if (all.size() > most_tag_bindings) throw too_many();
}

Task<> replace_tag_bindings(postgres::Tx& tx, const std::string& owner,
                            const std::vector<TagBinding>& bindings) {
  co_await tx.run(sql::tag_bindings_clear, postgres::Params::of(owner));
  co_await add_tag_bindings(tx, owner, bindings);
}

std::vector<json::object> link_effective(std::span<json::object* const> owners,
                                         const std::vector<TagBinding>& bindings) {
  std::vector<json::object> resources;
  std::map<std::string, json::array> links;
  for (const TagBinding& binding : bindings) {
    json::object resource = encode_effective(binding);
    links[binding.owner].push_back(json::object{{"id", resource["id"]}, {"type", resource["type"]}});
    resources.push_back(std::move(resource));
  }
  for (json::object* owner : owners) {
    const std::string id = find_string(*owner, "id").value_or("");
    json::object& relationships = (*owner)["relationships"].is_object()
                                      ? (*owner)["relationships"].as_object()
                                      : (*owner)["relationships"].emplace_object();
    relationships["effective-tag-bindings"] = json::object{{"data", std::move(links[id])}};
  }
  return resources;
}

}  // namespace terrane::organization
