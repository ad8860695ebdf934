#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/time.h"
#include "postgres/database.h"

namespace terrane::jsonapi {

/// When a client may give an attribute. One without a flag is read only; `hidden` never leaves the server.
enum Flag : unsigned { read_only = 0, create = 1, update = 2, hidden = 4 };

/// What can be done with one C++ type; one table of functions per type, in ops.cc.
struct FieldOps {
  json::value (*to_json)(const void* value);
  /// Reads an attribute. Throws Error{unprocessable} whose detail says which type is wanted.
  void (*from_json)(const json::value& given, void* value);
  void (*from_column)(const postgres::Row& row, std::string_view column, void* value);
  std::string_view schema;  ///< the JSON schema of the wire form
  bool nullable = false;    ///< whether null is a value, too
};

/// The ops of a member's type: std::string, bool, std::int64_t, Time, their optionals,
/// std::vector<std::string>, json::value (anything).
template <class T>
const FieldOps& ops();

/// A rule of one value beyond its type: returns what is wrong, or nothing.
using Check = std::optional<std::string> (*)(const json::value& given);

/// One attribute of a resource.
struct Attribute {
  std::string_view name;    ///< on the wire, kebab-case
  std::string_view column;  ///< in its table and in what the statements select
  unsigned flags;
  void* (*address)(void* resource);
  const FieldOps* ops;
  Check check;
};

/// One relation to a single other resource: `{"data":{"id","type"}}`, `{"data":null}` when it has none.
struct Relation {
  std::string_view name;
  std::string_view type;
  std::optional<std::string> (*id)(const void* resource);
  std::string_view column;
  void (*from_column)(const postgres::Row& row, std::string_view column, void* resource);
};

/// A resource declared once: encoding, decoding, patching, reading rows and writing them all use this table.
struct Resource {
  std::string_view type;
  std::span<const Attribute> attributes;
  std::span<const Relation> relations;
};

namespace detail {
template <class Member>
struct MemberOf;
template <class Class, class Type>
struct MemberOf<Type Class::*> {
  using Owner = Class;
  using Value = Type;
};
}  // namespace detail

/// An attribute that is the member `Member`; its column is the wire name with `_` for `-`, unless given.
template <auto Member>
Attribute attr(std::string_view name, std::string_view column, unsigned flags = read_only,
               Check check = nullptr) {
  using Of = detail::MemberOf<decltype(Member)>;
  auto address = [](void* resource) -> void* {
    return &(static_cast<typename Of::Owner*>(resource)->*Member);
  };
  return {name, column, flags, address, &ops<typename Of::Value>(), check};
}

/// A relation whose id is the member `Member` (an Id, or an optional one).
template <auto Member>
Relation rel(std::string_view name, std::string_view type, std::string_view column) {
  using Of = detail::MemberOf<decltype(Member)>;
  using Owner = typename Of::Owner;
  auto id = [](const void* resource) -> std::optional<std::string> {
    const auto& value = static_cast<const Owner*>(resource)->*Member;
    if constexpr (requires { value.has_value(); }) {
      if (!value) return std::nullopt;
      return value->text();
    } else {
      return value.text();
    }
  };
  auto from_column = [](const postgres::Row& row, std::string_view at, void* resource) {
    auto& value = static_cast<Owner*>(resource)->*Member;
    if constexpr (requires { value.has_value(); }) {
      using Named = typename std::remove_reference_t<decltype(value)>::value_type;
      if (auto text = row.opt_string(at))
        value = Named(*text);
      else
        value.reset();
    } else {
      value = std::remove_reference_t<decltype(value)>(row.string(at));
    }
  };
  return {name, type, id, column, from_column};
}

/// Fills `resource` from a row that has all columns of the table.
void read_row(const Resource& table, const postgres::Row& row, void* resource);
template <class T>
T from_row(const Resource& table, const postgres::Row& row) {
  T value;
  read_row(table, row, &value);
  return value;
}

/// The resource object `{id, type, attributes, relationships}`.
json::object encode(const Resource& table, const void* resource, std::string_view id);

/// Takes the attributes that `when` (create or update) allows from a request's `data` object into `resource`,
/// checks them, and returns them by column as the statements want them. Attributes that the table does not
/// know, or that may not be given now, are ignored, as API v2 does. Throws Error{unprocessable} with a
/// pointer for each bad value, all at once.
json::object decode(const Resource& table, const json::object& data, Flag when, void* resource);

/// The `data` object of a request's document. Throws Error{invalid} when the text is not JSON,
/// Error{unprocessable} when it is not a JSON:API document or `type` is given and another than `type`; an
/// empty `type` allows any.
json::object parse_data(std::string_view body, std::string_view type);

/// The id of relation `name` in a request's `data`; nothing when it is absent or null. Throws
/// Error{unprocessable} on another shape.
std::optional<std::string> related_id(const json::object& data, std::string_view name);

/// The ids of a relation to many in a request's `data`; nothing when it is absent. Throws
/// Error{unprocessable} on another shape, or on more than `most`.
std::optional<std::vector<std::string>> related_ids(const json::object& data, std::string_view name,
                                                    std::size_t most);
/// The ids of a list of resource identifiers, `[{"type", "id"}]`, each once, that stands at `pointer`. Throws
/// as `related_ids`.
std::vector<std::string> identifiers(const json::value& list, const std::string& pointer, std::size_t most);

/// `{"data": [{"id", "type"}]}` of a relation to many.
json::object linkage(std::string_view type, const std::vector<std::string>& ids);

/// What a list asked for: `page[number]` from 1 and `page[size]` 1..100 (default 20).
struct Page {
  std::int64_t number = 1;
  std::int64_t size = 20;
  std::int64_t offset() const { return (number - 1) * size; }
};

/// The items of `all` that stand on `page`, for lists that are read whole.
json::array slice(json::array all, const Page& page);

/// `{"data": …}` of one resource, with what was included.
json::object document(json::object data, json::array included = {});
/// A list's document with `links` and `meta.pagination`. A page past the end is an empty list that echoes its
/// number.
json::object list_document(json::array data, const Page& page, std::int64_t total, std::string_view path,
                           json::array included = {});

// Checks that several resources use.
std::optional<std::string> not_blank(const json::value& given);
std::optional<std::string> valid_name(
    const json::value& given);  ///< letters, digits, '-' and '_', at most 90

}  // namespace terrane::jsonapi
