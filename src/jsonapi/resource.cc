#include "jsonapi/resource.h"

#include "base/text.h"

namespace terrane::jsonapi {
namespace {

/// Whether PostgreSQL can hold every text in the value: a NUL is valid JSON and no valid text there.
bool is_clean(const json::value& value) {
  if (value.is_string()) return is_clean_utf8(value.get_string());
  if (value.is_array()) return std::ranges::all_of(value.get_array(), is_clean);
  if (!value.is_object()) return true;
  return std::ranges::all_of(value.get_object(), [](const json::key_value_pair& item) {
    return is_clean_utf8(item.key()) && is_clean(item.value());
  });
}

}  // namespace

void read_row(const Resource& table, const postgres::Row& row, void* resource) {
  for (const Attribute& attribute : table.attributes)
    attribute.ops->from_column(row, attribute.column, attribute.address(resource));
  for (const Relation& relation : table.relations) relation.from_column(row, relation.column, resource);
}

json::object encode(const Resource& table, const void* resource, std::string_view id) {
  json::object attributes;
  for (const Attribute& attribute : table.attributes) {
    if (attribute.flags & hidden) continue;
    attributes[attribute.name] = attribute.ops->to_json(attribute.address(const_cast<void*>(resource)));
  }
  json::object relationships;
  for (const Relation& relation : table.relations) {
    json::value data;
    if (std::optional<std::string> other = relation.id(resource))
      data = json::object{{"id", *other}, {"type", relation.type}};
    relationships[relation.name] = json::object{{"data", std::move(data)}};
  }
  json::object out{{"id", id}, {"type", table.type}, {"attributes", std::move(attributes)}};
  if (!relationships.empty()) out["relationships"] = std::move(relationships);
  return out;
}

json::object decode(const Resource& table, const json::object& data, Flag when, void* resource) {
  json::object columns;
  std::vector<Problem> problems;
  const json::object* given = find_object(data, "attributes");
  if (!given) return columns;
  for (const Attribute& attribute : table.attributes) {
    if (!(attribute.flags & when)) continue;
    const json::value* value = given->if_contains(attribute.name);
    if (!value) continue;
    std::string pointer = "/data/attributes/" + std::string(attribute.name);
    try {
      if (!is_clean(*value)) throw Error(Code::unprocessable, "must be UTF-8 text without NUL");
      attribute.ops->from_json(*value, attribute.address(resource));
      if (std::optional<std::string> wrong = attribute.check ? attribute.check(*value) : std::nullopt) {
        problems.push_back({*wrong, pointer});
        continue;
      }
      columns[attribute.column] = attribute.ops->to_json(attribute.address(resource));
    } catch (const Error& error) {
      problems.push_back({std::string(attribute.name) + " " + error.detail(), pointer});
    }
  }
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  return columns;
}

json::object parse_data(std::string_view body, std::string_view type) {
  json::value parsed = parse_json(body);
  const json::object* top = parsed.if_object();
  const json::object* data = top ? find_object(*top, "data") : nullptr;
  if (!data)
    throw Error(Code::unprocessable,
                "The document must be an object with a member 'data' that is a resource object.", "/data");
  std::optional<std::string> given = find_string(*data, "type");
  if (!type.empty() && given && !given->empty() && *given != type) {
    throw Error(Code::unprocessable, "The type must be '" + std::string(type) + "', not '" + *given + "'.",
                "/data/type");
  }
  for (std::string_view member : {"attributes", "relationships"}) {
    const json::value* value = data->if_contains(member);
    if (value && !value->is_object() && !value->is_null()) {
      throw Error(Code::unprocessable, "The member must be an object.", "/data/" + std::string(member));
    }
  }
  return *data;
}

std::optional<std::string> related_id(const json::object& data, std::string_view name) {
  const json::object* relationships = find_object(data, "relationships");
  const json::value* relation = relationships ? relationships->if_contains(name) : nullptr;
  if (!relation || relation->is_null()) return std::nullopt;
  const std::string pointer = "/data/relationships/" + std::string(name);
  const json::object* object = relation->if_object();
  const json::value* linkage = object ? object->if_contains("data") : nullptr;
  if (!linkage) throw Error(Code::unprocessable, "A relationship must be an object with 'data'.", pointer);
  if (linkage->is_null()) return std::nullopt;
  std::optional<std::string> id =
      linkage->is_object() ? find_string(linkage->get_object(), "id") : std::nullopt;
  if (!id || !is_clean_utf8(*id))
    throw Error(Code::unprocessable, "The relationship must name one resource by its id.",
                pointer + "/data/id");
  return id;
}

std::vector<std::string> identifiers(const json::value& list, const std::string& pointer, std::size_t most) {
  if (!list.is_array())
    throw Error(Code::unprocessable, "The member must be a list of resource identifiers.", pointer);
  const json::array& items = list.get_array();
  if (items.size() > most) {
    throw Error(Code::unprocessable, "The list may hold at most " + std::to_string(most) + " items.",
                pointer);
  }
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const json::object* item = items[i].if_object();
    std::optional<std::string> id = item ? find_string(*item, "id") : std::nullopt;
    if (!id || !is_clean_utf8(*id)) {
      throw Error(Code::unprocessable, "Each item must name a resource by its id.",
                  pointer + "/" + std::to_string(i) + "/id");
    }
    if (std::ranges::find(ids, *id) == ids.end()) ids.push_back(std::move(*id));
  }
  return ids;
}

std::optional<std::vector<std::string>> related_ids(const json::object& data, std::string_view name,
                                                    std::size_t most) {
  const json::object* relationships = find_object(data, "relationships");
  const json::value* relation = relationships ? relationships->if_contains(name) : nullptr;
  if (!relation) return std::nullopt;
  const std::string pointer = "/data/relationships/" + std::string(name);
  const json::object* object = relation->if_object();
  const json::value* list = object ? object->if_contains("data") : nullptr;
  if (!list) throw Error(Code::unprocessable, "A relationship must be an object with 'data'.", pointer);
  return identifiers(*list, pointer + "/data", most);
}

json::object linkage(std::string_view type, const std::vector<std::string>& ids) {
  json::array data;
  for (const std::string& id : ids) data.push_back(json::object{{"id", id}, {"type", type}});
  return {{"data", std::move(data)}};
}

json::array slice(json::array all, const Page& page) {
  const std::int64_t size = static_cast<std::int64_t>(all.size());
  const std::int64_t first = std::min(page.offset(), size);
  const std::int64_t last = std::min(first + page.size, size);
  return json::array(all.begin() + first, all.begin() + last);
}

json::object document(json::object data, json::array included) {
  json::object out{{"data", std::move(data)}};
  if (!included.empty()) out["included"] = std::move(included);
  return out;
}

json::object list_document(json::array data, const Page& page, std::int64_t total, std::string_view path,
                           json::array included) {
  const std::int64_t pages = total == 0 ? 1 : (total + page.size - 1) / page.size;
  auto link = [&](std::int64_t number) {
    return std::string(path) + "?page%5Bnumber%5D=" + std::to_string(number) +
           "&page%5Bsize%5D=" + std::to_string(page.size);
  };
  json::value previous = page.number > 1 ? json::value(page.number - 1) : json::value();
  json::value next = page.number < pages ? json::value(page.number + 1) : json::value();
  json::object out{{"data", std::move(data)}};
  if (!included.empty()) out["included"] = std::move(included);
  out["links"] =
      json::object{{"self", link(page.number)},
                   {"first", link(1)},
                   {"prev", page.number > 1 ? json::value(link(page.number - 1)) : json::value()},
                   {"next", page.number < pages ? json::value(link(page.number + 1)) : json::value()},
                   {"last", link(pages)}};
  out["meta"] = json::object{{"pagination", json::object{{"current-page", page.number},
                                                         {"page-size", page.size},
                                                         {"prev-page", std::move(previous)},
                                                         {"next-page", std::move(next)},
                                                         {"total-pages", pages},
                                                         {"total-count", total}}}};
  return out;
}

std::optional<std::string> not_blank(const json::value& given) {
  if (given.is_string() && trim(given.get_string()).empty()) return "can't be blank";
  return std::nullopt;
}

std::optional<std::string> valid_name(const json::value& given) {
  if (auto blank = not_blank(given)) return blank;
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.size() > 90) return "is too long (maximum is 90 characters)";
  for (char c : text) {
    bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!allowed) return "can only include letters, numbers, -, and _.";
  }
  return std::nullopt;
}

}  // namespace terrane::jsonapi
