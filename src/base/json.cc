#include "base/json.h"

#include "base/error.h"

namespace terrane {

json::value parse_json(std::string_view text, std::size_t depth) {
  json::parse_options options;
  options.max_depth = depth;
  json::stream_parser parser({}, options);
  boost::system::error_code failure;
  std::size_t consumed = parser.write_some(text.data(), text.size(), failure);
  if (!failure && consumed < text.size()) failure = make_error_code(json::error::extra_data);
  if (!failure) parser.finish(failure);
  if (failure) {
    throw Error(Code::invalid, "The body is not valid JSON: " + failure.message() + " at byte " +
                                   std::to_string(consumed) + ".");
  }
  return parser.release();
}

std::optional<std::string> find_string(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::int64_t> find_int(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64() && value->get_uint64() <= static_cast<std::uint64_t>(INT64_MAX)) {
    return static_cast<std::int64_t>(value->get_uint64());
  }
  return std::nullopt;
}

std::optional<bool> find_bool(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_bool()) return std::nullopt;
  return value->get_bool();
}

const json::object* find_object(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value ? value->if_object() : nullptr;
}

const json::array* find_array(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value ? value->if_array() : nullptr;
}

std::string require_string(const json::object& object, std::string_view key) {
  std::optional<std::string> value = find_string(object, key);
  if (!value) throw Error(Code::invalid, "The member '" + std::string(key) + "' must be a string.");
  return *std::move(value);
}

std::int64_t require_int(const json::object& object, std::string_view key) {
  std::optional<std::int64_t> value = find_int(object, key);
  if (!value) throw Error(Code::invalid, "The member '" + std::string(key) + "' must be a whole number.");
  return *value;
}

}  // namespace terrane
