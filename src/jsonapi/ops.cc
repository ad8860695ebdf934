#include "jsonapi/resource.h"

namespace terrane::jsonapi {
namespace {

[[noreturn]] void wrong_type(const char* wanted) {
  throw Error(Code::unprocessable, std::string("must be ") + wanted);
}

template <class T>
struct Type;

template <>
struct Type<std::string> {
  static constexpr std::string_view schema = R"({"type":"string"})";
  static json::value to_json(const std::string& value) { return json::value(value); }
  static std::string from_json(const json::value& given) {
    if (!given.is_string()) wrong_type("a string");
    return std::string(given.get_string());
  }
  static std::string from_column(const postgres::Row& row, std::string_view column) {
    return row.string(column);
  }
};

template <>
struct Type<bool> {
  static constexpr std::string_view schema = R"({"type":"boolean"})";
  static json::value to_json(bool value) { return value; }
  static bool from_json(const json::value& given) {
    if (!given.is_bool()) wrong_type("true or false");
    return given.get_bool();
  }
  static bool from_column(const postgres::Row& row, std::string_view column) { return row.boolean(column); }
};

template <>
struct Type<std::int64_t> {
  static constexpr std::string_view schema = R"({"type":"integer"})";
  static json::value to_json(std::int64_t value) { return value; }
  static std::int64_t from_json(const json::value& given) {
    if (given.is_int64()) return given.get_int64();
    wrong_type("a whole number");
  }
  static std::int64_t from_column(const postgres::Row& row, std::string_view column) {
    return row.integer(column);
  }
};

template <>
struct Type<Time> {
  static constexpr std::string_view schema = R"({"type":"string","format":"date-time"})";
  static json::value to_json(Time value) { return json::value(iso8601(value)); }
  static Time from_json(const json::value& given) {
    std::optional<Time> time = given.is_string() ? parse_time(given.get_string()) : std::nullopt;
    if (!time) wrong_type("a time such as 2018-03-02T23:42:06Z");
    return *time;
  }
  static Time from_column(const postgres::Row& row, std::string_view column) { return row.time(column); }
};

template <>
struct Type<std::vector<std::string>> {
  static constexpr std::string_view schema = R"({"type":"array","items":{"type":"string"}})";
  static json::value to_json(const std::vector<std::string>& value) { return json::value_from(value); }
  static std::vector<std::string> from_json(const json::value& given) {
    std::vector<std::string> out;
    if (given.is_null()) return out;
    if (!given.is_array()) wrong_type("a list of strings");
    for (const json::value& item : given.get_array()) {
      if (!item.is_string()) wrong_type("a list of strings");
      out.emplace_back(item.get_string());
    }
    return out;
  }
  static std::vector<std::string> from_column(const postgres::Row& row, std::string_view column) {
    return row.strings(column);
  }
};

template <>
struct Type<json::value> {
  static constexpr std::string_view schema = "{}";
  static json::value to_json(const json::value& value) { return value; }
  static json::value from_json(const json::value& given) { return given; }
  static json::value from_column(const postgres::Row& row, std::string_view column) {
    return row.is_null(column) ? json::value() : row.json(column);
  }
};

template <class T>
struct Type<std::optional<T>> {
  static constexpr std::string_view schema = Type<T>::schema;
  static json::value to_json(const std::optional<T>& value) {
    return value ? Type<T>::to_json(*value) : json::value();
  }
  static std::optional<T> from_json(const json::value& given) {
    if (given.is_null()) return std::nullopt;
    return Type<T>::from_json(given);
  }
  static std::optional<T> from_column(const postgres::Row& row, std::string_view column) {
    if (row.is_null(column)) return std::nullopt;
    return Type<T>::from_column(row, column);
  }
};

template <class T>
constexpr bool is_optional = false;
template <class T>
constexpr bool is_optional<std::optional<T>> = true;

template <class T>
const FieldOps& make() {
  static const FieldOps table{
      [](const void* value) { return Type<T>::to_json(*static_cast<const T*>(value)); },
      [](const json::value& given, void* value) { *static_cast<T*>(value) = Type<T>::from_json(given); },
      [](const postgres::Row& row, std::string_view column, void* value) {
        *static_cast<T*>(value) = Type<T>::from_column(row, column);
      },
      Type<T>::schema, is_optional<T>};
  return table;
}

}  // namespace

template <>
const FieldOps& ops<std::string>() {
  return make<std::string>();
}
template <>
const FieldOps& ops<bool>() {
  return make<bool>();
}
template <>
const FieldOps& ops<std::int64_t>() {
  return make<std::int64_t>();
}
template <>
const FieldOps& ops<Time>() {
  return make<Time>();
}
template <>
const FieldOps& ops<std::vector<std::string>>() {
  return make<std::vector<std::string>>();
}
template <>
const FieldOps& ops<json::value>() {
  return make<json::value>();
}
template <>
const FieldOps& ops<std::optional<std::string>>() {
  return make<std::optional<std::string>>();
}
template <>
const FieldOps& ops<std::optional<bool>>() {
  return make<std::optional<bool>>();
}
template <>
const FieldOps& ops<std::optional<std::int64_t>>() {
  return make<std::optional<std::int64_t>>();
}
template <>
const FieldOps& ops<std::optional<Time>>() {
  return make<std::optional<Time>>();
}

}  // namespace terrane::jsonapi
