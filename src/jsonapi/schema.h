#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "jsonapi/resource.h"

namespace terrane::jsonapi {

/// A member of a resource's documents that its table does not hold, or describes too loosely: an encoder adds
/// it to answers, a handler reads it from requests. It takes the place of the table's member of the same
/// name.
struct Member {
  enum class Place { shown, shown_relation, taken, taken_relation };
  Place place;
  std::string_view name;  ///< of static life
  json::value schema;
  bool always = true;  ///< in every answer; for a request: without it nothing can be made
};

/// What the documents of one resource hold, for `terrane openapi`.
struct Schema {
  std::string_view name;            ///< in the document; mostly the type
  std::string_view type;            ///< on the wire
  const Resource* table = nullptr;  ///< none when the documents are made by hand
  std::vector<Member> members;
  bool has_links = false;
  bool links_vary = false;  ///< some of them have no links
};

// JSON schemas of values.
json::value text(std::string_view pattern = {});  ///< a string, or one that matches
json::value one_of(std::string_view words);       ///< one of the words
json::value boolean();
json::value integer(std::int64_t least, std::int64_t most);
json::value time();
json::value list_of(json::value items);
json::value flags(std::string_view names);  ///< an object of booleans with exactly these names
json::value anything();
json::value nothing();  ///< always null
json::value nullable(json::value schema);

// Members.
Member shown(std::string_view name, json::value schema);
Member sometimes(std::string_view name, json::value schema);        ///< shown, but not in every answer
Member sometimes(Member member);                                    ///< the same, but not in every answer
Member related(std::string_view name, std::string_view types);      ///< to one other, or to none
Member related_many(std::string_view name, std::string_view type);  ///< to any number of others
Member linked(std::string_view name);  ///< a relation that only says where it leads
Member takes(std::string_view name, json::value schema);
Member needs(std::string_view name, json::value schema);
Member takes_related(std::string_view name, std::string_view types);
Member takes_related_many(std::string_view name, std::string_view type);
/// A relation to many that a request brings along whole.
Member takes_whole(std::string_view name, json::value item);
Member needs_related(std::string_view name, std::string_view type);

/// The closed schema of the resource object in answers; it names what every answer has.
json::object answer_schema(const Schema& schema);
/// The closed schema of `data` in requests to create or to update.
json::object request_schema(const Schema& schema, Flag when);
/// An object with exactly these members; what is not in `optional` is required.
json::object closed_object(json::object properties, const std::vector<std::string>& optional = {});
/// `{id, type}` of a resource of one of the types.
json::object identifier(std::string_view types);

}  // namespace terrane::jsonapi
