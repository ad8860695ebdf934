#include "jsonapi/schema.h"

#include "base/text.h"

namespace terrane::jsonapi {
namespace {

using Place = Member::Place;

json::array words_of(std::string_view words) {
  json::array out;
  for (std::string_view word : split(words, ' ')) out.emplace_back(word);
  return out;
}

json::value schema_of(const FieldOps& ops) {
  json::value schema = parse_json(ops.schema);
  return ops.nullable ? nullable(std::move(schema)) : schema;
}

/// An object's members while they are gathered, with the names of those that are always there.
struct Members {
  json::object properties;
  json::array required;

  void add(std::string_view name, json::value schema, bool always) {
    auto known = std::ranges::find(required, json::value(name));
    if (known != required.end()) required.erase(known);
    properties[name] = std::move(schema);
    if (always) required.emplace_back(name);
  }
  json::object closed() && {
    json::object out{
        {"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
    if (!required.empty()) out["required"] = std::move(required);
    return out;
  }
};

json::value linkage(json::value data) { return closed_object(json::object{{"data", std::move(data)}}); }

}  // namespace

json::value text(std::string_view pattern) {
  json::object schema{{"type", "string"}};
  if (!pattern.empty()) schema["pattern"] = pattern;
  return schema;
}

json::value one_of(std::string_view words) {
  return json::object{{"type", "string"}, {"enum", words_of(words)}};
}

json::value boolean() { return json::object{{"type", "boolean"}}; }

json::value integer(std::int64_t least, std::int64_t most) {
  return json::object{{"type", "integer"}, {"minimum", least}, {"maximum", most}};
}

json::value time() { return json::object{{"type", "string"}, {"format", "date-time"}}; }

json::value list_of(json::value items) {
  return json::object{{"type", "array"}, {"items", std::move(items)}};
}

json::value flags(std::string_view names) {
  json::object properties;
  for (std::string_view name : split(names, ' ')) properties[name] = boolean();
  return closed_object(std::move(properties));
}

json::value anything() { return json::object{}; }

json::value nothing() { return json::object{{"type", "null"}}; }

json::value nullable(json::value schema) {
  json::object& object = schema.as_object();
  if (object.empty()) return schema;
  if (!object.contains("type") || !object["type"].is_string() || object.contains("enum"))
    return json::object{{"anyOf", json::array{std::move(schema), nothing()}}};
  json::value type = object["type"];
  object["type"] = json::array{std::move(type), "null"};
  return schema;
}

Member shown(std::string_view name, json::value schema) {
  return {Place::shown, name, std::move(schema), true};
}
Member sometimes(std::string_view name, json::value schema) {
  return {Place::shown, name, std::move(schema), false};
}
Member sometimes(Member member) {
  member.always = false;
  return member;
}
Member related(std::string_view name, std::string_view types) {
  return {Place::shown_relation, name, linkage(nullable(identifier(types))), true};
}
Member related_many(std::string_view name, std::string_view type) {
  return {Place::shown_relation, name, linkage(list_of(identifier(type))), true};
}
Member linked(std::string_view name) {
  json::object links = closed_object(json::object{{"related", text()}});
  return {Place::shown_relation, name, closed_object(json::object{{"links", std::move(links)}}), true};
}
Member takes(std::string_view name, json::value schema) {
  return {Place::taken, name, std::move(schema), false};
}
Member needs(std::string_view name, json::value schema) {
  return {Place::taken, name, std::move(schema), true};
}
Member takes_related(std::string_view name, std::string_view types) {
  return {Place::taken_relation, name, linkage(nullable(identifier(types))), false};
}
Member takes_related_many(std::string_view name, std::string_view type) {
  return takes_whole(name, identifier(type));
}
Member takes_whole(std::string_view name, json::value item) {
  return {Place::taken_relation, name, linkage(list_of(std::move(item))), false};
}
Member needs_related(std::string_view name, std::string_view type) {
  return {Place::taken_relation, name, linkage(identifier(type)), true};
}

json::object closed_object(json::object properties, const std::vector<std::string>& optional) {
  Members members;
  for (const json::key_value_pair& item : properties) {
    const bool always = std::ranges::find(optional, item.key()) == optional.end();
    members.add(item.key(), item.value(), always);
  }
  return std::move(members).closed();
}

json::object identifier(std::string_view types) {
  return closed_object(json::object{{"id", text()}, {"type", one_of(types)}});
}

json::object answer_schema(const Schema& schema) {
  Members attributes, relations, resource;
  if (schema.table) {
    for (const Attribute& attribute : schema.table->attributes) {
      if (!(attribute.flags & hidden)) attributes.add(attribute.name, schema_of(*attribute.ops), true);
    }
    for (const Relation& relation : schema.table->relations)
      relations.add(relation.name, linkage(nullable(identifier(relation.type))), true);
  }
  for (const Member& member : schema.members) {
    if (member.place == Place::shown) attributes.add(member.name, member.schema, member.always);
    if (member.place == Place::shown_relation) relations.add(member.name, member.schema, member.always);
  }
  resource.add("id", text(), true);
  resource.add("type", one_of(schema.type), true);
  resource.add("attributes", std::move(attributes).closed(), true);
  if (!relations.properties.empty()) resource.add("relationships", std::move(relations).closed(), true);
  if (schema.has_links)
    resource.add("links", json::object{{"type", "object"}, {"additionalProperties", text()}},
                 !schema.links_vary);
  return std::move(resource).closed();
}

json::object request_schema(const Schema& schema, Flag when) {
  Members attributes, relations, data;
  if (schema.table) {
    for (const Attribute& attribute : schema.table->attributes) {
      if (attribute.flags & when) attributes.add(attribute.name, schema_of(*attribute.ops), false);
    }
  }
  const bool making = when == create;
  for (const Member& member : schema.members) {
    if (member.place == Place::taken) attributes.add(member.name, member.schema, making && member.always);
    if (member.place == Place::taken_relation)
      relations.add(member.name, member.schema, making && member.always);
  }
  const bool needs_attributes = !attributes.required.empty();
  const bool needs_relations = !relations.required.empty();
  data.add("type", one_of(schema.type), true);
  data.add("attributes", std::move(attributes).closed(), needs_attributes);
  if (!relations.properties.empty())
    data.add("relationships", std::move(relations).closed(), needs_relations);
  return std::move(data).closed();
}

}  // namespace terrane::jsonapi
