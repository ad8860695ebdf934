#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace terrane {

namespace json = boost::json;

/// Parses one JSON document of at most `depth` nested levels. Throws Error{invalid} with the byte offset.
json::value parse_json(std::string_view text, std::size_t depth = 64);

/// The member `key` of `object` as a string; nothing when it is absent, null or of another type.
std::optional<std::string> find_string(const json::object& object, std::string_view key);
/// The member `key` of `object` as a whole number; nothing when it is absent, null or of another type.
std::optional<std::int64_t> find_int(const json::object& object, std::string_view key);
/// The member `key` of `object` as a truth value; nothing when it is absent, null or of another type.
std::optional<bool> find_bool(const json::object& object, std::string_view key);
/// The member `key` as an object, null when it is absent or something else.
const json::object* find_object(const json::object& object, std::string_view key);
/// The member `key` as an array, null when it is absent or something else.
const json::array* find_array(const json::object& object, std::string_view key);

/// The member `key` as a string. Throws Error{invalid} that names the member; the same for the next.
std::string require_string(const json::object& object, std::string_view key);
std::int64_t require_int(const json::object& object, std::string_view key);

}  // namespace terrane
